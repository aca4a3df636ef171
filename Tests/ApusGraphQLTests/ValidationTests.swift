import ApusGraphQL
import ApusTypes
import Testing

/// What graphql-core's tests do not ask: bounds, and errors where they belong. The rules themselves are in GraphQLConformanceTests.
@Suite("GraphQL: validation")
struct ValidationTests {
    static let schema: GraphQLSchema = {
        do {
            return try GraphQLSchema(
                building: """
                    type Query { a: Query b(x: Int, o: In): Int c: [Query!]! n: Named }
                    interface Named { name: String } type Cat implements Named { name: String lives: Int } input In { k: Int l: In }
                    """)
        } catch { preconditionFailure("\(error)") }
    }()

    private func problems(_ text: String, _ limits: ParserLimits = .operation) throws -> [String] {
        Self.schema.problems(with: try GraphQLDocument(parsing: text, limits: limits)).map(\.message)
    }

    @Test("errors of variables stand where their operation ends, though fragments come later")
    func order() throws {
        #expect(
            try problems("query A($x: Int) { ...F none } query B { nothing } fragment F on Query { b(x: $y) }") == [
                "Cannot query field \"none\" on type \"Query\".",
                "Variable \"$y\" is not defined by operation \"A\".", "Variable \"$x\" is never used in operation \"A\".",
                "Cannot query field \"nothing\" on type \"Query\".",
            ])
    }

    @Test("after a hundred errors there is one more, which says so")
    func limit() throws {
        let found = try problems("{" + String(repeating: " none", count: 500) + "}")
        #expect(found.count == 101)
        #expect(found.last == "Too many validation errors, error limit reached. Validation aborted.")
    }

    /// Documents that cost much more than they are long, and whether they are valid within the bounds.
    static let expensive: [(String, Bool)] = {
        func many(_ count: Int, _ text: (Int) -> String) -> String { (0..<count).map(text).joined() }
        return [
            // One key, thousands of times; equal leaves are no work.
            ("{" + many(9000) { _ in " b" } + "}", true),
            ("{" + many(3000) { " b(x: \($0))" } + "}", false),
            ("{" + many(4000) { _ in "a{b}" } + "}", false),
            // Fragments in a chain, each in the next, and two such side by side.
            ("{...F0}" + many(2800) { "fragment F\($0) on Query{...F\($0 + 1)}" } + "fragment F2800 on Query{b}", true),
            ("{...F0}" + many(1800) { "fragment F\($0) on Query{a{...F\($0 + 1)}}" } + "fragment F1800 on Query{b}", true),
            (
                "{...F0 ...G0}"
                    + many(900) { "fragment F\($0) on Query{a{...F\($0 + 1)}}fragment G\($0) on Query{a{...G\($0 + 1)}}" }
                    + "fragment F900 on Query{b} fragment G900 on Query{b}", false
            ),
            (
                "{...F0}" + many(30) { "fragment F\($0) on Query{a{...F\($0 + 1)} x:a{...F\($0 + 1)}}" } + "fragment F30 on Query{b}", true
            ),
            ("{...A} fragment A on Query {...B} fragment B on Query {...A}", false),
            // Equal selections in each other.
            (many(45) { _ in "{a{b} a" } + "{b}" + many(45) { _ in "}" }, true),
            ("{ b(o: " + many(95) { _ in "{l: " } + "null" + many(95) { _ in "}" } + ") }", true),
        ]
    }()

    @Test("documents made to be expensive are judged or refused, and no stack overflows", arguments: expensive)
    func bounded(text: String, isValid: Bool) throws {
        let found = try problems(text, ParserLimits(bytes: 1 << 20, tokens: 100_000, depth: 100))
        #expect(found.isEmpty == isValid, "\(found.first ?? "nothing")")
    }

    @Test("suggestions are for names of this schema, and not for names without end")
    func suggestions() throws {
        #expect(try problems("{ n { nme } }") == ["Cannot query field \"nme\" on type \"Named\". Did you mean \"name\"?"])
        #expect(
            try problems("{ n { lives } }") == [
                "Cannot query field \"lives\" on type \"Named\". Did you mean to use an inline fragment on \"Cat\"?"
            ])
        let long = String(repeating: "n", count: 5000)
        #expect(try problems("{ \(long) }") == ["Cannot query field \"\(long)\" on type \"Query\"."])
    }
}
