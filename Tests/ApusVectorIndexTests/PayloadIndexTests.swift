import ApusTypes
import TestKit
import Testing

@testable import ApusVectorIndex

@Suite("indexes of payloads", .computing)
struct PayloadIndexTests {
    static func table(_ payloads: [[UInt8]?]) -> PointTable {
        let table = PointTable([VectorField("a", .dense(dimension: 1, .dot)), VectorField("b", .dense(dimension: 1, .dot))])
        let vector = VectorValue.dense([1]).bytes
        table.apply(at: 1) { writer in
            vector.withUnsafeBytes { vector in
                for (number, payload) in payloads.enumerated() {
                    func value(_ field: Int) -> UnsafeRawBufferPointer? { field == 0 && number % 3 == 0 ? vector : nil }
                    guard let payload else { writer.upsert(.integer(UInt64(number)), payload: nil, value: value); continue }
                    payload.withUnsafeBytes { writer.upsert(.integer(UInt64(number)), payload: $0, value: value) }
                }
            }
        }
        return table
    }

    static func segment(_ payloads: [[UInt8]?], _ indexes: [IndexedPath] = []) throws -> Segment {
        let table = table(payloads)
        return try SegmentLab.open(bytes(table, indexes), ObjectKey(high: 1, low: 2), table.fields)
    }

    static func bytes(_ table: PointTable, _ indexes: [IndexedPath]) -> [UInt8] {
        var parameters = SegmentBuilder.Parameters()
        parameters.indexes = indexes
        let builder = SealPlan(sealing: table.snapshot()).builder(parameters, threads: 1)
        builder.prepare()
        let segment = builder.finish([], asOf: 1)
        var bytes: [UInt8] = []
        while let piece = segment.next() { bytes += piece }
        return bytes
    }

    static func expectBounds(_ segment: Segment, _ filter: Filter) -> Bool {
        let bounds = segment.bounds(of: filter)
        var matched = 0
        for row in 0..<segment.count {
            let matches = segment.matches(row, filter)
            matched += matches ? 1 : 0
            guard matches ? bounds.mayMatch(row) : !bounds.certain.contains(row) else {
                Issue.record("\(filter) on \(String(decoding: segment.payload(row), as: UTF8.self))")
                return false
            }
        }
        #expect(bounds.certain.count <= matched && matched <= bounds.possible.count)
        let known = segment.estimate(filter)
        #expect(segment.matching(filter) { false }.count == matched)
        #expect((0..<segment.count).allSatisfy { segment.matches($0, filter, known) == segment.matches($0, filter) })
        return bounds.isExact
    }

    static let numbers = [
        "9007199254740993", "9007199254740992", "-9007199254740993", "18446744073709551615", "9223372036854775807", "1e3", "1.0", "-0",
        "-0.0",
        "1e400", "123456789012345678901234567890", "0.1", "9007199254740991",
    ]
    static let scalars: [Scalar] = [
        .integer(9_007_199_254_740_993), .integer(9_007_199_254_740_992), .integer(9_007_199_254_740_991), .integer(-9_007_199_254_740_993),
        .unsigned(.max), .unsigned(5), .integer(.max), .double(1000), .integer(1000), .double(0), .integer(0),
        .double(9_007_199_254_740_992),
        .double(.infinity), .double(.nan), .double(0.1), .string("é"), .string("e\u{301}"),
    ]

    /// As `FilterTests.object`, with what indexes could trip over: numbers beyond 2^53, escapes, times, places.
    static func payload(_ random: inout SeededGenerator) -> [UInt8] {
        var text = String(decoding: FilterTests.object(&random, depth: 3).serialized(), as: UTF8.self)
        guard random.next() % 2 == 0 else { return Array(text.utf8) }
        let latitude = Double(Int(random.next() % 36) * 5) - 90, longitude = Double(Int(random.next() % 72) * 5) - 180
        let value: String
        switch random.next() % 5 {
        case 0: value = #"{"lat":\#(latitude),"lon":\#(longitude)}"#
        case 1: value = #"["\u0065\u0301 word","Straße","été","e\u0301te\u0301"]"#
        case 2: value = #""2024-01-0\#(1 + random.next() % 6)T0\#(random.next() % 10):00:00Z""#
        default: value = numbers.randomElement(using: &random) ?? "1"
        }
        text.removeLast()
        let key = ["a", "b", "c"].randomElement(using: &random) ?? "a"
        return Array((text == "{" ? "{" : text + ",").utf8) + Array("\"\(key)\":\(value)}".utf8)
    }

    static func filter(_ random: inout SeededGenerator) -> Filter {
        guard random.next() % 3 == 0 else { return FilterTests.filter(&random, depth: 3) }
        let path = FilterTests.path(&random)
        func scalar() -> Scalar { scalars.randomElement(using: &random) ?? .bool(true) }
        func place() -> GeoPoint {
            GeoPoint(latitude: Double(Int(random.next() % 180)) - 90, longitude: Double(Int(random.next() % 360)) - 180)
        }
        switch random.next() % 9 {
        case 0: return .equals(path, scalar())
        case 1: return .identical(path, [scalar(), scalar()])
        case 2: return .different(path, [scalar(), scalar(), FilterTests.scalar(&random)])
        case 3: return .range(path, .init(greaterThan: [-1, 0.1, 0x1p53].randomElement(using: &random), atMost: 0x1p60))
        case 4: return .place(path, .circle(place(), radius: Double(random.next() % 9_000_000)))
        case 5: return .place(path, .box(topLeft: place(), bottomRight: place()))
        case 6: return .place(path, .polygon([place(), place(), place(), place()], holes: [[place(), place(), place()]]))
        case 7:
            return .text(
                path,
                [.allWords(["\u{e9}t\u{e9}"]), .anyWord(["strasse", "straße", "\u{e9}"]), .phrase(["x", "y"])].randomElement(using: &random)
                    ?? .anyWord([]))
        default:
            return .not(.any([.equals(path, scalar()), .all([.exists(path), FilterTests.filter(&random, depth: 1)])]))
        }
    }

    @Test("20,000 random filters on random payloads: what the indexes tell is what the payloads say", arguments: 0..<20)
    func equivalence(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        var exact = 0
        for round in 0..<20 {
            let payloads = (0..<Int.random(in: 1...40, using: &random)).map { _ in random.next() % 8 == 0 ? nil : Self.payload(&random) }
            var declared: [IndexedPath] = []
            for text in ["a", "b", "\"ü\"", "a.b", "a[]", "a[].b", "b[0]", "c", "c.a", "a.b.c"]
            where round % 2 == 0 && random.next() % 2 == 0 {
                declared.append(IndexedPath(try PayloadPath(jsonPath: text), hasWords: random.next() % 2 == 0))
            }
            let segment = try Self.segment(payloads, declared)
            for path in declared { #expect(segment.payloadIndexes[path.path.indexKey] != nil) }
            for _ in 0..<50 { exact += Self.expectBounds(segment, Self.filter(&random)) ? 1 : 0 }
        }
        #expect(exact > 200, "\(exact) of 1000 were answered without a payload")
    }

    @Test("values of each kind are counted as the payloads have them, by indexes and without, in segments and in memory, after deaths too")
    func kinds() throws {
        var random = SeededGenerator(seed: 15)
        var found = 0
        for round in 0..<60 {
            func value() -> String {
                let id = "D1B6A1E0-0000-4000-8000-00000000000\(random.next() % 10)"
                let word = #""\#(["x", "2024-03-01", id][Int(random.next() % 3)])""#
                return [word, Self.numbers[Int(random.next() % 13)], "true", #"{"lat":1,"lon":2}"#, "7", "[]", "null"][
                    Int(random.next() % 7)]
            }
            let payloads = (0..<40).map { _ -> [UInt8]? in
                if random.next() % 6 == 0 { return nil }
                return Array((random.next() % 3 == 0 ? #"{"v":[\#(value()),\#(value())]}"# : #"{"v":\#(value())}"#).utf8)
            }
            let path = try PayloadPath(jsonPath: "v")
            let declared = round % 2 == 0 ? [IndexedPath(path)] : []
            let table = Self.table(payloads)
            let segment = try SegmentLab.open(Self.bytes(table, declared), ObjectKey(high: 1, low: 2), table.fields)
            let sealed = PointTable(table.fields, segments: [segment], moment: 1)
            var living = Dictionary(uniqueKeysWithValues: payloads.enumerated().map { ($0.offset, $0.element) })
            for moment in 2..<5 {
                for kind in PayloadKind.allCases {
                    let wanted = living.values.count { $0.map { path.hasValue(of: kind, in: $0) } ?? false }
                    found += wanted
                    #expect(sealed.snapshot().count(with: kind, at: path) == wanted, "\(kind) in round \(round)")
                    #expect(sealed.snapshot().count(with: kind, at: path) == wanted, "\(kind) again")
                }
                // Some die, and one is written again, in memory.
                let gone = Set((0..<5).map { _ in Int(random.next() % 40) })
                let again = (value(), Int(random.next() % 40))
                let payload = Array(#"{"v":\#(again.0)}"#.utf8)
                sealed.apply(at: Int64(moment)) { writer in
                    for id in gone { writer.delete(.integer(UInt64(id))) }
                    payload.withUnsafeBytes { writer.upsert(.integer(UInt64(again.1)), payload: $0) { _ in nil } }
                }
                for id in gone { living[id] = nil }
                living[again.1] = payload
            }
        }
        #expect(found > 3000)
    }

    @Test("members that are often there are indexed by themselves, texts and rare ones only if they are declared")
    func choice() throws {
        let payloads = (0..<2000).map { number -> [UInt8]? in
            let text = String(repeating: "long text \(number) ", count: 8)
            let rare = number % 500 == 0 ? #","rare":1"# : ""
            return Array(
                #"{"kind":"k\#(number % 3)","n":\#(number),"text":"\#(text)","at":{"day":\#(number % 9)},"tags":["a",\#(number)]\#(rare)}"#
                    .utf8)
        }
        func indexed(_ declared: [String]) throws -> Set<[UInt8]> {
            Set(try Self.segment(payloads, declared.map { IndexedPath(try PayloadPath(jsonPath: $0), hasWords: true) }).payloadIndexes.keys)
        }
        func keys(_ paths: [String]) throws -> Set<[UInt8]> { Set(try paths.map { try PayloadPath(jsonPath: $0).indexKey }) }
        #expect(try indexed([]) == keys(["kind", "n", "at.day", "tags"]))
        #expect(try indexed(["text", "rare", "nowhere"]) == keys(["kind", "n", "at.day", "tags", "text", "rare", "nowhere"]))
        let segment = try Self.segment(payloads, [IndexedPath(try PayloadPath(jsonPath: "text"), hasWords: true)])
        let exact: [Filter] = [
            .text(PayloadPath("text"), .allWords(["long", "77"])), .text(PayloadPath("text"), .phrase(["77", "long"])),
            .equals(PayloadPath("at.day"), .integer(4)),
            .all([.equals(PayloadPath("kind"), .string("k1")), .range(PayloadPath("n"), .init(lessThan: 100))]), .exists(PayloadPath("n")),
            .isEmpty(PayloadPath("kind")), .valueCount(PayloadPath("kind"), .init(atLeast: 1)), .hasVector("a"), .hasVector("b"),
            .hasVector("c"),
            .atLeast(1, [.equals(PayloadPath("tags"), .integer(5)), .equals(PayloadPath("tags"), .integer(6))]),
        ]
        for filter in exact { #expect(Self.expectBounds(segment, filter), "\(filter)") }
        let half = Filter.all([.equals(PayloadPath("kind"), .string("k1")), .text(PayloadPath("none"), .anyWord(["x"]))])
        #expect(segment.bounds(of: half).possible.count == 667 && !segment.bounds(of: half).isExact)
    }

    @Test("an index whose bytes rot may give wrong rows, and never a trap")
    func rot() throws {
        var random = SeededGenerator(seed: 3)
        let table = Self.table((0..<80).map { _ in Self.payload(&random) })
        let declared = try ["a", "b", "c"].map { IndexedPath(try PayloadPath(jsonPath: $0), hasWords: true) }
        let good = Self.bytes(table, declared)
        // Only the indexes' own sections and the payloads rot here, below what is checked when a segment is opened.
        let entries = (0..<Int(good.withUnsafeBytes { $0.number(at: 12, as: UInt32.self) })).compactMap { number -> Range<Int>? in
            good.withUnsafeBytes { bytes in
                let start = 64 + number * 32
                let kind: UInt16 = bytes.number(at: start)
                guard kind == 10 || kind == 8 else { return nil }
                let offset = Int(bytes.number(at: start + 8, as: UInt64.self))
                return offset + (kind == 10 ? 44 : 0)..<offset + Int(bytes.number(at: start + 16, as: UInt64.self))
            }
        }
        #expect(entries.count >= 4)
        var opened = 0
        for _ in 0..<300 {
            var bytes = good
            for range in entries {
                for _ in 0..<Int.random(in: 1...60, using: &random) {
                    bytes[Int.random(in: range, using: &random)] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            guard let segment = try? SegmentLab.open(bytes, ObjectKey(high: 1, low: 1), table.fields) else { continue }
            opened += 1
            for _ in 0..<10 { _ = segment.matching(Self.filter(&random)) { false } }
        }
        #expect(opened > 100)
    }
}
