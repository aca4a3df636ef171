import ApusTypes
import Dispatch
import Glibc
import Synchronization
import TestKit
import Testing

@testable import ApusVectorIndex

@Suite("point table", .computing)
struct PointTableTests {
    struct Model: Equatable {
        var vector: [Float]
        var payload: [UInt8]?
        var version: Int64
    }

    static func contents(_ snapshot: PointSnapshot) -> [PointID: Model] {
        var contents: [PointID: Model] = [:]
        snapshot.forEachRow { row in
            #expect(contents[snapshot.id(row)] == nil, "a point is seen once")
            contents[snapshot.id(row)] = Model(vector: snapshot.vector(row), payload: snapshot.payload(row), version: snapshot.version(row))
        }
        return contents
    }

    @Test("every snapshot stays what it was while operations go on, and rows are used again", arguments: [1, 70, 700])
    func model(dimension: Int) {
        var random = SeededGenerator(seed: UInt64(dimension))
        let table = PointTable(dimension: dimension, metric: .cosine)
        var model: [PointID: Model] = [:]
        var held: [(PointSnapshot, [PointID: Model])] = []
        for moment in Int64(1)...300 {
            table.apply(at: moment) { writer in
                for _ in 0..<Int.random(in: 0...12, using: &random) {
                    let id = PointID.integer(UInt64.random(in: 0..<60, using: &random))
                    let vector = random.vector(dimension)
                    switch Int.random(in: 0..<5, using: &random) {
                    case 0, 1:
                        let payload: [UInt8]? = Bool.random(using: &random) ? Array(#"{"m":\#(moment)}"#.utf8) : nil
                        vector.withUnsafeBytes { vector in
                            if let payload {
                                payload.withUnsafeBytes { writer.upsert(id, vector: vector, payload: $0) }
                            } else {
                                writer.upsert(id, vector: vector, payload: nil)
                            }
                        }
                        model[id] = Model(vector: vector, payload: payload, version: moment)
                    case 2:
                        #expect(writer.delete(id) == (model.removeValue(forKey: id) != nil))
                    case 3:
                        let found = vector.withUnsafeBytes { writer.changeVector(of: id, $0) }
                        #expect(found == (model[id] != nil))
                        model[id]?.vector = vector
                        model[id]?.version = moment
                    default:
                        let payload: [UInt8]? = Bool.random(using: &random) ? Array("{}".utf8) : nil
                        let found = writer.changePayload(of: id) { old in
                            #expect(Array(old) == model[id]?.payload ?? [])
                            return payload
                        }
                        #expect(found == (model[id] != nil))
                        model[id]?.payload = payload
                        model[id]?.version = moment
                    }
                }
            }
            #expect(table.count == model.count && table.moment == moment)
            if moment % 7 == 0 { held.append((table.snapshot(), model)) }
            if held.count > 4 {
                let (snapshot, expected) = held.remove(at: Int.random(in: 0..<held.count, using: &random))
                #expect(Self.contents(snapshot) == expected && snapshot.count == expected.count)
            }
        }
        #expect(Self.contents(table.snapshot()) == model)
        held = []
        let used = table.snapshot().used
        for moment in Int64(301)...600 {
            FlatIndexTests.write(
                table, at: moment, (0..<3).map { _ in (.integer(UInt64.random(in: 0..<60, using: &random)), random.vector(dimension)) })
        }
        #expect(table.snapshot().used == used, "rows that nobody reads are used again")
    }

    @Test("ids are found, and their rows are those of the snapshot")
    func finding() {
        let table = PointTable(dimension: 1, metric: .dot)
        FlatIndexTests.write(table, at: 1, (0..<5).map { (.integer($0), [Float($0)]) })
        let (snapshot, rows) = table.snapshot(finding: [3, 9, 0].map { PointID.integer($0) })
        _ = table.apply(at: 2) { $0.delete(.integer(3)) }
        #expect(rows.map { $0.map { snapshot.vector($0) } } == [[3], nil, [0]])
        #expect(table.snapshot(finding: [3, 0].map { .integer($0) }).1.map { $0 != nil } == [false, true])
    }

    @Test("searches beside writers see every point once, whole, and never a deleted one as there")
    func concurrency() {
        let table = PointTable(dimension: 16, metric: .dot)
        let points = 500
        // Point i always has a vector of 16 equal numbers, and a payload that repeats the number: a torn read would show.
        @Sendable func write(_ moment: Int64) {
            table.apply(at: moment) { writer in
                for id in 0..<points where moment == 1 || (id + Int(moment)) % 3 == 0 {
                    let vector = [Float](repeating: Float(moment), count: 16)
                    vector.withUnsafeBytes { vector in
                        Array("{\"m\":\(moment)}".utf8).withUnsafeBytes { writer.upsert(.integer(UInt64(id)), vector: vector, payload: $0) }
                    }
                }
                // One point that is there only at even moments.
                if moment % 2 == 0 {
                    [Float](repeating: 1e6, count: 16).withUnsafeBytes { writer.upsert(.integer(999), vector: $0, payload: nil) }
                } else {
                    writer.delete(.integer(999))
                }
            }
        }
        write(1)
        let isDone = Atomic(false)
        let searches = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: 3) { thread in
            if thread == 0 {
                var moment: Int64 = 1
                while searches.load(ordering: .relaxed) < 60 {
                    moment += 1
                    write(moment)
                    sched_yield()
                }
                isDone.store(true, ordering: .releasing)
                return
            }
            while !isDone.load(ordering: .acquiring) {
                let snapshot = table.snapshot()
                let hits = FlatIndex(snapshot).neighbours(
                    of: NeighbourQuery(vector: [Float](repeating: 1, count: 16), limit: 1000), part: 0, of: 1)
                let expected = points + (snapshot.moment % 2 == 0 ? 1 : 0)
                guard hits.count == expected, Set(hits.map(\.id)).count == expected else {
                    Issue.record("\(hits.count) of \(expected) points at moment \(snapshot.moment)")
                    searches.store(60, ordering: .relaxed)
                    return
                }
                for hit in hits where hit.id != .integer(999) {
                    let vector = snapshot.vector(hit.row)
                    guard vector.allSatisfy({ $0 == vector[0] }), snapshot.payload(hit.row) == Array("{\"m\":\(Int(vector[0]))}".utf8),
                        snapshot.version(hit.row) == Int64(vector[0]), hit.score == 16 * vector[0]
                    else {
                        Issue.record("a torn point at moment \(snapshot.moment)")
                        searches.store(60, ordering: .relaxed)
                        return
                    }
                }
                searches.wrappingAdd(1, ordering: .relaxed)
            }
        }
    }

    @Test("what matched in one table says nothing about another, whose rows and moments have the same numbers")
    func matchesOfAnotherTable() {
        func table(_ payload: String) -> PointTable {
            let table = PointTable(dimension: 1, metric: .dot)
            table.apply(at: 1) { writer in
                let vector: [Float] = [1]
                let payload = Array(payload.utf8)
                for id in 0..<5 as Range<UInt64> {
                    vector.withUnsafeBytes { vector in
                        payload.withUnsafeBytes { writer.upsert(.integer(id), vector: vector, payload: $0) }
                    }
                }
            }
            return table
        }
        let filter = Filter.equals(PayloadPath("k"), .integer(1))
        let before = table(#"{"k":1}"#).snapshot().matches(filter)
        #expect(before.ids.count == 5)
        #expect(table(#"{"k":2}"#).snapshot().matches(filter, since: before).ids.isEmpty)
    }

    @Test("pages come in the order of ids, whatever the page's size")
    func pages() throws {
        let table = PointTable(dimension: 1, metric: .dot)
        var random = SeededGenerator(seed: 3)
        var ids = (0..<900).map { PointID.integer($0 * 7) } + (0..<300).map { _ in PointID.uuid(high: random.next(), low: random.next()) }
        ids += try (0..<300).map { try PointID("s\($0)") }
        FlatIndexTests.write(table, at: 1, ids.shuffled(using: &random).map { ($0, [0]) })
        ids.sort()
        let snapshot = table.snapshot()
        for limit in [1, 2, 255, 256, 600, 5000] {
            for start in [nil, ids[0], ids[899], ids[900], ids[1499], .integer(8)] {
                let expected = ids.drop { id in start.map { id < $0 } ?? false }.prefix(limit)
                #expect(snapshot.firstRows(limit, from: start, filter: .everything).map(\.id).sorted() == Array(expected))
            }
        }
    }
}

@Suite("point ids", .computing)
struct PointIDTests {
    @Test(
        "a text is an integer, a UUID or a string, and is written in one way",
        arguments: [
            ("0", "0"), ("17", "17"), ("18446744073709551615", "18446744073709551615"), ("18446744073709551616", "18446744073709551616"),
            ("017", "017"),
            ("-1", "-1"), ("550E8400-E29B-41D4-A716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
            ("550e8400e29b41d4a716446655440000", "550e8400e29b41d4a716446655440000"), ("a b", "a b"), ("日本", "日本"),
        ])
    func texts(text: String, expected: String) throws {
        let id = try PointID(text)
        #expect(id.description == expected)
        #expect(try PointID(id.description) == id)
    }

    @Test("kinds")
    func kinds() throws {
        #expect(try PointID("17") == .integer(17))
        #expect(try PointID("017") == .string("017"))
        #expect(try PointID("18446744073709551616") == .string("18446744073709551616"))
        #expect(try PointID("550E8400-E29B-41D4-A716-446655440000") == .uuid(high: 0x550e_8400_e29b_41d4, low: 0xa716_4466_5544_0000))
    }

    @Test("what is refused, and the longest that is not")
    func rules() throws {
        for text in ["", " a", "a ", "\ta", "a\n", "a#b", String(repeating: "é", count: 257), "\u{a0}x"] {
            let error = #expect(throws: ApusError.self, "\(text.debugDescription)") { try PointID(text) }
            #expect(error?.code == .requestInvalid)
        }
        #expect(try PointID(String(repeating: "é", count: 256)) == .string(ExactString(String(repeating: "é", count: 256))))
    }

    @Test("strings that only look alike are different points")
    func canonicalEquivalence() throws {
        #expect(try PointID("\u{e9}") != PointID("e\u{301}"))
        #expect(try Set([PointID("\u{e9}"), PointID("e\u{301}")]).count == 2)
    }
}
