import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusStore
import ApusTypes
import ApusVectorIndex
import TestKit
import Testing

@testable import ApusVectors

/// A vectors service on a real catalog, as one node has it.
struct TestNode: Sendable {
    let catalog: Catalog
    let service: VectorService
    let clock: any MonotonicClock

    /// When the operations were written that a test makes by itself: 2025-11-21T12:00:00Z.
    static let noon = WallTime(millisecondsSinceEpoch: 1_763_726_400_000)

    var deadline: Instant { clock.now.advanced(by: .seconds(20)) }

    /// Runs `body` with a node on the database, and ends the node's work and closes the database afterwards.
    ///
    /// The catalog is the store too; copies of segments are in `copies`, a directory of the test's own where nil.
    static func with<Value: Sendable>(
        _ database: any Database, options: VectorService.Options = .init(), log: ShardLog.Options = .init(), copies: String? = nil,
        peers: (any VectorPeers)? = nil, _ body: (TestNode) async throws -> Value
    ) async throws -> Value {
        let clock = BootClock()
        var catalogOptions = Catalog.Options()
        catalogOptions.log = log
        let catalog = try await Catalog.open(database, clock: clock, options: catalogOptions)
        let store = CatalogStore(database: database)
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let cache = try await LocalCache.open(
            copies ?? directory.path, of: store, capacity: .gibibytes(1), deadline: clock.now.advanced(by: .seconds(20)))
        let pool = BlockingPool(name: "scan", threads: 2, queueLimit: 1000)
        let objects = ObjectAccess(store: { store }, copies: { cache }, intents: catalog.objects, node: "node-1")
        let models = EmbeddingModels(catalog: catalog, objects: objects, pool: pool)
        let service = VectorService(catalog: catalog, pool: pool, models: models, options: options, objects: objects, peers: peers)
        let node = TestNode(catalog: catalog, service: service, clock: clock)
        let running = Task {  // the test is its owner, and ends it below
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await catalog.run() }
                group.addTask { try await service.run() }
                try await group.waitForAll()
            }
        }
        let result: Result<Value, any Error>
        do {
            try await node.untilLoaded()
            result = .success(try await body(node))
        } catch {
            result = .failure(error)
        }
        running.cancel()
        _ = await running.result
        await database.close()
        return try result.get()
    }

    static func onSQLite<Value: Sendable>(
        _ path: String, options: VectorService.Options = .init(), log: ShardLog.Options = .init(), copies: String? = nil,
        _ body: (TestNode) async throws -> Value
    ) async throws -> Value {
        try await with(try await SQLiteDatabase.open(path: path), options: options, log: log, copies: copies, body)
    }

    /// On a PostgreSQL database, which other nodes may share.
    static func onPostgreSQL<Value: Sendable>(
        _ url: Redacted<String>, options: VectorService.Options = .init(), peers: (any VectorPeers)? = nil,
        _ body: (TestNode) async throws -> Value
    ) async throws -> Value {
        let deadline = BootClock.now.advanced(by: .seconds(20))
        return try await with(
            try await PostgreSQLDatabase.open(url: url, loops: TestLoops.shared, deadline: deadline), options: options, peers: peers,
            body)
    }

    /// Returns when everything that the catalog holds is loaded.
    func untilLoaded() async throws {
        try await eventually("all shards are loaded") { (try? service.collections().allSatisfy(\.isComplete)) == true }
    }
}

/// A directory of its own for a test, removed with all that is in it.
func withTemporaryDirectory<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    let directory = try TemporaryDirectory()
    defer { withExtendedLifetime(directory) {} }
    return try await body(directory.path)
}

extension Point {
    init(_ id: String, _ vector: [Float], _ payload: String? = nil) throws {
        self.init(id: try PointID(id), vector: vector, payload: payload.map { Array($0.utf8) })
    }
}
