import ApusTypes
import TestKit
import Testing

@Suite("apus graphql")
struct GraphQLCommandTests {
    @Test("prints, strips and shows the tree of a text from a file or from standard input")
    func texts() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("query  Q { a ,b }", to: "\(folder.path)/q.graphql")
        let printed = try await Program.apus(["graphql", "print", "\(folder.path)/q.graphql"])
        #expect(printed.status == 0 && printed.output == "query Q {\n  a\n  b\n}\n")
        let stripped = try await Program.apus(["graphql", "print", "--minify"], input: "query  Q { a ,b }")
        #expect(stripped.output == "query Q{a b}\n")
        let tree = try await Program.apus(["graphql", "parse", "-", "--json"], input: "{ a: b }")
        let field = try JSONValue(parsing: Array(tree.output.utf8))["tree"]?["children"]?.asArray?[0]["children"]?.asArray?[0]["children"]?
            .asArray?[0]
        #expect(field?["kind"] == "field" && field?["alias"] == true)
    }

    @Test("says what is wrong with its place, and exits with 65")
    func errors() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("type Query { a: Int b(n: Int!): In } input In { c: Int }", to: "\(folder.path)/bad.graphql")
        try Program.write("type Query { a: Int b(n: Int!): Int }", to: "\(folder.path)/s.graphql")
        let syntax = try await Program.apus(["graphql", "parse"], input: "{ a\n( }")
        #expect(syntax.status == 65 && syntax.errors == "-:2:3: Syntax Error: Expected Name, found \"}\".\n" && syntax.output.isEmpty)
        let invalid = try await Program.apus(["graphql", "validate", "--schema", "\(folder.path)/s.graphql", "--json"], input: "{ aa b }")
        let errors = try JSONValue(parsing: Array(invalid.output.utf8))["errors"]?.asArray
        #expect(invalid.status == 65)
        #expect(
            errors?.map { $0["message"] } == [
                "Cannot query field \"aa\" on type \"Query\". Did you mean \"a\"?",
                "Field \"b\" argument \"n\" of type \"Int!\" is required, but it was not provided.",
            ])
        let valid = try await Program.apus(["graphql", "validate", "--schema", "\(folder.path)/s.graphql"], input: "{ b(n: 1) }")
        #expect(valid.status == 0 && valid.output == "valid\n")
        let schema = try await Program.apus(["graphql", "build", "\(folder.path)/bad.graphql"])
        #expect(schema.status == 65 && schema.errors.hasSuffix("bad.graphql:1:33: The type of Query.b must be Output Type but got: In.\n"))
        #expect(try await Program.apus(["graphql", "validate"], input: "{ a }").status == 64)
        #expect(try await Program.apus(["graphql", "parse", "\(folder.path)/none.graphql"]).status == 66)
    }

    @Test("builds a text that extends another, with the directives that it applies, and answers introspection")
    func build() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("directive @t(n: Int) on OBJECT type Query { a: Int }", to: "\(folder.path)/base.graphql")
        try Program.write("{ __type(name: \"T\") { name fields { name } } }", to: "\(folder.path)/q.graphql")
        let arguments = ["graphql", "build", "--base", "\(folder.path)/base.graphql"]
        let printed = try await Program.apus(arguments + ["--directives"], input: "type T @t(n: 3) { b: Query }")
        #expect(printed.output.hasSuffix("type T @t(n: 3) {\n  b: Query\n}\n"), "\(printed.errors)")
        let answer = try await Program.apus(arguments + ["--query", "\(folder.path)/q.graphql"], input: "type T @t(n: 3) { b: Query }")
        #expect(answer.output == "{\"data\":{\"__type\":{\"name\":\"T\",\"fields\":[{\"name\":\"b\"}]}}}\n")
    }
}
