import ApusGraphQL
import ApusQueryPlan
import ApusSchemas
import ApusTypes
import Testing

/// Checks of the contract with Hugr's users (its section 8), by their numbers, over its fixture. Others are cases of the recorded suite.
@Suite("contract")
struct ContractTests {
    private static func ask(
        _ store: StoreDatabase, _ text: String, _ permissions: RolePermissions = RolePermissions(), identity: JSONObject = [:]
    ) async throws -> String {
        try await store.run(text, identity: identity, permissions: permissions).data["pg_store"]?.description ?? ""
    }

    @Test(
        "46: a list without a limit has 2000 rows and says that it was cut; with one it has as many as it says",
        arguments: SQLEngine.allCases)
    func defaultLimit(_ engine: SQLEngine) async throws {
        let rows = (1...2500).map { "(\($0))" }.joined(separator: ", ")
        let many = Tables(
            schema: "\ntype many @table(name: \"many\") { id: Int! @pk }\n",
            statements: ["CREATE TABLE many (id integer PRIMARY KEY)", "INSERT INTO many VALUES \(rows)"])
        try await StoreDatabase.with(engine, more: many) { store in
            let cut = try await store.run("{ pg_store { many { id } page: many_edges { cursor } } }")
            #expect(cut.data["pg_store"]?["many"]?.asArray?.count == 2000 && cut.data["pg_store"]?["page"]?.asArray?.count == 2000)
            #expect(cut.truncated == [["pg_store", "many"], ["pg_store", "page"]])
            let whole = try await store.run("{ pg_store { many(limit: 2500) { id } } }")
            #expect(whole.data["pg_store"]?["many"]?.asArray?.count == 2500 && whole.truncated.isEmpty)
        }
    }

    @Test("47: nested_limit is of each parent, limit of all of them", arguments: SQLEngine.allCases)
    func nestedLimit(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            let each = try await Self.ask(
                store,
                "{ pg_store { categories(order_by: [{field: \"id\"}]) { id products(nested_order_by: [{field: \"id\"}], nested_limit: 1) { id } } } }"
            )
            #expect(
                each == #"{"categories":[{"id":1,"products":null},{"id":2,"products":[{"id":1}]},{"id":3,"products":[{"id":2}]}]}"#)
            let all = try await Self.ask(
                store,
                "{ pg_store { categories(order_by: [{field: \"id\"}]) { id products(order_by: [{field: \"id\"}], limit: 1) { id } } } }")
            #expect(all == #"{"categories":[{"id":1,"products":null},{"id":2,"products":[{"id":1}]},{"id":3,"products":null}]}"#)
        }
    }

    @Test("48: inner drops parents without rows", arguments: SQLEngine.allCases)
    func inner(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            let told = try await Self.ask(
                store,
                "{ pg_store { categories(order_by: [{field: \"id\"}]) { id products(inner: true, order_by: [{field: \"id\"}]) { id } } } }")
            #expect(
                told == #"{"categories":[{"id":2,"products":[{"id":1},{"id":5}]},{"id":3,"products":[{"id":2},{"id":3},{"id":4}]}]}"#)
        }
    }

    @Test(
        "49: a role's rows are the same in lists, relations both ways, aggregations and by their keys",
        arguments: [SQLEngine.postgreSQL, .sqlite])
    func rowFilter(_ engine: SQLEngine) async throws {
        let rules = RolePermissions([
            .init(type: "data-object:query", field: "pg_store_products", filter: ["id": ["in": [1, 2]]]),
            .init(type: "data-object:query", field: "pg_store_categories", filter: ["id": ["eq": 2]]),
        ])
        try await StoreDatabase.with(engine) { store in
            let told = try await Self.ask(
                store,
                "{ pg_store { products(order_by: [{field: \"id\"}]) { id category { id name } } categories { id products { id } } products_aggregation { _rows_count } products_by_pk(id: 3) { id } } }",
                rules)
            #expect(
                told
                    == #"{"products":[{"id":1,"category":{"id":2,"name":"Computers"}},{"id":2,"category":null}],"categories":[{"id":2,"products":[{"id":1}]}],"products_aggregation":{"_rows_count":2},"products_by_pk":null}"#
            )
        }
    }

    @Test("50: what a rule stores cannot be chosen, by insertions and updates", arguments: [SQLEngine.postgreSQL, .sqlite])
    func stamp(_ engine: SQLEngine) async throws {
        let rules = RolePermissions([
            .init(type: "data-object:insert", field: "pg_store_products", data: ["description": "[$auth.user_id]"]),
            .init(type: "data-object:update", field: "pg_store_products", data: ["description": "[$auth.user_id]"]),
        ])
        try await StoreDatabase.with(engine) { store in
            let told = try await Self.ask(
                store,
                "mutation { pg_store { insert_products(data: {id: 90, name: \"a\", price: 1, description: \"spoofed\"}) { description } update_products(filter: {id: {eq: 1}}, data: {description: \"spoofed\"}) { affected_rows } } }",
                rules, identity: ["auth.user_id": "writer-1"])
            #expect(told == #"{"insert_products":{"description":"writer-1"},"update_products":{"affected_rows":1}}"#)
            let kept = try await Self.ask(
                store, "{ pg_store { products(filter: {description: {eq: \"writer-1\"}}, order_by: [{field: \"id\"}]) { id } } }")
            #expect(kept == #"{"products":[{"id":1},{"id":90}]}"#)
        }
    }

    @Test(
        "51: an object that may not be queried is forbidden directly, by relations, in aggregations and for insertions",
        arguments: [
            "{ products { id } }", "{ categories { products { id } } }", "{ tags { tagged_products { id } } }",
            "{ products_aggregation { _rows_count } }", "{ categories_aggregation { products_aggregation { _rows_count { sum } } } }",
        ])
    func tableDeny(_ operation: String) async throws {
        let rules = RolePermissions([.init(type: "data-object:query", field: "pg_store_products", isDisabled: true)])
        try await StoreDatabase.with(.postgreSQL) { store in
            for text in ["{ pg_store \(operation) }", "mutation { pg_store { insert_products(data: {name: \"a\", price: 1}) { id } } }"] {
                let error = await #expect(throws: GraphQLError.self) { try await store.run(text, permissions: rules) }
                #expect(error?.message == "forbidden")
            }
        }
    }

    @Test("52: rows of a junction that may not be inserted are not inserted by a row that brings others, and nothing is")
    func junctionDeny() async throws {
        for rule in ["data-object:insert", "data-object:query"] {
            let rules = RolePermissions([.init(type: rule, field: "pg_store_product_tags", isDisabled: true)])
            try await StoreDatabase.with(.postgreSQL) { store in
                for text in [
                    "insert_products(data: {name: \"a\", price: 1, product_tags: [{name: \"fresh\"}]}) { id }",
                    "insert_many_products(data: [{name: \"a\", price: 1, product_tags: [{name: \"fresh\"}]}]) { id }",
                    "insert_many_product_tags(data: [{product_id: 1, tag_id: 1}]) { affected_rows }",
                ] {
                    let error = await #expect(throws: GraphQLError.self, "\(rule): \(text)") {
                        try await store.run("mutation { pg_store { \(text) } }", permissions: rules)
                    }
                    #expect(error?.message == "forbidden")
                }
                let left = try await Self.ask(
                    store,
                    "{ pg_store { products_aggregation { _rows_count } tags_aggregation { _rows_count } product_tags_aggregation { _rows_count } } }"
                )
                #expect(
                    left
                        == #"{"products_aggregation":{"_rows_count":5},"tags_aggregation":{"_rows_count":3},"product_tags_aggregation":{"_rows_count":6}}"#
                )
            }
        }
    }

    @Test("53: introspection tells nothing of an object that is hidden, and it may be asked for")
    func hidden() async throws {
        let rules = RolePermissions([.init(type: "data-object:query", field: "pg_store_products", isHidden: true)])
        try await StoreDatabase.with(.sqlite) { store in
            let query = "{ __schema { types { name fields { name type { name ofType { name } } args { name type { name } } } } } }"
            let all = try await store.run(query).data.description
            let told = try await store.run(query, permissions: rules).data.description
            for name in [
                "pg_store_products", "_pg_store_products_edge", "pg_store_products_on_conflict", "pg_store_products_constraint",
                "pg_store_products_update_column", "_pg_store_products_aggregation", "products_edges", "insert_many_products",
            ] {
                #expect(all.contains("\"\(name)\"") && !told.contains("\"\(name)\""), "\(name)")
            }
            let asked = try await store.run("{ pg_store { products_by_pk(id: 1) { id } } }", permissions: rules)
            #expect(asked.data.description == #"{"pg_store":{"products_by_pk":{"id":1}}}"#)
        }
    }

    @Test("55: of two mutations of which the second fails nothing is left", arguments: [SQLEngine.postgreSQL, .sqlite])
    func transaction(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            for second in [
                "insert_tags(data: {id: 1, name: \"x\"}) { id }",
                "insert_many_tags(data: [{id: 41, name: \"y\"}, {id: 42, name: \"new\"}]) { id }",
            ] {
                await #expect(throws: (any Error).self) {
                    try await store.run("mutation { pg_store { a: insert_tags(data: {id: 40, name: \"first\"}) { id } b: \(second) } }")
                }
            }
            let left = try await Self.ask(store, "{ pg_store { tags_aggregation { _rows_count } } }")
            #expect(left == #"{"tags_aggregation":{"_rows_count":3}}"#)
        }
    }

    @Test("64: ranges contain and intersect, and are told as they are written")
    func ranges() async throws {
        try await StoreDatabase.with(.postgreSQL) { store in
            let told = try await Self.ask(
                store,
                "{ pg_store { a: price_ranges(filter: {valid_price: {contains: 1200}}) { id valid_price } b: price_ranges(filter: {valid_price: {intersects: \"[1000, 2500)\"}}, order_by: [{field: \"id\"}]) { id } } }"
            )
            #expect(told == #"{"a":[{"id":1,"valid_price":"[1000,1500)"}],"b":[{"id":1},{"id":3}]}"#)
        }
    }
}
