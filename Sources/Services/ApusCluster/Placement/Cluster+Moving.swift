internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes

/// A replica that somebody has moved, or would.
public struct ShardMove: Sendable, Hashable {
    public var shard: ShardID
    public var from: NodeName
    public var to: NodeName
    /// What is moved then to even the loads out.
    public var follows: [ReplicaMove]
}

extension Cluster {
    /// Has `to` serve a shard in the place of `from` (of its only node where nil), which serves until then. `isTrial`: changes nothing.
    ///
    /// Throws `collection.unknown`, `shard.unknown`, `node.unknown`, `node.unavailable` for a node that is given nothing, `shard.in_place` where it has the
    /// shard, `request.invalid` naming `from`, and `rebalance.busy` while as many replicas load as may.
    public func moveShard(
        _ number: Int, of collection: CollectionID, from source: NodeName?, to target: NodeName, by person: String, isTrial: Bool = false,
        deadline: Instant
    ) async throws -> ShardMove {
        var input = try await placementInput(deadline: deadline)
        guard let shards = input.followed.collections[collection]?.shards else {
            throw ApusError(.collectionUnknown, "the collection is gone", hint: "apus collection list")
        }
        guard let shard = shards.first(where: { $0.number == number }) else {
            throw ApusError(.shardUnknown, "it has no shard \(number): its shards are 0 to \(shards.count - 1)", hint: "apus shard list")
        }
        guard let presence = input.nodes[target] else { throw Self.unknown(target) }
        guard !shard.replicas.contains(where: { $0.node == target }) else {
            throw ApusError(.shardInPlace, "\(target) has a replica of the shard already", hint: "apus shard list")
        }
        let source = try Self.source(of: shard, source)
        guard presence == .here else {
            throw ApusError(
                .nodeUnavailable, "\(target) is given nothing: it is suspect, down, leaving or no worker", hint: "apus node list")
        }
        let loading = input.shards.reduce(0) { sum, shard in
            sum + shard.replicas.count { $0.state == .loading && input.nodes[$0.node]?.isGone == false }
        }
        guard loading < options.movesAtOnce else {
            throw ApusError(.rebalanceBusy, "\(loading) replicas are loading, which is as many as may (membership.moves_at_once)")
        }
        let changes = [
            ReplicaChange(shard.id, on: target, from: [nil], to: .loading),
            ReplicaChange(shard.id, on: source, from: [.serving], to: .retiring),
        ]
        if !isTrial {
            guard try await catalog.shards.change(changes, deadline: deadline).count == changes.count else {
                throw ApusError(.writeAborted, "the shard's replicas changed meanwhile", hint: "apus shard list")
            }
            log.notice("a shard is moved", ["shard": shard.id.description, "from": source.rawValue, "to": target.rawValue, "by": person])
            let inputs = JSONValue.object(["by": .string(person), "from": .string(source.rawValue), "to": .string(target.rawValue)])
            try await catalog.records.add(
                .decision, subject: "shard \(shard.id)", summary: "\(target): loading, \(source): retiring, because \(person) said so",
                inputs: inputs.description, deadline: deadline)
        }
        // What the balance makes of it when it is done.
        if let index = input.shards.firstIndex(where: { $0.id == shard.id }) {
            input.shards[index].replicas.removeAll { $0.node == source }
            input.shards[index].replicas.append(.init(node: target, state: .serving))
        }
        let after = try await planning.run(deadline: deadline) { [input] in RebalancePlan(input) }
        return ShardMove(shard: shard.id, from: source, to: target, follows: after.pause == nil ? after.planned : [])
    }

    private static func source(of shard: ShardRow, _ named: NodeName?) throws(ApusError) -> NodeName {
        let serving = shard.replicas.filter { $0.state == .serving }.map(\.node)
        func refuse(_ text: String) -> ApusError {
            ApusError(
                .requestInvalid, "'from': \(text)", hint: "name it with --from; 'apus shard list' shows who serves what",
                context: ["field": "from"])
        }
        if let named {
            guard serving.contains(named) else { throw refuse("\(named) does not serve the shard, or gives it up already") }
            return named
        }
        guard serving.count <= 1 else {
            throw refuse("several nodes serve the shard: say which (\(serving.map(\.rawValue).joined(separator: ", ")))")
        }
        guard let only = serving.first else { throw refuse("no node serves the shard now") }
        return only
    }
}
