import ApusRender
import ApusRuntime
import ApusTypes
import Foundation
import Glibc
import HTTPTestKit
import TestKit

/// A real balancer of the distribution with a rendered configuration.
struct Balancer: Sendable {
    enum Kind: String, Sendable, CaseIterable { case nginx, haproxy }

    let kind: Kind
    let port: Int
    let statusPort: Int
    private let process: ChildProcess
    private let directory: TemporaryDirectory

    /// The program's own check of a text: nil, or what it says against it.
    static func refusal(of text: String, by kind: Kind, in directory: TemporaryDirectory) async throws -> String? {
        let file = directory.path + "/checked.conf"
        let output = directory.path + "/checked.txt"
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        let arguments = kind == .nginx ? ["-t", "-c", file, "-e", directory.path + "/error.log"] : ["-c", "-f", file]
        let process = try await ChildProcess.start(.init(kind.executable, arguments, output: .file(output)), on: TestLoops.shared.first)
        let exit = await process.wait()
        let said = try String(contentsOfFile: output, encoding: .utf8)
        return exit == .status(0) && !said.contains("[warn") && !said.contains("[WARNING") ? nil : said
    }

    static func start(_ kind: Kind, upstreams: [Upstream], timings: LoadBalancerTimings, maxBody: ByteCount) async throws -> Balancer {
        let directory = try TemporaryDirectory()
        let port = Int(try freePort())
        let status = Int(try freePort())
        let frontend = Frontend.main(listen: try Endpoint(host: "127.0.0.1", port: port), upstreams: upstreams, maxBody: maxBody)
        let model = try LoadBalancer(frontends: [frontend], timings: timings)
        let file = directory.path + "/balancer.conf"
        let text =
            switch kind {
            case .nginx: try model.nginx(.whole(directory: directory.path))
            case .haproxy: model.haproxy(status: try Endpoint(host: "127.0.0.1", port: status), user: nil)
            }
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        let arguments =
            switch kind {
            // One process, which needs no privileges.
            case .nginx: ["-c", file, "-e", directory.path + "/error.log", "-g", "daemon off; master_process off;"]
            case .haproxy: ["-db", "-f", file]
            }
        let process = try await ChildProcess.start(
            .init(kind.executable, arguments, output: .file(directory.path + "/output.txt")), on: TestLoops.shared.first)
        try await eventually("\(kind.rawValue) listens") {
            if let exit = process.ended {
                throw TestKitError("\(exit): \((try? String(contentsOfFile: directory.path + "/output.txt", encoding: .utf8)) ?? "")")
            }
            return (try? RawClient(port: port)) != nil
        }
        return Balancer(kind: kind, port: port, statusPort: kind == .nginx ? port : status, process: process, directory: directory)
    }

    func stop() async { _ = await process.terminate(grace: .seconds(5)) }

    /// Sends a request on a connection of its own; `headers` end in line ends.
    func reply(_ call: String, headers: String = "", body: String = "", port: Int? = nil) async throws -> RawReply {
        let client = try RawClient(port: port ?? self.port)
        let length = call.hasPrefix("GET ") ? "" : "Content-Length: \(body.utf8.count)\r\n"
        try await client.send("\(call) HTTP/1.1\r\nHost: localhost\r\n\(length)\(headers)\r\n")
        if !body.isEmpty {
            // So late that a balancer which does not wait for it has sent the head by then.
            try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(50)))
            try await client.send(body)
        }
        return try await ReplyReader(client).next(toHead: call.hasPrefix("HEAD "))
    }
}

extension Balancer.Kind {
    var executable: String { "/usr/sbin/\(rawValue)" }
}

extension Balancer {
    /// A balancer in front of `nodes`, in their order.
    static func with(
        _ kind: Kind, _ nodes: [Node], states: [Upstream.State] = [], timings: LoadBalancerTimings = LoadBalancerTimings(),
        maxBody: ByteCount = .mebibytes(1), _ body: (Balancer) async throws -> Void
    ) async throws {
        func upstream(_ index: Int, _ port: Int) throws -> Upstream {
            try Upstream(
                node: NodeName(nodes[index].name), endpoint: Endpoint(host: "127.0.0.1", port: port),
                state: states.isEmpty ? .ready : states[index])
        }
        func serve(_ upstreams: [Upstream]) async throws {
            guard upstreams.count < nodes.count else {
                let balancer = try await start(kind, upstreams: upstreams, timings: timings, maxBody: maxBody)
                do { try await body(balancer) } catch {
                    await balancer.stop()
                    throw error
                }
                return await balancer.stop()
            }
            let node = nodes[upstreams.count]
            func go(on port: Int) async throws { try await serve(upstreams + [upstream(upstreams.count, port)]) }
            switch node.behaviour {
            case .isDead: try await go(on: Int(freePort()))
            case .listens(let port): try await go(on: port)
            default: try await TestServer.with(routes: node.mount) { try await go(on: $0.port) }
            }
        }
        try await serve([])
    }
}
