import ApusGraphQL
import ApusSchemas
import ApusTypes
import Testing

@Suite("mutations over real databases")
struct MutationTests {
    @Test("insert tells the new row; update and delete tell how many", arguments: [SQLEngine.postgreSQL, .sqlite])
    func plain(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            let inserted = try await store.run(
                "mutation { pg_store { insert_products(data: {name: \"T\", price: 9.5, quantity: 1, category_id: 2}) { name is_active category { name } } } }"
            )
            #expect(
                inserted.data.description
                    == #"{"pg_store":{"insert_products":{"name":"T","is_active":true,"category":{"name":"Computers"}}}}"#)
            let changed = try await store.run(
                """
                mutation { pg_store {
                  update_products(filter: {category: {name: {eq: "Accessories"}}}, data: {quantity: 7}) { success affected_rows message }
                  delete_product_tags(filter: {product_id: {eq: 5}}) { affected_rows }
                } }
                """)
            #expect(
                changed.data.description
                    == #"{"pg_store":{"update_products":{"success":true,"affected_rows":3,"message":"success"},"delete_product_tags":{"affected_rows":2}}}"#
            )
            let read = try await store.run("{ pg_store { products(filter: {quantity: {eq: 7}}, order_by: [{field: \"id\"}]) { id } } }")
            #expect(read.data.description == #"{"pg_store":{"products":[{"id":2},{"id":3},{"id":4}]}}"#)
        }
    }

    @Test("related rows are inserted with the row, and all of it or nothing")
    func nested() async throws {
        try await StoreDatabase.with(.postgreSQL) { store in
            let insert = """
                mutation($price: String!) { pg_store { insert_products(data: {
                  name: "N", price: 1, category: {name: "Fresh", parent_id: 1}, product_tags: [{name: "a"}, {name: "b"}],
                  price_ranges: [{valid_price: $price}]
                }) { name category { name parent { name } } product_tags(order_by: [{field: "name"}]) { name } price_ranges { valid_price } } } }
                """
            _ = try? await store.run(insert.replacing("String!", with: "IntRange!"), variables: ["price": "no range"])
            let nothing = try await store.run("{ pg_store { categories_aggregation { _rows_count } tags_aggregation { _rows_count } } }")
            #expect(
                nothing.data.description
                    == #"{"pg_store":{"categories_aggregation":{"_rows_count":3},"tags_aggregation":{"_rows_count":3}}}"#)
            let answer = try await store.run(insert.replacing("String!", with: "IntRange!"), variables: ["price": "[1,5)"])
            #expect(
                answer.data.description
                    == #"{"pg_store":{"insert_products":{"name":"N","category":{"name":"Fresh","parent":{"name":"Electronics"}},"product_tags":[{"name":"a"},{"name":"b"}],"price_ranges":[{"valid_price":"[1,5)"}]}}}"#
            )
        }
    }

    @Test("the second of two mutations fails: the first is undone", arguments: [SQLEngine.postgreSQL, .sqlite])
    func together(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            await #expect(throws: (any Error).self) {
                try await store.run(
                    "mutation { pg_store { a: insert_tags(data: {name: \"fresh\"}) { id } b: insert_tags(data: {name: \"sale\"}) { id } } }"
                )
            }
            let tags = try await store.run("{ pg_store { tags_aggregation { _rows_count } } }")
            #expect(tags.data["pg_store"]?["tags_aggregation"]?["_rows_count"] == 3)
        }
    }

    @Test(
        "a filter that says nothing is refused, and changes nothing",
        arguments: [
            "mutation($id: Int) { pg_store { delete_product_tags(filter: {product_id: {eq: $id}}) { success } } }",
            "mutation { pg_store { delete_product_tags { success } } }",
            "mutation { pg_store { delete_product_tags(filter: {}) { success } } }",
            "mutation { pg_store { delete_product_tags(filter: {_not: {product_id: {eq: null}}, _or: [{}]}) { success } } }",
            "mutation { pg_store { update_products(data: {quantity: 0}) { success } } }",
        ])
    func emptyFilter(operation: String) async throws {
        try await StoreDatabase.with(.sqlite) { store in
            await #expect(throws: GraphQLError.self) { try await store.run(operation) }
            let left = try await store.run("{ pg_store { product_tags_aggregation { _rows_count } } }")
            #expect(left.data["pg_store"]?["product_tags_aggregation"]?["_rows_count"] == 6)
            let meant = try await store.run("mutation { pg_store { delete_product_tags @all_rows { affected_rows } } }")
            #expect(meant.data["pg_store"]?["delete_product_tags"]?["affected_rows"] == 6)
        }
    }

    @Test("soft deletion hides rows, and shows them where it is asked to", arguments: [SQLEngine.postgreSQL, .sqlite])
    func softDelete(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            _ = try await store.run("mutation { pg_store { delete_notes(filter: {doubled: {eq: 4}}) { affected_rows } } }")
            let read = try await store.run(
                "{ pg_store { notes(order_by: [{field: \"id\"}]) { id doubled } all: notes(order_by: [{field: \"id\"}]) @with_deleted { id } notes_by_pk(id: 2) { id } notes_aggregation { _rows_count } } }"
            )
            #expect(
                read.data.description
                    == #"{"pg_store":{"notes":[{"id":1,"doubled":2},{"id":3,"doubled":6}],"all":[{"id":1},{"id":2},{"id":3}],"notes_by_pk":null,"notes_aggregation":{"_rows_count":2}}}"#
            )
        }
    }

    @Test("required variables are required")
    func requiredVariable() async throws {
        try await StoreDatabase.with(.sqlite) { store in
            await #expect(throws: GraphQLErrors.self) {
                try await store.run("query($id: Int!) { pg_store { products_by_pk(id: $id) { id } } }")
            }
        }
    }
}
