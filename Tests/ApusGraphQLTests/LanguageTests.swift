import ApusGraphQL
import Testing

@Suite("GraphQL: language")
struct LanguageTests {
    @Test(
        "a wrong text is refused with its place",
        arguments: [
            ("{", "Syntax Error: Expected Name, found <EOF>.", 1, 2),
            ("\r\n {  é", "Syntax Error: Unexpected character: U+00E9.", 2, 5),
            ("{ a(b: \"x\ny\") }", "Syntax Error: Unterminated string.", 1, 10),
            ("{ é: \"\" }", "Syntax Error: Unexpected character: U+00E9.", 1, 3),
            ("{ a(b: 01) }", "Syntax Error: Invalid number, unexpected digit after 0: \"1\".", 1, 9),
            ("{ a(b: \"\\uD83D\") }", "Syntax Error: Invalid Unicode escape sequence: \"\\uD83D\".", 1, 9),
            ("\"d\" query { a }", "Syntax Error: Unexpected description, descriptions are supported only on type definitions.", 1, 1),
            ("query ($a: Int = $b) { a }", "Syntax Error: Unexpected variable \"$b\" in constant value.", 1, 18),
            ("", "Syntax Error: Unexpected <EOF>.", 1, 1),
        ])
    func errors(text: String, message: String, line: Int, column: Int) throws {
        do throws(GraphQLError) {
            _ = try GraphQLDocument(parsing: text)
            Issue.record("was accepted")
        } catch {
            #expect(error.message == message)
            #expect(error.locations == [.init(line: line, column: column)])
        }
    }

    @Test(
        "what is no UTF-8 is refused wherever it stands", arguments: ["{ a }#%", "{ a(b: \"%\") }", "{ a(b: \"\"\"%\"\"\") }", "{ a % }"])
    func invalidUTF8(pattern: String) {
        for bad in [[0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80]] as [[UInt8]] {
            let text = Array(pattern.utf8).flatMap { $0 == UInt8(ascii: "%") ? bad : [$0] }
            #expect(throws: GraphQLError.self) { _ = try GraphQLDocument(parsing: text) }
        }
    }

    static let texts = [
        "query Q($n: [Int!]! = [1, 2] @d, $o: O = {a: {b: \"\"}}) @d(x: -1.5e3) { x: a(b: $n, c: ENUM) @skip(if: true) { ...F ... { b } ... on T @d { c } } }\nfragment F on T @d { d }",
        "mutation { a } subscription S { b }",
        "{ \(String(repeating: "long", count: 30)) b(\(String(repeating: "long", count: 20)): [1, 2]) }",
        #"{ a(b: "é \u{1F600} \n \" \\ \u0001", c: """   block \""" "quoted" """) }"#,
        """
        "schema" schema @d { query: Q mutation: M } extend schema @e
        "scalar" scalar S @d extend scalar S @e
        interface I implements J & K { "field" f("arg" a: Int = 1 @d, b: [S!]): S! @d }
        type T implements I @d { f: S } extend type T { g: S } union U @d = | A | B extend union U = C
        enum E { "value" A @d B } input N { "in" a: Int = 3 b: N } directive @d("a" a: Int) repeatable on FIELD | ENUM_VALUE
        """,
    ]

    @Test("a printed document says the same, and so does one that is stripped", arguments: texts)
    func roundTrip(text: String) throws {
        let document = try GraphQLDocument(parsing: text)
        let printed = document.printed()
        let again = try GraphQLDocument(parsing: printed)
        #expect(again == document)
        #expect(again.printed() == printed)
        let stripped = try SourceText(text).strippedOfIgnored()
        #expect(try GraphQLDocument(parsing: stripped) == document)
        #expect(stripped.utf8.count <= text.utf8.count)
    }

    @Test("documents that say different things are different")
    func inequality() throws {
        let texts = [
            "{ a }", "{ b }", "{ a a }", "{ a: a }", "{ a(b: 1) }", "{ a(b: 2) }", "{ a(b: \"1\") }", "query Q { a }", "{ a { a } }",
        ]
        let documents = try texts.map { try GraphQLDocument(parsing: $0) }
        for (index, left) in documents.enumerated() {
            for right in documents[(index + 1)...] { #expect(left != right) }
        }
    }

    @Test("a text beyond a limit is refused, whatever nests")
    func limits() throws {
        func repeated(_ text: String) -> String { String(repeating: text, count: 200_000) }
        for text in [repeated("{a"), "{a(b:" + repeated("["), "{a(b:" + repeated("{c:"), "query($a:" + repeated("[")] {
            #expect(throws: GraphQLError.self) { _ = try GraphQLDocument(parsing: text, limits: .schema) }
        }
        let limits = ParserLimits(bytes: 100, tokens: 5, depth: 2)
        _ = try GraphQLDocument(parsing: "{a{b}}", limits: ParserLimits(bytes: 6, tokens: 6, depth: 2))
        #expect(
            throws: GraphQLError(
                "Syntax Error: Document contains more than 5 tokens. Parsing aborted.", locations: [.init(line: 1, column: 6)])
        ) {
            _ = try GraphQLDocument(parsing: "{a{b}}", limits: limits)
        }
        #expect(throws: GraphQLError("Syntax Error: Document is longer than 100 bytes. Parsing aborted.")) {
            _ = try GraphQLDocument(parsing: "{a}" + String(repeating: " ", count: 100), limits: limits)
        }
        #expect(
            throws: GraphQLError(
                "Syntax Error: Document is nested more than 1 levels deep. Parsing aborted.", locations: [.init(line: 1, column: 3)])
        ) {
            _ = try GraphQLDocument(parsing: "{a{b}}", limits: .init(bytes: 100, tokens: 100, depth: 1))
        }
    }

    @Test("an operation is found by its name, or alone")
    func operations() throws {
        let document = try GraphQLDocument(parsing: "query A { a } mutation B { b } fragment F on T { c }")
        #expect(document.operationKind(of: try document.operation(named: "B")) == .mutation)
        #expect(throws: GraphQLError("Unknown operation named \"C\".")) { _ = try document.operation(named: "C") }
        #expect(throws: GraphQLError("Must provide operation name if query contains multiple operations.")) {
            _ = try document.operation(named: nil)
        }
        #expect(throws: GraphQLError("Must provide an operation.")) {
            _ = try GraphQLDocument(parsing: "fragment F on T { c }").operation(named: nil)
        }
    }
}
