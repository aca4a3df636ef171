import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import NodeProcessKit
import Synchronization
import TestKit
import Testing

/// The eight suites that Vectorizer's deployment guide lists, under its names, one after the other on one cluster of three real nodes. Each leaves
/// three nodes that are active and the collections that it made.
@Suite("the guide's suites", .serialized)
enum GuideSuites {}

/// Three nodes on a PostgreSQL of their own.
final class GuideCluster: Sendable {
    static let shared = Task { try await GuideCluster() }

    let server: PostgreSQLServer
    private let cluster: ProcessCluster
    private let running = Mutex<[Int: NodeProcess]>([:])

    private init() async throws {
        server = try await PostgreSQLServer.start()
        cluster = try await ProcessCluster(on: server)
        let nodes = try await cluster.start(nodes: 3)
        running.withLock { running in for (number, node) in nodes.enumerated() { running[number] = node } }
    }

    /// The three, in their order.
    var nodes: [NodeProcess] { running.withLock { running in running.sorted { $0.key < $1.key }.map(\.value) } }

    subscript(number: Int) -> NodeProcess { running.withLock { $0[number]! } }  // only nodes that a test has started are asked for

    /// Starts nodes, again too; returns when all see them active.
    func start(_ numbers: Int...) async throws {
        for number in numbers {
            let node = try await cluster.start(number)
            running.withLock { $0[number] = node }
        }
        try await settle()
    }

    /// Returns when every node that runs sees those and no others, all active.
    func settle() async throws { try await cluster.settle(nodes) }

    /// So that loads are those of what comes next.
    func deleteCollections() async throws {
        for collection in try await self[0].send(.get, "/collections").body["collections"]?.asArray ?? [] {
            _ = try await self[0].send(.delete, "/collections/\(collection["name"]?.asString ?? "")")
        }
    }

    func forget(_ number: Int) { running.withLock { $0[number] = nil } }

    /// How many shards each node serves.
    func loads() async throws -> [String: Int64] {
        let counts = try await self[0].send(.get, "/api/v1/cluster/shard-distribution").body["shards_per_node"]?.asObject ?? [:]
        return Dictionary(counts.map { ($0.key, $0.value.asInteger ?? 0) }, uniquingKeysWith: { first, _ in first })
    }

    func settleReplicas(of name: String, at factor: Int) async throws {
        try await eventually(within: 60, "every shard of \(name) has \(factor) serving replicas") {
            try await self[0].distinctReplicas(of: name) == [factor]
        }
    }
}

extension NodeProcess {
    func count(_ name: String) async throws -> Int64? { try await send(.get, "/collections/\(name)").body["vector_count"]?.asInteger }

    func points(perShardOf name: String) async throws -> [Int64] {
        let body = try await send(.get, "/collections/\(name)?detail=true").body
        return (body["shards"]?.asArray ?? []).map { $0["vector_count"]?.asInteger ?? -1 }
    }

    /// Inserts points `numbers`, as `insert(_:into:)` does, in one request.
    func insert(_ numbers: some Sequence<Int>, into name: String) async throws -> Int {
        let points = numbers.map { #"{"id":"p\#($0)","vector":[\#($0 * 10),1]}"# }.joined(separator: ",")
        return try await send(.post, "/insert_vectors", #"{"collection":"\#(name)","vectors":[\#(points)]}"#).status
    }
}

/// Searches and inserts, through some nodes in turn, as long as something is done to the cluster.
struct Meanwhile {
    var searches = 0
    var incomplete = 0
    /// Statuses other than 200, and what else was wrong.
    var problems: [String] = []
    var acknowledged: [Int] = []
    var refused = 0

    /// Inserts `first` and those after it into `name`, and searches what is there, while `body` runs.
    static func during(
        _ nodes: [NodeProcess], _ name: String, first: Int, known: Int, _ body: () async throws -> Void
    ) async throws -> Meanwhile {
        let work = Task {
            var seen = Meanwhile()
            var turn = 0
            do {
                while true {
                    try await seen.work(nodes[turn % nodes.count], name, number: first + turn, known: turn % known)
                    turn += 1
                }
            } catch is CancellationError {
                return seen
            }
        }
        do { try await body() } catch {
            work.cancel()
            throw error
        }
        work.cancel()
        return try await work.value
    }

    private mutating func work(_ node: NodeProcess, _ name: String, number: Int, known: Int) async throws {
        if try await node.insert(number, into: name) == 200 { acknowledged.append(number) } else { refused += 1 }
        let found = try await node.search(known, in: name)
        searches += 1
        if found.status != 200 { problems.append("\(found)") }
        if !found.isComplete { incomplete += 1 } else if found.nearest != "p\(known)" { problems.append("missed \(known): \(found)") }
    }
}
