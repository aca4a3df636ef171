internal import ApusCatalog
internal import ApusCluster
internal import ApusConfig
internal import ApusRPC
internal import ApusRuntime
internal import ApusTypes
internal import Glibc

extension Node {
    /// Has a node say its `NodeFacts`; the payload lists the nodes to which it tries the ways.
    static let examination = "examine/1"

    /// Of another node; of this one where it is itself.
    static func examiner(
        _ configuration: Configuration, _ node: NodeName, _ calls: RPCPeers?, _ health: Health
    ) -> @Sendable (NodeRow, [NodeRow], Instant) async -> NodeFacts? {
        { row, rows, deadline in
            let peers = rows.filter { $0.name != row.name }.map { peer in
                (peer.name, [Reachability.address(ofURL: peer.url), SocketAddress(peer.rpcAddress)].compactMap(\.self))
            }
            if row.name == node { return await facts(configuration, peers: peers, health) }
            guard let calls, !row.rpcAddress.isEmpty else { return nil }
            let list = JSONValue.array(
                peers.map { ["node": .string($0.0.rawValue), "addresses": .array($0.1.map { .string($0.description) })] })
            do {
                let reply = try await calls.call(row.rpcAddress, examination, Array(list.description.utf8), deadline: deadline)
                return NodeFacts(try JSONValue(parsing: reply))
            } catch {
                log.info("a node could not be examined", ["node": row.name.rawValue, "error": "\(error)"])
                return nil
            }
        }
    }

    /// Answers `examination`.
    static func answerExamination(_ payload: [UInt8], _ configuration: Configuration, _ health: Health) async throws -> [UInt8] {
        let peers = (try JSONValue(parsing: payload).asArray ?? []).prefix(1000).map { peer in
            (
                NodeName(peer["node"]?.asString ?? ""),
                (peer["addresses"]?.asArray ?? []).prefix(4).compactMap { $0.asString.flatMap { SocketAddress($0) } }
            )
        }
        return Array(await facts(configuration, peers: peers, health).value.description.utf8)
    }

    private static func facts(
        _ configuration: Configuration, peers: [(NodeName, [SocketAddress])], _ health: Health
    ) async -> NodeFacts {
        var facts = NodeFacts()
        let failures = await Reachability.unreached(peers.flatMap(\.1), within: .seconds(2))
        facts.unreached = peers.flatMap { peer in
            peer.1.compactMap { address in
                failures[address].map { NodeFacts.Unreached(node: peer.0, address: address.description, reason: $0) }
            }
        }
        facts.version = Version.current
        facts.settings = configuration.sharedSettings
        facts.disks = disks(of: [configuration.node.data])
        facts.problems = health.problems.map { NodeFacts.Problem(code: $0.code.rawValue, summary: $0.summary) }
        facts.time = WallTime(millisecondsSinceEpoch: BootClock.realTimeMilliseconds)
        return facts
    }

    /// Local ones alone: a shared mount may hang, and has a probe of its own.
    private static func disks(of paths: [String]) -> [NodeFacts.Disk] {
        paths.compactMap { path in
            var about = statvfs()
            guard LocalFileSystem.holds(path) == true, statvfs(path, &about) == 0 else { return nil }
            let block = Int(about.f_frsize)
            return NodeFacts.Disk(path: path, free: ByteCount(Int(about.f_bavail) * block), total: ByteCount(Int(about.f_blocks) * block))
        }
    }
}

extension Configuration {
    /// Those that should be the same on all nodes of a cluster.
    var sharedSettings: [String: String] {
        var settings = Dictionary(
            ConfigurationKeys.all.filter { $0.isShared }.map { ($0.path, $0.value(in: self)) }, uniquingKeysWith: { first, _ in first })
        // Where the files are is each node's own matter; whether there are any is not.
        settings["cluster.tls_ca"] = cluster.tlsCA == nil ? "not set" : "set"
        return settings
    }
}
