import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusStore
import ApusTypes
import PowerLossKit
import Synchronization
import Testing

/// No row ever names a missing object, whatever is paused for however long; and what nothing names goes.
@Suite("object life cycle laws")
struct CollectorLaws {
    struct Lab: Sendable {
        let scratch = Scratch()
        let catalog: Catalog
        let store: any ObjectStore
        let placement: ObjectLogPlacement
        let shard: ShardID

        init(_ kind: StoreKind) async throws {
            let database = try await kind.newDatabase(in: scratch)
            let cluster = ClusterID("c")
            _ = try await DirectoryStore.initialise(scratch.path + "/store", cluster: cluster, store: "s", deadline: soon)
            store = try await DirectoryStore.open(
                scratch.path + "/store", cluster: cluster, options: .init(reserve: ByteCount(0)), deadline: soon)
            placement = ObjectLogPlacement(store: store, intents: ObjectIntents(database: database), node: "n1")
            catalog = try await Catalog.open(database, clock: BootClock())
            catalog.log.attach(placement)
            shard = try await catalog.collections.create("c", configuration: "{}", shardCount: 1, nodes: [["n1"], ["n1"]], deadline: soon)
                .shards[0]
        }

        /// By default nothing is too young for it.
        func collector(intentAge: Duration = .zero, retention: Duration = .zero) -> ObjectCollector {
            var options = ObjectCollector.Options(retention: retention)
            options.intentAge = intentAge
            options.strayAge = .zero
            return ObjectCollector(store: store, intents: catalog.objects, options: options)
        }

        /// Of the log's rows.
        func named() async throws -> [ObjectKey] {
            try await catalog.read([Statement("SELECT object FROM apus.shard_log WHERE object IS NOT NULL")], deadline: soon)[0]
                .map { ObjectKey(try $0.text(0))! }
        }

        func advanceCatalogClock(_ milliseconds: Int64) async throws {
            _ = try await catalog.database.run(
                [Statement("UPDATE apus.clock_offset SET milliseconds = milliseconds + $1", [.integer(milliseconds)])], on: .write,
                deadline: soon)
        }
    }

    @Test("a large operation goes through an object and comes back; its intent is gone", arguments: StoreKind.databases)
    func placed(kind: StoreKind) async throws {
        let lab = try await Lab(kind)
        var random = SeededRandom(seed: 1)
        let operation = random.bytes(500_000)
        _ = try await lab.catalog.log.append(AppendRequest(appends: [.init(shard: lab.shard, operation: operation)]), deadline: soon)
        let named = try await lab.named()
        #expect(named.count == 1)
        #expect(try await lab.catalog.objects.counts(deadline: soon) == (0, 0))
        let records = try await lab.catalog.log.read(
            lab.shard, from: .beginning(of: lab.catalog.incarnation), limit: .mebibytes(10), deadline: soon)
        #expect(records.map(\.operation) == [operation])
        let round = try await lab.collector().collect(watermark: .max, leader: nil, deadline: soon)
        #expect(round.deleted == 0)
        #expect(try await lab.collector().sweep(leader: nil, deadline: soon).deleted == 0)
        #expect(try await listed(lab.store).map(\.key) == lab.named())
    }

    /// Where a writer may be when the collector overtakes it.
    enum Pause: CaseIterable, Sendable { case afterIntent, afterPut }

    @Test(
        "a writer that was paused for longer than the intents' age aborts, and nothing of it is left", arguments: Pause.allCases,
        StoreKind.databases)
    func overtaken(pause: Pause, kind: StoreKind) async throws {
        let lab = try await Lab(kind)
        var random = SeededRandom(seed: 2)
        let key = ObjectKey.random(using: &random)
        let bytes = random.bytes(200_000)
        try await lab.catalog.objects.record(key, by: "n1", deadline: soon)
        if pause == .afterPut { _ = try await lab.store.put(key, deadline: soon, .bytes(bytes)) }

        try await lab.advanceCatalogClock(7_200_000)
        let round = try await lab.collector(intentAge: .seconds(3600)).collect(watermark: .max, leader: nil, deadline: soon)
        #expect(round.deleted == 1)

        if pause == .afterIntent { _ = try await lab.store.put(key, deadline: soon, .bytes(bytes)) }
        let shard = lab.shard
        let outcome = await code {
            try await lab.catalog.transaction(deadline: soon) { transaction in
                try await ObjectIntents.settle([key], in: transaction)
                _ = try await transaction.run(
                    Statement(
                        "INSERT INTO apus.shard_log (shard, seq, object, bytes, digest) VALUES ($1, 1, $2, 200000, $3)",
                        [.integer(shard.value), .text(key.description), .blob(Digest.origin.bytes)]))
            }
        }
        #expect(outcome == .intentLost)
        #expect(try await lab.named().isEmpty)
        _ = try await lab.collector().sweep(leader: nil, deadline: soon)
        #expect(try await listed(lab.store).isEmpty)
    }

    @Test("an intent that is young keeps its object from collector and sweep", arguments: StoreKind.databases)
    func young(kind: StoreKind) async throws {
        let lab = try await Lab(kind)
        var random = SeededRandom(seed: 3)
        let key = ObjectKey.random(using: &random)
        try await lab.catalog.objects.record(key, by: "n1", deadline: soon)
        _ = try await lab.store.put(key, deadline: soon, .bytes([1]))
        let collector = lab.collector(intentAge: .seconds(3600))
        #expect(try await collector.collect(watermark: .max, leader: nil, deadline: soon).deleted == 0)
        #expect(try await collector.sweep(leader: nil, deadline: soon).deleted == 0)
        #expect(try await listed(lab.store).map(\.key) == [key])
    }

    @Test("a dropped object stays until every node has passed its version and the retention is over", arguments: StoreKind.databases)
    func dropped(kind: StoreKind) async throws {
        let lab = try await Lab(kind)
        var random = SeededRandom(seed: 4)
        let key = try await put([1, 2, 3], in: lab.store, &random)
        try await lab.catalog.transaction(deadline: soon) { transaction in
            try await ObjectIntents.drop([key], in: transaction)
            transaction.publish(.setting, key: "x")
        }
        let version = try await lab.catalog.read([Statement("SELECT version FROM apus.feed_head")], deadline: soon)[0][0].integer(0)
        try await lab.advanceCatalogClock(1000)
        let collector = lab.collector(retention: .seconds(600))
        for watermark in [version - 1, version] {
            #expect(try await collector.collect(watermark: watermark, leader: nil, deadline: soon).deleted == 0)
        }
        #expect(try await lab.collector().sweep(leader: nil, deadline: soon).deleted == 0)
        try await lab.advanceCatalogClock(600_000)
        #expect(try await collector.collect(watermark: version - 1, leader: nil, deadline: soon).deleted == 0)
        #expect(try await listed(lab.store).map(\.key) == [key])
        #expect(try await collector.collect(watermark: version, leader: nil, deadline: soon).deleted == 1)
        #expect(try await listed(lab.store).isEmpty)
    }

    @Test("a former leader collects nothing", arguments: StoreKind.databases)
    func fenced(kind: StoreKind) async throws {
        let lab = try await Lab(kind)
        _ = try await lab.catalog.database.run(
            [
                Statement(
                    "INSERT INTO apus.lease (name, holder, epoch, expires_at, renewals) VALUES ('leader', 'n2', 7, 0, 0)"
                        + " ON CONFLICT (name) DO UPDATE SET epoch = 7")
            ], on: .write, deadline: soon)
        var random = SeededRandom(seed: 5)
        _ = try await put([1], in: lab.store, &random)
        let collector = lab.collector()
        #expect(await code { _ = try await collector.collect(watermark: .max, leader: Epoch(6), deadline: soon) } == .leaseStale)
        #expect(await code { _ = try await collector.sweep(leader: Epoch(6), deadline: soon) } == .leaseStale)
        #expect(try await listed(lab.store).count == 1)
        #expect(try await collector.sweep(leader: Epoch(7), deadline: soon).deleted == 1)
    }

    @Test("writers and a hasty collector side by side: every named object is there", arguments: StoreKind.databases)
    func hasty(kind: StoreKind) async throws {
        let lab = try await Lab(kind)
        // The collector goes on until it has overtaken somebody, and the writers until they have written after its end: both outcomes
        // are seen on a machine of any speed.
        let race = Race()
        let written = try await withThrowingTaskGroup(of: Int.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    var random = SeededRandom(seed: UInt64(50 + writer))
                    var done = 0, doneAlone = 0
                    while doneAlone < 3 {
                        let isAlone = race.isOver.load(ordering: .acquiring)
                        let append = LogAppend(shard: lab.shard, operation: random.bytes(70_000))
                        switch await code({ _ = try await lab.catalog.log.append(AppendRequest(appends: [append]), deadline: soon) }) {
                        case nil:
                            done += 1
                            doneAlone += isAlone ? 1 : 0
                        // Overtaken before the commit, or even before the object was put.
                        case .writeAborted, .intentLost:
                            #expect(!isAlone, "nobody was there to overtake it")
                            race.overtaken.add(1, ordering: .relaxed)
                        case let other: Issue.record("unexpected \(String(describing: other))")
                        }
                    }
                    return done
                }
            }
            group.addTask {
                defer { race.isOver.store(true, ordering: .releasing) }
                // An intent is too old as soon as it is there: writers are overtaken at every point of their way.
                var rounds = 0
                while rounds < 60 || race.overtaken.load(ordering: .relaxed) == 0 {
                    _ = try await lab.collector(intentAge: .milliseconds(1)).collect(watermark: .max, leader: nil, deadline: soon)
                    rounds += 1
                }
                return 0
            }
            return try await group.reduce(0, +)
        }
        let named = try await lab.named()
        #expect(named.count == written)
        for key in named { #expect(try await lab.store.read(key, range: nil, deadline: soon).count == 70_000) }
        _ = try await lab.collector().sweep(leader: nil, deadline: soon)
        #expect(try await Set(listed(lab.store).map(\.key)) == Set(named))
    }
}

/// What the writers and the collector of one race know of each other.
private final class Race: Sendable {
    let overtaken = Atomic(0)
    let isOver = Atomic(false)
}
