import ApusGraphQL
import ApusTypes
import Testing

@Suite("GraphQL: values and caches")
struct ValueTests {
    static let schema: GraphQLSchema = {
        do {
            let even = ScalarCoercion { value throws(ScalarProblem) in
                guard let number = value.asInteger, number % 2 == 0 else { throw ScalarProblem("Even cannot represent \(value)") }
                return value
            }
            return try GraphQLSchema(
                building:
                    "type Query { f(e: E, i: In, n: Even, any: Any, x: Float, id: ID): Int } enum E { A B } input In { a: Int! b: [Int] = [1] c: In } scalar Even scalar Any",
                scalars: ["Even": even])
        } catch { preconditionFailure("\(error)") }
    }()

    /// Definition of `$v`, its JSON, and what it becomes or why it is refused.
    static let inputs: [(String, JSONValue, String)] = [
        ("$v: In", ["a": 1, "c": ["a": 2, "b": 5]], #"{"a":1,"b":[1],"c":{"a":2,"b":[5]}}"#),
        ("$v: [Int!]", 3, "[3]"), ("$v: Float!", 1, "1"), ("$v: ID", 12, #""12""#), ("$v: Int", 3.0, "3"), ("$v: Even", 4, "4"),
        ("$v: Any", ["x": [true]], #"{"x":[true]}"#),
        ("$v: Int!", nil, "Variable \"$v\" of non-null type \"Int!\" must not be null."),
        ("$v: Int", "x", "Variable \"$v\" got invalid value \"x\"; Int cannot represent non-integer value: \"x\""),
        (
            "$v: Int", 3_000_000_000,
            "Variable \"$v\" got invalid value 3000000000; Int cannot represent non 32-bit signed integer value: 3000000000"
        ),
        (
            "$v: In", ["a": 1, "c": ["b": [nil, 1.5], "a": 2]],
            "Variable \"$v\" got invalid value 1.5 at \"v.c.b[1]\"; Int cannot represent non-integer value: 1.5"
        ),
        ("$v: In", ["b": 1], "Variable \"$v\" got invalid value { b: 1 }; Field \"a\" of required type \"Int!\" was not provided."),
        (
            "$v: In", ["a": 1, "bb": 1],
            "Variable \"$v\" got invalid value { a: 1, bb: 1 }; Field \"bb\" is not defined by type \"In\". Did you mean \"b\"?"
        ),
        (
            "$v: E", "C",
            "Variable \"$v\" got invalid value \"C\"; Value \"C\" does not exist in \"E\" enum. Did you mean the enum value \"A\" or \"B\"?"
        ),
        ("$v: Even", 3, "Variable \"$v\" got invalid value 3; Even cannot represent 3"),
        ("$v: Query", 3, "Variable \"$v\" expected value of type \"Query\" which cannot be used as an input type."),
    ]

    @Test("variables are coerced, or refused in graphql-js's words", arguments: inputs)
    func variables(definition: String, input: JSONValue, expected: String) throws {
        let document = try GraphQLDocument(parsing: "query(\(definition)) { f }")
        do throws(GraphQLErrors) {
            let values = try Self.schema.variables(of: try! document.operation(named: nil), in: document, from: ["v": input])
            #expect(values["v"]?.description == expected)
        } catch {
            #expect(error.errors.map(\.message) == [expected])
        }
    }

    @Test("of many wrong variables the first fifty are told")
    func manyErrors() throws {
        let document = try GraphQLDocument(parsing: "query($v: [Int]) { f }")
        let input = JSONValue.array(Array(repeating: "x", count: 1000))
        do throws(GraphQLErrors) {
            _ = try Self.schema.variables(of: try! document.operation(named: nil), in: document, from: ["v": input])
            Issue.record("was accepted")
        } catch {
            #expect(error.errors.count == 50)
        }
    }

    @Test("a document is checked once for a text and a version")
    func documentCache() throws {
        var cache = DocumentCache(capacity: 10_000)
        let text = Array("{ f }".utf8)
        _ = try cache.document(text, schema: Self.schema, version: 1)
        _ = try cache.document(text, schema: Self.schema, version: 1)
        #expect(cache.count == 1)
        // A schema without the field, under the old version: the answer is the kept one. Under a new version it is another.
        let other = try GraphQLSchema(building: "type Query { g: Int }")
        _ = try cache.document(text, schema: other, version: 1)
        #expect(throws: GraphQLErrors.self) { _ = try cache.document(text, schema: other, version: 2) }
        #expect(throws: GraphQLErrors.self) { _ = try cache.document(text, schema: Self.schema, version: 2) }
        #expect(cache.count == 2)
        for number in 0..<1000 { _ = try cache.document(Array("{ a\(number): f }".utf8), schema: Self.schema, version: 1) }
        #expect(cache.count < 40)
    }

    @Test("a cache keeps what was used last, and never more than it may")
    func boundedCache() {
        var cache = BoundedCache<Int, Int>(capacity: 10)
        for key in 0..<10 { cache.insert(key, for: key) }
        #expect(cache.value(for: 0) == 0)
        cache.insert(10, for: 10)
        #expect(cache.value(for: 1) == nil && cache.value(for: 0) == 0)
        cache.insert(11, for: 11, weight: 9)
        #expect(cache.count == 2 && cache.weight == 10 && cache.value(for: 0) == 0)
        cache.insert(12, for: 12, weight: 11)
        #expect(cache.value(for: 12) == nil && cache.count == 2)
        cache.insert(13, for: 11, weight: 1)
        #expect(cache.value(for: 11) == 13 && cache.weight == 2)
        cache.removeAll()
        #expect(cache.count == 0 && cache.value(for: 0) == nil)
        // Against a plain model.
        var model: [(key: Int, weight: Int)] = []
        var state: UInt64 = 42
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<20_000 {
            let key = next(30)
            if next(2) == 0 {
                let weight = next(6)
                cache.insert(key, for: key, weight: weight)
                model.removeAll { $0.key == key }
                model.append((key, weight))
                while model.reduce(0, { $0 + $1.weight }) > 10 { model.removeFirst() }
            } else {
                let found = cache.value(for: key)
                #expect(found == (model.contains { $0.key == key } ? key : nil))
                if let place = model.firstIndex(where: { $0.key == key }) { model.append(model.remove(at: place)) }
            }
            #expect(cache.count == model.count && cache.weight == model.reduce(0) { $0 + $1.weight })
        }
    }
}
