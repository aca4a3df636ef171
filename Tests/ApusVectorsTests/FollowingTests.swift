import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusTypes
import ApusVectorIndex
import DatabaseTestKit
import TestKit
import Testing

@testable import ApusVectors

@Suite("following the log")
struct FollowingTests {
    /// All points with their vectors, payloads and versions, by a search that is wide enough.
    static func contents(_ node: TestNode, _ name: CollectionName, dimension: Int) async throws -> [SearchHit] {
        try await node.service.search(
            SearchRequest(vector: [Float](repeating: 1, count: dimension), limit: .max, projection: [.vector, .payload]), in: name,
            deadline: node.deadline
        ).hits
    }

    @Test("two nodes on one PostgreSQL catalog see each other's collections, points and deletions")
    func twoNodes() async throws {
        let url = try await PostgreSQLServer.shared().newDatabase()
        try await TestNode.onPostgreSQL(url) { one in
            try await TestNode.onPostgreSQL(url) { two in
                _ = try await one.service.createCollection("c", .init(dimension: 4, sharding: .init(shards: 3)), deadline: one.deadline)
                // The second node has not heard of it, or has just: it looks before it says no.
                #expect(try await two.service.collection("c", deadline: two.deadline).configuration.dimension == 4)
                var random = SeededGenerator(seed: 1)
                for round in 0..<20 {
                    let (writer, reader) = round % 2 == 0 ? (one, two) : (two, one)
                    let points = try (0..<30).map { try Point("p\($0 + round)", random.vector(4), #"{"round":\#(round)}"#) }
                    _ = try await writer.service.upsert(points, into: "c", deadline: writer.deadline)
                    #expect(try await writer.service.points(points.map(\.id), in: "c", deadline: writer.deadline) == points)
                    try await eventually("the other node has the points") {
                        try await reader.service.points(points.map(\.id), in: "c", deadline: reader.deadline) == points
                    }
                }
                let outcome = try await two.service.delete(
                    matching: .range(PayloadPath("round"), .init(atMost: 15)), from: "c", deadline: two.deadline)
                #expect(outcome.affected > 0)
                try await eventually("both have the same") {
                    let (first, second) = (try await Self.contents(one, "c", dimension: 4), try await Self.contents(two, "c", dimension: 4))
                    return first == second
                        && first.allSatisfy { String(decoding: $0.point.payload ?? [], as: UTF8.self).hasPrefix(#"{"round":1"#) }
                }
                try await one.service.deleteCollection("c", deadline: one.deadline)
                try await eventually("the other node has forgotten it") { try two.service.collections().isEmpty }
                _ = try await two.service.createCollection("c", .init(dimension: 2), deadline: two.deadline)
                try await eventually("the new one of the same name is known") {
                    try await one.service.collection("c", deadline: one.deadline).configuration.dimension == 2
                }
            }
        }
    }

    @Test("a point that another node has just acknowledged is read, updated and deleted, though this node has not looked since")
    func readYourWrites() async throws {
        let url = try await PostgreSQLServer.shared().newDatabase()
        var options = VectorService.Options()
        options.lookInterval = .seconds(3600)
        options.maximumAge = .seconds(3600)
        try await TestNode.onPostgreSQL(url) { one in
            try await TestNode.onPostgreSQL(url, options: options) { two in
                _ = try await one.service.createCollection("c", .init(dimension: 1, sharding: .init(shards: 3)), deadline: one.deadline)
                #expect(try await two.service.points([.integer(1)], in: "c", deadline: two.deadline).isEmpty)
                func write(_ id: UInt64) async throws -> Point {
                    let point = Point(id: .integer(id), vector: [1], payload: Array(#"{"n":\#(id)}"#.utf8))
                    _ = try await one.service.upsert([point], into: "c", deadline: one.deadline)
                    return point
                }
                let point = try await write(1)
                #expect(try await two.service.points([point.id], in: "c", deadline: two.deadline) == [point])
                let update = PointUpdate(id: try await write(2).id, payload: .clear)
                #expect(try await two.service.update([update], in: "c", deadline: two.deadline).affected == 1)
                #expect(try await two.service.delete([write(3).id], from: "c", deadline: two.deadline).affected == 1)
                _ = try await write(4)
                func named(_ number: Int64) -> Filter { .equals(PayloadPath("n"), .integer(number)) }
                #expect(
                    try await two.service.update(matching: named(4), with: [.clear], in: "c", deadline: two.deadline).affected == 1)
                _ = try await write(5)
                #expect(try await two.service.delete(matching: named(5), from: "c", deadline: two.deadline).affected == 1)
                // What is nowhere is not found, and a collection that was deleted over there is unknown.
                let none = try await two.service.delete([.integer(9)], from: "c", deadline: two.deadline)
                #expect(none.errors.map { $0?.code } == [.pointUnknown])
                try await one.service.deleteCollection("c", deadline: one.deadline)
                let error = await #expect(throws: ApusError.self) {
                    try await two.service.points([.integer(9)], in: "c", deadline: two.deadline)
                }
                #expect(error?.code == .collectionUnknown)
            }
        }
    }

    @Test("a write to a collection that was deleted and made anew on another node is not told that there is none")
    func madeAnew() async throws {
        try await withTemporaryDirectory { directory in
            let database = try await SQLiteDatabase.open(path: "\(directory)/catalog.db")
            var options = VectorService.Options()
            options.lookInterval = .seconds(3600)
            try await TestNode.with(database, options: options) { node in
                _ = try await node.service.createCollection("c", .init(dimension: 1), deadline: node.deadline)
                let before = try await node.service.find("c", deadline: node.deadline)
                try await node.catalog.collections.delete("c", deadline: node.deadline)
                let anew = try await node.catalog.collections.create(
                    "c", configuration: CollectionConfiguration(dimension: 1).json, shardCount: 1, deadline: node.deadline)
                func write(to collection: LoadedCollection) async throws {
                    let write = Write(operations: [(collection.shards[0], ShardOperation(changes: [.delete([.integer(1)])]))])
                    _ = try await node.service.commit(write, to: collection, deadline: node.deadline)
                }
                let error = await #expect(throws: ApusError.self) { try await write(to: before) }
                #expect(error?.code == .writeAborted && error?.retry == .immediately)
                let after = try await node.service.find("c", deadline: node.deadline)
                #expect(after.id == anew.id)
                try await node.catalog.collections.delete("c", deadline: node.deadline)
                let gone = await #expect(throws: ApusError.self) { try await write(to: after) }
                #expect(gone?.code == .collectionUnknown)
            }
        }
    }

    @Test("a memory that was begun anew takes nothing that was found for the one before")
    func rebuiltMeanwhile() throws {
        let incarnation = Incarnation(system: 1, timeline: 1, restores: 0)
        let clock = BootClock()
        let shard = Shard(
            id: ShardID(1), number: 0, fields: [VectorField(dimension: 1, metric: .dot)], beginning: .beginning(of: incarnation),
            isNew: false, clock: clock)
        let operation = ShardOperation(changes: [.upsert([try Point("a", [1])])]).encoded(
            at: TestNode.noon, for: [VectorField(dimension: 1, metric: .dot)])
        let record = LogRecord(
            shard: shard.id, sequence: 1, digest: Digest.origin.chained(with: Digest(of: operation)), operation: operation)
        let before = shard.standing.memory
        shard.startAnew(at: .beginning(of: incarnation))
        try shard.apply([record], of: incarnation, to: before)
        shard.isCurrent(before, asOf: clock.now)
        #expect(shard.standing.position.sequence == 0 && shard.points == 0 && shard.lookedAt.value == 0)
        #expect(throws: ApusError.self) { try shard.table() }
        let memory = shard.standing.memory
        try shard.apply([record], of: incarnation, to: memory)
        shard.isCurrent(memory, asOf: clock.now)
        #expect(try shard.table().count == 1)
        #expect(shard.lastChange == TestNode.noon)
    }

    @Test("a write whose number the memory has for another operation is not shown before the log was looked at again")
    func toldOfAnotherHistory() throws {
        let fields = [VectorField(dimension: 1, metric: .dot)]
        let incarnation = Incarnation(system: 1, timeline: 1, restores: 0)
        let clock = BootClock()
        let shard = Shard(
            id: ShardID(1), number: 0, fields: fields, beginning: .beginning(of: incarnation), isNew: true, clock: clock)
        var places: [LogPosition] = [.beginning(of: incarnation)]
        func operation(_ number: Int) throws -> EncodedOperation {
            let change = ShardOperation.Change.upsert([Point(id: .integer(UInt64(number)), vector: [1], payload: nil)])
            return try EncodedOperation(ShardOperation(changes: [change]).encoded(at: TestNode.noon, for: fields), fields: fields)
        }
        let operations = try (0...100).map(operation)
        for number in 1...100 {
            let digest = places[number - 1].digest.chained(with: Digest(of: operations[number].bytes))
            places.append(LogPosition(incarnation: incarnation, sequence: Int64(number), digest: digest))
            _ = shard.deliver(operations[number], at: places[number])
        }
        func isDoubted(_ position: LogPosition, _ operation: EncodedOperation?) -> Bool {
            shard.isCurrent(shard.standing.memory, asOf: clock.now)
            guard case .doubtful = shard.deliver(operation, at: position) else { return shard.lookedAt.value == 0 }
            return shard.lookedAt.value == 0
        }
        for number in [60, 100] {
            #expect(!isDoubted(places[number], operations[number]))
            #expect(!isDoubted(places[number], nil))
            var other = places[number]
            other.digest = other.digest.chained(with: .origin)
            #expect(isDoubted(other, operations[number]))
            #expect(isDoubted(other, nil))
        }
        #expect(isDoubted(places[3], operations[3]), "too long ago to tell")
    }

    @Test("while the catalog is away reads go on and say how old they are, and writes are refused without being tried")
    func catalogAway() async throws {
        try await withTemporaryDirectory { directory in
            let database = RemovableDatabase(try await SQLiteDatabase.open(path: "\(directory)/catalog.db"))
            try await TestNode.with(database) { node in
                let service = node.service
                _ = try await service.createCollection("c", .init(dimension: 1, metric: .dot), deadline: node.deadline)
                _ = try await service.upsert([Point("a", [1], #"{"n":1}"#)], into: "c", deadline: node.deadline)
                func search() async throws -> SearchResult {
                    try await service.search(SearchRequest(vector: [1], limit: 1), in: "c", deadline: node.deadline)
                }
                #expect(try await search().isStale == false)
                #expect(service.staleness == nil)
                database.isAway = true
                let left = node.clock.now
                try await eventually("it is known") { service.isCatalogAway }
                let writes = database.writes
                let unknown = PointID.integer(9)
                let attempts: [@Sendable () async throws -> Void] = [
                    { _ = try await service.upsert([Point("b", [1])], into: "c", deadline: node.deadline) },
                    { _ = try await service.delete([PointID("a")], from: "c", deadline: node.deadline) },
                    { _ = try await service.update([PointUpdate(id: PointID("a"), payload: .clear)], in: "c", deadline: node.deadline) },
                    { _ = try await service.delete(matching: .hasID([unknown]), from: "c", deadline: node.deadline) },
                    { _ = try await service.update(matching: .everything, with: [.clear], in: "c", deadline: node.deadline) },
                    { _ = try await service.createCollection("d", .init(dimension: 1), deadline: node.deadline) },
                    { try await service.deleteCollection("c", deadline: node.deadline) },
                    // What this node does not know it cannot deny either.
                    { _ = try await service.points([unknown], in: "c", deadline: node.deadline) },
                    { _ = try await service.collection("unknown", deadline: node.deadline) },
                ]
                for (number, attempt) in attempts.enumerated() {
                    let error = await #expect(throws: ApusError.self, "\(number)") { try await attempt() }
                    #expect(error?.code == .catalogUnavailable && error?.retry == .after(.seconds(1)), "\(number)")
                }
                #expect(database.writes == writes)
                let old = try await search()
                #expect(old.hits.map(\.point.id) == [try PointID("a")] && old.isComplete && old.isStale)
                #expect(old.asOf <= left && (service.staleness ?? .zero) > .seconds(1))
                #expect(try await service.points([PointID("a")], in: "c", deadline: node.deadline).count == 1)
                database.isAway = false
                try await eventually("it is back") { !service.isCatalogAway && service.staleness == nil }
                #expect(try await service.delete([PointID("a")], from: "c", deadline: node.deadline).affected == 1)
                #expect(try await search().isStale == false)
            }
        }
    }

    @Test("8 writers on two nodes, with searches beside them: both nodes end with what was acknowledged last")
    func concurrentWriters() async throws {
        let url = try await PostgreSQLServer.shared().newDatabase()
        try await TestNode.onPostgreSQL(url) { one in
            try await TestNode.onPostgreSQL(url) { two in
                _ = try await one.service.createCollection(
                    "c", .init(dimension: 8, metric: .dot, sharding: .init(shards: 4)), deadline: one.deadline)
                _ = try await two.service.collection("c", deadline: two.deadline)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for writer in 0..<8 {
                        let node = writer % 2 == 0 ? one : two
                        group.addTask {
                            var random = SeededGenerator(seed: UInt64(writer))
                            for round in 0..<8 {
                                // Ten points of its own, and one that all fight over.
                                var points = try (0..<10).map { try Point("w\(writer)-\($0)", random.vector(8), #"{"round":\#(round)}"#) }
                                points.append(try Point("shared", random.vector(8), #"{"writer":\#(writer)}"#))
                                _ = try await node.service.upsert(points, into: "c", deadline: node.deadline)
                                // What was acknowledged is in the next search of this node.
                                let ids = points.dropLast().map(\.id)
                                #expect(try await node.service.points(ids, in: "c", deadline: node.deadline) == points.dropLast())
                                if round % 4 == 3 {
                                    let deleted = try await node.service.delete([ids[0], ids[1]], from: "c", deadline: node.deadline)
                                    #expect(deleted.affected == 2)
                                }
                            }
                        }
                    }
                    for node in [one, two] {
                        group.addTask {
                            for _ in 0..<20 {
                                let hits = try await Self.contents(node, "c", dimension: 8)
                                #expect(Set(hits.map(\.point.id)).count == hits.count)
                                #expect(zip(hits, hits.dropFirst()).allSatisfy { $0.score >= $1.score })
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                try await eventually("all points that were written last are there") {
                    try await one.service.count("c", deadline: one.deadline) == 8 * 8 + 1
                }
                try await eventually("both have the same") {
                    try await Self.contents(one, "c", dimension: 8) == Self.contents(two, "c", dimension: 8)
                }
            }
        }
    }

    @Test("a deletion by filter beside writers deletes what matches at its place in the log, and nothing that came after")
    func deletionBesideWriters() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                _ = try await node.service.createCollection(
                    "c", .init(dimension: 1, metric: .dot, sharding: .init(shards: 2)), deadline: node.deadline)
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for writer in 0..<6 {
                        group.addTask {
                            for number in 0..<30 {
                                _ = try await node.service.upsert(
                                    [try Point("w\(writer)-\(number)", [1], #"{"old":true}"#)], into: "c", deadline: node.deadline)
                            }
                            return 0
                        }
                    }
                    for _ in 0..<5 {
                        group.addTask {
                            try await node.service.delete(
                                matching: .equals(PayloadPath("old"), .bool(true)), from: "c", deadline: node.deadline
                            ).affected
                        }
                    }
                    var deleted = 0
                    for try await count in group { deleted += count }
                    // Each point was deleted once or is still there.
                    #expect(try await node.service.count("c", deadline: node.deadline) + deleted == 180)
                }
            }
        }
    }

    /// A collection of one shard with points 0 to 9 in history 1, and then in the catalog, as a restored backup would have it, only 0 to 4 of
    /// them, and 20 to 24 of history 2: the head's number is the same.
    static func goBack(_ node: TestNode, _ database: any Database) async throws {
        let made = try await node.service.createCollection("c", .init(dimension: 1, metric: .dot), deadline: node.deadline)
        for number in 0..<10 {
            _ = try await node.service.upsert([Point("\(number)", [1], #"{"history":1}"#)], into: "c", deadline: node.deadline)
        }
        let shard = SQLValue.integer(made.shards[0].id.value)
        _ = try await database.transaction(.write, on: .write, deadline: node.deadline) { transaction in
            try await transaction.run([
                Statement("DELETE FROM apus.shard_log WHERE shard = $1 AND seq > 5", [shard]),
                Statement(
                    "UPDATE apus.shard_head SET seq = 5, digest = (SELECT digest FROM apus.shard_log WHERE shard = $1 AND seq = 5) WHERE shard = $1",
                    [shard]),
            ])
        }
        for number in 20..<25 {
            let operation = ShardOperation(changes: [.upsert([try Point("\(number)", [1], #"{"history":2}"#)])])
            _ = try await node.catalog.log.append(
                AppendRequest(appends: [
                    LogAppend(
                        shard: made.shards[0].id,
                        operation: operation.encoded(at: TestNode.noon, for: [VectorField(dimension: 1, metric: .dot)]))
                ]),
                deadline: node.deadline)
        }
    }

    @Test("when the catalog has gone back in time, its nodes end with its history, not with their own")
    func rewound() async throws {
        try await withTemporaryDirectory { directory in
            let database = try await SQLiteDatabase.open(path: "\(directory)/catalog.db")
            try await TestNode.with(database) { node in
                try await Self.goBack(node, database)
                let service = node.service
                let expected = ["0", "1", "2", "3", "4", "20", "21", "22", "23", "24"]
                try await eventually("the memory has the catalog's history") {
                    do {
                        return try await service.scroll("c", limit: 100, deadline: node.deadline).points.map(\.id.description) == expected
                    } catch let error as ApusError where error.code == .nodeUnready {
                        return false
                    }
                }
                _ = try await service.upsert([Point("30", [1])], into: "c", deadline: node.deadline)
                #expect(try await service.count("c", deadline: node.deadline) == 11)
            }
        }
    }

    @Test("a deletion by filter deletes by the catalog's history, though this node still holds another one of the same length")
    func deletionAfterRewind() async throws {
        try await withTemporaryDirectory { directory in
            let database = try await SQLiteDatabase.open(path: "\(directory)/catalog.db")
            var options = VectorService.Options()
            options.lookInterval = .seconds(3600)
            options.maximumAge = .seconds(3600)
            try await TestNode.with(database, options: options) { node in
                try await Self.goBack(node, database)
                let outcome = try await node.service.delete(
                    matching: .equals(PayloadPath("history"), .integer(1)), from: "c", deadline: node.deadline)
                #expect(outcome.affected == 5)
                let left = try await node.service.scroll("c", limit: 100, deadline: node.deadline).points
                #expect(left.map(\.id) == (20..<25).map { .integer($0) })
            }
        }
    }

    @Test("an operation that this program cannot read is said to be, and the other shards answer")
    func unreadable() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let made = try await node.service.createCollection(
                    "c", .init(dimension: 1, metric: .dot, sharding: .init(shards: 2)), deadline: node.deadline)
                _ = try await node.service.upsert((0..<50).map { try Point("\($0)", [1]) }, into: "c", deadline: node.deadline)
                var newer = ShardOperation(changes: [.delete([.integer(1)])]).encoded(
                    at: TestNode.noon, for: [VectorField(dimension: 1, metric: .dot)])
                newer[3] = 9
                _ = try await node.catalog.log.append(
                    AppendRequest(appends: [LogAppend(shard: made.shards[1].id, operation: newer)]), deadline: node.deadline)
                try await eventually("the search names the missing shard") {
                    let result = try await node.service.search(SearchRequest(vector: [1], limit: 100), in: "c", deadline: node.deadline)
                    return result.missing.map(\.shard) == [made.shards[1].id] && result.missing[0].error.code == .catalogIncompatible
                        && (1..<50).contains(result.hits.count)
                }
                let error = await #expect(throws: ApusError.self) { try await node.service.count("c", deadline: node.deadline) }
                #expect(error?.code == .catalogIncompatible)
            }
        }
    }
}
