import ApusCatalog
import ApusDatabase
import ApusHTTP
import ApusRuntime
import ApusStore
import ApusTypes
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// `kill -9` of a node at random instants of making and deleting snapshots: every one that is listed is whole, every one that was
/// acknowledged is listed, and no object is left that neither a row names nor an intent gives to the collector.
@Suite("law: a node that is killed while it makes snapshots")
struct SnapshotKillTests {
    static let seed: UInt64 = getenv("APUS_SEED").flatMap { UInt64(String(cString: $0)) } ?? 20_261_122
    static let rounds = LawSize.scaled(6, full: 100)

    @Test("keeps whole snapshots, and leaks nothing")
    func killed() async throws {
        let loops = EventLoops(count: 2)
        let directory = try TemporaryDirectory()
        let data = directory.path + "/data"
        var random = SeededGenerator(seed: Self.seed)
        var node = try await NodeProcess.start(directory: data, loops: loops)
        let vectors = #"{"vectors": {"size": 64, "distance": "Dot"}, "shard_number": 2}"#
        #expect(try await node.send(.put, "/qdrant/collections/c", vectors).status == 200)
        let points = (0..<3000).map { number in
            let vector = (0..<64).map { "\(number % 7 + $0)" }.joined(separator: ",")
            return #"{"id": \#(number), "vector": [\#(vector)], "payload": {"n": \#(number)}}"#
        }
        for start in stride(from: 0, to: 3000, by: 1000) {
            let body = #"{"points": [\#(points[start..<start + 1000].joined(separator: ","))]}"#
            #expect(try await node.send(.put, "/qdrant/collections/c/points", body).status == 200)
        }
        var acknowledged: Set<String> = []
        for round in 0..<Self.rounds {
            let victim = node
            let pause = Duration.milliseconds(Int64.random(in: 20...1500, using: &random))
            let killer = Task {
                try await BootClock().sleep(for: pause)
                await victim.kill()
            }
            while victim.ended == nil {
                // The last request has no answer.
                guard let made = try? await victim.send(.post, "/qdrant/collections/c/snapshots"), made.status == 200,
                    let name = made.body["result"]?["name"]?.asString
                else { break }
                acknowledged.insert(name)
                if acknowledged.count > 5, let old = acknowledged.randomElement() {
                    acknowledged.remove(old)  // it may be gone or not, if this has no answer
                    guard (try? await victim.send(.delete, "/qdrant/collections/c/snapshots/\(old)")) != nil else { break }
                }
            }
            _ = try await killer.value
            node = try await NodeProcess.start(directory: data, loops: loops)
            let listed = try await node.send(.get, "/qdrant/collections/c/snapshots").body["result"]?.asArray ?? []
            let names = Set(listed.compactMap { $0["name"]?.asString })
            #expect(acknowledged.isSubset(of: names), "seed \(Self.seed), round \(round)")
            acknowledged = names
        }
        // Reading one goes through all of its checksums.
        let name = try #require(acknowledged.first, "too little was made to prove anything")
        let body = #"{"location": "file:///snapshots/c/\#(name)"}"#
        let recovered = try await node.send(.put, "/qdrant/collections/copy/snapshots/recover", body)
        #expect(recovered.status == 200, "\(recovered.body)")
        let count = try await node.send(.post, "/qdrant/collections/copy/points/count", "{}")
        #expect(count.body["result"]?["count"] == .integer(3000))
        try await node.stopCleanly()
        try await Self.expectNothingLeaked(data, snapshots: acknowledged.count)
    }

    /// Asks the catalog and the store themselves, once the node has gone.
    private static func expectNothingLeaked(_ data: String, snapshots: Int) async throws {
        let clock = BootClock()
        let deadline = clock.now.advanced(by: .seconds(30))
        let database = try await SQLiteDatabase.open(path: data + "/catalog.sqlite")
        let catalog = try await Catalog.open(database, clock: clock)
        let store = try await DirectoryStore.open(
            data + "/store", cluster: ClusterID(catalog.identity.id), expecting: nil, options: .init(writer: "test", reserve: ByteCount(0)),
            pool: BlockingPool(name: "store", threads: 1, queueLimit: 64), deadline: deadline)
        var keys: [ObjectKey] = []
        for try await object in store.list(deadline: deadline) { keys.append(object.key) }
        #expect(keys.count >= snapshots)
        let unnamed = try await catalog.objects.unnamed(among: keys, leader: nil, deadline: deadline)
        #expect(unnamed == [], "objects that nobody will ever collect but by a sweep")
        await database.close()
    }
}
