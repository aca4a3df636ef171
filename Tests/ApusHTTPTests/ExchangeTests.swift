import ApusHTTP
import ApusRuntime
import ApusTypes
import HTTPTestKit
import Synchronization
import Testing

@Suite("server: exchanges")
struct ExchangeTests {
    @Test("pipelined requests are answered in order, also when the first takes longest")
    func pipelining() async throws {
        let release = Outcome()
        try await TestServer.with(routes: {
            $0.on(.get, "/slow") { _ in .text(await release.value()) }
            $0.on(.get, "/fast/{n}") { .text($0.parameters["n"] ?? "") }
            $0.on(.post, "/echo") { .json(try await $0.body.collect(limit: .mebibytes(1))) }
        }) { server in
            let client = try RawClient(port: server.port)
            var requests = "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"
            for n in 0..<200 { requests += "GET /fast/\(n) HTTP/1.1\r\nHost: localhost\r\n\r\n" }
            requests +=
                "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabcGET /fast/last HTTP/1.1\r\nHost: localhost\r\n\r\n"
            try await client.send(requests)
            release.set("slow")
            let replies = ReplyReader(client)
            #expect(try await replies.next().text == "slow")
            for n in 0..<200 { #expect(try await replies.next().text == "\(n)") }
            #expect(try await replies.next().text == "abc")
            #expect(try await replies.next().text == "last")
        }
    }

    @Test("what a client sends ahead of its replies is held in bounds, and all of it is served in the end")
    func readAhead() async throws {
        let release = Outcome()
        let started = Outcome()
        try await TestServer.with(routes: {
            $0.on(.get, "/slow") { _ in
                started.set("")
                return .text(await release.value())
            }
            $0.on(.get, "/fast") { _ in .text("fast") }
        }) { server in
            let client = try RawClient(port: server.port)
            try await client.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = await started.value()
            let count = 5000
            let request = "GET /fast HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let sending = Task { try await client.send(String(repeating: request, count: count)) }
            release.set("slow")
            let replies = ReplyReader(client)
            #expect(try await replies.next().text == "slow")
            for _ in 0..<count { #expect(try await replies.next().status == 200) }
            try await sending.value
        }
    }

    @Test("a body that nobody reads stays in the socket: the client cannot send without end")
    func bodyBackPressure() async throws {
        let release = Outcome()
        try await TestServer.with(routes: {
            $0.on(.post, "/slow") { request in
                _ = await release.value()
                var size = 0
                while let piece = try await request.body.next() { size += piece.count }
                return .text("\(size)")
            }
        }) { server in
            let client = try RawClient(port: server.port)
            let size = 64 << 20
            try await client.send("POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(size)\r\n\r\n")
            let sent = try await client.sendUntilFull(size)
            #expect(sent < 32 << 20)  // the two sockets' buffers and the read-ahead
            release.set("")
            try await client.send([UInt8](repeating: 120, count: size - sent))
            #expect(try await ReplyReader(client).next().text == "\(size)")
        }
    }

    @Test("100 Continue is sent when the handler first reads, and not before")
    func expectContinue() async throws {
        try await TestServer.with(routes: {
            $0.on(.post, "/read") { .json(try await $0.body.collect(limit: .kibibytes(1))) }
            $0.on(.post, "/refuse") { _ in .text("no", status: 403) }
        }) { server in
            let reading = try RawClient(port: server.port)
            let replies = ReplyReader(reading)
            try await reading.send("POST /read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            #expect(try await replies.next().status == 100)
            try await reading.send("ab")
            #expect(try await replies.next().text == "ab")

            let refused = ReplyReader(try RawClient(port: server.port))
            try await refused.client.send("POST /refuse HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            let reply = try await refused.next()
            #expect(reply.status == 403)
            #expect(reply.closes)
        }
    }

    @Test("a body that the handler leaves unread is read past when it is small, and ends the connection when it is large")
    func unreadBody() async throws {
        try await TestServer.with(routes: { $0.on(.post, "/ignore") { _ in .text("ignored") } }) { server in
            let client = try RawClient(port: server.port)
            let replies = ReplyReader(client)
            for _ in 0..<2 {
                try await client.send("POST /ignore HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
                #expect(try await replies.next().text == "ignored")
                try await client.send([UInt8](repeating: 120, count: 100_000))
            }
            try await client.send("POST /ignore HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
            #expect(try await replies.next().closes)
        }
    }

    @Test("an unread body that turns out to be broken does not reset the connection under its reply")
    func brokenUnreadBody() async throws {
        try await TestServer.with(routes: { $0.on(.post, "/ignore") { _ in .text("ignored") } }) { server in
            for _ in 0..<20 {
                let client = try RawClient(port: server.port)
                try await client.send("POST /ignore HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
                #expect(try await client.receive().count > 0)
                // More than the server reads at once, so that some of it is unread when the first of it is refused.
                try await client.send(String(repeating: "z", count: 200_000))
                client.endInput()
                #expect(try await client.receive() == [])
            }
        }
    }

    @Test("HEAD, OPTIONS, 404 and 405")
    func methods() async throws {
        try await TestServer.with(routes: {
            $0.on(.get, "/thing") { _ in .text("thing") }
            $0.on(.delete, "/thing") { _ in Response(status: 204) }
        }) { server in
            func ask(_ method: String, _ target: String = "/thing") async throws -> RawReply {
                try await server.reply(to: "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n\r\n", toHead: method == "HEAD")
            }
            let head = try await ask("HEAD")
            #expect(head.status == 200)
            #expect(head["Content-Length"] == "5")
            let options = try await ask("OPTIONS")
            #expect(options.status == 204)
            #expect(options["Allow"] == "DELETE, GET, HEAD, OPTIONS")
            #expect(try await ask("OPTIONS", "*")["Allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
            let wrong = try await ask("PUT")
            #expect(wrong.status == 405)
            #expect(wrong["Allow"] == "DELETE, GET, HEAD, OPTIONS")
            let unknown = try await ask("GET", "/thing/")
            #expect(unknown.status == 404)
            #expect(unknown["Content-Type"] == "application/json")
            #expect(unknown.text.contains(#""code":"route.unknown""#))
            let deleted = try await ask("DELETE")
            #expect(deleted.status == 204)
            #expect(deleted["Content-Length"] == nil)
        }
    }

    @Test("errors carry their code, the request's id, and when to come again")
    func errors() async throws {
        try await TestServer.with(routes: {
            $0.on(.get, "/busy") { _ in throw ApusError(.serverBusy, "too much at once", retry: .after(.milliseconds(1500))) }
            $0.on(.get, "/locked") { _ in throw ApusError(.unauthenticated, "a key is needed") }
            $0.on(.get, "/broken") { _ in Response(headers: ["X-Evil": "a\r\nSet-Cookie: b"], body: .none) }
        }) { server in
            let busy = try await server.reply(to: "GET /busy HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: abc-1\r\n\r\n")
            #expect(busy.status == 503)
            #expect(busy["Retry-After"] == "2")
            #expect(busy["X-Request-Id"] == "abc-1")
            #expect(busy.text == #"{"error":{"code":"server.busy","message":"too much at once","request_id":"abc-1"}}"#)
            let locked = try await server.reply(to: "GET /locked HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a b\r\n\r\n")
            #expect(locked.status == 401)
            #expect(locked["WWW-Authenticate"] == "Bearer")
            #expect(locked["X-Request-Id"] != "a b")
            let broken = try await server.reply(to: "GET /broken HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(broken.status == 500)
            #expect(broken["Set-Cookie"] == nil)
        }
    }

    @Test("streams: chunked, with a length, to HTTP/1.0, to HEAD")
    func streams() async throws {
        try await TestServer.with(routes: {
            $0.on(.get, "/chunked") { _ in
                Response(
                    body: .stream { writer in
                        for text in ["a", "", "bc", String(repeating: "d", count: 100_000)] { try await writer.write(Array(text.utf8)) }
                    })
            }
            $0.on(.get, "/sized") { _ in
                Response(headers: ["Content-Length": "3"], body: .stream { try await $0.write(Array("abc".utf8)) })
            }
            $0.on(.get, "/short") { _ in
                Response(headers: ["Content-Length": "4"], body: .stream { try await $0.write(Array("abc".utf8)) })
            }
        }) { server in
            let expected = "abc" + String(repeating: "d", count: 100_000)
            #expect(try await server.reply(to: "GET /chunked HTTP/1.1\r\nHost: localhost\r\n\r\n").text == expected)
            let old = try await server.reply(to: "GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(old.text == expected)
            #expect(old.closes)
            #expect(try await server.reply(to: "GET /sized HTTP/1.1\r\nHost: localhost\r\n\r\n")["Transfer-Encoding"] == nil)
            #expect(try await server.reply(to: "HEAD /sized HTTP/1.1\r\nHost: localhost\r\n\r\n", toHead: true)["Content-Length"] == "3")
            await #expect(throws: RawClientError.self) { try await server.reply(to: "GET /short HTTP/1.1\r\nHost: localhost\r\n\r\n") }
        }
    }

    @Test("connections end when they should: Connection: close, HTTP/1.0, and stay with keep-alive")
    func persistence() async throws {
        try await TestServer.with(routes: { $0.on(.get, "/") { _ in .text("x") } }) { server in
            for (request, ends) in [
                ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", true),
                ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: x, Close\r\n\r\n", true),
                ("GET / HTTP/1.0\r\n\r\n", true),
                ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false),
            ] {
                let client = try RawClient(port: server.port)
                let replies = ReplyReader(client)
                try await client.send(request)
                let reply = try await replies.next()
                #expect(reply.closes == ends)
                if ends {
                    #expect(try await replies.isAtEnd())
                } else {
                    try await client.send(request)
                    #expect(try await replies.next().status == 200)
                }
            }
        }
    }

    @Test("a client that closes its side after its request still gets the reply of a handler that answers")
    func halfClosed() async throws {
        try await TestServer.with(routes: { $0.on(.get, "/") { _ in .text("x") } }) { server in
            let client = try RawClient(port: server.port)
            try await client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.endInput()
            let replies = ReplyReader(client)
            #expect(try await replies.next().status == 200)
            #expect(try await replies.next().status == 200)
            #expect(try await replies.isAtEnd())
        }
    }

    @Test("a client that closes its side gets the reply of a handler that is still at work")
    func halfClosedEarly() async throws {
        let (started, release) = (Outcome(), Outcome())
        try await TestServer.with(
            loopCount: 1,
            routes: {
                $0.on(.get, "/slow") { _ in
                    started.set("")
                    let text = await release.value()
                    try Task.checkCancellation()
                    return .text(text)
                }
                $0.on(.get, "/") { _ in .text("") }
            }
        ) { server in
            let client = try RawClient(port: server.port)
            try await client.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = await started.value()
            client.endInput()
            // There is one loop: when it has answered others twice, it has read the end.
            for _ in 0..<2 { #expect(try await server.reply(to: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200) }
            release.set("done")
            let replies = ReplyReader(client)
            let reply = try await replies.next()
            #expect(reply.status == 200)
            #expect(reply.text == "done")
            #expect(try await replies.isAtEnd())
        }
    }

    @Test("a read of a body that is cancelled ends, also when the cancellation comes before the read")
    func cancelledRead() async throws {
        try await TestServer.with(routes: {
            $0.on(.post, "/") { request in
                var cancelled = 0
                for _ in 0..<200 {
                    let reading = Task.detached { try await request.body.next() }
                    reading.cancel()
                    do { _ = try await reading.value } catch is CancellationError { cancelled += 1 }
                }
                return .text("\(cancelled)")
            }
        }) { server in
            let reply = try await server.reply(to: "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n")
            #expect(reply.text == "200")
        }
    }

    @Test("replies that cannot have a body have none, also when their handler gives a stream")
    func streamsWithoutBody() async throws {
        try await TestServer.with(routes: {
            for status in [204, 304] {
                $0.on(.get, "/\(status)") { _ in Response(status: status, body: .stream { try await $0.write(Array("body".utf8)) }) }
            }
        }) { server in
            let client = try RawClient(port: server.port)
            let replies = ReplyReader(client)
            for status in [204, 304, 204] {
                try await client.send("GET /\(status) HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let reply = try await replies.next()
                #expect(reply.status == status)
                #expect(reply["Transfer-Encoding"] == nil)
            }
        }
    }

    @Test("a reply that breaks off does not count as the 200 that its head said")
    func brokenStreamIsCounted() async throws {
        struct Failure: Error {}
        let registry = MetricsRegistry()
        try await TestServer.with(
            metrics: registry,
            routes: {
                $0.on(.get, "/half") { _ in
                    Response(
                        body: .stream { writer in
                            try await writer.write(Array("half".utf8))
                            throw Failure()
                        })
                }
            }
        ) { server in
            let client = try RawClient(port: server.port)
            try await client.send("GET /half HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = try await client.receiveAll()
            let text = String(decoding: registry.text(), as: UTF8.self)
            #expect(text.contains(#"apus_http_requests_total{listener="test",method="GET",status="500"} 1"#))
            #expect(!text.contains(#"status="200""#))
        }
    }

    @Test(
        "a client that goes away cancels the handler: while it thinks, within the body, within the reply",
        arguments: [
            "GET /think HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc",
            "GET /reply HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ])
    func abort(request: String) async throws {
        let started = Outcome()
        let ended = Outcome()
        @Sendable func noting<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
            started.set("")
            do { return try await body() } catch {
                ended.set("\(error)")
                throw error
            }
        }
        try await TestServer.with(routes: {
            $0.on(.get, "/think") { _ in
                try await noting { try await BootClock().sleep(until: .distantFuture) }
                return .text("")
            }
            $0.on(.post, "/body") { request in try await noting { .json(try await request.body.collect(limit: .mebibytes(1))) } }
            $0.on(.get, "/reply") { _ in
                Response(
                    body: .stream { writer in
                        try await noting { while true { try await writer.write([UInt8](repeating: 0, count: 64 << 10)) } }
                    })
            }
        }) { server in
            let client = try RawClient(port: server.port, receiveBuffer: 4096)
            try await client.send(request)
            _ = await started.value()
            client.reset()
            #expect(await !ended.value().isEmpty)
        }
    }

    @Test("a handler may leave the loop and come back, read and write from elsewhere")
    func elsewhere() async throws {
        actor Elsewhere {
            func double(_ request: Request) async throws -> [UInt8] {
                var all: [UInt8] = []
                while let piece = try await request.body.next() { all += piece }
                return all + all
            }
            func write(_ bytes: [UInt8], to writer: any BodyWriter) async throws { for byte in bytes { try await writer.write([byte]) } }
        }
        let elsewhere = Elsewhere()
        try await TestServer.with(routes: {
            $0.on(.post, "/double") { request in
                let bytes = try await elsewhere.double(request)
                return Response(body: .stream { try await elsewhere.write(bytes, to: $0) })
            }
        }) { server in
            let reply = try await server.reply(to: "POST /double HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc")
            #expect(reply.text == "abcabc")
        }
    }

    @Test("requests, connections and bytes are counted")
    func metrics() async throws {
        let registry = MetricsRegistry()
        try await TestServer.with(metrics: registry, routes: { $0.on(.get, "/") { _ in .text("x") } }) { server in
            let client = try RawClient(port: server.port)
            let replies = ReplyReader(client)
            for _ in 0..<3 {
                try await client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                _ = try await replies.next()
            }
            try await client.send("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = try await replies.next()
            // A reply is counted when it has left, so the last one is behind the next.
            try await client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = try await replies.next()
            let text = String(decoding: registry.text(), as: UTF8.self)
            #expect(text.contains(#"apus_http_requests_total{listener="test",method="GET",status="404"} 1"#))
            #expect(text.contains(#"apus_http_connections{listener="test"} 1"#))
            #expect(text.contains(#"apus_http_request_duration_seconds_bucket{listener="test",le="30"}"#))
        }
    }
}
