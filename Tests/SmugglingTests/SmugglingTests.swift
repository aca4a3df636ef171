import ApusHTTP
import ApusRuntime
import ApusTypes
import HTTPTestKit
import Testing

/// Nobody who sends bytes through a proxy may make this server see a request that the proxy did not.
@Suite("request smuggling")
struct SmugglingTests {
    private static func last(_ name: String, _ number: Int) -> String {
        "GET /\(number)/\(name) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    }

    @Test("directly: each attack is refused and the connection closed, or read as exactly the requests that it is")
    func direct() async throws {
        let backend = Backend()
        try await TestServer.with(routes: { $0.use(backend) }) { server in
            for (number, attack) in zip(100..., Attack.all) {
                let client = try RawClient(port: server.port)
                try await client.send(attack.bytes(number: number) + Self.last("last", number))
                let reply = try await client.receiveAll()
                let seen = backend.seen(number)
                switch attack.outcome {
                case .refused:
                    // A body that turns out to be broken has a head that was right.
                    #expect(seen.requests.isEmpty, "\(attack)")
                    #expect(seen.heads.isEmpty || seen.heads == ["POST /\(number)/first"], "\(attack)")
                    #expect(reply.hasPrefix("HTTP/1.1 4") || reply.hasPrefix("HTTP/1.1 5"), "\(attack): \(reply.prefix(80))")
                    #expect(reply.components(of: "\r\nX-Request-Id: ") == 1, "\(attack)")
                    #expect(reply.contains("\r\nConnection: close\r\n"), "\(attack)")
                case .served(let requests):
                    let expected = requests.map { $0.replacing("@", with: String(number)) } + ["GET /\(number)/last "]
                    #expect(seen.requests == expected, "\(attack)")
                    #expect(reply.components(of: "HTTP/1.1 200 ") == expected.count, "\(attack)")
                }
            }
        }
    }

    @Test(
        "through a proxy: this server sees what the proxy forwarded, and later clients get their own answers",
        arguments: Proxy.Kind.allCases)
    func proxied(kind: Proxy.Kind) async throws {
        let backend = Backend()
        var forwarded = 0
        var attacksForwarded = 0
        try await TestServer.with(routes: { $0.use(backend) }) { server in
            let proxy = try await Proxy.start(kind, backend: server.port, on: server.loops.first)
            for (number, attack) in zip(100..., Attack.all) {
                let client = try RawClient(port: proxy.port)
                try await client.send(attack.bytes(number: number) + Self.last("last", number))
                do {
                    _ = try await client.receiveAll()
                } catch RawClientError.system {
                    // A reset ends it as well.
                }
                for victim in ["victim1", "victim2"] {
                    let other = try RawClient(port: proxy.port)
                    try await other.send(Self.last(victim, number))
                    let reply = try await ReplyReader(other).next()
                    #expect(reply.status == 200 && reply.text == "GET /\(number)/\(victim) ", "\(attack): \(reply.status) \(reply.text)")
                }
                let lines = try await proxy.lines(number, until: "GET /\(number)/victim2")
                let seen = backend.seen(number)
                let asked = lines.filter(\.reachedBackend)
                #expect(
                    seen.requests.map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
                        == asked.filter { $0.status == 200 }.map(\.request), "\(attack)")
                for head in seen.heads { #expect(asked.contains { $0.request == head }, "\(attack): \(head)") }
                for request in seen.requests {
                    let body = request.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)[2]
                    #expect(!body.contains("/victim"), "\(attack): another client's request is in the body of \(request)")
                }
                forwarded += seen.requests.count
                attacksForwarded += seen.heads.contains { $0.hasSuffix("/first") } ? 1 : 0
            }
            await proxy.stop()
        }
        // Two later clients for each attack at least, or nothing was compared.
        #expect(forwarded >= 2 * Attack.all.count)
        // Proxies refuse much themselves; what they let through is what this is about.
        #expect(attacksForwarded >= 20)
    }
}

extension String {
    /// How often `part` occurs.
    fileprivate func components(of part: String) -> Int { split(separator: part, omittingEmptySubsequences: false).count - 1 }
}
