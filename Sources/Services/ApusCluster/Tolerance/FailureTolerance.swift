public import ApusTypes

/// Which single losses the cluster survives, which it does not, and why: a pure function of where everything is.
///
/// Nodes hold nothing that cannot be rebuilt, so what a loss costs is decided by what else is on the machine: the catalog, the store, the
/// only replica of a shard, the only node that may lead. What protects a catalog or a store outside of the nodes is theirs and not known here.
public struct FailureTolerance: Sendable, Hashable {
    /// Where the catalog or the store is.
    public enum Place: Sendable, Hashable {
        /// On the machine of this node.
        case node(NodeName)
        /// Elsewhere: `PostgreSQL at db:5432`, `/mnt/shared`.
        case outside(String)
        /// On a disk of a machine that all nodes are on.
        case sharedMachine
    }

    public struct Node: Sendable, Hashable {
        public var name: NodeName
        public var isManager: Bool
        public var isWorker: Bool

        public init(_ name: NodeName, isManager: Bool = true, isWorker: Bool = true) {
            self.name = name
            self.isManager = isManager
            self.isWorker = isWorker
        }
    }

    public enum Outcome: String, Sendable, Hashable {
        /// Nothing is missing, no request fails for long.
        case survived
        /// Something waits or is missing until other nodes have taken over; nothing acknowledged is lost.
        case interrupted
        /// Nothing takes over: what is on the machine has to come back.
        case lost
    }

    public struct Loss: Sendable, Hashable {
        public var node: NodeName
        public var outcome: Outcome
        /// Why; empty where nothing happens.
        public var reasons: [String]
    }

    /// How many nodes may be lost, whichever they are, and everything acknowledged is there and is served again without them.
    public let nodes: Int
    /// What bounds `nodes`.
    public let reason: String
    /// What the loss of each one costs, by name.
    public let losses: [Loss]

    /// `nodes`: those that are there. `serving`: for each shard the nodes that answer for it.
    public init(nodes: [Node], catalog: Place, store: Place, serving: [[NodeName]]) {
        let nodes = nodes.sorted { $0.name < $1.name }
        let managers = nodes.filter(\.isManager)
        let workers = nodes.filter(\.isWorker)
        var alone: [NodeName: Int] = [:]
        for replicas in serving where replicas.count == 1 { alone[replicas[0], default: 0] += 1 }

        losses = nodes.map { node in
            var reasons: [(Outcome, String)] = []
            let held = [(catalog, "catalog"), (store, "store")].filter { $0.0 == .node(node.name) }.map(\.1)
            if !held.isEmpty {
                let what = held.count == 1 ? "the \(held[0]) is" : "catalog and store are"
                reasons.append((.lost, "\(what) on it: no writes until it is back, and its disk has no copy"))
            }
            if node.isWorker, workers.count == 1 { reasons.append((.lost, "nobody else serves data")) }
            if node.isManager, managers.count == 1, nodes.count > 1 {
                reasons.append((.interrupted, "nobody else may lead: nothing is placed elsewhere while it is gone"))
            }
            if let count = alone[node.name], workers.count > 1 {
                reasons.append(
                    (.interrupted, "\(count) \(count == 1 ? "shard is" : "shards are") missing from searches until others have loaded them")
                )
            }
            let outcomes = Set(reasons.map(\.0))
            let outcome: Outcome = outcomes.contains(.lost) ? .lost : outcomes.contains(.interrupted) ? .interrupted : .survived
            return Loss(node: node.name, outcome: outcome, reasons: reasons.map(\.1))
        }

        (self.nodes, reason) = Self.bound(catalog, store, managers: managers.count, workers: workers)
    }

    private static func bound(_ catalog: Place, _ store: Place, managers: Int, workers: [Node]) -> (Int, String) {
        switch (catalog, store) {
        case (.node(let one), .node(let other)) where one == other: return (0, "catalog and store are on \(one)")
        case (.node(let name), .sharedMachine): return (0, "the catalog is on \(name), and all nodes share one machine's disk")
        case (.node(let name), _): return (0, "the catalog is on \(name)")
        case (_, .node(let name)): return (0, "the store is on \(name)")
        case (.sharedMachine, _), (_, .sharedMachine): return (0, "all nodes share the disk of one machine")
        case (.outside(let catalog), .outside(let store)):
            let safety =
                catalog == store
                ? "the catalog (\(catalog)) is as safe as it is by itself"
                : "the catalog (\(catalog)) and the store (\(store)) are as safe as they are by themselves"
            if workers.count <= 1 { return (0, workers.first.map { "\($0.name) alone serves data" } ?? "no node serves data") }
            if managers <= 1 { return (0, managers == 0 ? "no node may lead" : "one node alone may lead") }
            return (min(workers.count, managers) - 1, "nodes keep nothing of their own; \(safety)")
        }
    }

    /// `0: catalog and store are on n1`.
    public var summary: String { "\(nodes): \(reason)" }
}
