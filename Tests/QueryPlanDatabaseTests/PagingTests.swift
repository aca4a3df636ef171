import ApusGraphQL
import ApusSchemas
import ApusTypes
import Testing

/// Pages of a list by cursors: all rows once, in the order that was asked for, whatever the types and nulls in it.
@Suite("cursors")
struct PagingTests {
    private static func tables(_ engine: SQLEngine) -> Tables {
        let types =
            engine == .sqlite
            ? "id integer PRIMARY KEY, name text, size integer, weight real, moment text, day text, flag boolean"
            : "id bigint PRIMARY KEY, name text, size integer, weight double precision, moment timestamptz, day date, flag boolean"
        let rows = (1...37).map { number -> String in
            let name = number % 5 == 0 ? "NULL" : "'na''me \"\(number % 4)'"
            let size = number % 7 == 0 ? "NULL" : "\(number % 3 - 1)"
            let weight = number % 6 == 0 ? "NULL" : "\(Double(number % 4) / 3)"
            let at = "'2026-01-0\(number % 3 + 1) 00:00:00.12345\(number % 10)+00'"
            return "(\(number), \(name), \(size), \(weight), \(at), '2026-02-0\(number % 2 + 1)', \(number % 2 == 0))"
        }
        return Tables(
            schema: """

                type things @table(name: "things") {
                  id: BigInt! @pk  name: String  size: Int  weight: Float  moment: Timestamp  day: Date  flag: Boolean
                  twice: Int @sql(exp: "[size] * 2")
                }
                """,
            statements: ["CREATE TABLE things (\(types))", "INSERT INTO things VALUES \(rows.joined(separator: ", "))"])
    }

    /// The ids of all pages.
    private static func pages(_ store: StoreDatabase, order: String, limit: Int) async throws -> [JSONValue] {
        var ids: [JSONValue] = []
        var after: JSONValue = .null
        for _ in 0..<60 {
            let page = try await store.run(
                "query($a: String) { pg_store { things_edges(order_by: [\(order)], limit: \(limit), after: $a) { cursor node { id } } } }",
                variables: ["a": after])
            let rows = page.data["pg_store"]?["things_edges"]?.asArray ?? []
            ids += rows.compactMap { $0["node"]?["id"] }
            guard let last = rows.last?["cursor"] else { return ids }
            after = last
        }
        return ids
    }

    @Test("all rows come once and in order", arguments: SQLEngine.allCases)
    func complete(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine, more: Self.tables(engine)) { store in
            for names in [
                ["id"], ["-id"], ["name"], ["-name"], ["size", "-weight"], ["-size", "name"], ["weight"], ["-weight"], ["moment"],
                ["-moment", "day"],
                ["flag", "-moment"], ["twice"], ["day", "name", "-size"],
            ] {
                let order = names.map { name in
                    name.hasPrefix("-") ? "{field: \"\(name.dropFirst())\", direction: DESC}" : "{field: \"\(name)\"}"
                }.joined(separator: ", ")
                // Ids decide where the order does not, in the direction of what is before them.
                let isDescending = names.last?.hasPrefix("-") == true
                let last =
                    names.contains("id") || names.contains("-id") ? "" : ", {field: \"id\"\(isDescending ? ", direction: DESC" : "")}"
                let whole = try await store.run("{ pg_store { things(order_by: [\(order)\(last)]) { id } } }")
                let expected = whole.data["pg_store"]?["things"]?.asArray?.compactMap { $0["id"] } ?? []
                #expect(expected.count == 37)
                for limit in [1, 4, 50] {
                    let told1 = try await Self.pages(store, order: order, limit: limit)
                    #expect(told1 == expected, "\(names), \(limit) at a time")
                }
            }
        }
    }

    @Test("rows that come and go meanwhile move no other", arguments: [SQLEngine.postgreSQL, .sqlite])
    func stable(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine, more: Self.tables(engine)) { store in
            let page = "query($a: String) { pg_store { things_edges(limit: 5, after: $a) { cursor node { id } } } }"
            let first = try await store.run(page)
            let after = try #require(first.data["pg_store"]?["things_edges"]?.asArray?.last?["cursor"])
            _ = try await store.run(
                "mutation { pg_store { delete_things(filter: {id: {in: [2, 5, 7]}}) { success } insert_things(data: {id: 0}) { id } } }")
            let next = try await store.run(page, variables: ["a": after])
            let ids = next.data["pg_store"]?["things_edges"]?.asArray?.compactMap { $0["node"]?["id"]?.asInteger }
            #expect(ids == [6, 8, 9, 10, 11])
        }
    }

    @Test("a cursor is of its list and order, and of nothing else")
    func foreign() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.tables(.postgreSQL)) { store in
            let told = try await store.run("{ pg_store { things_edges(limit: 1) { cursor } tags_edges(limit: 1) { cursor } } }")
            let thing = try #require(told.data["pg_store"]?["things_edges"]?.asArray?.first?["cursor"]?.asString)
            let tag = try #require(told.data["pg_store"]?["tags_edges"]?.asArray?.first?["cursor"]?.asString)
            for (arguments, words) in [
                ("after: \"\(tag)\"", "cursor of another list"),
                ("order_by: [{field: \"name\"}], after: \"\(thing)\"", "of another order"),
                ("order_by: [{field: \"id\", direction: DESC}], after: \"\(thing)\"", "of another order"),
                ("after: \"\(thing.dropLast(4))\"", "is no cursor"), ("after: \"x\"", "is no cursor"), ("after: \"\"", "is no cursor"),
            ] {
                let error = await #expect(throws: GraphQLError.self, "\(arguments)") {
                    try await store.run("{ pg_store { things_edges(\(arguments)) { cursor } } }")
                }
                #expect(error?.message.contains(words) == true, "\(arguments): \(error?.message ?? "")")
            }
            let variable = await #expect(throws: GraphQLError.self) {
                try await store.run("query($a: String) { pg_store { things_edges(after: $a) { cursor } } }", variables: ["a": .string(tag)])
            }
            #expect(variable?.message.contains("cursor of another list") == true)
        }
    }
}
