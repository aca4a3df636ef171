import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusStore
import ApusTypes
import PowerLossKit

/// Programs whose files are recorded, and that mark what they would have told a client.
enum Victims {
    private static var soon: Instant { BootClock.now.advanced(by: .seconds(120)) }

    /// Puts, and deletes a tenth again, from three tasks at a time. Marks: `put SEED` when acknowledged, `delete SEED` before.
    static func objects(root: String, journal: String, count: UInt64) async throws {
        try Recorder.record(root, to: journal)
        let identity = try await DirectoryStore.initialise(root + "/store", cluster: "c", store: "s", deadline: soon)
        let store = try await DirectoryStore.open(
            root + "/store", cluster: identity.cluster, options: .init(reserve: ByteCount(0)), deadline: soon)
        Recorder.mark("ready")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<3 as Range<UInt64> {
                group.addTask {
                    for number in 0..<count where number % 3 == writer {
                        let key = ObjectKey(high: number &* 0x9E37_79B9_7F4A_7C15, low: number)
                        _ = try await store.put(key, deadline: soon, .bytes(PowerLossWorkload.object(number)))
                        Recorder.mark("put \(number)")
                        guard number % 10 == 9 else { continue }
                        Recorder.mark("delete \(number)")
                        try await store.delete(key, deadline: soon)
                    }
                }
            }
            try await group.waitForAll()
        }
        print("done")
    }

    /// Makes a catalog with a collection, and appends to its two shards from four tasks at a time. Marks: `opened CLUSTER`, `created`, and
    /// `append SHARD SEQUENCE DIGEST SEED` when acknowledged.
    static func catalog(root: String, journal: String, count: UInt64) async throws {
        try Recorder.record(root, to: journal)
        let database = try await SQLiteDatabase.open(path: root + "/catalog.db")
        let catalog = try await Catalog.open(database, clock: BootClock())
        Recorder.mark("opened \(catalog.identity.id)")
        let shards = try await catalog.collections.create("c", configuration: "{}", shardCount: 2, nodes: [["n1"], ["n1"]], deadline: soon)
            .shards
        Recorder.mark("created")
        Recorder.mark("ready")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<4 as Range<UInt64> {
                group.addTask {
                    for number in 0..<count where number % 4 == writer {
                        let shard = shards[Int(number / 4 % 2)]
                        let append = LogAppend(shard: shard, operation: PowerLossWorkload.operation(number))
                        let outcome = try await catalog.log.append(AppendRequest(appends: [append]), deadline: soon)
                        guard let position = outcome.positions[shard] else { throw ApusError(.internalError, "no position") }
                        Recorder.mark("append \(shard) \(position.sequence) \(position.digest) \(number)")
                    }
                }
            }
            try await group.waitForAll()
        }
        await database.close()
        print("done")
    }
}
