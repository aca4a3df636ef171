import ApusCatalog
import ApusDatabase
import ApusTypes
import ApusVectorIndex
import Glibc
import TestKit
import Testing

@testable import ApusVectors

@Suite("vectors service on SQLite")
struct VectorServiceTests {
    @Test("points are written, read, replaced, updated and deleted")
    func life() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let service = node.service
                _ = try await service.createCollection("books", .init(dimension: 2, sharding: .init(shards: 3)), deadline: node.deadline)
                let written = try await service.upsert(
                    [
                        Point("a", [1, 0], #"{"year":1999,"author":{"name":"Le Guin"}}"#), Point("7", [0, 1], #"{"year":2001}"#),
                        Point("550E8400-E29B-41D4-A716-446655440000", [-1, 0]), Point("a", [0.5, 0.5], #"{"year":2000}"#),
                    ], into: "books", deadline: node.deadline)
                #expect(written.affected == 4 && written.failures == 0)
                #expect(try await service.count("books", deadline: node.deadline) == 3)

                let ids = try ["7", "missing", "a"].map { try PointID($0) }
                #expect(
                    try await service.points(ids, in: "books", deadline: node.deadline)
                        == [Point("7", [0, 1], #"{"year":2001}"#), Point("a", [0.5, 0.5], #"{"year":2000}"#)])

                let found = try await service.search(
                    SearchRequest(vector: [0, 2], limit: 2, projection: [.payload]), in: "books", deadline: node.deadline)
                #expect(found.hits.map(\.point.id.description) == ["7", "a"])
                #expect(abs(found.hits[0].score - 1) < 1e-6 && abs(found.hits[1].score - 0.7071) < 1e-4)
                #expect(found.hits[0].point.payload == Array(#"{"year":2001}"#.utf8) && found.hits[0].point.vector == [])
                #expect(found.isComplete)

                _ = try await service.update(
                    [
                        PointUpdate(id: ids[2], payload: .merge(Array(#"{"tag":"x","year":3}"#.utf8))),
                        PointUpdate(id: ids[0], vectors: PointVectors([3, 4]), payload: .remove(["year"])),
                    ], in: "books", deadline: node.deadline)
                #expect(
                    try await service.points(ids, in: "books", deadline: node.deadline)
                        == [Point("7", [3, 4]), Point("a", [0.5, 0.5], #"{"year":3,"tag":"x"}"#)])

                let deleted = try await service.delete([ids[0], ids[1], ids[0]], from: "books", deadline: node.deadline)
                #expect(deleted.affected == 1 && deleted.errors.map { $0?.code } == [nil, .pointUnknown, nil])
                #expect(try await service.points(ids, in: "books", deadline: node.deadline).map(\.id) == [ids[2]])
                #expect(try await service.count("books", deadline: node.deadline) == 2)
                try await service.deleteCollection("books", deadline: node.deadline)
                await #expect(throws: ApusError.self) { try await service.count("books", deadline: node.deadline) }
            }
        }
    }

    @Test("points have vectors in named fields, of every kind, each searched by itself")
    func fields() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let service = node.service
                let fields = [
                    VectorField("title", .dense(dimension: 2, .cosine)), VectorField("tokens", .multiple(dimension: 2, .dot)),
                    VectorField("words", .sparse(idf: true)), VectorField("plain", .sparse(idf: false)),
                ]
                let made = try await service.createCollection(
                    "docs", .init(fields, sharding: .init(shards: 2)), deadline: node.deadline)
                #expect(made.configuration.fields == fields && made.configuration.dimension == 2)
                func words(_ pairs: KeyValuePairs<UInt32, Float>) -> VectorValue {
                    .sparse(SparseVector(indices: pairs.map(\.key), values: pairs.map(\.value)))
                }
                let points = [
                    Point(
                        id: .integer(1),
                        vectors: PointVectors([
                            .init("title", .dense([1, 0])), .init("tokens", .multiple([[1, 0], [0, 3]])),
                            .init("words", words([7: 1, 9: 1])),
                        ])),
                    Point(
                        id: .integer(2),
                        vectors: PointVectors([
                            .init("title", .dense([0, 2])), .init("words", words([7: 2])), .init("plain", words([7: 2, 1: 1])),
                        ])),
                    Point(id: .integer(3), vectors: PointVectors(), payload: Array(#"{"empty":true}"#.utf8)),
                ]
                #expect(try await service.upsert(points, into: "docs", deadline: node.deadline).failures == 0)
                let ids = (1...3).map { PointID.integer($0) }
                #expect(try await service.points(ids, in: "docs", deadline: node.deadline) == points)

                func search(_ field: String, _ vector: VectorValue) async throws -> [(PointID, Float)] {
                    try await service.search(
                        SearchRequest(vector, field: field, limit: 10), in: "docs", deadline: node.deadline
                    ).hits.map { ($0.point.id, $0.score) }
                }
                let titles = try await search("title", .dense([0, 1]))
                #expect(titles.map(\.0) == [.integer(2), .integer(1)] && titles.map(\.1) == [1, 0])
                let tokens = try await search("tokens", .multiple([[1, 1], [2, 0]]))
                #expect(tokens.map(\.0) == [.integer(1)] && tokens.map(\.1) == [5])
                #expect(try await search("tokens", .dense([0, 1])).map(\.1) == [3])
                let plain = try await search("plain", words([1: 3, 7: 1, 8: 9]))
                #expect(plain.map(\.0) == [.integer(2)] && plain.map(\.1) == [5])
                // Two of two have 7, one of two has 9.
                let weighted = try await search("words", words([9: 1, 7: 1]))
                #expect(weighted.map(\.0) == [.integer(1), .integer(2)])
                #expect(abs(weighted[0].1 - (log(1 + 0.5 / 2.5) + log(1 + 1.5 / 1.5))) < 1e-5)
                #expect(abs(weighted[1].1 - 2 * log(1 + 0.5 / 2.5)) < 1e-5)

                _ = try await service.update(
                    [
                        PointUpdate(
                            id: ids[0], vectors: PointVectors([.init("plain", words([1: 1]))]), removedFields: ["tokens", "words"]),
                        PointUpdate(id: ids[2], vectors: PointVectors([.init("title", .dense([3, 3]))])),
                    ], in: "docs", deadline: node.deadline)
                let changed = try await service.points(ids, in: "docs", deadline: node.deadline)
                #expect(changed[0].vectors.entries.map(\.field) == ["title", "plain"])
                #expect(changed[2].vectors["title"] == .dense([3, 3]) && changed[2].payload == points[2].payload)
                #expect(try await search("title", .dense([0, 1])).count == 3)

                for (vectors, code, field) in [
                    (PointVectors([1, 2]), ErrorCode.vectorUnknownField, ""),
                    (PointVectors([.init("title", .dense([1]))]), .vectorWrongDimension, "vector.title"),
                    (PointVectors([.init("tokens", .multiple([]))]), .vectorInvalid, "vector.tokens"),
                    (PointVectors([.init("tokens", .multiple([[1, .nan]]))]), .vectorInvalid, "vector.tokens[0][1]"),
                    (PointVectors([.init("words", words([4: 1, 4: 2]))]), .vectorInvalid, "vector.words.indices"),
                    (PointVectors([.init("words", .dense([1, 2]))]), .vectorInvalid, "vector.words"),
                ] {
                    let error = await #expect(throws: ApusError.self) {
                        try await service.upsert([Point(id: .integer(9), vectors: vectors)], into: "docs", deadline: node.deadline)
                    }
                    #expect(error?.code == code && error?.context["field"] == field)
                }
            }
        }
    }

    @Test("a move loses nothing that is written to its source meanwhile")
    func moving() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let service = node.service
                for name in ["from", "to"] as [CollectionName] {
                    _ = try await service.createCollection(name, .init(dimension: 1, sharding: .init(shards: 2)), deadline: node.deadline)
                }
                let ids = (0..<100).map { PointID.integer($0) }
                func write(_ ids: some Sequence<PointID>, _ payload: String) async throws {
                    let points = ids.map { Point(id: $0, vector: [1], payload: Array(payload.utf8)) }
                    #expect(try await service.upsert(points, into: "from", deadline: node.deadline).failures == 0)
                }
                try await write(ids, #"{"n":0}"#)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { for id in ids { try await write([id], #"{"n":1}"#) } }
                    group.addTask { () async throws in
                        for start in stride(from: 0, to: 300, by: 10) {
                            do {
                                let some = (start..<start + 10).map { ids[$0 % 100] }
                                #expect(try await service.move(some, from: "from", to: "to", deadline: node.deadline).failures.isEmpty)
                            } catch let error as ApusError where error.code == .shardBusy {
                                // The writer was always faster.
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                _ = try await service.move(ids + [.integer(1000)], from: "from", to: "to", deadline: node.deadline)
                #expect(try await service.count("from", deadline: node.deadline) == 0)
                let moved = try await service.points(ids, in: "to", with: [.payload], deadline: node.deadline)
                #expect(moved.map(\.id) == ids && moved.allSatisfy { $0.payload == Array(#"{"n":1}"#.utf8) })
            }
        }
    }

    @Test("what was deleted at the source during a move is not in the destination afterwards")
    func deletionsDuringMoves() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let service = node.service
                for name in ["from", "to"] as [CollectionName] {
                    _ = try await service.createCollection(name, .init(dimension: 1, sharding: .init(shards: 2)), deadline: node.deadline)
                }
                func upsert(_ ids: [PointID], _ payload: String, _ name: CollectionName) async throws {
                    let points = ids.map { Point(id: $0, vector: [1], payload: Array(payload.utf8)) }
                    _ = try await service.upsert(points, into: name, deadline: node.deadline)
                }
                var deletedFirst = 0
                for round in 0..<60 {
                    let ids = (0..<8).map { PointID.integer(UInt64(round * 8 + $0)) }
                    try await upsert(ids, "{}", "from")
                    let start = await node.catalogCommits("to", service)
                    let moving = Task { try await service.move(ids, from: "from", to: "to", deadline: node.deadline).moved }
                    // The move has written its copies, and has not deleted anything, most likely.
                    if round % 3 > 0 { await node.untilCommit(after: start, "to", service) }
                    let deleted = try await service.delete([ids[0]], from: "from", deadline: node.deadline)
                    // Written there by somebody after the copy was: that is nobody's copy.
                    let isOwn = round % 3 > 0 && round % 4 == 0
                    if isOwn { try await upsert([ids[0]], #"{"own":1}"#, "to") }
                    let moved: Set<PointID>
                    do { moved = try await moving.value } catch let error as ApusError where error.code == .shardBusy { moved = [] }
                    deletedFirst += deleted.affected
                    let there = Set(try await service.points(ids, in: "to", deadline: node.deadline).map(\.id))
                    let own: Set<PointID> = isOwn ? [ids[0]] : []
                    #expect(there == moved.union(own), "round \(round): deleted \(deleted.affected)")
                    #expect(deleted.affected == 0 || !moved.contains(ids[0]))
                }
                #expect(deletedFirst > 10, "no deletion came before the end of a move")
            }
        }
    }

    @Test("one large change of many points is refused before it is built, and done once where it was done before")
    func largeUpdates() async throws {
        var options = VectorService.Options()
        options.updateSize = .mebibytes(1)
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db", options: options) { node in
                let service = node.service
                _ = try await service.createCollection("c", .init(dimension: 1), deadline: node.deadline)
                let ids = (0..<3000).map { PointID.integer($0) }
                _ = try await service.upsert(ids.map { Point(id: $0, vector: [1]) }, into: "c", deadline: node.deadline)
                let text = String(repeating: "x", count: 1000)
                let change = PayloadChange.assign(Array(#"{"t":"\#(text)"}"#.utf8), at: nil)
                func update(_ ids: ArraySlice<PointID>) async throws -> WriteOutcome {
                    try await service.update(
                        ids.map { PointUpdate(id: $0, payload: change) }, in: "c", mode: .eachItem, deadline: node.deadline)
                }
                let error = await #expect(throws: ApusError.self) { _ = try await update(ids[...]) }
                #expect(error?.code == .requestTooLarge)
                #expect(try await service.count("c", matching: .exists(PayloadPath("t")), deadline: node.deadline) == 0)
                #expect(try await update(ids.prefix(500)).affected == 500)
                let deep = PayloadChange.assign(
                    Array((String(repeating: #"{"a":"#, count: 40) + "1" + String(repeating: "}", count: 40)).utf8),
                    at: try PayloadPath(jsonPath: Array(repeating: "a", count: 32).joined(separator: ".")))
                for byFilter in [false, true] {
                    let error = await #expect(throws: ApusError.self) {
                        byFilter
                            ? try await service.update(matching: .everything, with: [deep], in: "c", deadline: node.deadline)
                            : try await service.update([PointUpdate(id: ids[0], payload: deep)], in: "c", deadline: node.deadline)
                    }
                    #expect(error?.code == .requestInvalid)
                }
            }
        }
    }

    @Test("points that do not fit a reply are refused, by whichever way they are asked for, and a smaller page is given")
    func replies() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let service = node.service
                _ = try await service.createCollection("c", .init(dimension: 100, sharding: .init(shards: 2)), deadline: node.deadline)
                let payload = Array(#"{"g":1,"t":"\#(String(repeating: "x", count: 86))"}"#.utf8)
                let points = (0..<2000).map { Point(id: .integer($0), vector: [Float](repeating: 1, count: 100), payload: payload) }
                _ = try await service.upsert(points, into: "c", deadline: node.deadline)
                // 64 + 100 + 400 bytes for each.
                let (all, none): (Projection, Projection) = ([.vector, .payload], [])
                var query = PointQuery(.nearest(.value(.dense([Float](repeating: 1, count: 100))), diversity: nil))
                func asked(_ limit: Int, _ with: Projection, _ kilobytes: Int) async -> [String: Int] {
                    let size = ByteCount(kilobytes * 1000)
                    var found: [String: Int] = [:]
                    func ask(_ name: String, _ body: (ReplyBudget) async throws -> Int) async {
                        do {
                            found[name] = try await body(ReplyBudget(size))
                        } catch let error as ApusError where error.code == .requestInvalid {
                            #expect(error.context["field"] == (name == "ids" ? "ids" : "limit"))
                            found[name] = -1
                        } catch {
                            Issue.record(error)
                        }
                    }
                    query.limit = limit
                    await ask("query") { try await service.query(query, in: "c", with: with, within: $0, deadline: node.deadline).count }
                    await ask("scroll") {
                        try await service.scroll("c", limit: limit, with: with, within: $0, deadline: node.deadline).points.count
                    }
                    await ask("order") {
                        try await service.scroll(
                            "c", by: PointOrder(path: PayloadPath("g")), limit: limit, with: with, within: $0, deadline: node.deadline
                        ).count
                    }
                    await ask("ids") {
                        let ids = (0..<UInt64(min(limit, 2000))).map { PointID.integer($0) }
                        return try await service.points(ids, in: "c", with: with, within: $0, deadline: node.deadline).count
                    }
                    await ask("groups") {
                        try await service.groups(
                            query, by: PayloadPath("g"), limit: 1, size: limit, in: "c", with: with, within: $0, deadline: node.deadline
                        ).reduce(0) { $0 + $1.hits.count }
                    }
                    return found
                }
                let names = ["query", "scroll", "order", "ids", "groups"]
                func same(_ count: Int) -> [String: Int] { Dictionary(uniqueKeysWithValues: names.map { ($0, count) }) }
                #expect(await asked(100, all, 57) == same(100))
                #expect(await asked(100, all, 56) == same(-1))
                #expect(await asked(1000, all, 600) == same(1000))
                #expect(await asked(1000, all, 500) == same(-1))
                #expect(await asked(1000, .payload, 200) == same(1000))
                #expect(await asked(10_000_000, none, 130) == same(2000))
                #expect(await asked(10_000_000, none, 120) == same(-1))
                // A budget is for all calls of a reply together.
                let budget = ReplyBudget(ByteCount(100_000))
                query.limit = 100
                _ = try await service.query(query, in: "c", with: all, within: budget, deadline: node.deadline)
                await #expect(throws: ApusError.self) {
                    try await service.query(query, in: "c", with: all, within: budget, deadline: node.deadline)
                }
            }
        }
    }

    @Test("after a restart everything is there: points, payloads, order of results", arguments: [Metric.cosine, .manhattan])
    func restart(metric: Metric) async throws {
        try await withTemporaryDirectory { directory in
            let path = "\(directory)/catalog.db"
            var random = SeededGenerator(seed: 5)
            let queries = (0..<10).map { _ in random.vector(8) }
            let before = try await TestNode.onSQLite(path) { node in
                _ = try await node.service.createCollection(
                    "c", .init(dimension: 8, metric: metric, sharding: .init(shards: 4)), deadline: node.deadline)
                for batch in 0..<10 {
                    let points = try (0..<50).map { number in
                        try Point("p\((batch * 40 + number))", random.vector(8), #"{"batch":\#(batch),"number":\#(number)}"#)
                    }
                    _ = try await node.service.upsert(points, into: "c", deadline: node.deadline)
                }
                _ = try await node.service.delete(
                    matching: .range(PayloadPath("number"), .init(atMost: 4)), from: "c", deadline: node.deadline)
                return try await Self.everything(node, queries)
            }
            let after = try await TestNode.onSQLite(path) { try await Self.everything($0, queries) }
            #expect(before == after && before.0.count > 300 && before.1.count == 10)
            #expect(before.2 != nil)
        }
    }

    static func everything(_ node: TestNode, _ queries: [[Float]]) async throws -> ([Point], [[SearchHit]], WallTime?) {
        var points: [Point] = []
        var next: PointID?
        repeat {
            let page = try await node.service.scroll(
                "c", from: next, limit: 37, with: [.vector, .payload], deadline: node.deadline)
            points += page.points
            next = page.next
        } while next != nil
        var hits: [[SearchHit]] = []
        for query in queries {
            hits.append(
                try await node.service.search(
                    SearchRequest(vector: query, limit: 20, projection: .payload), in: "c", deadline: node.deadline
                ).hits)
        }
        return (points, hits, try await node.service.collection("c", deadline: node.deadline).updatedAt)
    }

    @Test("an operation id gives the first outcome again, and writes once")
    func idempotency() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let service = node.service
                _ = try await service.createCollection("c", .init(dimension: 1, metric: .dot), deadline: node.deadline)
                func id(_ name: String) -> OperationID { OperationID(scope: "test", id: name, bodyDigest: Digest(of: name)) }
                _ = try await service.upsert(
                    (0..<30).map { try Point("\($0)", [Float($0)], #"{"n":\#($0)}"#) }, into: "c", deadline: node.deadline)
                let ids = try [PointID("1"), PointID("none"), PointID("2")]
                let first = try await service.delete(ids, from: "c", operation: id("x"), deadline: node.deadline)
                _ = try await service.upsert([Point("1", [1])], into: "c", deadline: node.deadline)
                let second = try await service.delete(ids, from: "c", operation: id("x"), deadline: node.deadline)
                #expect(first.affected == 2 && !first.isRepeat && second.isRepeat && second.affected == 2)
                #expect(second.errors.map { $0?.code } == [nil, .pointUnknown, nil])
                #expect(try await service.points(ids, in: "c", with: [], deadline: node.deadline).map(\.id) == [ids[0]])

                let filter = Filter.range(PayloadPath("n"), .init(atLeast: 10))
                let some = try await service.delete(matching: filter, from: "c", operation: id("y"), deadline: node.deadline)
                _ = try await service.upsert([Point("99", [1], #"{"n":99}"#)], into: "c", deadline: node.deadline)
                let again = try await service.delete(matching: filter, from: "c", operation: id("y"), deadline: node.deadline)
                #expect(some.affected == 20 && again.affected == 20 && again.isRepeat)
                #expect(try await service.count("c", matching: filter, deadline: node.deadline) == 1)
                let none = try await service.delete(matching: .hasID([]), from: "c", operation: id("z"), deadline: node.deadline)
                #expect(none.affected == 0)
                let conflict = OperationID(scope: "test", id: "x", bodyDigest: Digest(of: "other"))
                let error = await #expect(throws: ApusError.self) {
                    try await service.delete(ids, from: "c", operation: conflict, deadline: node.deadline)
                }
                #expect(error?.code == .idempotencyConflict)
            }
        }
    }

    @Test("a deletion by filter larger than one operation deletes all, and goes on with its id where it stopped")
    func largeDeletion() async throws {
        try await withTemporaryDirectory { directory in
            var options = VectorService.Options()
            options.deletionSize = 7
            try await TestNode.onSQLite("\(directory)/catalog.db", options: options) { node in
                _ = try await node.service.createCollection(
                    "c", .init(dimension: 1, metric: .dot, sharding: .init(shards: 3)), deadline: node.deadline)
                _ = try await node.service.upsert(
                    (0..<50).map { try Point("\($0)", [Float($0)], #"{"n":\#($0)}"#) }, into: "c", deadline: node.deadline)
                let id = OperationID(scope: "test", id: "k", bodyDigest: Digest(of: "k"))
                let outcome = try await node.service.delete(
                    matching: .range(PayloadPath("n"), .init(lessThan: 40)), from: "c", operation: id, deadline: node.deadline)
                #expect(outcome.affected == 40)
                #expect(try await node.service.count("c", deadline: node.deadline) == 10)
                let again = try await node.service.delete(
                    matching: .range(PayloadPath("n"), .init(lessThan: 40)), from: "c", operation: id, deadline: node.deadline)
                #expect(again.affected == 40 && again.isRepeat)
            }
        }
    }

    @Test("an update by filter is one operation for each shard, done once for one id, and refused whole when it is too large")
    func updateByFilter() async throws {
        try await withTemporaryDirectory { directory in
            var options = VectorService.Options()
            options.updateSize = ByteCount(4000)
            try await TestNode.onSQLite("\(directory)/catalog.db", options: options) { node in
                let service = node.service
                _ = try await service.createCollection(
                    "c", .init(dimension: 1, metric: .dot, sharding: .init(shards: 2)), deadline: node.deadline)
                _ = try await service.upsert(
                    (0..<50).map { try Point("\($0)", [1], #"{"n":\#($0),"old":true}"#) }, into: "c", deadline: node.deadline)
                let id = OperationID(scope: "test", id: "u", bodyDigest: .origin)
                func update(_ filter: Filter, _ patch: String, _ operation: OperationID?) async throws -> WriteOutcome {
                    try await service.update(
                        matching: filter, with: [.merge(Array(patch.utf8)), .remove(["old"])], in: "c", operation: operation,
                        deadline: node.deadline)
                }
                let filter = Filter.range(PayloadPath("n"), .init(lessThan: 20))
                let first = try await update(filter, #"{"new":1}"#, id)
                #expect(first.affected == 20 && !first.isRepeat)
                #expect(try service.collections()[0].shards.map(\.applied) == [2, 2])
                #expect(
                    try await service.points([.integer(7)], in: "c", with: .payload, deadline: node.deadline)[0].payload
                        == Array(#"{"n":7,"new":1}"#.utf8))
                _ = try await service.upsert([Point("7", [1], #"{"n":7}"#)], into: "c", deadline: node.deadline)
                let again = try await update(filter, #"{"new":1}"#, id)
                #expect(again.affected == 20 && again.isRepeat)
                #expect(try await service.count("c", matching: .exists(PayloadPath("new")), deadline: node.deadline) == 19)
                // A repeat gets its reply also when more match now than one update may change.
                _ = try await service.upsert(
                    (100..<500).map { try Point("\($0)", [1], #"{"n":1}"#) }, into: "c", deadline: node.deadline)
                let late = try await update(filter, #"{"new":1}"#, id)
                #expect(late.affected == 20 && late.isRepeat)
                let other = await #expect(throws: ApusError.self) {
                    try await update(filter, #"{"new":1}"#, .init(scope: "test", id: "v", bodyDigest: .origin))
                }
                #expect(other?.code == .requestTooLarge)
                let large = await #expect(throws: ApusError.self) {
                    try await update(.not(filter), #"{"text":"\#(String(repeating: "x", count: 200))"}"#, nil)
                }
                #expect(large?.code == .requestTooLarge)
                #expect(try await service.count("c", matching: .exists(PayloadPath("text")), deadline: node.deadline) == 0)
                let wrong = await #expect(throws: ApusError.self) { try await update(filter, "[]", nil) }
                #expect(wrong?.code == .requestInvalid)
            }
        }
    }

    @Test("bad items refuse an atomic batch whole, and only themselves in the other mode")
    func badItems() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let service = node.service
                _ = try await service.createCollection("c", .init(dimension: 2), deadline: node.deadline)
                let points = try [
                    Point("ok", [1, 2]), Point("short", [1]), Point("nan", [1, .nan]), Point("inf", [.infinity, 1]),
                    Point("array", [1, 2], "[1]"),
                    Point("broken", [1, 2], "{\"a\":"), Point("zero", [0, 0], "{}"),
                ]
                let error = await #expect(throws: ApusError.self) { try await service.upsert(points, into: "c", deadline: node.deadline) }
                #expect(
                    error?.code == .vectorWrongDimension && error?.context["index"] == "1" && error?.context["field"] == "points[1].vector")
                #expect(try await service.count("c", deadline: node.deadline) == 0)

                let outcome = try await service.upsert(points, into: "c", mode: .eachItem, deadline: node.deadline)
                #expect(
                    outcome.errors.map { $0?.code } == [
                        nil, .vectorWrongDimension, .vectorInvalid, .vectorInvalid, .requestInvalid, .requestUnparsable, nil,
                    ])
                #expect(outcome.errors[2]?.context["field"] == "points[2].vector[1]")
                #expect(outcome.affected == 2)
                #expect(try await service.count("c", deadline: node.deadline) == 2)

                let empty = try await service.upsert([], into: "c", deadline: node.deadline)
                #expect(empty.affected == 0 && empty.errors.isEmpty)
                for request in [
                    SearchRequest(vector: [1], limit: 1), SearchRequest(vector: [1, .nan], limit: 1),
                    SearchRequest(vector: [1, 1], limit: -1),
                    SearchRequest(vector: [1, 1], limit: 1, scoreThreshold: .nan),
                ] {
                    await #expect(throws: ApusError.self) { try await service.search(request, in: "c", deadline: node.deadline) }
                }
                #expect(try await service.search(SearchRequest(vector: [1, 1], limit: 0), in: "c", deadline: node.deadline).hits.isEmpty)
                #expect(
                    try await service.search(SearchRequest(vector: [1, 1], limit: 100), in: "c", deadline: node.deadline).hits.count == 2)
                let update = PointUpdate(id: try PointID("none"), payload: .clear)
                let unknown = await #expect(throws: ApusError.self) { try await service.update([update], in: "c", deadline: node.deadline) }
                #expect(unknown?.code == .pointUnknown)
            }
        }
    }

    @Test("examples and pairs that are compared have a limit, with and without a number of candidates")
    func comparisons() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                _ = try await node.service.createCollection("c", .init(dimension: 1, metric: .dot), deadline: node.deadline)
                let points = (0..<40).map { Point(id: .integer(UInt64($0)), vector: [Float($0)]) }
                _ = try await node.service.upsert(points, into: "c", deadline: node.deadline)
                func ask(_ kind: PointQuery.Kind, limit: Int = 3) async throws -> Int {
                    var query = PointQuery(kind)
                    query.limit = limit
                    var outer = PointQuery(.nearest(.value(.dense([1])), diversity: nil))
                    outer.prefetch = [query]
                    outer.limit = limit
                    let count = try await node.service.query(query, in: "c", with: [], deadline: node.deadline).count
                    let staged = try await node.service.query(outer, in: "c", with: [], deadline: node.deadline).count
                    #expect(count == staged)
                    return count
                }
                func vectors(_ count: Int) -> [QueryVector] { (0..<count).map { .value(.dense([Float($0 % 7)])) } }
                func pairs(_ count: Int) -> [ExamplePair<QueryVector>] {
                    vectors(count).map { ExamplePair(positive: $0, negative: .value(.dense([-1]))) }
                }
                func near(_ candidates: Int?) -> PointQuery.Kind {
                    .nearest(.value(.dense([1])), diversity: MarginalRelevance(diversity: 0.5, candidates: candidates))
                }
                let most = PointQuery.mostExamples
                let allowed: [(PointQuery.Kind, Int)] = [
                    (.examples(.bestScore(positive: vectors(most - 1), negative: vectors(1))), 3),
                    (.examples(.context(pairs(most / 2))), 3),
                    (.average(positive: vectors(most), negative: []), 3), (near(nil), 3162), (near(nil), .max), (near(10), 1_000_000),
                ]
                for (kind, limit) in allowed { #expect(try await ask(kind, limit: limit) > 0) }
                let refused: [(PointQuery.Kind, Int)] = [
                    (.examples(.sumScores(positive: vectors(most), negative: vectors(1))), 3),
                    (.examples(.context(pairs(most / 2 + 1))), 3),
                    (.examples(.discover(target: vectors(1)[0], pairs: pairs(most / 2))), 3),
                    (.average(positive: vectors(most), negative: vectors(1)), 3),
                ]
                for (kind, limit) in refused {
                    let error = await #expect(throws: ApusError.self) { try await ask(kind, limit: limit) }
                    #expect(error?.code == .requestInvalid)
                }
                // Of pairs it counts how many candidates there are, not how many were asked for.
                for (picked, candidates) in [(3162, 3162), (.max, 3162), (610, 16_384), (3, 0)] {
                    #expect(throws: Never.self) { try PointQuery.checkPairs(picked, among: candidates) }
                }
                for (picked, candidates) in [(3163, 3163), (.max, 3163), (611, 16_384)] {
                    #expect(throws: ApusError.self) { try PointQuery.checkPairs(picked, among: candidates) }
                }
                // Groups want more and more points until they are full: as many as may be compared.
                let path = PayloadPath("none")
                #expect(
                    try await node.service.groups(
                        PointQuery(near(nil)), by: path, limit: 3, size: 3, in: "c", with: [], deadline: node.deadline
                    ).isEmpty)
            }
        }
    }

    @Test("names, dimensions and shard counts outside their rules are refused")
    func badCollections() async throws {
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite("\(directory)/catalog.db") { node in
                let service = node.service
                for name in [
                    "", ".", "..", "a/b", "a\\b", "a:b", "a*", "a?", "<", ">", "|", "\"", "a\u{0}", "a\u{1f}", "a\u{7f}",
                    String(repeating: "é", count: 128),
                ] {
                    let error = await #expect(throws: ApusError.self, "\(name.debugDescription)") {
                        try await service.createCollection(CollectionName(name), .init(dimension: 1), deadline: node.deadline)
                    }
                    #expect(error?.code == .requestInvalid)
                }
                let configurations: [CollectionConfiguration] = [
                    .init(dimension: 0), .init(dimension: 65_537), .init(dimension: -1), .init(dimension: 1, sharding: .init(shards: 0)),
                    .init(dimension: 1, sharding: .init(shards: 257)), .init(dimension: 1, sharding: .init(shards: 2, virtualNodes: 0)),
                    .init(dimension: 1, sharding: .init(shards: 2, virtualNodes: 1001)),
                ]
                for configuration in configurations {
                    await #expect(throws: ApusError.self) {
                        try await service.createCollection("c", configuration, deadline: node.deadline)
                    }
                }
                _ = try await service.createCollection(
                    "c", .init(dimension: 65_536, sharding: .init(shards: 256, virtualNodes: 1000)), deadline: node.deadline)
                _ = try await service.createCollection(
                    CollectionName(String(repeating: "a", count: 255)), .init(dimension: 1), deadline: node.deadline)
                let error = await #expect(throws: ApusError.self) {
                    try await service.createCollection("c", .init(dimension: 1), deadline: node.deadline)
                }
                #expect(error?.code == .collectionExists)
                let unknown = await #expect(throws: ApusError.self) { try await service.deleteCollection("none", deadline: node.deadline) }
                #expect(unknown?.code == .collectionUnknown)
                let name = CollectionName("日本 #1 (ä)")
                _ = try await service.createCollection(name, .init(dimension: 1), deadline: node.deadline)
                #expect(try await service.collection(name, deadline: node.deadline).name == name)
            }
        }
    }
}

extension TestNode {
    /// How many operations the collection's logs have, as far as this node has applied them.
    fileprivate func catalogCommits(_ name: CollectionName, _ service: VectorService) async -> Int64 {
        (try? await service.collection(name, deadline: deadline).shards.reduce(0) { $0 + $1.applied }) ?? 0
    }

    /// Returns when there are more.
    fileprivate func untilCommit(after count: Int64, _ name: CollectionName, _ service: VectorService) async {
        while await catalogCommits(name, service) == count { await Task.yield() }
    }
}
