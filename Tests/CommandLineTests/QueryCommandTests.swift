import ApusTypes
import TestKit
import Testing

@Suite("apus query")
struct QueryCommandTests {
    private static let sdl = """
        type users @table(name: "app.users") @unique(fields: ["email"]) { id: Int! @pk  email: String  boss_id: Int @field_references(
          references_name: "users", field: "id", query: "boss", references_query: "staff") }
        """

    @Test("explain shows the SQL of an operation with its parameters, and schema the API that it is written for")
    func explains() async throws {
        let folder = try TemporaryDirectory()
        try Program.write(Self.sdl, to: "\(folder.path)/s.graphql")
        let plan = try await Program.apus(
            ["query", "explain", "-", "--sdl", "\(folder.path)/s.graphql", "--name", "app", "--variables", #"{"e": "a@x"}"#],
            input: "query($e: String!) { app { users_by_email(email: $e) { id boss { email } } } }")
        #expect(
            plan.output == """
                -- app.users_by_email (app, postgres)
                SELECT "t1"."id", "t2"."email", "t2"."id" FROM "app"."users" AS "t1" LEFT JOIN "app"."users" AS "t2" ON "t1"."boss_id" = "t2"."id" WHERE "t1"."email" = $1
                --   $1 = "a@x" (variable 0)
                --   rows: one {id: 0 integer, boss: {email: 1 text} if 2}

                """)
        let schema = try await Program.apus(["query", "schema", "--sdl", "\(folder.path)/s.graphql"])
        #expect(schema.output.contains("users_by_email(email: String!): users"))
    }

    @Test("what is wrong is told with its place, and the exit code is 65")
    func refuses() async throws {
        let folder = try TemporaryDirectory()
        try Program.write(Self.sdl, to: "\(folder.path)/s.graphql")
        try Program.write("type a @table(name: \"a\") {\n  id: Nope\n}", to: "\(folder.path)/bad.graphql")
        let operation = try await Program.apus(["query", "explain", "-", "--sdl", "\(folder.path)/s.graphql"], input: "{ users { nope } }")
        #expect(operation.status == 65)
        #expect(operation.errors.contains("-:1:11: Cannot query field \"nope\" on type \"users\"."))
        let schema = try await Program.apus(["query", "schema", "--sdl", "\(folder.path)/bad.graphql", "--json"])
        #expect(schema.status == 65)
        #expect(schema.output.contains("bad.graphql:2:7: [VALIDATE/DefinitionValidator] Unknown type"))
    }
}
