import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusStore
import ApusTypes
import ApusVectorIndex
import DatabaseTestKit
import Foundation
import TestKit
import Testing

@testable import ApusVectors

@Suite("sealing")
struct SealingTests {
    /// Seals often, so that a test sees many segments and merges.
    static var eager: VectorService.Options {
        var options = VectorService.Options(threadsPerSearch: 2)
        options.sealInterval = .milliseconds(10)
        options.sealPolicy.points = 40
        options.sealPolicy.leastPoints = 5
        options.sealPolicy.quiet = .milliseconds(200)
        return options
    }

    static func seals(_ node: TestNode) throws -> [SegmentDescription] {
        try node.service.collections().flatMap(\.shards).flatMap(\.segments)
    }

    /// Everything that a client can read, against what it wrote.
    static func check(_ node: TestNode, _ model: [PointID: Point], _ random: inout SeededGenerator) async throws {
        let deadline = node.deadline
        let count = try await node.service.count("c", deadline: deadline)
        #expect(count == model.count)
        var points: [PointID: Point] = [:]
        var next: PointID?
        repeat {
            let page = try await node.service.scroll("c", from: next, limit: 97, with: [.vector, .payload], deadline: deadline)
            for point in page.points { points[point.id] = point }
            next = page.next
        } while next != nil
        #expect(points == model)
        let some = Array(model.keys.sorted().prefix(20)) + [.integer(1_000_000)]
        #expect(try await node.service.points(some, in: "c", deadline: deadline) == some.compactMap { model[$0] })
        let query = random.vector(8)
        var request = SearchRequest(vector: query, limit: 10, isExact: true, projection: [.vector])
        let exact = try await node.service.search(request, in: "c", deadline: deadline).hits
        let best = model.values.map { zip($0.vector, query).reduce(Float(0)) { $0 + $1.0 * $1.1 } }.sorted(by: >).prefix(10)
        #expect(exact.count == min(10, model.count))
        #expect(zip(exact, best).allSatisfy { abs($0.score - $1) < 1e-4 })
        request.isExact = false
        request.filter = .range(PayloadPath("n"), NumberRange(lessThan: 50))
        let wanted = model.values.count { $0.payload.map { String(decoding: $0, as: UTF8.self) }.map { Self.number($0) < 50 } ?? false }
        #expect(try await node.service.search(request, in: "c", deadline: deadline).hits.count == min(10, wanted))
    }

    /// Returns when a node has applied what another has.
    static func untilSame(_ node: TestNode, _ other: TestNode) async throws {
        try await eventually("the node has read the log") {
            try await node.service.collection("c", deadline: node.deadline).shards.map(\.applied)
                == other.service.collection("c", deadline: other.deadline).shards.map(\.applied)
        }
    }

    static func number(_ payload: String) -> Int { Int(payload.drop { !$0.isNumber }.prefix { $0.isNumber }) ?? .max }

    static func write(_ node: TestNode, _ model: inout [PointID: Point], _ random: inout SeededGenerator) async throws {
        let points = (0..<Int.random(in: 1...30, using: &random)).map { _ in
            Point(
                id: .integer(UInt64.random(in: 0..<900, using: &random)), vector: random.vector(8),
                payload: Array(#"{"n":\#(random.next() % 100)}"#.utf8))
        }
        _ = try await node.service.upsert(points, into: "c", deadline: node.deadline)
        for point in points { model[point.id] = point }
        if random.next() % 3 == 0 {
            let gone = Array(Set(model.keys.sorted().filter { _ in random.next() % 8 == 0 }))
            _ = try await node.service.delete(gone, from: "c", deadline: node.deadline)
            for id in gone { model[id] = nil }
        }
        if random.next() % 4 == 0, let id = model.keys.sorted().first {
            let payload = Array(#"{"n":7}"#.utf8)
            _ = try await node.service.update([PointUpdate(id: id, payload: .replace(payload))], in: "c", deadline: node.deadline)
            model[id]?.payload = payload
        }
    }

    @Test("while shards are sealed and merged, and over restarts, every point is what was written last", arguments: [1, 2])
    func model(shards: Int) async throws {
        var random = SeededGenerator(seed: UInt64(shards))
        var model: [PointID: Point] = [:]
        let directory = try TemporaryDirectory()
        for round in 0..<4 {
            let state = (random, model)
            (random, model) = try await TestNode.onSQLite(
                "\(directory.path)/catalog.db", options: Self.eager, copies: directory.path + "/copies"
            ) { node in
                var (random, model) = state
                if round == 0 {
                    _ = try await node.service.createCollection(
                        "c", .init(dimension: 8, metric: .dot, sharding: .init(shards: shards)), deadline: node.deadline)
                }
                try await Self.check(node, model, &random)
                for step in 0..<40 {
                    try await Self.write(node, &model, &random)
                    if step % 10 == 0 { try await Self.check(node, model, &random) }
                }
                try await eventually("all is sealed") { try node.service.collections()[0].shards.allSatisfy { $0.unsealed < 5 } }
                try await Self.check(node, model, &random)
                _ = try await node.catalog.retention.sweep(deadline: node.deadline)
                try await Self.check(node, model, &random)
                return (random, model)
            }
        }
        // What is in segments is not in the log any more.
        let database = try await SQLiteDatabase.open(path: "\(directory.path)/catalog.db")
        let deadline = BootClock.now.advanced(by: .seconds(10))
        let rows = try await database.run(
            [
                Statement("SELECT COUNT(*) FROM apus.shard_log AS l JOIN apus.shard_manifest AS m ON m.shard = l.shard AND l.seq <= m.seq"),
                Statement("SELECT COUNT(*) FROM apus.segment"),
                Statement("SELECT SUM(bytes) FROM apus.shard_head"), Statement("SELECT COALESCE(SUM(bytes), 0) FROM apus.shard_log"),
            ], on: .read, deadline: deadline)
        #expect(try rows[0][0].integer(0) == 0 && rows[1][0].integer(0) >= Int64(shards))
        #expect(try rows[2][0].integer(0) == rows[3][0].integer(0), "unsealed bytes are those of the log")
        await database.close()
    }

    @Test("a segment is not written anew for deaths since the last seal, which would be in it again; after the next seal it is")
    func rotten() async throws {
        let directory = try TemporaryDirectory()
        try await TestNode.onSQLite("\(directory.path)/catalog.db", options: Self.eager, copies: directory.path + "/copies") { node in
            func points(_ numbers: Range<UInt64>) -> [Point] {
                numbers.map { Point(id: .integer($0), vector: [Float($0), 1], payload: nil) }
            }
            _ = try await node.service.createCollection("c", .init(dimension: 2, metric: .euclidean), deadline: node.deadline)
            _ = try await node.service.upsert(points(0..<100), into: "c", deadline: node.deadline)
            try await eventually("all is in one segment") { try Self.seals(node).map(\.living) == [100] }
            let before = try Self.seals(node).map(\.key)
            _ = try await node.service.delete((0..<40).map { .integer($0) }, from: "c", deadline: node.deadline)
            // So often the node looks whether there is something to do.
            try await Task.sleep(for: Self.eager.sealInterval * 100)
            #expect(try Self.seals(node).map(\.key) == before)
            _ = try await node.service.upsert(points(100..<150), into: "c", deadline: node.deadline)
            try await eventually("nothing dead is left") { try Self.seals(node).map(\.rows) == [110] }
        }
    }

    @Test("the time of the last write is the same after a restart, though it is in segments and not in the log any more")
    func lastWrite() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        func time(_ prepare: @escaping @Sendable (TestNode) async throws -> Void) async throws -> WallTime? {
            try await TestNode.onSQLite("\(path)/catalog.db", options: Self.eager, copies: path + "/copies") { node in
                try await prepare(node)
                return try await node.service.collection("c", deadline: node.deadline).updatedAt
            }
        }
        let written = try await time { node in
            _ = try await node.service.createCollection("c", .init(dimension: 1, metric: .dot), deadline: node.deadline)
            _ = try await node.service.upsert(try (0..<60).map { try Point("\($0)", [Float($0)]) }, into: "c", deadline: node.deadline)
            try await eventually("all is sealed") {
                try node.service.collections()[0].shards.allSatisfy { !$0.segments.isEmpty && $0.unsealed == 0 }
            }
            _ = try await node.catalog.retention.sweep(deadline: node.deadline)
        }
        #expect(written != nil)
        #expect(try await time { _ in } == written)
    }

    @Test("objects of segments that were replaced are collected, and no other")
    func collection() async throws {
        var random = SeededGenerator(seed: 3)
        let directory = try TemporaryDirectory()
        let database = try await SQLiteDatabase.open(path: "\(directory.path)/catalog.db")
        try await TestNode.with(database, options: Self.eager) { node in
            _ = try await node.service.createCollection("c", .init(dimension: 8, metric: .dot), deadline: node.deadline)
            var model: [PointID: Point] = [:]
            for _ in 0..<60 { try await Self.write(node, &model, &random) }
            try await eventually("all is in one segment") {
                try Self.seals(node).count == 1 && node.service.collections()[0].shards[0].unsealed < 5
            }
            let store = CatalogStore(database: database)
            var options = ObjectCollector.Options(retention: .zero)
            options.intentAge = .zero
            let collector = ObjectCollector(store: store, intents: node.catalog.objects, options: options)
            try await eventually("only the segments are left") {
                _ = try await collector.collect(watermark: .max, leader: nil, deadline: node.deadline)
                var keys: Set<ObjectKey> = []
                for try await object in store.list(deadline: node.deadline) { keys.insert(object.key) }
                return try keys == Set(Self.seals(node).map(\.key))
            }
            try await Self.check(node, model, &random)
            try await node.service.deleteCollection("c", deadline: node.deadline)
            try await node.catalog.retention.sweep(deletedCollections: .zero, deadline: node.deadline)
            try await eventually("nothing is left") {
                _ = try await collector.collect(watermark: .max, leader: nil, deadline: node.deadline)
                for try await _ in store.list(deadline: node.deadline) { return false }
                return true
            }
        }
    }

    @Test("two nodes on one catalog: one seals, both see the same; one that was away begins with the segments")
    func twoNodes() async throws {
        var random = SeededGenerator(seed: 4)
        let url = try await PostgreSQLServer.shared().newDatabase()
        try await TestNode.onPostgreSQL(url, options: Self.eager) { one in
            _ = try await one.service.createCollection("c", .init(dimension: 8, metric: .dot), deadline: one.deadline)
            var model: [PointID: Point] = [:]
            var idle = Self.eager
            idle.sealInterval = .seconds(3600)
            try await TestNode.onPostgreSQL(url, options: idle) { two in
                for _ in 0..<20 {
                    try await Self.write(one, &model, &random)
                    try await Self.untilSame(two, one)
                    try await Self.check(two, model, &random)
                }
                try await eventually("the other has adopted what one has sealed") {
                    try !Self.seals(one).isEmpty && Self.seals(one).map(\.key) == Self.seals(two).map(\.key)
                }
                try await Self.check(two, model, &random)
            }
            for _ in 0..<20 { try await Self.write(one, &model, &random) }
            try await eventually("all is sealed") { try one.service.collections()[0].shards[0].unsealed < 5 }
            _ = try await one.catalog.retention.sweep(deadline: one.deadline)
            try await TestNode.onPostgreSQL(url, options: idle) { three in
                try await Self.check(three, model, &random)
                #expect(try !Self.seals(three).isEmpty)
            }
        }
    }

    @Test("a shard that has come as far by itself as the segments that it was to begin with goes on from there")
    func ahead() throws {
        let fields = [VectorField(dimension: 1, metric: .dot)]
        func position(_ sequence: Int64, _ digest: Digest) -> LogPosition {
            LogPosition(incarnation: Incarnation(system: 1, timeline: 1, restores: 0), sequence: sequence, digest: digest)
        }
        let shard = Shard(
            id: ShardID(1), number: 0, fields: fields, beginning: position(0, .origin), isNew: true, clock: BootClock())
        var digest = Digest.origin
        for number in 1...3 {
            let change = ShardOperation.Change.upsert([Point(id: .integer(UInt64(number)), vector: [1], payload: nil)])
            let bytes = try ShardOperation(changes: [change]).encoded(at: TestNode.noon, for: fields)
            digest = digest.chained(with: Digest(of: bytes))
            _ = shard.deliver(try EncodedOperation(bytes, fields: fields), at: position(Int64(number), digest))
        }
        shard.begin(with: [], Manifest(version: 1, position: position(2, digest), bytes: 9, segments: []))
        #expect(shard.points == 3 && shard.standing.position.sequence == 3 && shard.manifest == 0)
        shard.begin(with: [], Manifest(version: 1, position: position(4, digest), bytes: 9, segments: []))
        #expect(shard.points == 0 && shard.standing.position.sequence == 4 && shard.manifest == 1)
    }

    @Test(
        "a damaged segment stays so while others are mended or taken over; a manifest that cannot be opened is another matter")
    func damageOfEach() throws {
        let fields = [VectorField(dimension: 1, metric: .dot)]
        func position(_ sequence: Int64) -> LogPosition {
            LogPosition(incarnation: Incarnation(system: 1, timeline: 1, restores: 0), sequence: sequence, digest: .origin)
        }
        let shard = Shard(
            id: ShardID(1), number: 0, fields: fields, beginning: position(0), isNew: true, clock: BootClock())
        func segment(_ number: UInt64) throws -> Segment {
            let builder = SealPlan(burying: PointTable(fields).snapshot()).builder(threads: 1)
            builder.prepare()
            let pieces = builder.finish([], asOf: 2)
            var bytes: [UInt8] = []
            while let piece = pieces.next() { bytes += piece }
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
            memory.copyBytes(from: bytes)
            return try Segment(
                UnsafeRawBufferPointer(memory), key: ObjectKey(high: 0, low: number), fields: fields, owner: Allocation(memory))
        }
        func manifest(_ version: Int64, _ segments: [Segment]) -> Manifest {
            Manifest(
                version: version, position: position(2), bytes: 9,
                segments: segments.map { SegmentRow(object: $0.key, points: 0, size: ByteCount($0.byteCount)) })
        }
        let (rotten, whole) = (try segment(1), try segment(2))
        shard.begin(with: [rotten, whole], manifest(1, [rotten, whole]))
        let error = ApusError(.segmentCorrupt, "segment 1 cannot be read")
        #expect(shard.damage(rotten.key, error) && !shard.damage(rotten.key, error))
        #expect(shard.damagedSegments == [rotten.key] && !shard.answers)
        shard.mend(whole)
        #expect(shard.damagedSegments == [rotten.key] && !shard.answers)
        let third = try segment(3)
        #expect(shard.adopt([rotten, third], manifest(2, [rotten, third]), in: shard.standing.memory))
        #expect(shard.damagedSegments == [rotten.key] && shard.problem?.code == .segmentCorrupt)
        #expect(shard.refuse(ApusError(.segmentUnsupported, "a segment is written in format 9")))
        shard.mend(rotten)
        #expect(shard.damagedSegments.isEmpty && shard.problem?.code == .segmentUnsupported && !shard.answers)
        #expect(shard.adopt([rotten, third], manifest(3, [rotten, third]), in: shard.standing.memory) && shard.answers)
        _ = shard.damage(third.key, error)
        #expect(shard.adopt([rotten], manifest(4, [rotten]), in: shard.standing.memory) && shard.answers)
    }

    private final class Allocation: @unchecked Sendable {  // nobody writes
        private let memory: UnsafeMutableRawBufferPointer
        init(_ memory: UnsafeMutableRawBufferPointer) { self.memory = memory }
        deinit { memory.deallocate() }
    }

    /// Changes one bit of a file.
    static func flip(_ path: String, at offset: Int) throws {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seek(toOffset: UInt64(offset))
        let byte = try #require(try file.read(upToCount: 1)?.first)
        try file.seek(toOffset: UInt64(offset))
        try file.write(contentsOf: [byte ^ 1 << UInt8(offset % 8)])
    }

    static func copies(_ directory: TemporaryDirectory) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path + "/copies").filter { !$0.hasPrefix(".") }.map {
            "\(directory.path)/copies/\($0)"
        }
    }

    /// One shard in one segment.
    static func sealed(_ node: TestNode, _ model: inout [PointID: Point], _ random: inout SeededGenerator) async throws {
        _ = try await node.service.createCollection("c", .init(dimension: 8, metric: .dot), deadline: node.deadline)
        for _ in 0..<40 { try await Self.write(node, &model, &random) }
        try await eventually("all is in one segment") {
            try Self.seals(node).count == 1 && node.service.collections()[0].shards[0].unsealed < 5
        }
    }

    @Test("a bit that flips in a copy of a segment is found before its first use, wherever it is, and the copy fetched again")
    func flippedAtRest() async throws {
        var random = SeededGenerator(seed: 5)
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/catalog.db", copies = "\(directory.path)/copies"
        var model: [PointID: Point] = [:]
        try await TestNode.onSQLite(path, options: Self.eager, copies: copies) { try await Self.sealed($0, &model, &random) }
        let database = try await SQLiteDatabase.open(path: path)
        let store = CatalogStore(database: database)
        var found = 0
        for _ in 0..<200 {
            let file = try #require(try Self.copies(directory).first)
            let size = try #require(try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int)
            try Self.flip(file, at: Int.random(in: 0..<size, using: &random))
            let damaged = try Data(contentsOf: URL(fileURLWithPath: file))
            let deadline = BootClock.now.advanced(by: .seconds(10))
            let cache = try await LocalCache.open(copies, of: store, capacity: .gibibytes(1), deadline: deadline)
            let key = try #require(ObjectKey(URL(fileURLWithPath: file).lastPathComponent))
            _ = try await cache.fetch(key, deadline: deadline)
            if try Data(contentsOf: URL(fileURLWithPath: file)) != damaged { found += 1 }
        }
        #expect(found == 200)
        await database.close()
        try await TestNode.onSQLite(path, options: Self.eager, copies: copies) { try await Self.check($0, model, &random) }
    }

    @Test("a bit that flips in a segment in use is found by the scrub, and the segment fetched again beside searches")
    func flippedInUse() async throws {
        var random = SeededGenerator(seed: 6)
        let directory = try TemporaryDirectory()
        var model: [PointID: Point] = [:]
        var options = Self.eager
        options.scrubInterval = .milliseconds(100)
        try await TestNode.onSQLite("\(directory.path)/catalog.db", options: options, copies: "\(directory.path)/copies") { node in
            try await Self.sealed(node, &model, &random)
            for _ in 0..<10 {
                let segment = try Self.seals(node)[0]
                let file = "\(directory.path)/copies/\(segment.key)"
                let mended = node.service.mendedSegments
                try Self.flip(file, at: Int.random(in: 0..<segment.bytes.bytes, using: &random))
                try await eventually("the copy is another one") { node.service.mendedSegments > mended }
                try await Self.check(node, model, &random)
            }
            #expect(try Self.seals(node).count == 1)
        }
    }

    @Test("a segment that is damaged in the store too is said to be, and its shard is missing until it is restored", arguments: [1, 2])
    func damagedForGood(segments: Int) async throws {
        var random = SeededGenerator(seed: 7)
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/catalog.db", copies = "\(directory.path)/copies"
        var model: [PointID: Point] = [:]
        var options = Self.eager
        options.scrubInterval = .milliseconds(100)
        if segments > 1 { options.sealPolicy.quiet = .seconds(3600) }
        options.sealPolicy.width = 100
        options.sealPolicy.mostDead = 1
        try await TestNode.onSQLite(path, options: options, copies: copies) { node in
            if segments == 1 {
                try await Self.sealed(node, &model, &random)
            } else {
                _ = try await node.service.createCollection("c", .init(dimension: 8, metric: .dot), deadline: node.deadline)
                while try Self.seals(node).count < segments { try await Self.write(node, &model, &random) }
            }
            let key = try Self.seals(node)[0].key
            let mended = node.service.mendedSegments
            let block = Statement("SELECT bytes FROM apus.stored_block WHERE key = $1 AND number = 0", [.text(key.description)])
            let good = try await node.catalog.read([block], deadline: node.deadline)[0][0].blob(0)
            func store(_ bytes: [UInt8]) async throws {
                try await node.catalog.transaction(deadline: node.deadline) {
                    _ = try await $0.run(
                        Statement(
                            "UPDATE apus.stored_block SET bytes = $2 WHERE key = $1 AND number = 0", [.text(key.description), .blob(bytes)])
                    )
                }
            }
            var bad = good
            bad[777] ^= 4
            try await store(bad)
            try Self.flip("\(copies)/\(key)", at: 777)
            let request = SearchRequest(vector: random.vector(8), limit: 3)
            try await eventually("the search says so") {
                do {
                    _ = try await node.service.search(request, in: "c", deadline: node.deadline)
                    return false
                } catch let error as ApusError {
                    return error.code == .segmentCorrupt
                }
            }
            // Whole segments beside it are not its cure, however often they are looked at.
            let scrubbed = BootClock.now.advanced(by: .milliseconds(600))
            while BootClock.now < scrubbed {
                await #expect(throws: ApusError.self) { try await node.service.search(request, in: "c", deadline: node.deadline) }
                _ = try await node.catalog.read([block], deadline: node.deadline)
            }
            #expect(node.service.mendedSegments == mended)
            try await store(good)
            try await eventually("it is found that it is whole again") {
                (try? await node.service.search(request, in: "c", deadline: node.deadline))?.isComplete == true
            }
            #expect(node.service.mendedSegments == mended + 1)
            try await Self.check(node, model, &random)
        }
    }
}
