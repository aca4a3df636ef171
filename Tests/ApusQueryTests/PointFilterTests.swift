import ApusTypes
import ApusVectorIndex
import Testing

@testable import ApusQuery

/// Conditions of the API over points, beside what SQL says of the same rows.
@Suite("filters of points")
struct PointFilterTests {
    private static let payloads = [
        #"{"n":1,"s":"1","b":true,"t":"2026-01-01","l":["x","y"]}"#,
        #"{"n":2.5,"s":"a","b":false,"t":"2026-01-01T01:00:00+01:00","l":"x"}"#,
        #"{"n":null,"s":null,"l":[]}"#, "{}", #"{"n":"1","s":1,"l":[null]}"#,
    ]

    private static func comparison(_ operation: String, _ path: String, _ type: String, _ value: JSONValue) -> JSONValue {
        ["op": .string(operation), "path": .string(path), "type": .string(type), "value": value]
    }

    private static func not(_ condition: JSONValue) -> JSONValue { ["op": "not", "of": [["op": "and", "of": [condition]]]] }

    /// The numbers of the points of which a condition is true.
    private static func matching(_ condition: JSONValue) throws -> [Int] {
        let filter = try PointFilter.all([condition])
        return payloads.indices.filter { index in
            Array(payloads[index].utf8).withUnsafeBytes {
                filter.matches(id: .integer(UInt64(index)), payload: $0, hasVector: { _ in index != 3 })
            }
        }
    }

    @Test(
        "a condition is true, or its negation is, or neither where there is no value",
        arguments: [
            ("eq", "n", "Float", 1, [0], [1, 4]), ("ne", "n", "Float", 1, [1, 4], [0]), ("gt", "n", "Float", 1, [1], [0, 4]),
            ("in", "s", "String", ["1", "a"], [0, 1], [4]), ("in", "s", "String", [], [], [0, 1, 4]),
            ("eq", "b", "Boolean", true, [0], [1]),
            ("eq", "t", "Timestamp", "2026-01-01T00:00:00Z", [0, 1], []), ("gt", "t", "Timestamp", "2025-12-31", [0, 1], []),
            ("is_null", "n", "Float", true, [2, 3], [0, 1, 4]), ("is_null", "n", "Float", false, [0, 1, 4], [2, 3]),
            ("is_null", "vector", "Vector", true, [3], [0, 1, 2, 4]), ("contains", "l", "[String]", ["x", "y"], [0], [1, 2, 4]),
            ("intersects", "l", "[String]", ["x"], [0, 1], [2, 4]), ("eq", "id", "BigInt", 2, [2], [0, 1, 3, 4]),
            ("in", "id", "String", ["2", "no # id"], [2], [0, 1, 3, 4]), ("like", "s", "String", "a%", [1], [0, 4]),
        ] as [(String, String, String, JSONValue, [Int], [Int])])
    func logic(operation: String, path: String, type: String, value: JSONValue, isTrue: [Int], isFalse: [Int]) throws {
        let condition = Self.comparison(operation, path, type, value)
        #expect(try Self.matching(condition) == isTrue)
        #expect(try Self.matching(Self.not(condition)) == isFalse)
        #expect(try Self.matching(Self.not(Self.not(condition))) == isTrue)
    }

    @Test("what whoever asks does not have is equal to nothing, and unequal to nothing")
    func unknown() throws {
        for operation in ["eq", "ne", "in", "gt", "like", "is_null"] {
            let condition = Self.comparison(operation, "s", "String", .null)
            #expect(try Self.matching(condition) == [] && Self.matching(Self.not(condition)) == [], "\(operation)")
        }
        #expect(try Self.matching(Self.comparison("in", "s", "String", ["a", .null])) == [1])
        #expect(try Self.matching(Self.not(Self.comparison("in", "s", "String", ["a", .null]))) == [])
        #expect(try Self.matching(Self.comparison("contains", "l", "[String]", ["x", .null])) == [])
    }

    @Test("a text of an identity is compared as a number with numbers, as a database would; what is none is refused")
    func types() throws {
        #expect(try Self.matching(Self.comparison("eq", "n", "BigInt", "1")) == [0])
        #expect(try Self.matching(Self.comparison("eq", "s", "String", 1)) == [0])
        #expect(throws: ApusError.self) { _ = try Self.matching(Self.comparison("eq", "n", "BigInt", "one")) }
        #expect(throws: ApusError.self) { _ = try Self.matching(Self.comparison("gt", "t", "Timestamp", "soon")) }
        #expect(throws: ApusError.self) { _ = try Self.matching(Self.comparison("like", "s", "String", "a_b%")) }
    }
}
