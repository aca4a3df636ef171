import ApusGraphQL
import ApusQueryPlan
import ApusSchemas
import ApusTypes
import Testing

/// Every way to rows, under every kind of rule.
@Suite("permissions on every path")
struct PermissionTests {
    /// Operations that lead to products, and what they come to when the role sees products 1 and 2 and category 2 alone.
    static let paths: [(name: String, text: String, expected: String)] = [
        ("list", "{ pg_store { products(order_by: [{field: \"id\"}]) { id } } }", #"{"pg_store":{"products":[{"id":1},{"id":2}]}}"#),
        (
            "by-pk", "{ pg_store { a: products_by_pk(id: 1) { id } b: products_by_pk(id: 3) { id } } }",
            #"{"pg_store":{"a":{"id":1},"b":null}}"#
        ),
        ("unique", "{ pg_store { a: categories_by_pk(id: 3) { id } } }", #"{"pg_store":{"a":null}}"#),
        (
            "relation to one", "{ pg_store { products(order_by: [{field: \"id\"}]) { id category { id name } } } }",
            #"{"pg_store":{"products":[{"id":1,"category":{"id":2,"name":"Computers"}},{"id":2,"category":null}]}}"#
        ),
        (
            "relation to many",
            "{ pg_store { tags(order_by: [{field: \"id\"}]) { id tagged_products(order_by: [{field: \"id\"}]) { id } } } }",
            #"{"pg_store":{"tags":[{"id":1,"tagged_products":[{"id":2}]},{"id":2,"tagged_products":[{"id":1}]},{"id":3,"tagged_products":[{"id":1},{"id":2}]}]}}"#
        ),
        (
            "second list", "{ pg_store { categories { children { id } products { id } products_aggregation { _rows_count } } } }",
            #"{"pg_store":{"categories":[{"children":null,"products":[{"id":1}],"products_aggregation":{"_rows_count":1}}]}}"#
        ),
        (
            "paged relation", "{ pg_store { categories { products(nested_limit: 5, nested_order_by: [{field: \"id\"}]) { id } } } }",
            #"{"pg_store":{"categories":[{"products":[{"id":1}]}]}}"#
        ),
        (
            "aggregation", "{ pg_store { products_aggregation { _rows_count id { sum } } } }",
            #"{"pg_store":{"products_aggregation":{"_rows_count":2,"id":{"sum":3}}}}"#
        ),
        (
            "aggregation over a relation", "{ pg_store { products_aggregation { category { id { count } } } } }",
            #"{"pg_store":{"products_aggregation":{"category":{"id":{"count":1}}}}}"#
        ),
        (
            "aggregation of aggregations", "{ pg_store { tags_aggregation { tagged_products_aggregation { _rows_count { sum } } } } }",
            #"{"pg_store":{"tags_aggregation":{"tagged_products_aggregation":{"_rows_count":{"sum":4}}}}}"#
        ),
        (
            "buckets",
            "{ pg_store { products_bucket_aggregation(order_by: [{field: \"key.is_active\"}]) { key { is_active } aggregations { _rows_count } } } }",
            #"{"pg_store":{"products_bucket_aggregation":[{"key":{"is_active":true},"aggregations":{"_rows_count":2}}]}}"#
        ),
        (
            "buckets of a relation", "{ pg_store { categories { products_bucket_aggregation { key { id } } } } }",
            #"{"pg_store":{"categories":[{"products_bucket_aggregation":[{"key":{"id":1}}]}]}}"#
        ),
        (
            "filter by one", "{ pg_store { products(filter: {category: {name: {like: \"%\"}}}) { id } } }",
            #"{"pg_store":{"products":[{"id":1}]}}"#
        ),
        (
            "any, none and all",
            "{ pg_store { a: tags(filter: {tagged_products: {any_of: {id: {gt: 2}}}}) { id } b: tags(filter: {tagged_products: {none_of: {id: {gt: 1}}}}) { id } c: tags(filter: {tagged_products: {all_of: {id: {lt: 3}}}}, order_by: [{field: \"id\"}]) { id } } }",
            #"{"pg_store":{"a":[],"b":[{"id":2}],"c":[{"id":1},{"id":2},{"id":3}]}}"#
        ),
        (
            "order by what is hidden",
            "{ pg_store { products(order_by: [{field: \"category.name\", direction: DESC}, {field: \"id\"}], filter: {category: {id: {is_null: false}}}) { id } } }",
            #"{"pg_store":{"products":[{"id":1}]}}"#
        ),
        (
            "distinct", "{ pg_store { products(distinct_on: [\"is_active\"], order_by: [{field: \"id\", direction: DESC}]) { id } } }",
            #"{"pg_store":{"products":[{"id":2}]}}"#
        ),
        (
            "ad-hoc join",
            "{ pg_store { tags(limit: 1, order_by: [{field: \"id\"}]) { _join(fields: [\"id\"]) { pg_store_products(fields: [\"id\"]) { id } } } t: tags_by_pk(id: 3) { _join(fields: [\"id\"]) { pg_store_products(fields: [\"id\"]) { id } } } } }",
            #"{"pg_store":{"tags":[{"_join":{"pg_store_products":[{"id":1}]}}],"t":{"_join":{"pg_store_products":null}}}}"#
        ),
        (
            "inner", "{ pg_store { products(order_by: [{field: \"id\"}]) { id category(inner: true) { id } } } }",
            #"{"pg_store":{"products":[{"id":1,"category":{"id":2}}]}}"#
        ),
        (
            "over sources",
            "{ local_db { items(order_by: [{field: \"id\"}]) { _join(fields: [\"id\"]) { pg_store_products(fields: [\"id\"]) { id } } } } }",
            #"{"local_db":{"items":[{"_join":{"pg_store_products":[{"id":1}]}},{"_join":{"pg_store_products":[{"id":2}]}},{"_join":{"pg_store_products":null}}]}}"#
        ),
        (
            "update", "mutation { pg_store { update_products(filter: {id: {gte: 2}}, data: {quantity: 1}) { affected_rows } } }",
            #"{"pg_store":{"update_products":{"affected_rows":1}}}"#
        ),
        (
            "update of all", "mutation { pg_store { update_products(data: {quantity: 2}) @all_rows { affected_rows } } }",
            #"{"pg_store":{"update_products":{"affected_rows":2}}}"#
        ),
        (
            "update by a relation",
            "mutation { pg_store { update_products(filter: {category: {id: {gt: 0}}}, data: {quantity: 1}) { affected_rows } } }",
            #"{"pg_store":{"update_products":{"affected_rows":1}}}"#
        ),
        (
            "delete", "mutation { pg_store { delete_products(filter: {id: {gte: 3}}) { affected_rows } } }",
            #"{"pg_store":{"delete_products":{"affected_rows":0}}}"#
        ),
        (
            "insert and read back",
            "mutation { pg_store { insert_products(data: {id: 50, name: \"n\", price: 1, category_id: 2}) { id } } }",
            #"{"pg_store":{"insert_products":null}}"#
        ),
        (
            "insert many and read back",
            "mutation { pg_store { insert_many_products(data: [{id: 60, name: \"n\", price: 1}, {id: 61, name: \"m\", price: 1}]) { id } } }",
            #"{"pg_store":{"insert_many_products":[null,null]}}"#
        ),
        (
            "upsert of what is hidden",
            "mutation { pg_store { insert_products(data: {id: 4, name: \"n\", price: 1}, on_conflict: {constraint: by_pk, update_columns: [name]}) { id } } }",
            #"{"pg_store":{"insert_products":null}}"#
        ),
        (
            "upsert of many",
            "mutation { pg_store { insert_many_products(data: [{id: 2, name: \"n\", price: 1}, {id: 5, name: \"n\", price: 1}], on_conflict: {constraint: by_pk, update_columns: [name]}) { id name } } }",
            #"{"pg_store":{"insert_many_products":[{"id":2,"name":"n"}]}}"#
        ),
        (
            "page after a cursor", "{ pg_store { products_edges(after: \"CURSOR\") { node { id } } } }",
            #"{"pg_store":{"products_edges":[{"node":{"id":2}}]}}"#
        ),
        (
            "cursor", "{ pg_store { products_edges(limit: 1) { cursor } } }", #"{"pg_store":{"products_edges":[{"cursor":"CURSOR"}]}}"#
        ),
    ].map { ($0.0, $0.1.replacing("CURSOR", with: cursorOfFirst), $0.2.replacing("CURSOR", with: cursorOfFirst)) }

    /// Of product 1 in the order of ids.
    private static let cursorOfFirst = "313138396133313835653661373334615b2231225d"

    static let filters = RolePermissions([
        .init(type: "data-object:query", field: "pg_store_products", filter: ["id": ["in": [1, "[$auth.second]"]]]),
        .init(type: "data-object:query", field: "pg_store_categories", filter: ["id": ["eq": 2]]),
    ])

    @Test("rows that a rule hides are nowhere", arguments: [SQLEngine.postgreSQL, .sqlite])
    func rows(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            for path in Self.paths {
                do {
                    let answer = try await store.run(path.text, identity: ["auth.second": 2], permissions: Self.filters)
                    #expect(answer.data.description == path.expected, "\(path.name)")
                } catch {
                    Issue.record("\(path.name): \(error)")
                }
            }
        }
    }

    @Test("a placeholder that the identity does not have lets nothing through, and drops no condition")
    func missingPlaceholder() async throws {
        let rule = RolePermissions([
            .init(type: "data-object:query", field: "*", filter: ["id": ["eq": "[$auth.nobody]"]])
        ])
        try await StoreDatabase.with(.postgreSQL) { store in
            let answer = try await store.run("{ pg_store { products { id } products_aggregation { _rows_count } } }", permissions: rule)
            #expect(answer.data.description == #"{"pg_store":{"products":[],"products_aggregation":{"_rows_count":0}}}"#)
        }
    }

    @Test("an object that is disabled is forbidden on every path")
    func disabledObject() async throws {
        let rules = RolePermissions([
            .init(type: "data-object:query", field: "pg_store_products", isDisabled: true),
            .init(type: "data-object:query", field: "pg_store_categories", isDisabled: true),
        ])
        try await StoreDatabase.with(.postgreSQL) { store in
            for path in Self.paths {
                let error = await #expect(throws: GraphQLError.self, "\(path.name)") {
                    try await store.run(path.text, permissions: rules)
                }
                #expect(error?.message == "forbidden", "\(path.name)")
            }
        }
    }

    @Test(
        "a column that is disabled cannot be read, filtered, ordered, joined, grouped or aggregated by",
        arguments: [
            "{ products { price } }", "{ products_by_pk(id: 1) { price } }", "{ products(filter: {price: {gt: 1}}) { id } }",
            "{ products(filter: {_or: [{_not: {price: {gt: 1}}}]}) { id } }", "{ products(order_by: [{field: \"price\"}]) { id } }",
            "{ products(distinct_on: [\"price\"]) { id } }", "{ products_aggregation { price { max } } }",
            "{ products_bucket_aggregation { key { price } } }", "{ products_bucket_aggregation { aggregations { price { max } } } }",
            "{ products_bucket_aggregation { aggregations(filter: {price: {gt: 1}}) { _rows_count } } }",
            "{ categories { products { price } } }", "{ categories(filter: {products: {any_of: {price: {gt: 1}}}}) { id } }",
            "{ categories(order_by: [{field: \"products_aggregation.price.max\"}]) { id } }",
            "{ categories { products_aggregation { price { sum } } } }",
            "{ categories_aggregation { products_aggregation { price { max { max } } } } }",
            "{ products { _join(fields: [\"price\"]) { pg_store_tags(fields: [\"id\"]) { id } } } }",
            "{ tags { _join(fields: [\"id\"]) { pg_store_products(fields: [\"price\"]) { id } } } }",
            "{ tags { tagged_products(order_by: [{field: \"price\"}]) { id } } }",
            "{ products_edges(order_by: [{field: \"price\"}]) { cursor } }",
        ])
    func disabledColumn(path: String) async throws {
        let rules = RolePermissions([.init(type: "pg_store_products", field: "price", isDisabled: true)])
        try await StoreDatabase.with(.postgreSQL) { store in
            let error = await #expect(throws: GraphQLError.self) { try await store.run("{ pg_store \(path) }", permissions: rules) }
            #expect(error?.message == "forbidden")
            _ = try await store.run("{ pg_store \(path) }")
        }
    }

    @Test(
        "nor can what is derived from it",
        arguments: [
            "{ products { _created_at_part(extract: year) } }", "{ products_aggregation { _created_at_part(extract: year) { max } } }",
        ])
    func derivedColumn(path: String) async throws {
        let rules = RolePermissions([.init(type: "pg_store_products", field: "created_at", isDisabled: true)])
        try await StoreDatabase.with(.postgreSQL) { store in
            let error = await #expect(throws: GraphQLError.self) { try await store.run("{ pg_store \(path) }", permissions: rules) }
            #expect(error?.message == "forbidden")
            _ = try await store.run("{ pg_store \(path) }")
        }
    }

    @Test("the most specific rule decides everything")
    func precedence() async throws {
        let rules = RolePermissions([
            .init(type: "*", field: "*", isDisabled: true), .init(type: "*", field: "pg_store"),
            .init(type: "_module_pg_store_query", field: "*"),
            .init(type: "_module_pg_store_query", field: "tags", isDisabled: true), .init(type: "pg_store_products", field: "*"),
            .init(type: "data-object:query", field: "pg_store_products", filter: ["id": ["eq": 1]]),
        ])
        #expect(rules.rule("pg_store_products", "id")?.isDisabled == false)
        #expect(rules.rule("other", "id")?.isDisabled == true)
        try await StoreDatabase.with(.postgreSQL) { store in
            let answer = try await store.run("{ pg_store { products { id } } }", permissions: rules)
            #expect(answer.data.description == #"{"pg_store":{"products":[{"id":1}]}}"#)
            for text in ["{ pg_store { tags { id } } }", "{ pg_store { categories { id } } }", "{ local_db { items { id } } }"] {
                await #expect(throws: GraphQLError.self) { try await store.run(text, permissions: rules) }
            }
        }
    }

    @Test("a role that denies by default has what rules give it")
    func deniesByDefault() async throws {
        let rules = RolePermissions(
            [
                .init(type: "Query", field: "pg_store"), .init(type: "_module_pg_store_query", field: "products"),
                .init(type: "pg_store_products", field: "id"), .init(type: "data-object:query", field: "pg_store_products"),
            ], deniesByDefault: true)
        try await StoreDatabase.with(.postgreSQL) { store in
            let answer = try await store.run(
                "{ pg_store { products(limit: 1, order_by: [{field: \"id\"}]) { id __typename } } }", permissions: rules)
            #expect(answer.data["pg_store"]?["products"]?.asArray?.count == 1)
            for text in [
                "{ products { name } }", "{ products_by_pk(id: 1) { id } }", "{ products { category { id } } }", "{ tags { id } }",
            ] {
                await #expect(throws: GraphQLError.self, "\(text)") { try await store.run("{ pg_store \(text) }", permissions: rules) }
            }
        }
    }

    @Test(
        "what a rule stores takes the place of what the request says, in nested rows and past related rows",
        arguments: [SQLEngine.postgreSQL, .sqlite])
    func stamps(_ engine: SQLEngine) async throws {
        let rules = RolePermissions([
            .init(type: "data-object:insert", field: "pg_store_products", data: ["description": "[$auth.user]", "category_id": 3]),
            .init(type: "data-object:update", field: "pg_store_products", data: ["description": "[$auth.user]"]),
            .init(type: "pg_store_products_mut_data", field: "price", isDisabled: true),
        ])
        try await StoreDatabase.with(engine) { store in
            func ask(_ text: String) async throws -> String {
                try await store.run(text, identity: ["auth.user": "writer-1"], permissions: rules).data.description
            }
            let plain = try await ask(
                "mutation { pg_store { insert_products(data: {name: \"a\", price: 1, description: \"spoofed\", category_id: 2}) { description category_id } } }"
            )
            #expect(plain == #"{"pg_store":{"insert_products":{"description":"writer-1","category_id":3}}}"#)
            _ = try await ask(
                "mutation { pg_store { update_products(filter: {id: {eq: 1}}, data: {quantity: 3, description: \"spoofed\"}) { success } } }"
            )
            let changed = try await ask("{ pg_store { products_by_pk(id: 1) { description quantity } } }")
            #expect(changed == #"{"pg_store":{"products_by_pk":{"description":"writer-1","quantity":3}}}"#)
            await #expect(throws: GraphQLError.self) {
                try await ask("mutation { pg_store { update_products(filter: {id: {eq: 1}}, data: {price: 3}) { success } } }")
            }
            guard engine == .postgreSQL else { return }
            let nested = try await ask(
                "mutation { pg_store { insert_categories(data: {name: \"c\", products: [{name: \"b\", price: 1, description: \"spoofed\"}]}) { name products { id } } } }"
            )
            #expect(nested == #"{"pg_store":{"insert_categories":{"name":"c","products":null}}}"#)
            let past = try await ask(
                "mutation { pg_store { insert_products(data: {name: \"d\", price: 1, category: {name: \"mine\"}}) { category_id } } }")
            #expect(past == #"{"pg_store":{"insert_products":{"category_id":3}}}"#)
        }
    }

    @Test("who may not insert, update or set a column may not do so by inserting several or over rows that are there")
    func insertionsBeside() async throws {
        let upsert =
            "insert_products(data: {id: 4, name: \"n\", price: 1}, on_conflict: {constraint: by_pk, update_columns: [name]}) { id }"
        let many = "insert_many_products(data: [{name: \"a\", price: 1}, {name: \"b\", price: 1}]) { id }"
        let kept = "insert_products(data: {id: 4, name: \"n\", price: 1}, on_conflict: {constraint: by_pk}) { id }"
        let module = "_module_pg_store_mutation"
        try await StoreDatabase.with(.postgreSQL) { store in
            for (rule, refused, allowed) in [
                (RolePermissions.Rule(type: module, field: "insert_products", isDisabled: true), [upsert, many, kept], [String]()),
                (.init(type: module, field: "update_products", isDisabled: true), [upsert], [many, kept]),
                (.init(type: "data-object:insert", field: "pg_store_products", isDisabled: true), [upsert, many, kept], []),
                (.init(type: "data-object:update", field: "pg_store_products", isDisabled: true), [upsert], [many, kept]),
                (.init(type: "pg_store_products_mut_data", field: "name", isDisabled: true), [upsert], [many, kept]),
                (.init(type: "pg_store_products_mut_input_data", field: "name", isDisabled: true), [upsert, many, kept], []),
            ] {
                for text in refused {
                    let error = await #expect(throws: GraphQLError.self, "\(rule): \(text)") {
                        try await store.run("mutation { pg_store { \(text) } }", permissions: RolePermissions([rule]))
                    }
                    #expect(error?.message == "forbidden")
                }
                for text in allowed {
                    _ = try await store.run("mutation { pg_store { \(text) } }", permissions: RolePermissions([rule]))
                }
            }
            let left = try await store.run("{ pg_store { products_by_pk(id: 4) { name } } }")
            #expect(left.data.description == #"{"pg_store":{"products_by_pk":{"name":"Old Keyboard"}}}"#)
        }
    }

    @Test(
        "what rules store is stored in every row that is inserted, and in the place of what an upsert sets",
        arguments: [SQLEngine.postgreSQL, .sqlite])
    func stampsBeside(_ engine: SQLEngine) async throws {
        let rules = RolePermissions([
            .init(type: "data-object:insert", field: "pg_store_products", data: ["description": "[$auth.user]"]),
            .init(
                type: "data-object:update", field: "pg_store_products", filter: ["quantity": ["gt": 0]], data: ["description": "changed"]),
        ])
        try await StoreDatabase.with(engine) { store in
            func ask(_ text: String) async throws -> String {
                try await store.run(text, identity: ["auth.user": "writer-1"], permissions: rules).data.description
            }
            let told1 = try await ask(
                "mutation { pg_store { insert_many_products(data: [{id: 70, name: \"a\", price: 1, description: \"spoofed\"}, {id: 71, name: \"b\", price: 1, description: \"spoofed\"}]) { description } } }"
            )
            #expect(told1 == #"{"pg_store":{"insert_many_products":[{"description":"writer-1"},{"description":"writer-1"}]}}"#)
            // Product 4 has none left, and is not to be changed.
            let told2 = try await ask(
                "mutation { pg_store { insert_many_products(data: [{id: 1, name: \"a\", price: 1, description: \"x\"}, {id: 4, name: \"b\", price: 1, description: \"x\"}], on_conflict: {constraint: by_pk, update_columns: [name, description]}) { id name description } } }"
            )
            #expect(told2 == #"{"pg_store":{"insert_many_products":[{"id":1,"name":"a","description":"changed"}]}}"#)
            let told3 = try await ask("{ pg_store { products_by_pk(id: 4) { name description } } }")
            #expect(told3 == #"{"pg_store":{"products_by_pk":{"name":"Old Keyboard","description":"Discontinued keyboard"}}}"#)
        }
    }

    @Test("a cursor tells no column that whoever asks may not see")
    func cursorsTellNothing() async throws {
        let rules = RolePermissions([.init(type: "pg_store_products", field: "id", isDisabled: true)])
        try await StoreDatabase.with(.postgreSQL) { store in
            for text in ["{ pg_store { products_edges { cursor } } }", "{ pg_store { products_edges { node { name } } } }"] {
                let error = await #expect(throws: GraphQLError.self) { try await store.run(text, permissions: rules) }
                #expect(error?.message == "forbidden")
            }
        }
    }

    @Test("a rule for an operation takes the place of that for queries; a forgotten filter stays refused")
    func operations() async throws {
        let rules = RolePermissions([
            .init(type: "data-object:query", field: "pg_store_products", filter: ["id": ["lte": 2]]),
            .init(type: "data-object:update", field: "pg_store_products", filter: ["id": ["gte": 4]]),
            .init(type: "data-object:delete", field: "pg_store_products", isDisabled: true),
        ])
        try await StoreDatabase.with(.postgreSQL) { store in
            let answer = try await store.run(
                "mutation { pg_store { update_products(filter: {quantity: {gte: 0}}, data: {quantity: 0}) { affected_rows } } }",
                permissions: rules)
            #expect(answer.data["pg_store"]?["update_products"]?["affected_rows"] == 2)
            for text in ["delete_products(filter: {id: {eq: 1}}) { success }", "update_products(data: {quantity: 0}) { success }"] {
                await #expect(throws: GraphQLError.self) { try await store.run("mutation { pg_store { \(text) } }", permissions: rules) }
            }
        }
    }
}
