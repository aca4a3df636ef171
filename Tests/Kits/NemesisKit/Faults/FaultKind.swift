internal import ApusTypes

/// What is done to a cluster, each with what its users were promised for it.
public enum FaultKind: String, Sendable, Hashable, CaseIterable {
    case killNode, freezeNode, restartNode
    case killLeader, freezeLeader
    /// Every path of the node, in both directions.
    case isolateNode
    /// The node's paths to and from the catalog alone, or the balancer alone.
    case cutCatalog, cutBalancer
    /// One path between two nodes: both directions, or what the first sends.
    case cutPath, cutPathOneWay
    case drainNode, addNode, rebalance
    case killPostgres, freezePostgres, restartPostgres
    case fillStore, readOnlyStore, unmountStore, foreignStore, hangStore
    /// Every node and PostgreSQL at once.
    case killAll

    /// Faults of one domain do not happen at the same time: nobody promised to survive two of them.
    public enum Domain: Sendable, Hashable { case node, catalog, store, placement, everything }

    public var domain: Domain {
        switch self {
        case .killNode, .freezeNode, .restartNode, .killLeader, .freezeLeader, .isolateNode, .cutCatalog, .cutBalancer, .cutPath,
            .cutPathOneWay:
            .node
        case .killPostgres, .freezePostgres, .restartPostgres: .catalog
        case .fillStore, .readOnlyStore, .unmountStore, .foreignStore, .hangStore: .store
        case .drainNode, .addNode, .rebalance: .placement
        case .killAll: .everything
        }
    }

    /// What injecting it needs.
    public enum Need: String, Sendable, Hashable, CaseIterable {
        case networkNamespaces = "network namespaces"
        case mounts = "mounts"
    }

    public var need: Need? {
        switch self {
        case .isolateNode, .cutCatalog, .cutBalancer, .cutPath, .cutPathOneWay: .networkNamespaces
        case .fillStore, .readOnlyStore, .unmountStore, .foreignStore, .hangStore: .mounts
        default: nil
        }
    }

    /// How long it lasts, in seconds.
    var hold: ClosedRange<Double> {
        switch self {
        case .killLeader, .freezeLeader: 8...12  // until another leads
        case .killNode, .freezeNode, .isolateNode: 2...14
        case .killPostgres, .freezePostgres: 1...20
        case .cutCatalog, .cutBalancer, .cutPath, .cutPathOneWay: 3...12
        case .fillStore, .readOnlyStore, .unmountStore, .foreignStore, .hangStore: 4...10
        case .killAll: 0.5...3
        case .restartNode, .restartPostgres, .drainNode, .addNode, .rebalance: 0.5...4
        }
    }

    /// What users were promised while it lasts alone, and after it.
    public var promise: Promise {
        var promise = Promise()
        switch self {
        case .killNode, .killLeader:
            promise.mayFailReads = false
            promise.reads = .seconds(6)
            promise.singleReads = .seconds(16)
            promise.writes = .seconds(6)
        case .freezeNode, .freezeLeader, .isolateNode:
            promise.reads = .seconds(6)
            promise.singleReads = .seconds(16)
            promise.writes = .seconds(6)
        case .cutCatalog, .cutBalancer, .cutPath, .cutPathOneWay:
            promise.reads = .seconds(6)
            promise.writes = .seconds(6)
            promise.mayBeDown = false
        case .restartNode, .drainNode, .addNode, .rebalance:
            promise.mayFailReads = false
            promise.mayDisturb = false
            promise.reads = .seconds(6)
            promise.singleReads = .seconds(6)
            promise.writes = .seconds(6)
        case .killPostgres, .freezePostgres, .restartPostgres:
            promise.mayFailReads = false
            promise.mayBeDown = false
            promise.reads = .seconds(6)
            promise.singleReads = .seconds(6)
            promise.writesAfter = .seconds(3)
            promise.writeAnswer = .milliseconds(4250)
        case .fillStore, .readOnlyStore, .unmountStore, .foreignStore, .hangStore:
            promise.mayFailReads = false
            promise.mayBeDown = false
            promise.reads = .seconds(6)
            promise.singleReads = .seconds(6)
            promise.writesAfter = .seconds(5)
            promise.notice = .seconds(5)
        case .killAll: break
        }
        if self == .killLeader || self == .freezeLeader { promise.leader = .seconds(6) }
        return promise
    }
}

/// Bounds; nil where nothing was promised.
public struct Promise: Sendable, Hashable {
    /// Whether a reading of a collection with two replicas may fail, after the balancer's one repetition.
    public var mayFailReads = true
    /// Whether any request may fail or be answered in part.
    public var mayDisturb = true
    /// Longest time without a whole reading of a collection with two replicas, of one with one, and without an acknowledged write to
    /// one with two.
    public var reads: Duration?
    public var singleReads: Duration?
    public var writes: Duration?
    /// Until the first acknowledged write after it was healed.
    public var writesAfter: Duration?
    /// Of a write, whatever the answer: two seconds from a node, of which the balancer asks two, and what it takes to pass that on.
    public var writeAnswer: Duration?
    /// Until another node leads.
    public var leader: Duration?
    /// Until a node that lost its store says that it cannot write.
    public var notice: Duration?
    /// Whether a node may be said to be down.
    public var mayBeDown = true

    /// Of every request that a person waits for, whatever hangs.
    public static let request = Duration.seconds(6)
    /// After the last of an episode's faults was healed, until the cluster is whole.
    public static let whole = Duration.seconds(90)
}
