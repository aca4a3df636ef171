internal import ApusCatalog
internal import ApusMembership
internal import ApusPlacement
internal import ApusTypes

/// Decides what happens to replicas next: a pure function of what the leader has just read, asked again and again.
///
/// The planner says where replicas should be. What it does not know is decided here: a replica whose node is gone is suspended, so that no
/// write waits for it any more; one that leaves on such a node goes after nobody can hear from it any more.
struct ReplicaSteps: Sendable {
    /// How a node stands towards its replicas.
    enum Presence: Sendable, Hashable {
        /// Active, and trusted.
        case here
        /// Suspect, or held in place although it is not there: it is expected back.
        case awaited(isGone: Bool)
        /// Draining.
        case leaving
        /// Gone for longer than it was waited for.
        case lost

        var isGone: Bool {
            switch self {
            case .here, .leaving, .awaited(isGone: false): false
            case .awaited(isGone: true), .lost: true
            }
        }

        /// What the planner may do with the node.
        var planned: PlacementNode.State {
            switch self {
            case .here: .takes
            case .awaited: .keeps
            case .leaving, .lost: .leaves
            }
        }
    }

    struct Step: Sendable, Hashable {
        var change: ReplicaChange
        var why: String
        /// What the planner knew, for the record.
        var candidates: String?
    }

    let steps: [Step]
    let plan: PlacementPlan

    /// - Parameters:
    ///   - factors: replicas that each shard's collection asks for.
    ///   - ended: replicas that were told to stop so long ago that they cannot answer any more.
    ///   - newcomers: replicas that serve, but not for long enough to be reached by all: nobody stops for them yet.
    ///   - movesAtOnce: replicas that may be loading at a time, besides those of shards that nobody serves or too few do.
    ///   - isPaused: no move is begun that only evens loads out; what is begun goes on.
    init(
        shards: [ShardRow], factors: [CollectionID: Int], nodes: [NodeName: Presence], ended: Set<SeenReplica> = [],
        newcomers: Set<SeenReplica> = [], movesAtOnce: Int = .max, isPaused: Bool = false
    ) {
        /// Whether it serves, on a node that may keep it.
        func stays(_ replica: ShardRow.Replica) -> Bool {
            replica.state == .serving && [.here, .awaited(isGone: false)].contains(nodes[replica.node])
        }
        var steps: [Step] = []
        var placed: [PlacementShard] = []
        for shard in shards {
            let factor = max(1, factors[shard.collection] ?? 1)
            func isGone(_ replica: ShardRow.Replica) -> Bool { (nodes[replica.node] ?? .lost).isGone }
            let isServed = shard.replicas.contains { $0.state == .serving && !isGone($0) }
            let successors = shard.replicas.count { stays($0) && !newcomers.contains(SeenReplica(shard, $0)) }
            var replicas: [PlacementShard.Replica] = []
            for replica in shard.replicas {
                let hasEnded = ended.contains(SeenReplica(shard, replica))
                switch (replica.state, isGone(replica)) {
                case (.serving, true), (.retiring, true):
                    steps.append(Step(shard, replica, to: .suspended, "its node is gone: no write is to wait for it"))
                case (.suspended, _) where hasEnded:
                    steps.append(Step(shard, replica, to: .loading, "its node is gone: it loads when that returns"))
                case (.leaving, true) where hasEnded: steps.append(Step(shard, replica, to: nil, "it was to leave, and its node is gone"))
                case (.retiring, false) where successors >= factor:
                    steps.append(Step(shard, replica, to: .leaving, "another one serves in its place"))
                default: break
                }
                // Of those that go the planner knows nothing. A shard that nobody serves, or only who waits to stop, is placed anew at once;
                // else who is awaited keeps its place.
                if replica.state == .leaving || replica.state == .retiring || isGone(replica) && !isServed { continue }
                replicas.append(.init(on: replica.node, replica.state == .serving && !isGone(replica) ? .serving : .loading))
            }
            placed.append(PlacementShard(shard.id, replicationFactor: factor, replicas: replicas))
        }
        plan = PlacementPlan(
            shards: placed,
            nodes: nodes.map { PlacementNode($0, state: $1.planned) })

        let byID = Dictionary(shards.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var room = movesAtOnce
        for replica in shards.lazy.flatMap(\.replicas) where replica.state == .loading && !(nodes[replica.node] ?? .lost).isGone {
            room -= 1
        }
        for change in plan.changes {
            guard let shard = byID[change.shard] else { continue }
            let present = shard.replicas.first { $0.node == change.node }
            switch change.action {
            case .add:
                // Where it was to go serves, if only since a moment: what the planner would even out by it comes after the move.
                if present?.state == .retiring, shard.replicas.count(where: stays) < max(1, factors[shard.collection] ?? 1) {
                    steps.append(Step(shard, change.node, from: .retiring, to: .serving, "it stays: where it was to go it cannot"))
                }
                guard present == nil, change.urgency <= .short || room > 0, !(isPaused && change.urgency == .balance) else { continue }
                room -= 1
                let add = ReplicaChange(shard.id, on: change.node, from: [nil], to: .loading)
                steps.append(Step(change: add, why: "\(change.reason)", candidates: plan.explanation(of: shard.id).map { "\($0)" }))
            case .drop:
                guard let present, present.state != .leaving else { continue }
                let others = shard.replicas.filter { $0.node != change.node && $0.state == .serving && !(nodes[$0.node] ?? .lost).isGone }
                let settled = others.count { !newcomers.contains(SeenReplica(shard, $0)) }
                if present.state.answers, settled < others.count, settled < max(1, factors[shard.collection] ?? 1) { continue }
                // One that nobody asks is gone at once; the others are told first.
                let state: ReplicaState? = present.state == .loading ? nil : .leaving
                let drop = ReplicaChange(shard.id, on: change.node, from: [present.state], to: state)
                steps.append(Step(change: drop, why: "\(change.reason)", candidates: plan.explanation(of: shard.id).map { "\($0)" }))
            }
        }
        self.steps = steps
    }
}

/// A replica in a state in which the leader has seen it.
struct SeenReplica: Sendable, Hashable {
    var shard: ShardID
    var node: NodeName
    var state: ReplicaState

    init(_ shard: ShardRow, _ replica: ShardRow.Replica) {
        self.shard = shard.id
        node = replica.node
        state = replica.state
    }
}

extension ReplicaSteps.Step {
    fileprivate init(_ shard: ShardRow, _ replica: ShardRow.Replica, to state: ReplicaState?, _ why: String) {
        self.init(shard, replica.node, from: replica.state, to: state, why)
    }

    fileprivate init(_ shard: ShardRow, _ node: NodeName, from: ReplicaState, to state: ReplicaState?, _ why: String) {
        change = ReplicaChange(shard.id, on: node, from: [from], to: state)
        self.why = why
    }
}
