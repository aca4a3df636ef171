import ApusRuntime
import ApusTypes
import Glibc
import HTTPTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusHTTP

private func soon(_ seconds: Int = 10) -> Instant { BootClock.now.advanced(by: .seconds(seconds)) }

@Suite("HTTP client")
struct ClientTests {
    @Test("requests to one origin share a connection, and the reply's head and body arrive")
    func keepsAlive() async throws {
        try await TestServer.with(routes: {
            $0.on(.get, "/port") { request in
                .text(
                    "\(request.connection.peerPort) \(request.query["a"] ?? "-") \(request.headers["X-A"] ?? "-") \(request.headers["Host"] ?? "-")"
                )
            }
        }) { server in
            let client = HTTPClient(loops: server.loops)
            var ports: Set<Substring> = []
            for _ in 0..<5 {
                let reply = try await client.send(
                    ClientRequest(.get, "http://127.0.0.1:\(server.port)/port?a=b%20c", headers: ["X-A": "é"], deadline: soon()))
                #expect(reply.status == 200)
                #expect(reply.headers["content-type"] == "text/plain; charset=utf-8")
                let text = String(decoding: try await reply.collect(limit: ByteCount(100)), as: UTF8.self)
                #expect(text.hasSuffix(" b c é 127.0.0.1:\(server.port)"))
                ports.formUnion(text.split(separator: " ").prefix(1))
            }
            #expect(ports.count == 1)
            client.close()
        }
    }

    @Test("a body is sent as bytes, with its size, or in chunks, and comes back the same")
    func bodies() async throws {
        try await TestServer.with(routes: {
            $0.on(.post, "/echo") { request in
                Response(
                    headers: ["X-Size": "\(request.body.announcedSize?.bytes ?? -1)"],
                    body: .stream { writer in
                        while let bytes = try await request.body.next() { try await writer.write(bytes) }
                    })
            }
        }) { server in
            let client = HTTPClient(loops: server.loops)
            let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let pieces: @Sendable (any BodyWriter) async throws -> Void = { writer in
                for start in stride(from: 0, to: bytes.count, by: 100_000) {
                    try await writer.write(Array(bytes[start..<(start + 100_000)]))
                }
            }
            let bodies: [(ClientRequest.Body, String, [UInt8])] = [
                (.none, "0", []), (.bytes([]), "0", []), (.bytes([1, 2, 3]), "3", [1, 2, 3]), (.bytes(bytes), "1000000", bytes),
                (.stream(size: ByteCount(bytes.count), pieces), "1000000", bytes), (.stream(size: nil, pieces), "-1", bytes),
            ]
            for (body, size, expected) in bodies {
                let reply = try await client.send(
                    ClientRequest(.post, "http://localhost:\(server.port)/echo", body: body, deadline: soon(30)))
                #expect(reply.headers["X-Size"] == size)
                let received = try await reply.collect(limit: .mebibytes(4))
                #expect(received == expected, "\(size): \(received.count) of \(expected.count) bytes")
            }
            client.close()
        }
    }

    @Test("a stream of another size than announced is an error and closes")
    func wrongSize() async throws {
        try await TestServer.with(routes: { $0.on(.post, "/") { .json(try await $0.body.collect(limit: .mebibytes(1))) } }) { server in
            let client = HTTPClient(loops: server.loops)
            for written in [4, 6] {
                await #expect(throws: ApusError.self) {
                    try await client.send(
                        ClientRequest(
                            .post, "http://127.0.0.1:\(server.port)/",
                            body: .stream(size: ByteCount(5)) { try await $0.write([UInt8](repeating: 0, count: written)) },
                            deadline: soon()))
                }
            }
            #expect(client.openConnections == 0)
        }
    }

    @Test("a server that answers before it has read everything is heard")
    func earlyAnswer() async throws {
        try await TestServer.with(routes: {
            $0.on(.post, "/") { _ in throw ApusError(.requestTooLarge, "too much") }
        }) { server in
            let client = HTTPClient(loops: server.loops)
            let reply = try await client.send(
                ClientRequest(
                    .post, "http://127.0.0.1:\(server.port)/",
                    body: .stream(size: nil) { writer in
                        while true { try await writer.write([UInt8](repeating: 0, count: 65_536)) }
                    }, deadline: soon()))
            #expect(reply.status == 413)
            _ = try await reply.collect(limit: .kibibytes(64))
            #expect(client.openConnections == 0)
        }
    }

    @Test("the deadline ends a wait for the head and a wait for the body, and closes the connection")
    func deadlines() async throws {
        try await TestServer.with(routes: {
            $0.on(.get, "/silent") { _ in
                try await BootClock().sleep(until: soon(60))
                return .text("")
            }
            $0.on(.get, "/half") { _ in
                Response(
                    body: .stream { writer in
                        try await writer.write([1])
                        try await BootClock().sleep(until: soon(60))
                    })
            }
        }) { server in
            let client = HTTPClient(loops: server.loops)
            var error = await #expect(throws: ApusError.self) {
                try await client.send(ClientRequest(.get, "http://127.0.0.1:\(server.port)/silent", deadline: soon(1)))
            }
            #expect(error?.code == .deadlineExceeded)
            let reply = try await client.send(
                ClientRequest(.get, "http://127.0.0.1:\(server.port)/half", deadline: soon(2)))
            error = await #expect(throws: ApusError.self) { try await reply.collect(limit: ByteCount(10)) }
            #expect(error?.code == .deadlineExceeded)
            #expect(client.openConnections == 0)
        }
    }

    @Test("cancelling closes the connection, and the server's handler is cancelled")
    func cancellation() async throws {
        let (states, state) = AsyncStream.makeStream(of: String.self)
        try await TestServer.with(routes: {
            $0.on(.get, "/") { _ in
                state.yield("running")
                do { try await BootClock().sleep(until: soon(60)) } catch { state.yield("cancelled") }
                return .text("")
            }
        }) { server in
            let client = HTTPClient(loops: server.loops)
            let task = Task { try await client.send(ClientRequest(.get, "http://127.0.0.1:\(server.port)/", deadline: soon(60))) }
            var seen = states.makeAsyncIterator()
            #expect(await seen.next() == "running")
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(client.openConnections == 0)
            #expect(await seen.next() == "cancelled")
        }
    }

    @Test("a reply beyond the caller's limit is refused, and its connection is not used again")
    func responseLimit() async throws {
        try await TestServer.with(routes: {
            $0.on(.get, "/{size}") { request in
                let size: Int = try request.parameter("size")
                return Response(body: .stream { try await $0.write([UInt8](repeating: 0, count: size)) })
            }
        }) { server in
            let client = HTTPClient(loops: server.loops)
            func get(_ size: Int) async throws -> Int {
                try await client.send(ClientRequest(.get, "http://127.0.0.1:\(server.port)/\(size)", deadline: soon())).collect(
                    limit: ByteCount(1000)
                ).count
            }
            let whole = try await get(1000)
            #expect(whole == 1000)
            await #expect(throws: ApusError.self) { try await get(100_000) }
            #expect(client.openConnections == 0)
            let next = try await get(5)
            #expect(next == 5)
            client.close()
        }
    }

    @Test("redirects are replies; HEAD, 204 and 304 have no body")
    func withoutBodies() async throws {
        try await TestServer.with(routes: {
            $0.on(.get, "/away") { _ in Response(status: 302, headers: ["Location": "http://192.0.2.1/"]) }
            $0.on(.get, "/long") { _ in .text(String(repeating: "x", count: 5000)) }
            $0.on(.get, "/none") { _ in Response(status: 204) }
            $0.on(.get, "/same") { _ in Response(status: 304) }
        }) { server in
            let client = HTTPClient(loops: server.loops)
            for (method, path, status) in [(Method.get, "/away", 302), (.head, "/long", 200), (.get, "/none", 204), (.get, "/same", 304)] {
                let reply = try await client.send(ClientRequest(method, "http://127.0.0.1:\(server.port)\(path)", deadline: soon()))
                #expect(reply.status == status)
                #expect(try await reply.collect(limit: ByteCount(10)) == [])
            }
            #expect(client.openConnections == 1)
            client.close()
        }
    }

    @Test("no more connections than allowed, and those that wait get theirs")
    func connectionLimit() async throws {
        let running = Mutex((now: 0, most: 0))
        try await TestServer.with(routes: {
            $0.on(.get, "/") { _ in
                running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
                try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(5)))
                running.withLock { $0.now -= 1 }
                return .text("")
            }
        }) { server in
            var limits = HTTPClientLimits()
            limits.connectionsPerOrigin = 3
            limits.idlePerOrigin = 2
            let client = HTTPClient(loops: server.loops, limits: limits)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<40 {
                    group.addTask {
                        try await client.send(ClientRequest(.get, "http://127.0.0.1:\(server.port)/", deadline: soon(30))).status
                    }
                }
                for try await status in group { #expect(status == 200) }
            }
            #expect(running.withLock { $0.most } == 3)
            client.close()
        }
    }

    @Test("a pooled connection that the server has ended is not used, and the next request does not fail")
    func staleConnection() async throws {
        try await TestServer.with(routes: { $0.on(.get, "/") { _ in Response(headers: ["Connection": "keep-alive"], body: .bytes([1])) } })
        { server in
            let upstream = try CannedServer([
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
            ])
            let client = HTTPClient(loops: server.loops)
            for expected in ["a", "b"] {
                let reply = try await client.send(ClientRequest(.get, "http://127.0.0.1:\(upstream.port)/", deadline: soon()))
                #expect(String(decoding: try await reply.collect(limit: ByteCount(9)), as: UTF8.self) == expected)
            }
        }
    }

    @Test(
        "a pooled connection that ends instead of a reply: what may be repeated is sent again, the rest is an error",
        arguments: [Method.get, .post])
    func endInsteadOfReply(method: Method) async throws {
        try await TestServer.with(routes: { _ in }) { server in
            // The first connection answers once, reads on, and then ends.
            let upstream = try CannedServer(
                ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"], readsAgain: true)
            let client = HTTPClient(loops: server.loops)
            func send(_ method: Method) async throws -> String {
                let reply = try await client.send(ClientRequest(method, "http://127.0.0.1:\(upstream.port)/", deadline: soon()))
                return String(decoding: try await reply.collect(limit: ByteCount(9)), as: UTF8.self)
            }
            #expect(try await send(.get) == "a")
            if method == .get {
                #expect(try await send(.get) == "b")
            } else {
                #expect(try await #require(throws: ApusError.self) { try await send(.post) }.code == .peerUnavailable)
            }
        }
    }

    private static let long = String(repeating: "b", count: 70_000)

    @Test(
        "what is no HTTP reply is refused",
        arguments: [
            ("", ErrorCode.peerUnavailable),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", .peerUnavailable),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", .peerUnavailable),
            ("SSH-2.0-OpenSSH_9.2\r\n", .peerInvalid),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", .peerInvalid),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .peerInvalid),
            ("HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n", .peerInvalid),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", .peerInvalid),
            ("HTTP/1.1 200 OK\r\nA: LONG\r\n\r\n", .peerInvalid),
        ] as [(String, ErrorCode)])
    func malformed(reply: String, code: ErrorCode) async throws {
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        let upstream = try CannedServer([reply.replacing("LONG", with: Self.long)])
        let client = HTTPClient(loops: loops)
        let error = await #expect(throws: ApusError.self) {
            try await client.send(ClientRequest(.get, "http://127.0.0.1:\(upstream.port)/", deadline: soon())).collect(limit: .mebibytes(1))
        }
        #expect(error?.code == code, "\(error.map { "\($0)" } ?? "")")
    }

    @Test("replies that end with the connection, and interim replies before the real one")
    func odd() async throws {
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        let upstream = try CannedServer([
            "HTTP/1.0 200 OK\r\n\r\nuntil the end",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\nB: c\r\n\r\nok",
        ])
        let client = HTTPClient(loops: loops)
        let first = try await client.send(ClientRequest(.get, "http://127.0.0.1:\(upstream.port)/", deadline: soon()))
        #expect(String(decoding: try await first.collect(limit: ByteCount(99)), as: UTF8.self) == "until the end")
        let second = try await client.send(ClientRequest(.get, "http://127.0.0.1:\(upstream.port)/", deadline: soon()))
        #expect(second.status == 201)
        #expect(second.headers["Link"] == nil)
        #expect(second.headers["B"] == "c")
        #expect(String(decoding: try await second.collect(limit: ByteCount(99)), as: UTF8.self) == "ok")
        client.close()
    }

    @Test("nobody listens: said at once, with the reason")
    func refused() async throws {
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        let port = try CannedServer([]).port  // closed again
        let error = await #expect(throws: ApusError.self) {
            try await HTTPClient(loops: loops).send(ClientRequest(.get, "http://127.0.0.1:\(port)/", deadline: soon()))
        }
        #expect(error?.code == .peerUnavailable)
        #expect(error?.summary.contains("refused") == true, "\(error?.summary ?? "")")
    }

    @Test(
        "URLs and fields that cannot be sent",
        arguments: [
            "ftp://a/", "http://", "http:///x", "http://u@h/", "http://h:0/", "http://h:65536/", "http://h:x/", "http://h/a b",
            "http://h/a\r\nX: y", "http://h/é",
            "//h/", "http://[::1/", "http://h:+1/",
        ])
    func urls(url: String) async throws {
        #expect(throws: ApusError.self) { try ClientURL(url) }
    }

    @Test("the parts of a URL")
    func urlParts() throws {
        let plain = try ClientURL("http://Example.org")
        #expect(plain.origin == ClientURL.Origin(isTLS: false, host: "example.org", port: 80))
        #expect(plain.target == "/")
        #expect(plain.authority == "Example.org")
        let six = try ClientURL("https://[::1]:8443?x=1#frag")
        #expect(six.origin == ClientURL.Origin(isTLS: true, host: "::1", port: 8443))
        #expect(six.target == "/?x=1")
        #expect(six.authority == "[::1]:8443")
        let url = try ClientURL("http://h/")
        for headers: Headers in [
            ["A": "b\r\nC: d"], ["A b": "c"], ["": "c"], ["Host": "x"], ["content-length": "1"], ["Transfer-Encoding": "chunked"],
        ] {
            #expect(throws: ApusError.self) {
                try RequestWriter.head(of: ClientRequest(.get, "http://h/", headers: headers, deadline: soon()), url)
            }
        }
    }
}

/// Answers each connection with the next of its replies, then closes it. On a thread of its own.
final class CannedServer: Sendable {
    let port: Int

    /// `readsAgain`: each connection ends after the next request came, without an answer to that.
    init(_ replies: [String], readsAgain: Bool = false) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutableBytes(of: &address) { raw in
            let pointer = raw.assumingMemoryBound(to: sockaddr.self).baseAddress
            guard bind(listener, pointer, size) == 0, getsockname(listener, pointer, &size) == 0 else { return Int32(-1) }
            return replies.isEmpty ? 0 : listen(listener, 16)
        }
        guard status == 0 else { throw ApusError(.internalError, "no port for the test") }
        port = Int(UInt16(bigEndian: address.sin_port))
        guard !replies.isEmpty else {
            close(listener)
            return
        }
        Thread.start(name: "canned") {
            for reply in replies {
                let client = accept(listener, nil, nil)
                var buffer = [UInt8](repeating: 0, count: 65_536)
                _ = recv(client, &buffer, buffer.count, 0)
                let bytes = Array(reply.utf8)
                _ = send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                if readsAgain { _ = recv(client, &buffer, buffer.count, 0) }
                shutdown(client, Int32(SHUT_WR))
                while recv(client, &buffer, buffer.count, 0) > 0 {}
                close(client)
            }
            close(listener)
        }
    }
}

@Suite("HTTP client over TLS")
struct ClientTLSTests {
    /// A certificate for `names` that signs itself.
    private func certificate(_ names: String, _ directory: TemporaryDirectory, _ loop: EventLoop) async throws -> TLSFiles {
        let files = TLSFiles(certificateChain: directory.path + "/cert.pem", privateKey: directory.path + "/key.pem")
        let openssl = try await ChildProcess.start(
            .init(
                "/usr/bin/openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost",
                    "-addext", "subjectAltName=\(names)", "-keyout", files.privateKey, "-out", files.certificateChain,
                ], output: .discarded), on: loop)
        guard await openssl.wait() == .status(0) else { throw TestKitError("openssl cannot make a certificate") }
        return files
    }

    @Test("a server is believed with the right authority under its own name, and under no other")
    func verification() async throws {
        let directory = try TemporaryDirectory()
        let maker = EventLoops(count: 1)
        defer { maker.stop() }
        let files = try await certificate("DNS:localhost,IP:127.0.0.1", directory, maker.first)
        try await TestServer.with(
            tls: files,
            routes: {
                $0.on(.post, "/echo") { .json(try await $0.body.collect(limit: .mebibytes(4))) }
            }
        ) { server in
            let trusting = HTTPClient(loops: server.loops, authorities: files.certificateChain)
            let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 3) }
            for host in ["localhost", "127.0.0.1", "localhost"] {
                let reply = try await trusting.send(
                    ClientRequest(.post, "https://\(host):\(server.port)/echo", body: .bytes(bytes), deadline: soon(30)))
                let received = try await reply.collect(limit: .mebibytes(2))
                #expect(received == bytes)
            }
            #expect(trusting.openConnections == 2)
            let doubting = HTTPClient(loops: server.loops)
            let error = await #expect(throws: ApusError.self) {
                try await doubting.send(ClientRequest(.post, "https://localhost:\(server.port)/echo", deadline: soon(30)))
            }
            #expect(error?.code == .peerUnavailable)
            #expect(error?.summary.contains("self-signed certificate") == true, "\(error?.summary ?? "")")
            // Plain HTTP to a TLS port, and TLS to what is no TLS port.
            await #expect(throws: ApusError.self) {
                try await trusting.send(ClientRequest(.get, "http://127.0.0.1:\(server.port)/", deadline: soon(30)))
            }
            let plain = try CannedServer(["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"])
            await #expect(throws: ApusError.self) {
                try await trusting.send(ClientRequest(.get, "https://127.0.0.1:\(plain.port)/", deadline: soon(30)))
            }
            trusting.close()
        }
    }

    @Test("a trusted certificate that names another host is not believed")
    func otherName() async throws {
        let directory = try TemporaryDirectory()
        let maker = EventLoops(count: 1)
        defer { maker.stop() }
        let files = try await certificate("DNS:other.example", directory, maker.first)
        try await TestServer.with(tls: files, routes: { $0.on(.get, "/") { _ in .text("") } }) { server in
            let client = HTTPClient(loops: server.loops, authorities: files.certificateChain)
            for (host, reason) in [("localhost", "hostname mismatch"), ("127.0.0.1", "IP address mismatch")] {
                let error = await #expect(throws: ApusError.self) {
                    try await client.send(ClientRequest(.get, "https://\(host):\(server.port)/", deadline: soon(30)))
                }
                #expect(error?.summary.contains(reason) == true, "\(error?.summary ?? "")")
            }
        }
    }

    @Test("authorities that cannot be read are told when they are needed")
    func unreadable() async throws {
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        let error = await #expect(throws: ApusError.self) {
            try await HTTPClient(loops: loops, authorities: "/nowhere.pem").send(
                ClientRequest(.get, "https://127.0.0.1:1/", deadline: soon()))
        }
        #expect(error?.code == .tlsInvalid)
    }
}
