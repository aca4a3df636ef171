import ApusGraphQL
import ApusSchemas
import ApusTypes
import Testing

@Suite("insertions of several rows, and over rows that are there")
struct InsertionTests {
    private static let stock = Tables(
        schema: """

            type stock @table(name: "stock") @unique(fields: ["code"]) {
              id: Int! @pk
              code: String
              amount: Int
              note: String
              changes: Int @default(update_exp: "1")
            }
            """,
        statements: [
            "CREATE TABLE stock (id integer PRIMARY KEY, code text UNIQUE, amount integer DEFAULT 7, note text DEFAULT 'new', changes integer DEFAULT 0)",
            "INSERT INTO stock (id, code, amount, note) VALUES (1, 'a', 1, 'old'), (2, 'b', 2, 'old')",
        ])

    @Test("several rows are told in their order; what one does not say is its default", arguments: [SQLEngine.postgreSQL, .sqlite])
    func several(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine, more: Self.stock) { store in
            let same = "[{id: 12, code: \"x\", amount: 3}, {id: 11, code: \"y\", amount: 4}]"
            let answer = try await store.run("mutation { pg_store { insert_many_stock(data: \(same)) { id code amount note } } }")
            #expect(
                answer.data.description
                    == #"{"pg_store":{"insert_many_stock":[{"id":12,"code":"x","amount":3,"note":"new"},{"id":11,"code":"y","amount":4,"note":"new"}]}}"#
            )
            let mixed = "mutation { pg_store { insert_many_stock(data: [{id: 21, amount: 5}, {id: 22, note: \"n\"}]) { id amount note } } }"
            guard engine == .postgreSQL else {
                let error = await #expect(throws: GraphQLError.self) { try await store.run(mixed) }
                return #expect(error?.message.contains("give the same fields") == true)
            }
            let told1 = try await store.run(mixed).data.description
            #expect(told1 == #"{"pg_store":{"insert_many_stock":[{"id":21,"amount":5,"note":"new"},{"id":22,"amount":7,"note":"n"}]}}"#)
        }
    }

    @Test("one that cannot be inserted leaves all of them out; none is nothing", arguments: [SQLEngine.postgreSQL, .sqlite])
    func allOrNone(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine, more: Self.stock) { store in
            await #expect(throws: (any Error).self) {
                try await store.run(
                    "mutation { pg_store { insert_many_stock(data: [{id: 31, code: \"x\"}, {id: 32, code: \"a\"}]) { id } } }")
            }
            let none = try await store.run(
                "mutation { pg_store { insert_many_stock(data: []) { id } insert_many_product_tags(data: []) { affected_rows } } }")
            #expect(none.data.description == #"{"pg_store":{"insert_many_stock":[],"insert_many_product_tags":{"affected_rows":0}}}"#)
            let count = try await store.run("{ pg_store { stock_aggregation { _rows_count } } }")
            #expect(count.data.description == #"{"pg_store":{"stock_aggregation":{"_rows_count":2}}}"#)
        }
    }

    @Test("rows bring related rows of their own, in one statement; a thousand are no more than that")
    func related() async throws {
        try await StoreDatabase.with(.postgreSQL) { store in
            let answer = try await store.run(
                """
                mutation { pg_store { insert_many_categories(data: [
                  {name: "c", products: [{name: "p", price: 1}, {name: "q", price: 2}]}, {name: "d", parent: {name: "e"}}
                ]) { name parent { name } products(order_by: [{field: "name"}]) { name } } } }
                """)
            #expect(
                answer.data.description
                    == #"{"pg_store":{"insert_many_categories":[{"name":"c","parent":null,"products":[{"name":"p"},{"name":"q"}]},{"name":"d","parent":{"name":"e"},"products":null}]}}"#
            )
            let rows = (0..<1000).map { JSONValue.object(["name": .string("tag \($0)")]) }
            let many = try await store.run(
                "mutation($d: [pg_store_tags_mut_input_data!]!) { pg_store { insert_many_tags(data: $d) { name } } }",
                variables: ["d": .array(rows)])
            #expect(many.data["pg_store"]?["insert_many_tags"]?.asArray?.count == 1000)
            #expect(many.data["pg_store"]?["insert_many_tags"]?.asArray?.last == ["name": "tag 999"])
        }
    }

    @Test("a row that is there is changed, or stays, by any of its keys", arguments: [SQLEngine.postgreSQL, .sqlite])
    func upsert(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine, more: Self.stock) { store in
            func ask(_ text: String) async throws -> String { try await store.run("mutation { pg_store { \(text) } }").data.description }
            let fields = "{ id code amount note changes }"
            let told2 = try await ask(
                "insert_stock(data: {id: 1, amount: 9, note: \"x\"}, on_conflict: {constraint: by_pk, update_columns: [amount]}) \(fields)")
            #expect(told2 == #"{"pg_store":{"insert_stock":{"id":1,"code":"a","amount":9,"note":"old","changes":1}}}"#)
            let told3 = try await ask(
                "insert_many_stock(data: [{id: 8, code: \"b\", amount: 3}, {id: 9, code: \"c\", amount: 4}], on_conflict: {constraint: by_code, update_columns: [amount]}) \(fields)"
            )
            #expect(
                told3
                    == #"{"pg_store":{"insert_many_stock":[{"id":2,"code":"b","amount":3,"note":"old","changes":1},{"id":9,"code":"c","amount":4,"note":"new","changes":0}]}}"#
            )
            let told4 = try await ask("insert_stock(data: {id: 1, amount: 100}, on_conflict: {constraint: by_pk}) { id }")
            #expect(told4 == #"{"pg_store":{"insert_stock":null}}"#)
            let told5 = try await ask(
                "insert_stock(data: {id: 1, amount: 100}, on_conflict: {constraint: by_pk, update_columns: [amount], where: {amount: {lt: 5}}}) { id }"
            )
            #expect(told5 == #"{"pg_store":{"insert_stock":null}}"#)
            let left = try await store.run("{ pg_store { stock_by_pk(id: 1) { amount } } }")
            #expect(left.data.description == #"{"pg_store":{"stock_by_pk":{"amount":9}}}"#)
        }
    }

    @Test("rows that count as deleted are not changed by an upsert", arguments: [SQLEngine.postgreSQL, .sqlite])
    func softDeleted(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            _ = try await store.run("mutation { pg_store { delete_notes(filter: {id: {eq: 2}}) { success } } }")
            let answer = try await store.run(
                "mutation { pg_store { a: insert_notes(data: {id: 2, value: 70}, on_conflict: {constraint: by_pk, update_columns: [value]}) { id } b: insert_notes(data: {id: 3, value: 80}, on_conflict: {constraint: by_pk, update_columns: [value], where: {doubled: {gt: 1}}}) { doubled } } }"
            )
            #expect(answer.data.description == #"{"pg_store":{"a":null,"b":{"doubled":160}}}"#)
            let kept = try await store.run("{ pg_store { notes(filter: {id: {eq: 2}}) @with_deleted { value } } }")
            #expect(kept.data.description == #"{"pg_store":{"notes":[{"value":2}]}}"#)
        }
    }
}
