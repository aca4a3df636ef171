import ApusTypes
import CZlib
import HTTPTestKit
import Testing

@testable import ApusHTTP

/// What gzip `bytes` stand for; nil when they are no complete member. With `partial`, as much as can be read.
private func gunzip(_ bytes: [UInt8], partial: Bool = false) -> [UInt8]? {
    var stream = z_stream()
    guard inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
    defer { inflateEnd(&stream) }
    var input = bytes
    var output = [UInt8](repeating: 0, count: 4_000_000)
    let status = input.withUnsafeMutableBufferPointer { input in
        output.withUnsafeMutableBufferPointer { output in
            stream.next_in = input.baseAddress
            stream.avail_in = UInt32(input.count)
            stream.next_out = output.baseAddress
            stream.avail_out = UInt32(output.count)
            return inflate(&stream, Z_SYNC_FLUSH)
        }
    }
    guard status == Z_STREAM_END || partial else { return nil }
    return Array(output.prefix(output.count - Int(stream.avail_out)))
}

@Suite("compression")
struct CompressionTests {
    @Test(
        "what Accept-Encoding says",
        arguments: [
            ("gzip", true), ("GZIP", true), ("deflate, gzip;q=1.0, *;q=0.5", true), ("gzip;q=0", false), ("gzip;q=0.000", false),
            ("identity", false),
            ("", false), ("*", true), ("*;q=0", false), ("gzip;q=0.001", true), ("identity;q=1, gzip;q=0.5", false),
            ("identity;q=0.5, gzip", true),
            ("x-gzip", true), ("gzip;q=2", false), ("gzip;q=abc", false), ("br", false), ("gzip;q=0, *", false), ("gzip ; q=0.3", true),
            ("gzip;q=0.1234", false),
        ])
    func acceptEncoding(value: String, isWelcome: Bool) {
        #expect(AcceptEncoding([value]).prefersGzip == isWelcome)
    }

    @Test("large text is compressed when asked for; nothing else is")
    func choices() async throws {
        let text = Array(String(repeating: "a line of text\n", count: 20_000).utf8)
        try await TestServer.with(routes: {
            $0.use(Compression())
            $0.on(.get, "/text") { _ in Response(headers: ["Content-Type": "text/plain", "ETag": "\"1\""], body: .bytes(text)) }
            $0.on(.get, "/json") { _ in .json(Array(text.prefix(5000))) }
            $0.on(.get, "/small") { _ in .json(Array(text.prefix(1399))) }
            $0.on(.get, "/picture") { _ in Response(type: "image/png", bytes: text) }
            $0.on(.get, "/private") { _ in
                Response(headers: ["Content-Type": "text/plain", "Cache-Control": "private, no-transform"], body: .bytes(text))
            }
            $0.on(.get, "/sized") { _ in
                Response(
                    headers: ["Content-Type": "text/plain", "Content-Length": "\(text.count)"], body: .stream { try await $0.write(text) })
            }
            $0.on(.get, "/none") { _ in throw ApusError(.objectUnknown, String(repeating: "no ", count: 1000)) }
        }) { server in
            func get(_ path: String, _ encoding: String = "Accept-Encoding: gzip\r\n") async throws -> RawReply {
                try await server.reply(to: "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(encoding)\r\n")
            }
            for path in ["/text", "/sized", "/json"] {
                let plain = try await get(path, "")
                #expect(plain["Content-Encoding"] == nil && plain["Vary"] == "Accept-Encoding")
                let reply = try await get(path)
                #expect(reply["Content-Encoding"] == "gzip" && reply["Vary"] == "Accept-Encoding", "\(path)")
                #expect(reply.body.count < plain.body.count / 10)
                #expect(gunzip(reply.body) == plain.body, "\(path)")
            }
            #expect(try await get("/text")["ETag"] == "W/\"1\"")
            for path in ["/small", "/picture", "/private", "/none"] { #expect(try await get(path)["Content-Encoding"] == nil, "\(path)") }
        }
    }

    @Test("an event can be read as soon as it is sent")
    func streaming() async throws {
        let (gate, open) = AsyncStream.makeStream(of: String.self)
        try await TestServer.with(routes: {
            $0.use(Compression())
            $0.on(.get, "/") { _ in
                Response.events { writer in for await text in gate { try await writer.send(ServerSentEvent(text)) } }
            }
        }) { server in
            let client = try RawClient(port: server.port)
            try await client.send("GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n")
            open.yield("first")
            var all: [UInt8] = []
            func body() -> [UInt8]? {
                // Head, then chunks: their sizes are taken out by hand.
                guard let end = all.indices.first(where: { all[$0...].starts(with: [13, 10, 13, 10]) }) else { return nil }
                var rest = all[(end + 4)...]
                var body: [UInt8] = []
                while let line = rest.firstIndex(of: 13),
                    let size = Int(String(decoding: rest[rest.startIndex..<line], as: UTF8.self), radix: 16),
                    rest.endIndex >= line + 4 + size
                {
                    body += rest[(line + 2)..<(line + 2 + size)]
                    rest = rest[(line + 4 + size)...]
                }
                return body
            }
            while body().flatMap({ gunzip($0, partial: true) }) != Array("data: first\n\n".utf8) { all += try await client.receive() }
            open.finish()
            while !all.suffix(5).elementsEqual("0\r\n\r\n".utf8) { all += try await client.receive() }
            #expect(body().flatMap { gunzip($0) } == Array("data: first\n\n".utf8))
        }
    }
}

@Suite("CORS")
struct CORSTests {
    private func get(_ cors: CORS, _ headers: String, method: String = "GET", path: String = "/") async throws -> RawReply {
        try await TestServer.with(routes: {
            $0.use(cors)
            $0.on(.get, "/") { _ in .text("hello") }
        }) { try await $0.reply(to: "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\(headers)\r\n") }
    }

    @Test("an origin that is allowed, one that is not, and none")
    func simple() async throws {
        let cors = CORS(origins: ["https://a.example"])
        let allowed = try await get(cors, "Origin: https://a.example\r\n")
        #expect(allowed["Access-Control-Allow-Origin"] == "https://a.example" && allowed["Vary"] == "Origin" && allowed.text == "hello")
        #expect(allowed["Access-Control-Allow-Credentials"] == nil)
        #expect(allowed["Access-Control-Expose-Headers"] == "X-Request-Id, Retry-After")
        for origin in ["https://b.example", "http://a.example", "https://a.example.evil", "null"] {
            let other = try await get(cors, "Origin: \(origin)\r\n")
            #expect(other["Access-Control-Allow-Origin"] == nil && other["Vary"] == "Origin")
        }
        let none = try await get(cors, "")
        #expect(none["Access-Control-Allow-Origin"] == nil && none["Vary"] == "Origin")
        let any = try await get(CORS(origins: ["*"]), "Origin: https://b.example\r\n")
        #expect(any["Access-Control-Allow-Origin"] == "*" && any["Vary"] == nil)
    }

    @Test("errors can be read by the page too")
    func errors() async throws {
        let reply = try await get(CORS(origins: ["https://a.example"]), "Origin: https://a.example\r\n", path: "/missing")
        #expect(reply.status == 404 && reply["Access-Control-Allow-Origin"] == "https://a.example")
    }

    @Test("a preflight is answered before anything else sees it")
    func preflight() async throws {
        let cors = CORS(
            origins: ["https://a.example"], methods: [.get, .put], headers: ["X-A"], allowsCredentials: true, maxAge: .seconds(60))
        let ask = "Access-Control-Request-Method: PUT\r\n"
        let allowed = try await get(cors, "Origin: https://a.example\r\n" + ask, method: "OPTIONS")
        #expect(allowed.status == 204)
        #expect(allowed["Access-Control-Allow-Methods"] == "GET, PUT" && allowed["Access-Control-Allow-Headers"] == "X-A")
        #expect(allowed["Access-Control-Max-Age"] == "60" && allowed["Access-Control-Allow-Credentials"] == "true")
        let refused = try await get(cors, "Origin: https://b.example\r\n" + ask, method: "OPTIONS")
        #expect(refused.status == 403 && refused["Access-Control-Allow-Origin"] == nil)
        let plain = try await get(cors, "Origin: https://a.example\r\n", method: "OPTIONS")
        #expect(plain["Access-Control-Allow-Methods"] == nil)
    }

    @Test("settings that cannot work are told")
    func problems() {
        #expect(CORS(origins: ["https://a.example", "http://localhost:8080", "*"]).problems().isEmpty)
        #expect(CORS(origins: ["*"], allowsCredentials: true).problems().count == 1)
        for wrong in ["a.example", "https://a.example/", "https://A.example", "https://", "ftp://a"] {
            #expect(CORS(origins: [wrong]).problems().count == 1, "\(wrong)")
        }
    }
}
