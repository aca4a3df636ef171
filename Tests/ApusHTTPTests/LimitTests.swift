import ApusHTTP
import ApusRuntime
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

    @Test("a body is read ahead of its reader up to the limit, and on when all of it was taken", arguments: [(4095, true), (4096, false)])
    func bodyReadAhead(buffered: Int, isReadOn: Bool) async throws {
        var limits = HTTPLimits()
        limits.bodyReadAhead = ByteCount(4096)
        let head = "POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
        try await expectReading(limits) { server, client, started in
            try await client.send(head + String(repeating: "a", count: buffered))
            _ = await started.value()
            return (head.utf8.count + buffered, isReadOn)
        } finish: { client, replies in
            try await client.send(String(repeating: "a", count: 4999 - buffered))
            #expect(try await replies.next().text == "5000")
        }
    }

    @Test("requests behind the one being answered are read up to the limit", arguments: [(99, true), (100, false)])
    func pipelinedBytes(waiting: Int, isReadOn: Bool) async throws {
        var limits = HTTPLimits()
        limits.pipelinedBytes = ByteCount(100)
        let first = "POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        let next = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-A: "
        try await expectReading(limits) { server, client, started in
            try await client.send(first)
            _ = await started.value()
            try await client.send(next + String(repeating: "a", count: waiting - next.utf8.count))
            return (first.utf8.count + waiting, isReadOn)
        } finish: { client, replies in
            #expect(try await replies.next().text == "0")
            try await client.send("\r\n\r\n")
            #expect(try await replies.next().status == 404)
        }
    }

    /// `fill` brings a connection to a limit and says how many bytes that took and whether another one is still read. The server counts what
    /// it reads, and one loop reads in order: what another connection asks later is read after that byte, or the byte is not read at all.
    private func expectReading(
        _ limits: HTTPLimits, fill: (TestServer, RawClient, Outcome) async throws -> (sent: Int, isReadOn: Bool),
        finish: (RawClient, ReplyReader) async throws -> Void
    ) async throws {
        var limits = limits
        limits.headTime = .milliseconds(800)  // bytes are published ten times in it
        let metrics = MetricsRegistry()
        let (started, release) = (Outcome(), Outcome())
        try await TestServer.with(
            limits: limits, metrics: metrics, loopCount: 1,
            routes: {
                $0.on(.post, "/slow") { request in
                    started.set("")
                    _ = await release.value()
                    return .text("\(try await request.body.collect(limit: .mebibytes(1)).count)")
                }
                $0.on(.get, "/") { _ in .text("") }
            }
        ) { server in
            func received() -> Int {
                let line = String(decoding: metrics.text(), as: UTF8.self).split(separator: "\n")
                    .first { $0.hasPrefix("apus_http_received_bytes_total ") }
                return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
            }
            let client = try RawClient(port: server.port)
            let replies = ReplyReader(client)
            let (sent, isReadOn) = try await fill(server, client, started)
            // All of it is read before the next byte comes.
            while received() < sent { await Task.yield() }
            try await client.send("a")
            let other = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            #expect(try await server.reply(to: other).status == 200)
            let expected = sent + other.utf8.count + (isReadOn ? 1 : 0)
            while received() < expected { await Task.yield() }
            #expect(received() == expected)
            release.set("")
            try await finish(client, replies)
        }
    }

    @Test("the rest of a body that nobody reads is read past up to the limit", arguments: [(1000, false), (1001, true)])
    func unreadBody(length: Int, ends: Bool) async throws {
        var limits = HTTPLimits()
        limits.unreadBody = ByteCount(1000)
        try await TestServer.with(limits: limits, routes: { $0.on(.post, "/ignore") { _ in .text("ignored") } }) { server in
            let get = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let chunked = try RawClient(port: server.port)
            let replies = ReplyReader(chunked)
            try await chunked.send("POST /ignore HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(try await replies.next().text == "ignored")
            try await chunked.send(String(length, radix: 16) + "\r\n" + String(repeating: "a", count: length))
            if ends {
                #expect(try await replies.isAtEnd())
            } else {
                try await chunked.send("\r\n0\r\n\r\n" + get)
                #expect(try await replies.next().status == 404)
            }
            let announced = try await server.reply(
                to: "POST /ignore HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(length)\r\n\r\n")
            #expect(announced.closes == ends)
        }
    }

    @Test("a collected body has arrived when its request is due, or is answered 408", arguments: [("abc", 408), ("abcdefghij", 200)])
    func requestTime(body: String, status: Int) async throws {
        var limits = HTTPLimits()
        limits.requestTime = .milliseconds(status == 200 ? 60_000 : 100)
        try await expect(status, of: "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n\(body)", limits)
    }

    @Test("a streamed body that trickles is answered 408")
    func bodyRate() async throws {
        var limits = HTTPLimits()
        limits.bodyStallTime = .milliseconds(200)
        limits.bodyRate = ByteCount(10_000)
        try await TestServer.with(
            limits: limits,
            routes: {
                $0.on(.post, "/stream") { request in
                    while try await request.body.next() != nil {}
                    return .text("")
                }
            }
        ) { server in
            let client = try RawClient(port: server.port)
            try await client.send("POST /stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
            let trickle = Task {
                while true {
                    try await client.send("a")
                    try await BootClock().sleep(for: .milliseconds(20))
                }
            }
            #expect(try await ReplyReader(client).next().status == 408)
            trickle.cancel()
            _ = await trickle.result
        }
    }

    @Test("collected bodies of all requests", arguments: [(100, 200), (101, 503)])
    func collectedBodies(length: Int, status: Int) async throws {
        var limits = HTTPLimits()
        limits.collectedBodies = ByteCount(100)
        let (started, release) = (Outcome(), Outcome())
        try await TestServer.with(
            limits: limits,
            routes: {
                $0.on(.post, "/hold") { request in
                    _ = try await request.body.collect(limit: .mebibytes(1))
                    started.set("")
                    return .text(await release.value())
                }
                $0.on(.post, "/echo") { .json(try await $0.body.collect(limit: .mebibytes(1))) }
            }
        ) { server in
            func post(_ path: String, _ length: Int) -> String {
                "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(length)\r\n\r\n" + String(repeating: "a", count: length)
            }
            // Twice: what was taken is given back.
            for _ in 0..<2 {
                let reply = try await server.reply(to: post("/echo", length))
                #expect(reply.status == status)
                #expect(reply["Retry-After"] == (status == 503 ? "1" : nil))
            }
            let holding = try RawClient(port: server.port)
            try await holding.send(post("/hold", 50))
            _ = await started.value()
            #expect(try await server.reply(to: post("/echo", length - 50)).status == status)
            release.set("")
            #expect(try await ReplyReader(holding).next().status == 200)
        }
    }

    @Test("no more connections than descriptors allow, with a reserve for files and databases")
    func descriptors() {
        var limits = HTTPLimits()
        var isLowered = limits.cap(toDescriptors: 20_256)
        #expect(!isLowered)
        #expect(limits.connections == 20_000)
        isLowered = limits.cap(toDescriptors: 20_255)
        #expect(isLowered)
        #expect(limits.connections == 19_999)
        #expect(limits.connectionsPerListener == 10_000)
        isLowered = limits.cap(toDescriptors: 400)
        #expect(isLowered)
        #expect(limits.connections == 300)
        #expect(limits.connectionsPerListener == 300)
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
