internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import DatabaseTestKit
internal import Glibc
internal import Synchronization
internal import TestKit

/// PostgreSQL, nodes and a balancer as real processes, in namespaces where this process may make them.
final class Lab: Sendable {
    /// Those that there are all the time, and one that comes and goes.
    static let nodeNames = ["n1", "n2", "n3"]
    static let guest = "n4"
    static let balancerHost = "lb"
    static let catalogHost = "pg"

    let directory: String
    let network: Network
    let postgres: PostgreSQLServer
    let store: SharedStore
    let nodes: [LabNode]
    let visitor: LabNode
    let balancer: Balancer
    let loops: EventLoops
    private let client: HTTPClient
    private let administrator = Mutex("")
    private let here = Mutex<Set<String>>([])

    /// Everything but the nodes runs when this returns.
    init(directory: String, isNamespaced: Bool) async throws {
        self.directory = directory
        loops = EventLoops(count: 1)
        let hosts = Self.nodeNames + [Self.guest, Self.catalogHost, Self.balancerHost]
        let network = try await Network.make(hosts, isNamespaced: isNamespaced)
        self.network = network
        let catalog = PostgreSQLServer.Place(host: network.address(of: Self.catalogHost), enter: network.enter(Self.catalogHost))
        postgres = try await PostgreSQLServer.start(name: "catalog", at: catalog)
        let store = try await SharedStore(in: directory, isMounted: isNamespaced)
        self.store = store
        let url = try await postgres.newDatabase().reveal()
        let program = try BuiltProgram.path("apus")
        let made = try (Self.nodeNames + [Self.guest]).map { name in
            try Self.node(name, program: program, catalog: url, network, store, directory)
        }
        (nodes, visitor) = (Array(made.dropLast()), made[made.count - 1])
        let port: UInt16 = isNamespaced ? 80 : try freePort()
        balancer = Balancer(
            listen: "\(network.address(of: Self.balancerHost)):\(port)", directory: directory + "/nginx",
            enter: network.enter(Self.balancerHost), apus: program)
        var limits = HTTPClientLimits()
        limits.connectTime = .seconds(2)
        client = HTTPClient(loops: loops, limits: limits)
    }

    private static func node(
        _ name: String, program: String, catalog: String, _ network: Network, _ store: SharedStore, _ directory: String
    ) throws -> LabNode {
        let host = network.address(of: name)
        let data = directory + "/" + name
        mkdir(data, 0o755)
        let storePath = store.isMounted ? data + "/store" : store.path
        let (port, rpc) = network.isNamespaced ? (15002, 15003) : (try freePort(), try freePort())
        let environment = [
            "PATH": Commands.path, "APUS_NODE_NAME": name, "APUS_CATALOG_URL": catalog, "APUS_STORE_DIRECTORY": storePath,
            "APUS_LISTENERS": "\(host):\(port)", "APUS_CLUSTER_ADDRESS": "\(host):\(rpc)", "APUS_RPC_ENABLED": "false",
            "APUS_CLUSTER_SECRET": "a secret of this laboratory", "APUS_STORE_RESERVE_BYTES": "1 MiB", "APUS_LOG_LEVEL": "info",
            // So that much is sealed, moved and waited for in a short time.
            "APUS_VECTORS_SEAL_POINTS": "256", "APUS_MEMBERSHIP_ABSENCE_GRACE_SECONDS": "6",
            "APUS_MEMBERSHIP_RESTART_WINDOW_SECONDS": "6",
            // More is done to a node here in a minute than elsewhere in a month.
            "APUS_MEMBERSHIP_FLAP_PENALTY_SECONDS": "2",
        ]
        let start = "exec \(program) node --data \(data)"
        let script = [store.mountCommand(at: storePath), start].compactMap { $0 }.joined(separator: " && ")
        let words = network.enter(name) + ["/usr/bin/setpriv", "--pdeathsig=KILL", "/bin/sh", "-c", script]
        return LabNode(
            name: name, host: host, port: port, directory: data, storePath: storePath,
            command: ChildProcess.Command(
                words[0], Array(words.dropFirst()), environment: environment, output: .file(directory + "/" + name + ".log")))
    }

    var key: String { administrator.withLock { $0 } }

    /// A lab of its own in namespaces, whose nodes are active, for as long as `body` runs.
    static func with<Value>(in directory: String, _ body: (Lab) async throws -> Value) async throws -> Value {
        let directory = Run.absolute(directory)
        try await Commands.run("/bin/rm", "-rf", directory)
        try await Commands.run("/bin/mkdir", "-p", directory)
        let lab = try await Lab(directory: directory, isNamespaced: true)
        do {
            try await lab.start()
            let value = try await body(lab)
            await lab.stop()
            return value
        } catch {
            await lab.stop()
            throw error
        }
    }

    /// Starts nodes and balancer; returns when all are active.
    func start() async throws {
        for node in nodes {
            try await start(node)
            guard key.isEmpty else { continue }
            try await eventually(within: 60, "the first node has made a key") {
                let text = (textFile(node.directory + "/admin.key") ?? "").filter { !$0.isWhitespace }
                administrator.withLock { $0 = text }
                if let ended = node.ended { throw ApusError(.processFailed, "the first node ended: \(ended)") }
                return !text.isEmpty
            }
        }
        try await eventually(within: 60, "all nodes are active") { await problems().isEmpty }
        try await balancer.start(asking: nodes[0].url, key: key)
    }

    /// Starts a node, again too.
    func start(_ node: LabNode) async throws {
        try await node.start()
        _ = here.withLock { $0.insert(node.name) }
    }

    /// It is not expected to answer.
    func goes(_ node: LabNode) { _ = here.withLock { $0.remove(node.name) } }

    var present: [LabNode] {
        let names = here.withLock { $0 }
        return (nodes + [visitor]).filter { names.contains($0.name) }
    }

    func node(_ name: String) -> LabNode? { (nodes + [visitor]).first { $0.name == name } }

    func stop() async {
        await balancer.stop()
        for node in nodes + [visitor] {
            node.thaw()
            await node.kill()
        }
        await postgres.kill()
        loops.stop()
    }

    // MARK: Asking

    /// An administrator's request to a node itself. Throws what the client throws, and `peer.invalid_response` for a status that is no success.
    func ask(
        _ node: LabNode, _ method: Method, _ path: String, _ body: String? = nil, within time: Duration = .seconds(3)
    ) async throws -> JSONValue {
        let (status, bytes) = try await reply(node, method, path, body, within: time)
        guard (200..<300).contains(status) else {
            throw ApusError(.peerInvalid, "\(method) \(path): \(status) \(String(decoding: bytes.prefix(300), as: UTF8.self))")
        }
        return bytes.isEmpty ? .null : try JSONValue(parsing: bytes)
    }

    private func reply(
        _ node: LabNode, _ method: Method, _ path: String, _ body: String?, within time: Duration
    ) async throws -> (status: Int, body: [UInt8]) {
        var headers: Headers = ["X-API-Key": key]
        if body != nil { headers["Content-Type"] = "application/json" }
        let response = try await client.send(
            ClientRequest(
                method, node.url + path, headers: headers, body: body.map { .bytes(Array($0.utf8)) } ?? .none,
                deadline: BootClock.now.advanced(by: time)))
        return (response.status, try await response.collect(limit: .mebibytes(16)))
    }

    /// Whether a node says that it is not ready to write; one that says nothing does not.
    func refusesWrites(_ node: LabNode) async -> Bool {
        (try? await reply(node, .get, "/health/ready?role=write", nil, within: .seconds(1)))?.status == 503
    }

    /// The first answer of any node that is here. Frozen ones are not asked: they would do it when they thaw, whatever was asked since.
    func askAny(
        _ method: Method, _ path: String, _ body: String? = nil, but excluded: String? = nil, within time: Duration = .seconds(3)
    ) async throws -> JSONValue {
        var last: (any Error)?
        for node in present where node.name != excluded && !node.isFrozen {
            do { return try await ask(node, method, path, body, within: time) } catch { last = error }
        }
        throw last ?? ApusError(.noActiveNodes, "no node is here")
    }

    /// Who leads, by the word of a node other than `excluded`.
    func leader(but excluded: String? = nil) async -> String? {
        let reply = try? await askAny(.get, "/api/v1/cluster/leader", but: excluded, within: .seconds(1))  // asked again
        return reply?["leader"]?.asString
    }

    /// What is said of each node, by whoever answers.
    func verdicts() async -> [String: [String: String]] {
        var verdicts: [String: [String: String]] = [:]
        for node in present {
            // Who does not answer says nothing.
            guard let reply = try? await ask(node, .get, "/api/v1/cluster/nodes", within: .seconds(1)) else { continue }
            verdicts[node.name] = Dictionary(
                (reply["nodes"]?.asArray ?? []).map { ($0["id"]?.asString ?? "", $0["state"]?.asString ?? "") },
                uniquingKeysWith: { first, _ in first })
        }
        return verdicts
    }

    /// What the cluster has to be for a run to go on that is not so: empty when every node that should is there in the eyes of all, reaches all
    /// others, is ready to read and to write, and serves its part. One that has come back often of late may be suspected for a minute: that was promised.
    func problems(replicas: [Int: Int] = [:]) async -> [String] {
        var problems: [String] = []
        let names = Set(present.map(\.name))
        for node in present {
            do {
                _ = try await ask(node, .get, "/health/ready?role=write", within: .seconds(2))
                let states = try await ask(node, .get, "/api/v1/cluster/nodes", within: .seconds(2))["nodes"]?.asArray ?? []
                let trusted = Set(states.filter { $0["state"] == "active" || $0["state"] == "suspect" }.compactMap { $0["id"]?.asString })
                let silent = states.filter { $0["metadata"]?["vector_count"]?.asInteger == nil }.compactMap { $0["id"]?.asString }
                if !silent.isEmpty { problems.append("\(node.name) does not reach \(silent)") }
                if trusted != names { problems.append("\(node.name) sees \(trusted.sorted())") }
            } catch { problems.append("\(node.name): \(error)") }
        }
        guard problems.isEmpty, !replicas.isEmpty, let node = present.first else { return problems }
        do {
            let rows = try await ask(node, .get, "/api/v1/cluster/shard-distribution")["shard_to_node"]?.asArray ?? []
            let served = Dictionary(grouping: rows) { Int($0["shard_id"]?.asInteger ?? -1) }.mapValues(\.count)
            for (shard, wanted) in replicas.sorted(by: { $0.key < $1.key }) where served[shard] != wanted {
                problems.append("shard \(shard) is served by \(served[shard] ?? 0) of \(wanted)")
            }
        } catch { problems.append("\(node.name): \(error)") }
        return problems
    }
}
