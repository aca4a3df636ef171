import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusTypes
import ApusVectorIndex
import DatabaseTestKit
import Synchronization
import TestKit

@testable import ApusVectors

/// Some nodes of one PostgreSQL catalog that call each other in this process.
struct TestCluster: Sendable {
    let nodes: [TestNode]
    /// What each node reaches the catalog through.
    let databases: [RemovableDatabase]
    let switchboard: Switchboard

    var deadline: Instant { nodes[0].deadline }

    static func name(_ number: Int) -> NodeName { NodeName("n\(number + 1)") }

    static func with<Value: Sendable>(
        _ count: Int, options: VectorService.Options = .init(), _ body: (TestCluster) async throws -> Value
    ) async throws -> Value {
        let url = try await PostgreSQLServer.shared().newDatabase()
        return try await open(count, url, options, Switchboard(), [], [], body)
    }

    private static func open<Value: Sendable>(
        _ count: Int, _ url: Redacted<String>, _ options: VectorService.Options, _ switchboard: Switchboard, _ nodes: [TestNode],
        _ databases: [RemovableDatabase], _ body: (TestCluster) async throws -> Value
    ) async throws -> Value {
        guard nodes.count < count else { return try await body(TestCluster(nodes: nodes, databases: databases, switchboard: switchboard)) }
        let name = name(nodes.count)
        let database = RemovableDatabase(
            try await PostgreSQLDatabase.open(url: url, loops: TestLoops.shared, deadline: BootClock.now.advanced(by: .seconds(20))))
        return try await TestNode.with(database, options: options, peers: switchboard.peers(of: name)) { node in
            switchboard.connect(name, node.service)
            return try await open(count, url, options, switchboard, nodes + [node], databases + [database], body)
        }
    }

    /// The nodes that serve each shard of a collection, in the order of the shards.
    func servers(of collection: CollectionID) async throws -> [[NodeName]] {
        try await nodes[0].catalog.shards.list(of: collection, deadline: deadline).map { row in
            row.replicas.filter(\.state.answers).map(\.node)
        }
    }

    func change(_ changes: ReplicaChange...) async throws {
        try await nodes[0].catalog.shards.change(changes, deadline: deadline)
    }
}

/// Carries calls between nodes, unless one of them is cut off.
final class Switchboard: Sendable {
    private struct State {
        var services: [NodeName: VectorService] = [:]
        /// Nodes that nobody reaches, and nodes that answer nobody in time.
        var unreachable: Set<NodeName> = []
        var frozen: Set<NodeName> = []
        /// Nodes of a version before the calls of today.
        var older: Set<NodeName> = []
        var unknown: Set<String> = []
        /// Nodes that take no requests any more, and what happens before they say so.
        var draining: [NodeName: @Sendable () async throws -> Void] = [:]
        var calls: [String: Int] = [:]
    }

    private let state = Mutex(State())

    func connect(_ node: NodeName, _ service: VectorService) { state.withLock { $0.services[node] = service } }
    func cut(_ node: NodeName) { state.withLock { _ = $0.unreachable.insert(node) } }
    func freeze(_ node: NodeName) { state.withLock { _ = $0.frozen.insert(node) } }
    func drain(_ node: NodeName, first: @escaping @Sendable () async throws -> Void) { state.withLock { $0.draining[node] = first } }
    /// No node answers this question for another.
    func forget(_ question: String) { state.withLock { _ = $0.unknown.insert(question) } }
    func age(_ node: NodeName) { state.withLock { _ = $0.older.insert(node) } }
    func heal() { state.withLock { ($0.unreachable, $0.frozen) = ([], []) } }
    func calls(of method: PeerMethod) -> Int { state.withLock { $0.calls[method.rawValue] ?? 0 } }

    func peers(of node: NodeName) -> any VectorPeers { Peers(node: node, board: self) }

    private struct Peers: VectorPeers {
        let node: NodeName
        let board: Switchboard

        func isUsable(_ node: NodeName) -> Bool { true }

        func call(_ node: NodeName, _ method: String, _ message: [UInt8], deadline: Instant) async throws -> [UInt8] {
            let (service, isCut, isFrozen, isOlder) = board.state.withLock { state in
                state.calls[method, default: 0] += 1
                return (
                    state.services[node], state.unreachable.contains(node) || state.unreachable.contains(self.node),
                    state.frozen.contains(node), state.older.contains(node)
                )
            }
            if let first = board.state.withLock({ $0.draining[node] }) {
                try await first()
                throw ApusError(.nodeDraining, "\(node) takes no new requests", retry: .immediately)
            }
            guard let service, !isCut else { throw ApusError(.peerUnavailable, "\(node) cannot be reached") }
            if isFrozen {
                try await service.clock.sleep(until: deadline, tolerance: nil)
                throw ApusError(.deadlineExceeded, "\(node) did not answer in time")
            }
            if board.state.withLock({ $0.unknown.contains { name in (try? QuestionMessage(wireBytes: message))?.question == name } }) {
                throw ApusError(.methodUnknown, "\(node) does not know the question")
            }
            return try await service.answer(isOlder ? method + "/later" : method, message, deadline: deadline)
        }

        func place(replicas: Int, deadline: Instant) async throws -> @Sendable ([ShardID]) -> [ShardPlacement] {
            let nodes = board.state.withLock { $0.services.keys.sorted() }
            return { shards in
                shards.indices.map { shard in
                    ShardPlacement((0..<min(replicas, nodes.count)).map { nodes[(shard + $0) % nodes.count] })
                }
            }
        }
    }
}
