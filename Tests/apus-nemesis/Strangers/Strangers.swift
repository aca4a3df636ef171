internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import TestKit

/// What somebody gets on another machine who has no key, no secret, or a token: each host is a network namespace, so nobody's peer is on loopback.
///
/// Prints a line for each check.
struct Strangers {
    private let lab: Lab
    private let program: String
    private var failures = 0

    /// Returns whether all was as it should be.
    static func run(in directory: String) async throws -> Bool {
        try await Lab.with(in: directory + "/strangers") { lab in
            var strangers = Strangers(lab: lab, program: try BuiltProgram.path("apus"))
            try await strangers.asksWithoutKey()
            try await strangers.startsWithoutSecret()
            try await strangers.joins()
            print("\(strangers.failures) failed")
            return strangers.failures == 0
        }
    }

    private mutating func check(_ what: String, _ holds: Bool, _ seen: @autoclosure () -> String = "") {
        failures += holds ? 0 : 1
        print(holds ? "ok: \(what)" : "FAILED: \(what): \(seen())")
    }

    // MARK: Without a key

    /// The status that curl on a host sees; 0 where it gets none.
    private func status(from host: String, as user: [String] = [], _ url: String, _ headers: String...) async throws -> Int {
        let words = user + ["/usr/bin/curl", "-s", "-o", "/dev/null", "-m", "10", "-w", "%{http_code}"] + headers.flatMap { ["-H", $0] }
        return Int(try await Commands.outcome(of: lab.network.enter(host) + words + [url]).output) ?? 0
    }

    private mutating func asksWithoutKey() async throws {
        let node = lab.nodes[0]
        let url = node.url + "/collections"
        check("without a key, from another host: 401", try await status(from: Lab.guest, url) == 401)
        // Which may not have seen yet that the nodes are there.
        var answer = 0
        for _ in 0..<40 {
            answer = try await status(from: Lab.guest, lab.balancer.url + "/collections")
            guard [0, 502, 503, 504].contains(answer) else { break }
            try await BootClock().sleep(for: .milliseconds(500))
        }
        check("without a key, through the balancer: 401", answer == 401, "\(answer)")
        let nobody = ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups"]
        check("from the node's own host, its own user: 200", try await status(from: node.name, url) == 200)
        check("from the node's own host, another user: 401", try await status(from: node.name, as: nobody, url) == 401)
        check("a loopback name in Host: 401", try await status(from: Lab.guest, url, "Host: localhost") == 401)
        for header in ["X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Real-IP: 127.0.0.1"] {
            check("\(header): 401", try await status(from: Lab.guest, url, header) == 401)
        }
        check("another key: 401", try await status(from: Lab.guest, url, "X-API-Key: apus_0123456789abcdef0123456789abcdef") == 401)
        check("the administrator's key: 200", try await status(from: Lab.guest, url, "X-API-Key: \(lab.key)") == 200)
        check("health is everybody's: 200", try await status(from: Lab.guest, node.url + "/health/ready") == 200)
        check("tokens are not: 401", try await status(from: Lab.guest, node.url + "/api/join/tokens") == 401)
    }

    // MARK: Without the secret

    private mutating func startsWithoutSecret() async throws {
        for (secret, code) in [(nil, "join.secret_missing"), ("quite another secret", "join.secret_mismatch")] {
            var environment = lab.visitor.environment
            environment["APUS_CLUSTER_SECRET"] = secret
            let data = lab.directory + "/stranger"
            let (exit, output) = try await Commands.outcome(
                of: lab.network.enter(Lab.guest) + [program, "node", "--data", data], within: .seconds(40), environment: environment)
            check("a node on another host is refused: \(code)", exit == .status(78) && output.contains(code), "\(exit) \(output)")
        }
        check("the cluster does not see it", try await names() == Set(Lab.nodeNames))
    }

    private func names() async throws -> Set<String> {
        Set((try await lab.askAny(.get, "/api/v1/cluster/nodes")["nodes"]?.asArray ?? []).compactMap { $0["id"]?.asString })
    }

    // MARK: With a token

    private mutating func joins() async throws {
        let (lab, program) = (lab, program)  // what is awaited below must not hold on to what checks change
        let token = try await lab.ask(lab.nodes[0], .post, "/api/join/tokens", #"{"life_seconds": 600}"#)["token"]?.asString ?? ""
        func join(from host: String, _ data: String) async throws -> (exit: ChildProcess.Exit, output: String) {
            let address = lab.network.address(of: host)
            return try await Commands.outcome(
                of: lab.network.enter(host) + [
                    program, "join", token, "--data", lab.directory + "/" + data, "--listen", "\(address):15002", "--name", "joined",
                ], within: .seconds(60))
        }
        for node in lab.nodes { try await lab.network.cut(Lab.guest, to: node.name) }
        let begun = BootClock.now
        let cut = try await join(from: Lab.guest, "cut")
        check(
            "who cannot reach the cluster is told so in time", cut.exit != .status(0) && begun.duration(to: BootClock.now) < .seconds(30),
            cut.output)
        for node in lab.nodes { try await lab.network.mend(Lab.guest, to: node.name) }

        let joined = try await join(from: Lab.guest, "joined")
        check("a host joins with a token, which was not used up by then", joined.exit == .status(0), joined.output)
        let again = try await join(from: Lab.balancerHost, "again")
        check("nobody else does with the same", again.exit == .status(3) && again.output.contains("join.token_used"), again.output)

        let address = lab.network.address(of: Lab.guest)
        let data = lab.directory + "/joined"
        let store = data + "/store"
        let start = "exec \(program) node --data \(data)"
        let script = [lab.store.mountCommand(at: store), start].compactMap { $0 }.joined(separator: " && ")
        let member = try await ChildProcess.start(
            ChildProcess.Command(
                "/usr/sbin/ip", ["netns", "exec", Lab.guest, "/usr/bin/setpriv", "--pdeathsig=KILL", "/bin/sh", "-c", script],
                environment: [
                    "PATH": Commands.path, "APUS_CLUSTER_ADDRESS": "\(address):15003", "APUS_RPC_ENABLED": "false",
                    "APUS_STORE_DIRECTORY": store,
                ],
                output: .file(data + ".log")), on: TestLoops.shared.first)
        try await eventually(within: 60, "the new node is active in the eyes of all") {
            guard member.ended == nil else { throw ApusError(.processFailed, "it ended: \((textFile(data + ".log") ?? ""))") }
            return await lab.verdicts().count { $0.value["joined"] == "active" } == lab.nodes.count
        }
        check("it is a node like the others, who reach it and are reached", true)
        check("and asks for keys: 401", try await status(from: Lab.balancerHost, "http://\(address):15002/collections") == 401)
        check(
            "the same as theirs: 200",
            try await status(from: Lab.balancerHost, "http://\(address):15002/collections", "X-API-Key: \(lab.key)") == 200)
        _ = await member.terminate(grace: .seconds(30))
    }
}
