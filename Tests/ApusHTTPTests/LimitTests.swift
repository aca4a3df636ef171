import ApusHTTP
import ApusTypes
import HTTPTestKit
import Testing

/// Each row of `HTTPLimits`: what reaches it is served, what is one beyond is not.
@Suite("server: limits")
struct LimitTests {
    @Test("request line", arguments: [(512, 404), (513, 414)])
    func requestLine(length: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.requestLine = ByteCount(512)
        let target = "/" + String(repeating: "a", count: length - "GET / HTTP/1.1".utf8.count)
        try await expect(status, of: "GET \(target) HTTP/1.1\r\nHost: localhost\r\n\r\n", limits)
    }

    @Test("a request line that never ends is refused before its end")
    func endlessRequestLine() async throws {
        var limits = HTTPLimits()
        limits.requestLine = ByteCount(512)
        try await expect(414, of: "GET /" + String(repeating: "a", count: 600), limits)
    }

    @Test("head", arguments: [(1024, 404), (1025, 431)])
    func head(length: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.requestLine = ByteCount(512)
        limits.head = ByteCount(1024)
        let start = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-A: "
        let value = String(repeating: "a", count: length - start.utf8.count - 4)
        try await expect(status, of: start + value + "\r\n\r\n", limits)
    }

    @Test("header fields", arguments: [(10, 404), (11, 431)])
    func headerCount(count: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.headerCount = 10
        let fields = (1..<count).map { "X-\($0): a\r\n" }.joined()
        try await expect(status, of: "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n", limits)
    }

    @Test("path segments", arguments: [(8, 404), (9, 414)])
    func pathSegments(count: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.pathSegments = 8
        try await expect(status, of: "GET \(String(repeating: "/a", count: count)) HTTP/1.1\r\nHost: localhost\r\n\r\n", limits)
    }

    @Test("query items", arguments: [(8, 404), (9, 414)])
    func queryItems(count: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.queryItems = 8
        let query = (0..<count).map { "a\($0)=b" }.joined(separator: "&")
        try await expect(status, of: "GET /nowhere?\(query) HTTP/1.1\r\nHost: localhost\r\n\r\n", limits)
    }

    @Test("a body with a length", arguments: [(100, 200), (101, 413)])
    func body(length: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.body = ByteCount(100)
        try await expect(
            status,
            of: "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(length)\r\n\r\n" + String(repeating: "a", count: length),
            limits)
    }

    @Test("an announced body beyond the limit is refused before any of it is sent")
    func announcedBody() async throws {
        var limits = HTTPLimits()
        limits.body = ByteCount(100)
        try await expect(413, of: "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n", limits)
    }

    @Test("a chunked body", arguments: [(100, 200), (101, 413)])
    func chunkedBody(length: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.body = ByteCount(100)
        let chunks =
            "32\r\n" + String(repeating: "a", count: 50) + "\r\n" + String(length - 50, radix: 16) + "\r\n"
            + String(repeating: "b", count: length - 50) + "\r\n0\r\n\r\n"
        try await expect(status, of: "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)", limits)
    }

    @Test("a collected body", arguments: [(1 << 20, 200), (1 << 20 + 1, 413)])
    func collectedBody(length: Int, status: Int) async throws {
        try await TestServer.with(routes: Self.routes) { server in
            let client = try RawClient(port: server.port)
            try await client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(length)\r\n\r\n")
            if status == 200 { try await client.send([UInt8](repeating: 97, count: length)) }
            #expect(try await ReplyReader(client).next().status == status)
        }
    }

    @Test("chunk extensions", arguments: [(64, 200), (65, 400)])
    func chunkExtensions(length: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.chunkExtensions = ByteCount(64)
        let extensions = String(repeating: "x", count: length)
        try await expect(
            status, of: "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2;\(extensions)\r\nab\r\n0\r\n\r\n",
            limits)
    }

    @Test("trailers", arguments: [(64, 200), (65, 431)])
    func trailers(length: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.trailers = ByteCount(64)
        let trailer = "T:" + String(repeating: "x", count: length - 1)
        try await expect(
            status, of: "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\(trailer)\r\n\r\n",
            limits)
    }

    @Test("connections of a listener: one beyond is told so, and one that leaves makes room")
    func connections() async throws {
        var limits = HTTPLimits()
        limits.connectionsPerListener = 2
        try await expectRoomForTwo(limits)
    }

    @Test("connections of the process")
    func connectionsOfProcess() async throws {
        var limits = HTTPLimits()
        limits.connections = 2
        try await expectRoomForTwo(limits)
    }

    private func expectRoomForTwo(_ limits: HTTPLimits) async throws {
        try await TestServer.with(limits: limits, routes: Self.routes) { server in
            let get = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let first = try RawClient(port: server.port)
            try await first.send(get)
            #expect(try await ReplyReader(first).next().status == 404)
            do {
                let second = try RawClient(port: server.port)
                try await second.send(get)
                #expect(try await ReplyReader(second).next().status == 404)
                let third = try RawClient(port: server.port)
                let reply = try await ReplyReader(third).next()
                #expect(reply.status == 503)
                #expect(reply["Retry-After"] == "1")
            }
            // The second client has left; the server learns of it with its next event, so this asks until there is room.
            var status = 503
            while status == 503 {
                let another = try RawClient(port: server.port)
                let replies = ReplyReader(another)
                do {
                    try await another.send(get)
                    status = try await replies.next().status
                } catch RawClientError.system {
                    continue  // turned away before the request was sent
                }
            }
            #expect(status == 404)
        }
    }

    @Test("a head that does not arrive in time is answered 408")
    func headTime() async throws {
        var limits = HTTPLimits()
        limits.headTime = .milliseconds(100)
        try await expect(408, of: "GET / HTTP/1.1\r\nHost: lo", limits)
    }

    @Test("a body that stops is answered 408")
    func bodyStall() async throws {
        var limits = HTTPLimits()
        limits.bodyStallTime = .milliseconds(100)
        try await expect(408, of: "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc", limits)
    }

    @Test("an idle connection is closed without a word, before its first request and after one")
    func idleTime() async throws {
        var limits = HTTPLimits()
        limits.idleTime = .milliseconds(100)
        try await TestServer.with(limits: limits, routes: Self.routes) { server in
            #expect(try await RawClient(port: server.port).isClosed())
            let client = try RawClient(port: server.port)
            try await client.send("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let replies = ReplyReader(client)
            #expect(try await replies.next().status == 404)
            #expect(try await replies.isAtEnd())
        }
    }

    @Test("a client that takes nothing of its reply loses its connection, and the handler learns of it")
    func writeStall() async throws {
        var limits = HTTPLimits()
        limits.writeStallTime = .milliseconds(100)
        let outcome = Outcome()
        try await TestServer.with(
            limits: limits,
            routes: {
                $0.on(.get, "/endless") { _ in
                    Response(
                        body: .stream { writer in
                            do {
                                while true { try await writer.write([UInt8](repeating: 0, count: 64 << 10)) }
                            } catch {
                                outcome.set("\(error)")
                                throw error
                            }
                        })
                }
            }
        ) { server in
            let client = try RawClient(port: server.port, receiveBuffer: 4096)
            try await client.send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(await outcome.value().contains("client.gone"))
        }
    }

    @Test("problems of a table are all named")
    func problems() {
        var limits = HTTPLimits()
        #expect(limits.problems().isEmpty)
        limits.head = ByteCount(10)
        limits.idleTime = .zero
        #expect(limits.problems().count == 2)
    }

    private func expect(_ status: Int, of request: String, _ limits: HTTPLimits) async throws {
        try await TestServer.with(limits: limits, routes: Self.routes) { server in
            let client = try RawClient(port: server.port)
            try await client.send(request)
            let replies = ReplyReader(client)
            let reply = try await replies.next()
            #expect(reply.status == status)
            if status >= 400, status != 404 {
                #expect(reply.closes)
                #expect(try await replies.isAtEnd())
            }
        }
    }

    private static func routes(_ router: inout Router) {
        router.on(.post, "/echo") { .json(try await $0.body.collect(limit: .mebibytes(1))) }
    }
}
