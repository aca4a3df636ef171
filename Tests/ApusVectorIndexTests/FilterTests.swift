import ApusTypes
import TestKit
import Testing

@testable import ApusVectorIndex

@Suite("payload filters")
struct FilterTests {
    static func matches(_ filter: Filter, _ payload: String, id: PointID = .integer(1)) -> Bool {
        Array(payload.utf8).withUnsafeBytes { filter.matches(id: id, payload: $0) }
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
    static func naive(_ filter: Filter, _ payload: JSONValue, _ id: PointID) -> Bool {
        func values(_ names: ArraySlice<String>, _ value: JSONValue) -> [JSONValue] {
            guard let name = names.first else { return [value] }
            switch value {
            case .object(let object): return object[name].map { values(names.dropFirst(), $0) } ?? []
            case .array(let elements): return elements.flatMap { values(names, $0) }
            default: return []
            }
        }
        func any(_ path: PayloadPath, _ test: (JSONValue) -> Bool) -> Bool {
            values(path.names[...], payload).contains { value in value.asArray.map { $0.contains(where: test) } ?? test(value) }
        }
        func equals(_ scalar: Scalar, _ value: JSONValue) -> Bool {
            switch (scalar, value) {
            case (.bool(let a), .bool(let b)): a == b
            case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
            case (.integer(let a), .integer(let b)): a == b
            case (.integer(let a), .double(let b)): Double(a) == b
            case (.double(let a), _): value.asDouble == a
            default: false
            }
        }
        switch filter {
        case .all(let filters): return filters.allSatisfy { naive($0, payload, id) }
        case .any(let filters): return filters.contains { naive($0, payload, id) }
        case .not(let filter): return !naive(filter, payload, id)
        case .atLeast(let count, let filters): return filters.count { naive($0, payload, id) } >= count
        case .equals(let path, let scalar): return any(path) { equals(scalar, $0) }
        case .oneOf(let path, let scalars): return any(path) { value in scalars.contains { equals($0, value) } }
        case .range(let path, let range): return any(path) { $0.asDouble.map(range.contains) ?? false }
        case .textRange(let path, let range): return any(path) { $0.asString.map { range.contains(Array($0.utf8)) } ?? false }
        case .exists(let path): return !values(path.names[...], payload).isEmpty
        case .isNull(let path): return values(path.names[...], payload).contains(.null)
        case .isEmpty(let path): return values(path.names[...], payload).allSatisfy { $0 == .null || $0 == .array([]) }
        case .hasID(let ids): return ids.contains(id)
        }
    }

    static let keys = ["a", "b", "c", "a\"b", "ü", "\\"]
    static let texts = ["", "x", "y\"z", "line\nbreak", "é", "😀", "[", "}", "a,b:c"]

    static func value(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 7), using: &random) {
        case 0: .null
        case 1: .bool(Bool.random(using: &random))
        case 2, 3: .integer(Int64.random(in: -3...3, using: &random))
        case 4: .double(Double(Int.random(in: -6...6, using: &random)) / 2)
        case 5, 6: .string(texts.randomElement(using: &random) ?? "")
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

    static func filter(_ random: inout SeededGenerator, depth: Int) -> Filter {
        let path = PayloadPath(
            (0..<Int.random(in: 1...3, using: &random)).map { _ in keys.randomElement(using: &random) ?? "a" }.joined(separator: "."))
        let number = Double(Int.random(in: -3...3, using: &random))
        func list() -> [Filter] { (0..<Int.random(in: 0...3, using: &random)).map { _ in filter(&random, depth: depth - 1) } }
        switch Int.random(in: depth > 0 ? 0..<12 : 4..<12, using: &random) {
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
            #expect(payload.serialized().withUnsafeBytes { filter.matches(id: id, payload: $0) } == expected, "\(filter) on \(payload)")
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
            _ = bytes.withUnsafeBytes { filter.matches(id: .integer(0), payload: $0) }
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
    }
}
