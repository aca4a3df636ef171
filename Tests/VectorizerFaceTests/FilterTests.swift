import ApusTypes
import ApusVectorIndex
import Testing
import VectorizerFace

@Suite("filter dialects")
struct FilterTests {
    func filter(_ text: String) throws -> Filter { try VectorizerFace.filter(JSONDocument(parsing: Array(text.utf8)).root) }

    @Test(
        "are read into conditions",
        arguments: [
            ("null", Filter.everything), ("{}", .everything), (#"{"a":1}"#, .equals(PayloadPath("a"), .integer(1))),
            (#"{"a":"x","b.c":true}"#, .all([.equals(PayloadPath("a"), .string("x")), .equals(PayloadPath("b.c"), .bool(true))])),
            (#"{"a":["x",2]}"#, .oneOf(PayloadPath("a"), [.string("x"), .integer(2)])), (#"{"a":null}"#, .isNull(PayloadPath("a"))),
            (#"{"a":{"gte":1,"lt":2.5}}"#, .range(PayloadPath("a"), NumberRange(atLeast: 1, lessThan: 2.5))),
            (#"{"a":{"gt":"2020-01-01"}}"#, .textRange(PayloadPath("a"), TextRange(greaterThan: "2020-01-01"))),
            (#"{"must":[{"key":"a","match":{"value":1}}]}"#, .equals(PayloadPath("a"), .integer(1))),
            (#"{"must":{"key":"a","match":{"any":[1,2]}}}"#, .oneOf(PayloadPath("a"), [.integer(1), .integer(2)])),
            (#"{"must_not":[{"key":"a","match":{"value":1}}]}"#, .not(.equals(PayloadPath("a"), .integer(1)))),
            (#"{"should":[{"a":1},{"b":2}]}"#, .any([.equals(PayloadPath("a"), .integer(1)), .equals(PayloadPath("b"), .integer(2))])),
            (
                #"{"min_should":{"conditions":[{"a":1},{"b":2}],"min_count":2}}"#,
                .atLeast(2, [.equals(PayloadPath("a"), .integer(1)), .equals(PayloadPath("b"), .integer(2))])
            ),
            (
                #"{"must":[{"key":"a","match":{"except":[1]}},{"key":"n","range":{"lte":3}}]}"#,
                .all([.not(.oneOf(PayloadPath("a"), [.integer(1)])), .range(PayloadPath("n"), NumberRange(atMost: 3))])
            ),
            (
                #"{"must":[{"has_id":[1,"x"]},{"is_null":{"key":"a"}},{"is_empty":{"key":"b"}}]}"#,
                .all([.hasID([.integer(1), .string("x")]), .isNull(PayloadPath("a")), .isEmpty(PayloadPath("b"))])
            ),
            (#"{"type":"match","key":"a","match_value":"x"}"#, .equals(PayloadPath("a"), .string("x"))),
            // As a client's model is sent with all its fields.
            (
                #"{"must":[{"key":"a","match":null,"range":{"gt":1,"gte":null},"values_count":null}],"should":null,"must_not":null}"#,
                .range(PayloadPath("a"), NumberRange(greaterThan: 1))
            ),
            (#"{"must":[{"should":[{"a":1}]}]}"#, .any([.equals(PayloadPath("a"), .integer(1))])), (#"{"should":[]}"#, .everything),
        ] as [(String, Filter)])
    func reading(text: String, expected: Filter) throws {
        #expect(try filter(text) == expected)
    }

    @Test(
        "that are wrong name the place",
        arguments: [
            ("7", ""), ("[]", ""), (#"{"a":{"near":1}}"#, "a.near"), (#"{"a":{}}"#, "a"), (#"{"a":[{}]}"#, "a[0]"),
            (#"{"a":{"gt":1,"lt":"x"}}"#, "a"),
            (#"{"must":[{"key":"a","match":{"text":"x"}}]}"#, "must[0].match"),
            (#"{"must":[{"key":"a","match":{"value":{}}}]}"#, "must[0].match.value"),
            (#"{"must":[{"key":"a","geo":1}]}"#, "must[0].geo"), (#"{"must":[{"a":1},{"key":"b","range":7}]}"#, "must[1].range"),
            (#"{"must":[7]}"#, "must[0]"),
            (#"{"a":{"gt":true}}"#, "a.gt"),
            (#"{"min_should":{"conditions":[]}}"#, "min_should.min_count"), (#"{"must":[{"has_id":[1.5]}]}"#, "must[0].has_id[0]"),
            (#"{"type":"geo","key":"a"}"#, ""), (#"{"type":"range","key":"a","match_value":1}"#, ""),
            // Nothing is asked where something should be.
            (#"{"must":[{},{}]}"#, "must[0]"), (#"{"must":[{"a":1},{"must":[]}]}"#, "must[1]"), (#"{"must_not":{}}"#, "must_not"),
            (#"{"min_should":{"conditions":[],"min_count":1}}"#, "min_should"),
            (#"{"min_should":{"conditions":[{"a":1}],"min_count":0}}"#, "min_should.min_count"),
            (#"{"a":{"gte":null}}"#, "a"), (#"{"must":[{"key":"a","range":{"gt":null,"lt":null}}]}"#, "must[0].range"),
            (#"{"must":[{"key":"a","match":{"value":null}}]}"#, "must[0].match"), (#"{"must":[{"key":null}]}"#, "must[0]"),
            // What stands beside a condition would be dropped.
            (#"{"key":"a","match":{"value":1},"must":[{"b":1}]}"#, "must"), (#"{"has_id":[1],"year":2020}"#, "year"),
            (#"{"key":"a","match":{"value":1},"range":{"gt":1}}"#, ""),
            (#"{"must":[{"is_null":{"key":"a"},"is_empty":{"key":"b"}}]}"#, "must[0]"),
            (#"{"is_null":{"key":"a","match":1}}"#, "is_null"), (#"{"key":"a","match":{"value":1,"any":[2]}}"#, "match"),
            // Conditions of others that are not understood here.
            (#"{"must":[{"key":"a","values_count":{"gte":1}}]}"#, "must[0].values_count"),
            (#"{"must_not":[{"has_vector":""}]}"#, "must_not[0].has_vector"),
            (#"{"nested":{"key":"a","filter":{}}}"#, "nested"),
        ])
    func refused(text: String, field: String) throws {
        let error = try #require(throws: ApusError.self) { try filter(text) }
        #expect(error.code == .requestInvalid)
        #expect(error.context["field"] == field, "\(error)")
    }

    @Test("are bounded in depth and size")
    func bounds() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: #"{"must_not":["#, count: depth) + #"{"a":1}"# + String(repeating: "]}", count: depth)
        }
        #expect(try filter(nested(7)) != .everything)
        #expect(throws: ApusError.self) { try filter(nested(20)) }
        func wide(_ count: Int) -> String { #"{"a":["# + (0..<count).map(String.init).joined(separator: ",") + "]}" }
        #expect(try filter(wide(10_000)) != .everything)
        #expect(throws: ApusError.self) { try filter(wide(10_001)) }
    }
}
