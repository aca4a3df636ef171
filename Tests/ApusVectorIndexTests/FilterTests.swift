import ApusTypes
import TestKit
import Testing

@testable import ApusVectorIndex

@Suite("payload filters", .computing)
struct FilterTests {
    static func matches(_ filter: Filter, _ payload: String, id: PointID = .integer(1)) -> Bool {
        Array(payload.utf8).withUnsafeBytes { filter.matches(id: id, payload: $0, hasVector: { $0 == "a" }) }
    }

    static func path(_ text: String) -> PayloadPath { PayloadPath(text) }

    @Test(
        "equality compares the value, not its spelling",
        arguments: [
            (#"{"k":1}"#, Scalar.integer(1), true), (#"{"k":1.0}"#, .integer(1), true), (#"{"k":1e0}"#, .integer(1), true),
            (#"{"k":"1"}"#, .integer(1), false), (#"{"k":true}"#, .integer(1), false),
            (#"{"k":9007199254740993}"#, .integer(9_007_199_254_740_993), true),
            (#"{"k":9007199254740993}"#, .integer(9_007_199_254_740_992), false), (#"{"k":18446744073709551615}"#, .unsigned(.max), true),
            (#"{"k":-0}"#, .integer(0), true), (#"{"k":0.1}"#, .double(0.1), true), (#"{"k":2}"#, .double(2), true),
            (#"{"k":"a\"b"}"#, .string("a\"b"), true), (#"{"k":"\u00e9"}"#, .string("é"), true), (#"{"k":"é"}"#, .string("é"), true),
            (#"{"k":"\ud83d\ude00"}"#, .string("😀"), true), (#"{"k":"e\u0301"}"#, .string("é"), false),
            (#"{"k":null}"#, .bool(false), false),
            (#"{"k":false}"#, .bool(false), true), (#"{"k":true}"#, .bool(false), false), (#"{"\u006b":5}"#, .integer(5), true),
            (#"{"k":1,"k":2}"#, .integer(2), true), (#"{"k":1,"k":2}"#, .integer(1), false), (#"{"K":1}"#, .integer(1), false),
            ("", .integer(1), false),
            (#"{"x":{"k":1}}"#, .integer(1), false), (#"{"a":"k\",\"k\":1","k":3}"#, .integer(3), true),
        ])
    func equality(payload: String, scalar: Scalar, expected: Bool) {
        #expect(Self.matches(.equals(Self.path("k"), scalar), payload) == expected)
        #expect(Self.matches(.oneOf(Self.path("k"), [.string("other"), scalar]), payload) == expected)
    }

    @Test("filters that match every point, or none, are known without a payload")
    func triviality() {
        let open = Filter.equals(Self.path("k"), .integer(1))
        let everything: [Filter] = [
            .everything, .all([.everything, .everything]), .any([open, .everything]), .not(.any([])), .not(.hasID([])),
            .not(.oneOf(Self.path("k"), [])), .atLeast(0, [open]), .atLeast(1, [open, .everything]), .not(.all([open, .any([])])),
        ]
        let nothing: [Filter] = [.any([]), .hasID([]), .atLeast(2, [open, .any([])]), .all([open, .not(.everything)])]
        for filter in everything { #expect(filter.isEverything && !filter.isNothing && Self.matches(filter, "")) }
        for filter in nothing { #expect(filter.isNothing && !filter.isEverything && !Self.matches(filter, "")) }
        for filter in [open, .not(open), .all([open]), .any([open]), .exists(Self.path("k"))] {
            #expect(!filter.isEverything && !filter.isNothing)
        }
    }

    @Test("one of several strings is found though another looks like it")
    func canonicalEquivalence() {
        let filter = Filter.oneOf(Self.path("k"), [.string("\u{e9}"), .string("e\u{301}")])
        #expect(Self.matches(filter, "{\"k\":\"\u{e9}\"}") && Self.matches(filter, "{\"k\":\"e\u{301}\"}"))
        #expect(Scalar.string("\u{e9}") != .string("e\u{301}"))
    }

    @Test("paths go into objects and into every element of arrays")
    func paths() {
        let payload = #"{"a":{"b":[{"c":1},{"c":[2,3]},7]},"empty":[],"none":null,"":{"":4}}"#
        func has(_ path: String, _ value: Int64) -> Bool { Self.matches(.equals(Self.path(path), .integer(value)), payload) }
        #expect(has("a.b.c", 1) && has("a.b.c", 2) && has("a.b.c", 3) && has("a.b[].c", 3) && has("a.b", 7) && has(".", 4))
        #expect(!has("a.b.c", 7) && !has("a.c", 1) && !has("b", 7) && !has("a.b.c.d", 1))
        #expect(Self.matches(.exists(Self.path("none")), payload) && Self.matches(.isNull(Self.path("none")), payload))
        #expect(!Self.matches(.exists(Self.path("nowhere")), payload) && !Self.matches(.isNull(Self.path("nowhere")), payload))
        for path in ["none", "nowhere", "empty"] { #expect(Self.matches(.isEmpty(Self.path(path)), payload)) }
        #expect(!Self.matches(.isEmpty(Self.path("a")), payload))
    }

    @Test("ranges of numbers and of strings")
    func ranges() {
        let payload = #"{"n":5,"t":"2026-11-21T10:00:00Z","list":[1,9]}"#
        func number(_ path: String, _ range: NumberRange) -> Bool { Self.matches(.range(Self.path(path), range), payload) }
        #expect(number("n", .init(atLeast: 5, atMost: 5)) && !number("n", .init(greaterThan: 5)) && !number("n", .init(lessThan: 5)))
        #expect(
            number("list", .init(greaterThan: 8)) && !number("list", .init(greaterThan: 1, lessThan: 9)) && !number("t", .init(atLeast: 0)))
        func text(_ range: TextRange) -> Bool { Self.matches(.textRange(Self.path("t"), range), payload) }
        #expect(text(.init(greaterThan: "2026-11-20", lessThan: "2026-11-22")) && !text(.init(atLeast: "2027")))
        #expect(!Self.matches(.textRange(Self.path("n"), .init(atLeast: "")), payload))
    }

    /// What a filter means, on the tree.
    static func naive(_ filter: Filter, _ payload: JSONValue, _ id: PointID?) -> Bool {
        func values(_ path: PayloadPath) -> [JSONValue] { Self.values(path.steps[...], payload, searchesArrays: path.searchesArrays) }
        func any(_ path: PayloadPath, _ test: (JSONValue) -> Bool) -> Bool {
            values(path).contains { value in value.asArray.map { $0.contains(where: test) } ?? test(value) }
        }
        switch filter {
        case .all(let filters): return filters.allSatisfy { naive($0, payload, id) }
        case .any(let filters): return filters.contains { naive($0, payload, id) }
        case .not(let filter): return !naive(filter, payload, id)
        case .atLeast(let count, let filters): return filters.count { naive($0, payload, id) } >= count
        case .equals(let path, let scalar): return any(path) { equals(scalar, $0) }
        case .oneOf(let path, let scalars): return any(path) { value in scalars.contains { equals($0, value) } }
        case .identical(let path, let scalars): return any(path) { value in scalars.contains { isIdentical($0, value) } }
        case .different(let path, let scalars):
            return any(path) { value in value != .null && !scalars.contains { isIdentical($0, value) } }
        case .range(let path, let range): return any(path) { $0.asDouble.map(range.contains) ?? false }
        case .textRange(let path, let range): return any(path) { $0.asString.map { range.contains(Array($0.utf8)) } ?? false }
        case .text(let path, let match): return any(path) { $0.asString.map { match.matches(Array($0.utf8)) } ?? false }
        case .timeRange(let path, let range): return any(path) { $0.asString.flatMap { PayloadTime($0.utf8) }.map(range.contains) ?? false }
        case .place(let path, let shape):
            return any(path) { value in
                guard let latitude = value["lat"]?.asDouble, let longitude = value["lon"]?.asDouble else { return false }
                return shape.contains(GeoPoint(latitude: latitude, longitude: longitude))
            }
        case .valueCount(let path, let range):
            let found = values(path)
            return found.isEmpty ? range.contains(0) : found.contains { range.contains($0.asArray?.count ?? ($0 == .null ? 0 : 1)) }
        case .nested(let path, let filter):
            return values(path.ofArray).contains { value in
                value.asArray?.contains { $0.asObject != nil && naive(filter, $0, nil) } ?? false
            }
        case .exists(let path): return !values(path).isEmpty
        case .isNull(let path): return values(path).contains(.null)
        case .hasNull(let path): return any(path) { $0 == .null }
        case .isEmpty(let path): return values(path).allSatisfy { $0 == .null || $0 == .array([]) }
        case .hasID(let ids): return id.map(ids.contains) ?? false
        case .hasVector(let name): return id != nil && name == "a"
        }
    }

    private static func values(_ steps: ArraySlice<PayloadPath.Step>, _ value: JSONValue, searchesArrays: Bool) -> [JSONValue] {
        guard let step = steps.first else { return [value] }
        func below(_ value: JSONValue) -> [JSONValue] { values(steps.dropFirst(), value, searchesArrays: searchesArrays) }
        switch (step, value) {
        case (.member(let name), .object(let object)): return object[name].map(below) ?? []
        case (.member, .array(let elements)) where searchesArrays:
            return elements.flatMap { values(steps, $0, searchesArrays: true) }
        case (.element(let index), .array(let elements)): return index < elements.count ? below(elements[index]) : []
        case (.everyElement, .array(let elements)): return elements.flatMap(below)
        default: return []
        }
    }

    private static func equals(_ scalar: Scalar, _ value: JSONValue) -> Bool {
        switch (scalar, value) {
        case (.bool(let a), .bool(let b)): a == b
        case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
        case (.integer(let a), .integer(let b)): a == b
        case (.integer(let a), .double(let b)): Double(a) == b
        case (.double(let a), _): value.asDouble == a
        default: false
        }
    }

    private static func isIdentical(_ scalar: Scalar, _ value: JSONValue) -> Bool {
        switch (scalar, value) {
        case (.bool(let a), .bool(let b)): a == b
        case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
        case (.integer(let a), .integer(let b)): a == b
        default: false
        }
    }

    static let keys = ["a", "b", "c", "a\"b", "ü", "\\"]
    static let texts = ["", "x", "y\"z", "line\nbreak", "é", "😀", "[", "}", "a,b:c", "x Y é", "2024-01-03", "2024-01-04T10:00:00Z"]

    static func value(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 7), using: &random) {
        case 0: .null
        case 1: .bool(Bool.random(using: &random))
        case 2, 3: .integer(Int64.random(in: -3...3, using: &random))
        case 4: .double(Double(Int.random(in: -6...6, using: &random)) / 2)
        case 5, 6: .string(texts.randomElement(using: &random) ?? "")
        case 7 where Int.random(in: 0..<4, using: &random) == 0: .array([object(&random, depth: depth - 1), .null])
        case 7: .array((0..<Int.random(in: 0...3, using: &random)).map { _ in value(&random, depth: depth - 1) })
        default: object(&random, depth: depth - 1)
        }
    }

    static func object(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
        .object(
            JSONObject(
                (0..<Int.random(in: 0...4, using: &random)).map { _ in
                    (keys.randomElement(using: &random) ?? "a", value(&random, depth: depth))
                }))
    }

    static func scalar(_ random: inout SeededGenerator) -> Scalar {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .bool(Bool.random(using: &random))
        case 1: .integer(Int64.random(in: -3...3, using: &random))
        case 2: .double(Double(Int.random(in: -6...6, using: &random)) / 2)
        default: .string(ExactString(texts.randomElement(using: &random) ?? ""))
        }
    }

    /// In either dialect.
    static func path(_ random: inout SeededGenerator) -> PayloadPath {
        let names = (0..<Int.random(in: 1...3, using: &random)).map { _ in keys.randomElement(using: &random) ?? "a" }
        guard Bool.random(using: &random) else { return PayloadPath(names.joined(separator: ".")) }
        let parts = names.map { name in
            let quoted = name.contains("\"") ? "c" : "\"\(name)\""
            return quoted + (["", "", "", "[]", "[0]", "[1]", "[][]"].randomElement(using: &random) ?? "")
        }
        do { return try PayloadPath(jsonPath: parts.joined(separator: ".")) } catch { return PayloadPath("a") }
    }

    static func filter(_ random: inout SeededGenerator, depth: Int) -> Filter {
        let path = path(&random)
        let number = Double(Int.random(in: -3...3, using: &random))
        func list() -> [Filter] { (0..<Int.random(in: 0...3, using: &random)).map { _ in filter(&random, depth: depth - 1) } }
        func text() -> String { texts.randomElement(using: &random) ?? "" }
        switch Int.random(in: depth > 0 ? 0..<21 : 4..<20, using: &random) {
        case 12: return .identical(path, Set((0..<3).map { _ in scalar(&random) }))
        case 13: return .different(path, Set((0..<3).map { _ in scalar(&random) }))
        case 14:
            let words = TextMatch.words(of: text() + " " + text())
            return .text(path, [.allWords(words), .anyWord(words), .phrase(words)].randomElement(using: &random) ?? .allWords([]))
        case 15: return .text(path, Bool.random(using: &random) ? .prefix(ExactString(text())) : .substring(ExactString(text())))
        case 16:
            return .timeRange(path, .init(after: PayloadTime("2024-01-02".utf8), atMost: PayloadTime("2024-01-04T12:00:00+02:00".utf8)))
        case 17: return .valueCount(path, .init(atLeast: Int.random(in: 0...2, using: &random), lessThan: 3))
        case 18: return .hasNull(path)
        case 19: return .hasVector(Bool.random(using: &random) ? "a" : "b")
        case 20: return .nested(path, filter(&random, depth: depth - 1))
        case 0: return .all(list())
        case 1: return .any(list())
        case 2: return .not(filter(&random, depth: depth - 1))
        case 3: return .atLeast(Int.random(in: 0...2, using: &random), list())
        case 4, 5: return .equals(path, scalar(&random))
        case 6: return .oneOf(path, Set((0..<3).map { _ in scalar(&random) }))
        case 7: return .range(path, .init(atLeast: number, lessThan: number + 2))
        case 8: return .textRange(path, .init(greaterThan: texts.randomElement(using: &random)))
        case 9: return .exists(path)
        case 10: return Bool.random(using: &random) ? .isNull(path) : .isEmpty(path)
        default: return .hasID([.integer(UInt64.random(in: 0...2, using: &random))])
        }
    }

    @Test("20,000 random filters on random payloads mean what they mean on the tree")
    func againstTree() {
        var random = SeededGenerator(seed: 11)
        var matched = 0
        for _ in 0..<20_000 {
            let payload = Self.object(&random, depth: 3)
            let filter = Self.filter(&random, depth: 3)
            let id = PointID.integer(UInt64.random(in: 0...2, using: &random))
            let expected = Self.naive(filter, payload, id)
            matched += expected ? 1 : 0
            #expect(
                payload.serialized().withUnsafeBytes { filter.matches(id: id, payload: $0, hasVector: { $0 == "a" }) } == expected,
                "\(filter) on \(payload)")
        }
        #expect((2000...18_000).contains(matched))
    }

    @Test("text that is no JSON ends the walk, wherever it is cut or changed")
    func damagedPayload() {
        var random = SeededGenerator(seed: 12)
        for _ in 0..<20_000 {
            var bytes = Self.object(&random, depth: 3).serialized()
            if Bool.random(using: &random) {
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            } else {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = Array("{}[]\",:\\u0t".utf8).randomElement(using: &random) ?? 0
            }
            let filter = Self.filter(&random, depth: 2)
            _ = bytes.withUnsafeBytes { filter.matches(id: .integer(0), payload: $0, hasVector: { _ in false }) }
        }
    }

    @Test("a filter one step too deep or one condition too large is refused")
    func limits() throws {
        func nested(_ depth: Int) -> Filter { depth == 1 ? .exists(Self.path("a")) : .not(nested(depth - 1)) }
        try nested(Filter.deepest).validate()
        #expect(throws: ApusError.self) { try nested(Filter.deepest + 1).validate() }
        func wide(_ count: Int) -> Filter { .oneOf(Self.path("a"), Set((0..<count).map { .integer(Int64($0)) })) }
        try wide(Filter.mostConditions).validate()
        #expect(throws: ApusError.self) { try wide(Filter.mostConditions + 1).validate() }
        #expect(throws: ApusError.self) { try Filter.all([wide(Filter.mostConditions)]).validate() }
        // Whatever a row is compared with counts.
        let most = Filter.mostConditions
        func words(_ count: Int) -> [String] { (0..<count).map { "w\($0)" } }
        func ring(_ count: Int) -> [GeoPoint] { (0..<count).map { GeoPoint(latitude: Double($0) / 1000, longitude: 0) } }
        let texts: [(Int) -> Filter] = [
            { .text(Self.path("a"), .anyWord(words($0))) }, { .not(.text(Self.path("a"), .phrase(words($0 - 1)))) },
        ]
        for filter in texts {
            try filter(most).validate()
            #expect(throws: ApusError.self) { try filter(most + 1).validate() }
        }
        try Filter.place(Self.path("a"), .polygon(ring(most / 2), holes: [ring(most / 2)])).validate()
        for filter in [
            Filter.place(Self.path("a"), .polygon(ring(most + 1), holes: [])),
            .nested(Self.path("a"), .place(Self.path("b"), .polygon(ring(10), holes: [ring(most)]))),
        ] { #expect(throws: ApusError.self) { try filter.validate() } }
        let long = String(repeating: "ä", count: Filter.mostBytes / 2 - 1)
        try Filter.equals(Self.path("a"), .string(ExactString(long))).validate()
        for filter in [
            Filter.equals(Self.path("a"), .string(ExactString(long + "ab"))), .hasVector(long + "abc"),
            .all([.text(Self.path("a"), .prefix(ExactString(long))), .hasID([.string(ExactString("abcdefgh"))])]),
            .textRange(Self.path("a"), TextRange(atLeast: long, atMost: long)), .exists(Self.path(long + "abc")),
        ] { #expect(throws: ApusError.self) { try filter.validate() } }
    }

    @Test("a path has at most 32 steps, however they are written; a longer one is refused by its first steps")
    func longPaths() throws {
        for path in [String(repeating: "a.", count: 31) + "a", "a" + String(repeating: "[]", count: 31)] {
            #expect(try PayloadPath(jsonPath: path).steps.count == 32)
        }
        for path in [
            String(repeating: "a.", count: 32) + "a", "a" + String(repeating: "[]", count: 32),
            "a" + String(repeating: "[3]", count: 100_000),
            String(repeating: "a.", count: 1_000_000) + "a",
        ] {
            let error = #expect(throws: ApusError.self) { try PayloadPath(jsonPath: path) }
            #expect(error?.code == .requestInvalid && (error?.summary.utf8.count ?? 0) < 300)
        }
        // What is in a log already was bound by nothing but the body.
        #expect(try PayloadPath(jsonPath: String(repeating: "a.", count: 49) + "a", mostSteps: 60).steps.count == 50)
    }
}
