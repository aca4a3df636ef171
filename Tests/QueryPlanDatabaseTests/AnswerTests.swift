import ApusGraphQL
import ApusQueryPlan
import ApusSchemas
import ApusTypes
import TestKit
import Testing

/// What each part of the API answers, over both databases.
@Suite("answers")
struct AnswerTests {
    /// An operation, and the text of its `data` with keys in request order.
    static let cases: [(String, String)] = [
        (
            "{ pg_store { products_by_pk(id: 1) { name id } none: products_by_pk(id: 999) { id } } }",
            #"{"pg_store":{"products_by_pk":{"name":"Laptop Pro","id":1},"none":null}}"#
        ),
        (
            "{ pg_store { categories(order_by: [{field: \"id\"}]) { children(order_by: [{field: \"id\"}]) { id } id } } }",
            #"{"pg_store":{"categories":[{"children":[{"id":2},{"id":3}],"id":1},{"children":null,"id":2},{"children":null,"id":3}]}}"#
        ),
        (
            "{ pg_store { products(filter: {_or: [{price: {lte: 30}}, {price: {gte: 2000}}]}, order_by: [{field: \"id\"}]) { id } } }",
            #"{"pg_store":{"products":[{"id":2},{"id":4},{"id":5}]}}"#
        ),
        (
            "{ pg_store { products(filter: {name: {eq: null}}, order_by: [{field: \"id\"}]) { id } none: products(filter: {id: {in: []}}) { id } } }",
            #"{"pg_store":{"products":[{"id":1},{"id":2},{"id":3},{"id":4},{"id":5}],"none":[]}}"#
        ),
        (
            "{ pg_store { a: categories(filter: {products: {all_of: {price: {gt: 40}}}}) { id } b: categories(filter: {products: {none_of: {price: {gt: 2000}}}}, order_by: [{field: \"id\"}]) { id } } }",
            #"{"pg_store":{"a":[{"id":2}],"b":[{"id":1},{"id":3}]}}"#
        ),
        (
            "{ pg_store { products(filter: {name: {like: \"%Mouse%\"}}) { id } none: products(filter: {name: {like: \"%mouse%\"}}) { id } any: products(filter: {name: {ilike: \"%mouse%\"}}) { id } } }",
            #"{"pg_store":{"products":[{"id":2}],"none":[],"any":[{"id":2}]}}"#
        ),
        (
            "{ pg_store { products(order_by: [{field: \"category.name\"}, {field: \"price\", direction: DESC}], limit: 2, offset: 1) { id category { name } } } }",
            #"{"pg_store":{"products":[{"id":2,"category":{"name":"Accessories"}},{"id":4,"category":{"name":"Accessories"}}]}}"#
        ),
        // Two lists beside each other, with a limit above them.
        (
            "{ pg_store { products(order_by: [{field: \"id\"}], limit: 2) { id product_tags(order_by: [{field: \"id\"}]) { name } price_ranges { id } } } }",
            #"{"pg_store":{"products":[{"id":1,"product_tags":[{"name":"new"},{"name":"popular"}],"price_ranges":[{"id":1}]},{"id":2,"product_tags":[{"name":"sale"},{"name":"popular"}],"price_ranges":[{"id":2}]}]}}"#
        ),
        // Lists inside each other.
        (
            "{ pg_store { categories(order_by: [{field: \"id\"}]) { id products(order_by: [{field: \"id\"}], filter: {id: {gt: 1}}) { id product_tags(order_by: [{field: \"name\"}]) { name } } name } } }",
            #"{"pg_store":{"categories":[{"id":1,"products":null,"name":"Electronics"},{"id":2,"products":[{"id":5,"product_tags":[{"name":"new"},{"name":"popular"}]}],"name":"Computers"},{"id":3,"products":[{"id":2,"product_tags":[{"name":"popular"},{"name":"sale"}]},{"id":3,"product_tags":null},{"id":4,"product_tags":null}],"name":"Accessories"}]}}"#
        ),
        (
            "{ pg_store { categories(order_by: [{field: \"id\"}]) { id products(nested_order_by: [{field: \"price\", direction: DESC}], nested_limit: 1) { id } } } }",
            #"{"pg_store":{"categories":[{"id":1,"products":null},{"id":2,"products":[{"id":5}]},{"id":3,"products":[{"id":3}]}]}}"#
        ),
        (
            "{ pg_store { categories(order_by: [{field: \"id\"}]) { id products(nested_order_by: [{field: \"price\", direction: DESC}], nested_limit: 1, nested_offset: 1) { id } } } }",
            #"{"pg_store":{"categories":[{"id":1,"products":null},{"id":2,"products":[{"id":1}]},{"id":3,"products":[{"id":2}]}]}}"#
        ),
        // A limit of related rows is one of all of them.
        (
            "{ pg_store { categories(order_by: [{field: \"id\"}]) { id products(order_by: [{field: \"id\"}], limit: 1) { id } } } }",
            #"{"pg_store":{"categories":[{"id":1,"products":null},{"id":2,"products":[{"id":1}]},{"id":3,"products":null}]}}"#
        ),
        (
            "{ pg_store { categories(order_by: [{field: \"id\"}]) { id products(inner: true, order_by: [{field: \"id\"}], filter: {price: {gt: 100}}) { id } } } }",
            #"{"pg_store":{"categories":[{"id":2,"products":[{"id":1},{"id":5}]}]}}"#
        ),
        (
            "{ pg_store { products(distinct_on: [\"category_id\"], order_by: [{field: \"price\"}]) { id category_id } } }",
            #"{"pg_store":{"products":[{"id":4,"category_id":3},{"id":1,"category_id":2}]}}"#
        ),
        (
            "{ pg_store { categories(order_by: [{field: \"products_aggregation._rows_count\", direction: DESC}, {field: \"id\"}]) { id products_aggregation(filter: {is_active: {eq: true}}) { _rows_count price { max } } } } }",
            #"{"pg_store":{"categories":[{"id":3,"products_aggregation":{"_rows_count":2,"price":{"max":49.99}}},{"id":2,"products_aggregation":{"_rows_count":2,"price":{"max":2499.99}}},{"id":1,"products_aggregation":{"_rows_count":0,"price":{"max":null}}}]}}"#
        ),
        (
            "{ pg_store { products_bucket_aggregation(order_by: [{field: \"key.category_id\"}]) { key { category_id category { name } } all: aggregations { _rows_count } active: aggregations(filter: {is_active: {eq: true}}) { _rows_count } } } }",
            #"{"pg_store":{"products_bucket_aggregation":[{"key":{"category_id":2,"category":{"name":"Computers"}},"all":{"_rows_count":2},"active":{"_rows_count":2}},{"key":{"category_id":3,"category":{"name":"Accessories"}},"all":{"_rows_count":3},"active":{"_rows_count":2}}]}}"#
        ),
        (
            "{ pg_store { products_bucket_aggregation(order_by: [{field: \"key.category_id\"}]) { key { category_id } } } }",
            #"{"pg_store":{"products_bucket_aggregation":[{"key":{"category_id":2}},{"key":{"category_id":3}}]}}"#
        ),
        (
            "{ pg_store { products_bucket_aggregation(order_by: [{field: \"m.release_date\"}]) { m: key { release_date(bucket: month) } aggregations { _rows_count price { min } } } } }",
            #"{"pg_store":{"products_bucket_aggregation":[{"m":{"release_date":"2025-03-01"},"aggregations":{"_rows_count":2,"price":{"min":29.99}}},{"m":{"release_date":"2025-04-01"},"aggregations":{"_rows_count":2,"price":{"min":19.99}}},{"m":{"release_date":"2025-05-01"},"aggregations":{"_rows_count":1,"price":{"min":2499.99}}}]}}"#
        ),
        (
            "{ pg_store { categories(order_by: [{field: \"id\"}]) { id products_bucket_aggregation(order_by: [{field: \"key.is_active\"}]) { key { is_active } aggregations { _rows_count } } } } }",
            #"{"pg_store":{"categories":[{"id":1,"products_bucket_aggregation":null},{"id":2,"products_bucket_aggregation":[{"key":{"is_active":true},"aggregations":{"_rows_count":2}}]},{"id":3,"products_bucket_aggregation":[{"key":{"is_active":false},"aggregations":{"_rows_count":1}},{"key":{"is_active":true},"aggregations":{"_rows_count":2}}]}]}}"#
        ),
        (
            "{ pg_store { product_details(order_by: [{field: \"product_id\"}], filter: {specs: {ram_gb: {gte: 16}}}) { specs { cpu dpi __typename } product { name category { name } } } } }",
            #"{"pg_store":{"product_details":[{"specs":{"cpu":"M2","dpi":null,"__typename":"pg_store_ProductSpecs"},"product":{"name":"Laptop Pro","category":{"name":"Computers"}}},{"specs":{"cpu":"i9","dpi":null,"__typename":"pg_store_ProductSpecs"},"product":{"name":"Gaming Desktop","category":{"name":"Computers"}}}]}}"#
        ),
        (
            "{ pg_store { product_details_aggregation { specs { ram_gb { sum avg } storage_gb { sum } } } } }",
            #"{"pg_store":{"product_details_aggregation":{"specs":{"ram_gb":{"sum":80,"avg":40},"storage_gb":{"sum":2512}}}}}"#
        ),
        (
            "{ pg_store { categories_aggregation { n: _rows_count products_aggregation { a: price { max { min } } b: price { max { max } } } } } }",
            #"{"pg_store":{"categories_aggregation":{"n":3,"products_aggregation":{"a":{"max":{"min":49.99}},"b":{"max":{"max":2499.99}}}}}}"#
        ),
        // Over sources, and back into lists there.
        (
            "{ pg_store { products(order_by: [{field: \"id\"}], filter: {id: {gte: 3}}) { id matching_items { name event { name tags(order_by: [{field: \"tag\"}]) { tag } } } } } }",
            #"{"pg_store":{"products":[{"id":3,"matching_items":[{"name":"Tablet","event":{"name":"Meetup","tags":[{"tag":"social"}]}}]},{"id":4,"matching_items":null},{"id":5,"matching_items":null}]}}"#
        ),
        (
            "{ pg_store { products(order_by: [{field: \"id\"}], filter: {id: {gte: 3}}) { id matching_items_aggregation { _rows_count } } } }",
            #"{"pg_store":{"products":[{"id":3,"matching_items_aggregation":{"_rows_count":1}},{"id":4,"matching_items_aggregation":{"_rows_count":0}},{"id":5,"matching_items_aggregation":{"_rows_count":0}}]}}"#
        ),
        (
            "{ pg_store { products_in_price_range(args: {min_price: 10, max_price: 50}, order_by: [{field: \"id\"}]) { id product { category { name } } } } }",
            #"{"pg_store":{"products_in_price_range":[{"id":2,"product":{"category":{"name":"Accessories"}}},{"id":3,"product":{"category":{"name":"Accessories"}}},{"id":4,"product":{"category":{"name":"Accessories"}}}]}}"#
        ),
        (
            "{ __typename pg_store { __typename products_for_current_user(order_by: [{field: \"id\"}]) { id __typename } } }",
            #"{"__typename":"Query","pg_store":{"__typename":"_module_pg_store_query","products_for_current_user":[{"id":1,"__typename":"pg_store_products_for_current_user"},{"id":5,"__typename":"pg_store_products_for_current_user"}]}}"#
        ),
    ]

    @Test("what is asked is answered", arguments: [SQLEngine.postgreSQL, .sqlite, .duckDB])
    func answers(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            for (operation, expected) in Self.cases {
                do {
                    let answer = try await store.run(operation, identity: ["auth.user_id_int": 2])
                    // A double that is whole is told with a fraction by one database and without by another.
                    #expect(answer.data.description.replacing(".0,", with: ",").replacing(".0}", with: "}") == expected, "\(operation)")
                } catch {
                    Issue.record("\(operation): \(error)")
                }
            }
        }
    }

    @Test("a list that only a default limit cut is told, and a given limit is not", arguments: [SQLEngine.postgreSQL, .sqlite, .duckDB])
    func truncation(_ engine: SQLEngine) async throws {
        var limits = PlanLimits()
        limits.defaultRows = 3
        try await StoreDatabase.with(engine) { store in
            let cut = try await store.run("{ pg_store { products { id } tags { id } } }", limits: limits)
            #expect(cut.data["pg_store"]?["products"]?.asArray?.count == 3)
            #expect(cut.truncated == [["pg_store", "products"]])
            let asked = try await store.run("{ pg_store { products(limit: 2) { id } all: products(limit: 5) { id } } }", limits: limits)
            #expect(asked.data["pg_store"]?["all"]?.asArray?.count == 5)
            #expect(asked.truncated.isEmpty)
        }
    }

    @Test("more keys than the limit are an error that says what to do")
    func keys() async throws {
        var limits = PlanLimits()
        limits.keys = 2
        try await StoreDatabase.with(.sqlite) { store in
            await #expect(throws: GraphQLError.self) {
                try await store.run("{ pg_store { products { matching_items { id } } } }", limits: limits)
            }
        }
    }

    @Test("functions answer as values, rows and structs, and once for each row")
    func functions() async throws {
        try await StoreDatabase.with(.postgreSQL) { store in
            let answer = try await store.run(
                """
                {
                  function {
                    local_db { generate_series(start: 1, stop: 5) }
                    pg_store { note_label(id: 3) cheaper_than(price: 30) { name category { name } } specs_of(id: 1) { cpu dpi } }
                  }
                  pg_store { notes(order_by: [{field: "id"}], limit: 2) { label a: label(mode: "a") } }
                }
                """)
            #expect(
                answer.data.description
                    == #"{"function":{"local_db":{"generate_series":[1,2,3,4,5]},"pg_store":{"note_label":"3?","cheaper_than":[{"name":"Wireless Mouse","category":{"name":"Accessories"}},{"name":"Old Keyboard","category":{"name":"Accessories"}}],"specs_of":{"cpu":"M2","dpi":null}}},"pg_store":{"notes":[{"label":"1?","a":"1a"},{"label":"2?","a":"2a"}]}}"#
            )
        }
    }

    @Test(
        "the answer to random trees of relations is that of walking them one by one", arguments: [SQLEngine.postgreSQL, .sqlite, .duckDB])
    func randomTrees(_ engine: SQLEngine) async throws {
        var random = SeededGenerator(seed: 11)
        try await StoreDatabase.with(engine) { store in
            for _ in 0..<60 {
                let tree = RelationTree.random(on: "pg_store_products", store.api.model, depth: 4, &random)
                let text = "{ pg_store { products(order_by: [{field: \"id\"}]) \(tree.selection) } }"
                let answer = try await store.run(text)
                let rows = answer.data["pg_store"]?["products"]?.asArray ?? []
                #expect(rows.count == 5)
                for row in rows { try await tree.check(row, store, text) }
            }
        }
    }
}

/// A selection of related rows, and what each of its objects would be if it were asked for by itself.
struct RelationTree {
    var object: DataObject
    var children: [(navigation: Navigation, tree: RelationTree)]

    static func random(on name: String, _ model: DataModel, depth: Int, _ random: inout SeededGenerator) -> RelationTree {
        let object = model.objects[name]!  // the tests' own model
        let ways = object.navigations.filter { way in
            model.objects[way.target]?.arguments == nil && model.objects[way.target]?.primaryKey.count == 1 && way.addedBy == nil
        }
        let chosen = depth == 0 ? [] : ways.filter { _ in Int.random(in: 0..<5, using: &random) < 2 }
        return RelationTree(object: object, children: chosen.map { ($0, Self.random(on: $0.target, model, depth: depth - 1, &random)) })
    }

    var key: String { object.primaryKey[0].name }

    var selection: String {
        let below = children.map { child in
            let order = child.navigation.isList ? "(order_by: [{field: \"\(child.tree.key)\"}])" : ""
            return "\(child.navigation.name)\(order) \(child.tree.selection)"
        }
        return "{ \((below.prefix(1) + [key] + below.dropFirst()).joined(separator: " ")) }"
    }

    /// Asks for the row alone, and one relation of it at a time.
    func check(_ row: JSONValue, _ store: StoreDatabase, _ text: String) async throws {
        guard let id = row[key]?.asInteger else { return #expect(Bool(false), "no key in \(row) of \(text)") }
        for child in children {
            let order = child.navigation.isList ? "(order_by: [{field: \"\(child.tree.key)\"}])" : ""
            let alone = try await store.run(
                "{ pg_store { \(object.originalName)_by_pk(\(key): \(id)) { \(child.navigation.name)\(order) { \(child.tree.key) } } } }")
            let expected = alone.data["pg_store"]?["\(object.originalName)_by_pk"]?[child.navigation.name] ?? .null
            let found = row[child.navigation.name] ?? .null
            #expect(
                keys(of: found, child.tree.key) == keys(of: expected, child.tree.key),
                "\(text): \(object.name) \(id) \(child.navigation.name)")
            for below in found.asArray ?? (found.isNull ? [] : [found]) { try await child.tree.check(below, store, text) }
        }
    }

    private func keys(of value: JSONValue, _ key: String) -> [JSONValue?] { (value.asArray ?? [value]).map { $0[key] } }
}
