import ApusTypes
import Foundation
import Glibc
import TestKit
import Testing

@testable import ApusRender

@Suite("Rendered configurations")
struct RenderTests {
    /// The clusters of the golden files: their nodes' states.
    static let clusters: [[Upstream.State]] = [[.ready], [.ready, .ready, .ready], [.ready, .suspect, .draining, .down, .ready]]

    static func model(_ states: [Upstream.State], firstPort: Int = 80, timings: LoadBalancerTimings = .init()) throws -> LoadBalancer {
        func upstreams(_ port: Int) throws -> [Upstream] {
            try states.enumerated().map { index, state in
                let host = index == 1 ? "fd00::2" : index == 2 ? "n3.example.com" : "192.168.1.1\(index + 1)"
                // Names are looked up when a file is checked, and these are nobody's.
                let checked = firstPort == 80 ? host : host.replacing("n3.example.com", with: "localhost")
                return Upstream(node: NodeName("n\(index + 1)"), endpoint: try Endpoint(host: checked, port: port), state: state)
            }
        }
        var frontends = [Frontend.main(listen: try Endpoint(host: "0.0.0.0", port: firstPort), upstreams: try upstreams(15_002))]
        if firstPort != 80 { frontends[0].name = "a-b c" }
        if states.count == 3 {
            frontends.append(.qdrant(listen: try Endpoint(host: "::1", port: firstPort + 1), upstreams: try upstreams(6333)))
        }
        return try LoadBalancer(frontends: frontends, timings: timings)
    }

    /// `APUS_GOLDEN=write` writes the files anew; look at what changed before you commit it.
    static func golden(_ name: String, _ text: String) throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Golden/\(name)")
        if getenv("APUS_GOLDEN") != nil { try Data(text.utf8).write(to: file) }
        #expect(try String(contentsOf: file, encoding: .utf8) == text, "\(name)")
    }

    @Test("every byte is what was looked at when it was committed", arguments: clusters)
    func golden(states: [Upstream.State]) throws {
        let model = try Self.model(states)
        try Self.golden("nginx-\(states.count).conf", model.nginx())
        try Self.golden("haproxy-\(states.count).cfg", model.haproxy(status: Endpoint(host: "127.0.0.1", port: 8404)))
        if states.count == 1 { try Self.golden("nginx-whole.conf", model.nginx(.whole(directory: "/run/apus-nginx"))) }
    }

    @Test("nginx and HAProxy accept each, without a warning", arguments: clusters + [[], [.left]])
    func accepted(states: [Upstream.State]) async throws {
        let directory = try TemporaryDirectory()
        let model = try Self.model(states, firstPort: Int(freePort()))
        #expect(try await Balancer.refusal(of: model.nginx(.whole(directory: directory.path)), by: .nginx, in: directory) == nil)
        #expect(try await Balancer.refusal(of: model.haproxy(user: nil), by: .haproxy, in: directory) == nil)
        let site = "pid \(directory.path)/nginx.pid; events {} http {\n\(try model.nginx())}\n"
        #expect(try await Balancer.refusal(of: site, by: .nginx, in: directory) == nil)
    }

    @Test("the order in which somebody lists the nodes changes nothing")
    func order() throws {
        var model = try Self.model(Self.clusters[2])
        let text = (try model.nginx(), model.haproxy())
        for _ in 1...4 {
            var frontend = model.frontends[0]
            frontend.upstreams.append(frontend.upstreams.removeFirst())
            model = try LoadBalancer(frontends: [frontend])
            let again = (try model.nginx(), model.haproxy())
            #expect(again == text)
        }
    }

    @Test("what a node says of itself cannot become a directive")
    func injection() throws {
        for host in ["", "a;b", "a b", "a\nserver evil", "a{", "ä", "$host", "unix:/x/y", "a#"] {
            #expect(throws: ApusError.self) { try Endpoint(host: host, port: 1) }
        }
        for port in [0, -1, 65_536] { #expect(throws: ApusError.self) { try Endpoint(host: "a", port: port) } }
        let names = ["n 1", "n\n1", "n;1"]
        let upstreams = try names.map { Upstream(node: NodeName($0), endpoint: try Endpoint(host: "10.0.0.1", port: 1)) }
        let model = try LoadBalancer(frontends: [.qdrant(listen: try Endpoint(host: "::", port: 80), upstreams: upstreams)])
        let servers = model.haproxy().split(separator: "\n").filter { $0.contains(" check") && $0.contains("server n") }
        #expect(servers.map { $0.split(separator: " ")[1] } == ["n_1", "n_1_", "n_1__"])
        for directory in ["relative", "/a\"; x", "/a\nb", "/$x"] {
            #expect(throws: ApusError.self) { try model.nginx(.whole(directory: directory)) }
        }
    }

    @Test("two frontends need two names and two addresses")
    func ambiguity() throws {
        let one = Frontend.main(listen: try Endpoint(host: "::", port: 80), upstreams: [])
        var other = Frontend.qdrant(listen: try Endpoint(host: "::", port: 80), upstreams: [])
        #expect(throws: ApusError.self) { try LoadBalancer(frontends: [one, other]) }
        other.listen = try Endpoint(host: "::", port: 81)
        _ = try LoadBalancer(frontends: [one, other])
        other.name = "main"
        #expect(throws: ApusError.self) { try LoadBalancer(frontends: [one, other]) }
    }

    @Test("a drain waits as long as the slower balancer may send, and interactive calls end in time")
    func timings() {
        var timings = LoadBalancerTimings()
        #expect(timings.unreadyWait == .seconds(4))
        timings.reloadInterval = .seconds(5)
        #expect(timings.unreadyWait == .seconds(7))
        timings.checksToFall = 5
        #expect(timings.unreadyWait == .seconds(10))
        #expect(LoadBalancerTimings().interactive * 2 < .seconds(6))
    }
}
