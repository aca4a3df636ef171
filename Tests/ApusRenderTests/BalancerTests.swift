import ApusHTTP
import ApusRender
import ApusRuntime
import ApusTypes
import HTTPTestKit
import TestKit
import Testing

/// What users of a cluster see through a balancer that runs a rendered configuration.
@Suite("A real balancer", .timeLimit(.minutes(2)))
struct BalancerTests {
    /// Sends requests until one was tried on `node` first, and gives its id and its reply.
    private func send(
        _ call: String, headers: String = "", until node: Node, by balancer: Balancer, accept: (RawReply) -> Void = { _ in }
    ) async throws -> (id: String, reply: RawReply) {
        for number in 1...8 {
            let id = "request-\(number)"
            let begin = BootClock.now
            let reply = try await balancer.reply(
                call, headers: "X-Request-Id: \(id)\r\n\(headers)", body: call.hasPrefix("GET") ? "" : "{}")
            #expect(begin.duration(to: BootClock.now) < .seconds(6))
            if !node.calls(of: id).isEmpty { return (id, reply) }
        }
        throw TestKitError("\(node.name) was never tried")
    }

    @Test("a read by POST that hits a frozen node is answered by another, in less than 6 s", arguments: Balancer.Kind.allCases)
    func retriesRead(kind: Balancer.Kind) async throws {
        let nodes = [Node("a", .hangs), Node("b")]
        try await Balancer.with(kind, nodes) { balancer in
            let (id, reply) = try await send("POST /collections/c/search", until: nodes[0], by: balancer)
            #expect(reply.status == 200 && reply.text == "b")
            #expect(nodes[1].calls(of: id).map(\.line) == ["POST /collections/c/search"])
            #expect(nodes[1].calls(of: id).allSatisfy { $0.headers["Idempotency-Key"] == nil })
        }
    }

    @Test("a read is answered in less than 6 s also where every node is frozen", arguments: Balancer.Kind.allCases)
    func allFrozen(kind: Balancer.Kind) async throws {
        let nodes = ["a", "b", "c"].map { Node($0, .hangs) }
        try await Balancer.with(kind, nodes) { balancer in
            let (id, reply) = try await send("GET /collections", until: nodes[0], by: balancer)
            #expect(reply.status == 504)
            #expect(try JSONDocument(parsing: reply.body).root["code"]?.string == "balancer.timeout")
            #expect(nodes.flatMap { $0.calls(of: id) }.count == 2)
        }
    }

    @Test(
        "both tries of a write have one key: the client's, or else the balancer's own", arguments: Balancer.Kind.allCases, [nil, "mine"])
    func retriesWrite(kind: Balancer.Kind, key: String?) async throws {
        let nodes = [Node("a", .hangs), Node("b")]
        try await Balancer.with(kind, nodes) { balancer in
            let headers = key.map { "Idempotency-Key: \($0)\r\n" } ?? ""
            let (id, reply) = try await send("POST /insert_vectors", headers: headers, until: nodes[0], by: balancer)
            #expect(reply.status == 200 && reply.text == "b")
            let tries = nodes.flatMap { $0.calls(of: id) }
            #expect(tries.count == 2)
            let keys = Set(tries.map { $0.headers.all("Idempotency-Key") })
            let one = try #require(keys.count == 1 ? keys.first?.first : nil)
            #expect(key.map { one == $0 } ?? (one.hasPrefix(LoadBalancer.proxyKeyPrefix) && one.utf8.count > 30))
            // Another request has another one.
            let other = try await balancer.reply("POST /insert", headers: headers + "X-Request-Id: other\r\n", body: "{}")
            #expect(other.status == 200)
            #expect((nodes[1].calls(of: "other").first?.headers["Idempotency-Key"] == one) == (key != nil))
        }
    }

    @Test("a call that is in no table is not sent again after silence", arguments: Balancer.Kind.allCases)
    func sendsOnce(kind: Balancer.Kind) async throws {
        var timings = LoadBalancerTimings()
        timings.answer = .seconds(2)
        let nodes = [Node("a", .hangs), Node("b")]
        try await Balancer.with(kind, nodes, timings: timings) { balancer in
            let (id, reply) = try await send("POST /query", until: nodes[0], by: balancer)
            #expect(reply.status == 504)
            #expect(nodes[1].calls(of: id).isEmpty)
            #expect(nodes[0].calls(of: id).allSatisfy { $0.headers["Idempotency-Key"] == nil })
        }
    }

    @Test("… nor when the node dies with it, and nobody is told that nothing was done", arguments: Balancer.Kind.allCases)
    func breaks(kind: Balancer.Kind) async throws {
        let breaking = try BreakingNode()
        breaking.start()
        defer { breaking.stop() }
        let other = Node("b")
        try await Balancer.with(kind, [Node("a", .listens(breaking.port)), other]) { balancer in
            var statuses: Set<Int> = []
            for number in 1...4 {
                let reply = try await balancer.reply("POST /query", headers: "X-Request-Id: \(number)\r\n", body: "{}")
                statuses.insert(reply.status)
                #expect(other.calls(of: "\(number)").count == (reply.status == 200 ? 1 : 0))
                if reply.status != 200 { #expect(try JSONDocument(parsing: reply.body).root["code"]?.string == "balancer.broken") }
                let read = try await balancer.reply("POST /embed", body: "{}")
                #expect(read.status == 200)
            }
            #expect(statuses == [200, 502])
        }
    }

    @Test("a node that takes no connection costs no request, also none that is sent once", arguments: Balancer.Kind.allCases)
    func deadNode(kind: Balancer.Kind) async throws {
        try await Balancer.with(kind, [Node("a", .isDead), Node("b")]) { balancer in
            for call in ["POST /query", "GET /collections", "POST /insert", "POST /query", "PATCH /collections/c"] {
                let reply = try await balancer.reply(call, body: call.hasPrefix("GET") ? "" : "{}")
                #expect(reply.status == 200 && reply.text == "b", "\(call)")
            }
        }
    }

    @Test("with every node dead, errors are JSON with Retry-After, and the balancer's health is 503", arguments: Balancer.Kind.allCases)
    func allDead(kind: Balancer.Kind) async throws {
        try await Balancer.with(kind, [Node("a", .isDead), Node("b", .isDead)]) { balancer in
            for call in ["GET /collections", "POST /query", "POST /insert", "GET /health"] {
                let reply = try await balancer.reply(call, headers: "X-Request-Id: mine\r\n", body: call.hasPrefix("GET") ? "" : "{}")
                let body = try JSONDocument(parsing: reply.body).root
                #expect(reply.status == 503 && reply["Content-Type"] == "application/json" && reply["Retry-After"] == "1", "\(call)")
                #expect(body["code"]?.string == "balancer.no_node" && body["request_id"]?.string == "mine", "\(call)")
            }
        }
    }

    @Test("its health is 200 while any node is ready, and 503 with a node's reasons when none is", arguments: Balancer.Kind.allCases)
    func health(kind: Balancer.Kind) async throws {
        let nodes = [Node("a"), Node("b"), Node("c")]
        try await Balancer.with(kind, nodes) { balancer in
            nodes[0].setReady(false)
            nodes[1].setReady(false)
            for _ in 1...6 { #expect(try await balancer.reply("GET /health").status == 200) }
            nodes[2].setReady(false)
            #expect(try await balancer.reply("GET /health").status == 503)
            nodes[1].setReady(true)
            try await eventually(within: 6, "ready again") { try await balancer.reply("GET /health").status == 200 }
        }
    }

    @Test("a node's own errors are passed on as they are", arguments: Balancer.Kind.allCases, [400, 404, 409, 429, 500, 503, 507])
    func passesErrors(kind: Balancer.Kind, status: Int) async throws {
        try await Balancer.with(kind, [Node("a", .answers(status)), Node("b", .answers(status))]) { balancer in
            for call in ["GET /collections", "POST /insert", "POST /query"] {
                let reply = try await balancer.reply(call, body: call.hasPrefix("GET") ? "" : "{}")
                #expect(reply.status == status && reply["Retry-After"] == "7", "\(call)")
                #expect(try JSONDocument(parsing: reply.body).root["why"]?.string == "its own", "\(call)")
            }
        }
    }

    @Test("a node that cannot serve (503) is made up for by another, except where a call is sent once", arguments: Balancer.Kind.allCases)
    func unready(kind: Balancer.Kind) async throws {
        let nodes = [Node("a", .answers(503)), Node("b")]
        try await Balancer.with(kind, nodes) { balancer in
            let (_, reply) = try await send("POST /query", until: nodes[0], by: balancer)
            #expect(reply.status == 503)
            for _ in 1...4 { #expect(try await balancer.reply("POST /insert", body: "{}").text == "b") }
            for _ in 1...4 { #expect(try await balancer.reply("GET /collections").text == "b") }
        }
    }

    @Test("nothing is refused unasked because all nodes have failed a moment ago")
    func panic() async throws {
        let nodes = [Node("a", .answers(503)), Node("b", .answers(503))]
        try await Balancer.with(.nginx, nodes) { balancer in
            for number in 1...8 {
                let reply = try await balancer.reply("GET /collections", headers: "X-Request-Id: \(number)\r\n")
                #expect(reply.status == 503)
                #expect(!nodes.flatMap { $0.calls(of: "\(number)") }.isEmpty)
            }
        }
    }

    @Test("only ready nodes are sent anything; a suspect one when nobody else answers", arguments: Balancer.Kind.allCases)
    func states(kind: Balancer.Kind) async throws {
        let nodes = [Node("a"), Node("b"), Node("c"), Node("d"), Node("e")]
        func check(_ nodes: [Node], _ states: [Upstream.State], get expected: String) async throws {
            try await Balancer.with(kind, nodes, states: states) { balancer in
                // Where one is dead, HAProxy's checks have to find out.
                try await eventually(within: 6, expected) { try await balancer.reply("GET /collections").text.contains(expected) }
                for _ in 1...6 {
                    let reply = try await balancer.reply("GET /collections")
                    #expect(reply.text.contains(expected))
                }
            }
        }
        try await check(nodes, [.ready, .suspect, .draining, .down, .left], get: "a")
        #expect(nodes.dropFirst().allSatisfy { $0.calls.isEmpty })
        try await check([Node("x", .isDead), nodes[1], nodes[2]], [.ready, .suspect, .draining], get: "b")
        #expect(nodes[2].calls.isEmpty)
        try await check([nodes[2], nodes[4]], [.draining, .left], get: "c")
        try await check([nodes[4]], [.left], get: "balancer.no_node")
        #expect(nodes[4].calls.isEmpty)
    }

    @Test("an upload reaches the node before its client has ended it, whatever its size", arguments: Balancer.Kind.allCases)
    func upload(kind: Balancer.Kind) async throws {
        let node = Node("a")
        try await Balancer.with(kind, [node], maxBody: .kibibytes(64)) { balancer in
            let client = try RawClient(port: balancer.port)
            try await client.send(
                "POST /qdrant/collections/c/snapshots/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200005\r\n\r\nfirst")
            try await eventually(within: 8, "the first bytes are there") { node.uploaded == 5 }
            try await client.send(String(repeating: "x", count: 200_000))
            let reply = try await ReplyReader(client).next()
            #expect(reply.status == 200 && reply.text == "200005")
        }
    }

    @Test("a body that no node would take is refused in front of them")
    func tooLarge() async throws {
        let node = Node("a")
        try await Balancer.with(.nginx, [node], maxBody: .kibibytes(64)) { balancer in
            let reply = try await balancer.reply("POST /insert", body: String(repeating: "x", count: 70_000))
            #expect(reply.status == 413)
            #expect(try JSONDocument(parsing: reply.body).root["code"]?.string == "request.too_large")
            #expect(node.calls.isEmpty)
        }
    }

    @Test("large writes, and those of unknown size, have time and a key", arguments: Balancer.Kind.allCases)
    func bulk(kind: Balancer.Kind) async throws {
        var timings = LoadBalancerTimings()
        timings.interactive = .milliseconds(300)
        let node = Node("a", .isSlow(.seconds(1)))
        try await Balancer.with(kind, [node], timings: timings, maxBody: .mebibytes(4)) { balancer in
            #expect(try await balancer.reply("POST /insert", body: "{}").status == 504)
            let large = try await balancer.reply("POST /insert", body: String(repeating: "x", count: 1_000_000))
            #expect(large.status == 200)
            let client = try RawClient(port: balancer.port)
            try await client.send("POST /insert HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
            #expect(try await ReplyReader(client).next().status == 200)
            #expect(node.calls.allSatisfy { $0.headers["Idempotency-Key"]?.hasPrefix("proxy-") == true })
        }
    }

    @Test("events and WebSockets pass, and live through silence that ends other calls", arguments: Balancer.Kind.allCases)
    func streams(kind: Balancer.Kind) async throws {
        var timings = LoadBalancerTimings()
        timings.interactive = .milliseconds(300)
        timings.answer = .milliseconds(500)
        try await Balancer.with(kind, [Node("a")], timings: timings) { balancer in
            let events = try RawClient(port: balancer.port)
            try await events.send("GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n")
            var seen = ""
            while !seen.contains("data: one") { seen += String(decoding: try await events.receive(), as: UTF8.self) }
            #expect(!seen.contains("data: two"))
            #expect(try await events.receiveAll().contains("data: two"))

            let socket = try RawClient(port: balancer.port)
            try await socket.send(
                "GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            var head = ""
            while !head.hasSuffix("\r\n\r\n") { head += String(decoding: try await socket.receive(atMost: 1), as: UTF8.self) }
            #expect(head.hasPrefix("HTTP/1.1 101 "))
            for _ in 1...2 {
                try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(800)))
                try await socket.send([0x81, 0x82, 0, 0, 0, 0] + Array("hi".utf8))  // a text of two bytes, masked by nothing
                #expect(try await socket.receive() == [0x81, 0x02] + Array("hi".utf8))
            }
        }
    }

    @Test("the node is told who asks, and gets path and credentials as they came", arguments: Balancer.Kind.allCases)
    func headers(kind: Balancer.Kind) async throws {
        let node = Node("a")
        try await Balancer.with(kind, [node]) { balancer in
            let paths = ["POST /collections/a%2Fb%20c/search?x=%7e", "POST /query", "GET /collections/a%2Fb?y=1"]
            for path in paths {
                let reply = try await balancer.reply(
                    path, headers: "X-API-Key: secret\r\nAuthorization: Bearer token\r\nX-Forwarded-For: 10.9.8.7\r\n")
                #expect(reply.status == 200)
            }
            #expect(node.calls.map(\.line) == paths.map { String($0.prefix { $0 != "?" }) })
            for call in node.calls {
                #expect(call.headers["X-API-Key"] == "secret" && call.headers["Authorization"] == "Bearer token")
                #expect(call.headers.all("X-Forwarded-For").joined(separator: ", ") == "10.9.8.7, 127.0.0.1")
                #expect(call.headers["X-Forwarded-Proto"] == "http" && call.headers["X-Forwarded-Host"] == "localhost")
                #expect(call.headers["Host"] == "localhost" && call.headers["X-Request-Id"]?.isEmpty == false)
            }
            #expect(Set(node.calls.compactMap { $0.headers["X-Request-Id"] }).count == paths.count)
            // What would break a line of JSON or of a log is replaced.
            _ = try await balancer.reply("GET /collections", headers: "X-Request-Id: a\"b\r\n")
            #expect(node.calls.last?.headers["X-Request-Id"]?.contains("\"") == false)
        }
    }

    @Test("it tells this machine what it does", arguments: Balancer.Kind.allCases)
    func status(kind: Balancer.Kind) async throws {
        try await Balancer.with(kind, [Node("a")]) { balancer in
            let reply = try await balancer.reply("GET /\(kind.rawValue)-status", port: balancer.statusPort)
            #expect(reply.status == 200 && reply.text.contains(kind == .nginx ? "Active connections" : "apus_main"))
        }
    }
}
