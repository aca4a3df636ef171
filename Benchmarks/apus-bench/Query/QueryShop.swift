import ApusGraphQL
import ApusQueryPlan
import ApusSchemas
import ApusTypes
import DatabaseTestKit
import TestKit

/// The database of a shop, and what is asked of it: one variable, `$id`, in each operation.
enum QueryShop {
    struct Case: Sendable {
        var name: String
        /// With `@cache` where it may be kept.
        var keptText: String
        /// The same of `Benchmarks/peers/query_app.py`, whose API is its own.
        var peerText: String
        /// From which `$id` is drawn.
        var ids: ClosedRange<Int>
        var isWrite = false

        /// As it is asked where nothing is to be kept.
        var text: String { keptText.replacing(QueryShop.cache, with: "") }

        func bodies(_ text: String, count: Int, seed: UInt64) -> [String] {
            var random = SeededGenerator(seed: seed)
            return (0..<count).map { _ in
                let id = JSONValue.integer(Int64(Int.random(in: ids, using: &random)))
                return JSONValue.object(["query": .string(text), "variables": ["id": id]]).description
            }
        }
    }

    private static let cache = #" @cache(ttl: "1h")"#

    static let cases = [
        Case(
            name: "by-pk",
            keptText: "query($id: Int!) { orders_by_pk(id: $id)\(cache) { id customer_id placed status total note } }",
            peerText: "query($id: Int!) { order(id: $id) { id customer_id placed status total note } }", ids: 1...100_000),
        Case(
            name: "list 100 x 6",
            keptText: """
                query($id: Int!) {
                  orders(filter: {id: {gt: $id}}, order_by: [{field: "id"}], limit: 100)\(cache) {
                    id customer_id placed status total note
                  }
                }
                """,
            peerText: "query($id: Int!) { orders(after: $id, first: 100) { id customer_id placed status total note } }", ids: 1...99_000),
        Case(
            name: "nested 20 x 5 x 1",
            keptText: """
                query($id: Int!) {
                  orders(filter: {id: {gt: $id}}, order_by: [{field: "id"}], limit: 20)\(cache) {
                    id placed total lines { id quantity product { id name price } }
                  }
                }
                """,
            peerText:
                "query($id: Int!) { orders(after: $id, first: 20) { id placed total lines { id quantity product { id name price } } } }",
            ids: 1...99_000),
        Case(
            name: "filtered",
            keptText: """
                query($id: Int!) {
                  orders(filter: {customer_id: {eq: $id}, lines: {any_of: {quantity: {gt: 3}}}}, order_by: [{field: "id"}])\(cache) {
                    id placed total
                  }
                }
                """,
            peerText: "query($id: Int!) { orders_of(customer: $id, quantity_above: 3) { id placed total } }", ids: 1...10_000),
        Case(
            name: "aggregation",
            keptText: """
                query($id: Int!) {
                  orders_bucket_aggregation(filter: {customer_id: {gt: $id}, status: {in: ["new", "paid", "sent"]}})\(cache) {
                    key { status } aggregations { _rows_count total { sum } }
                  }
                }
                """,
            peerText: """
                query($id: Int!) { totals(customers_above: $id, statuses: ["new", "paid", "sent"]) { status count total } }
                """, ids: 8900...9100),
        Case(
            name: "write",
            keptText: #"mutation($id: Int!) { update_orders(filter: {id: {eq: $id}}, data: {status: "sent"}) { affected_rows } }"#,
            peerText: #"mutation($id: Int!) { set_status(id: $id, status: "sent") }"#, ids: 1...100_000, isWrite: true),
    ]

    static let schema = """
        type customers @table(name: "customers") { id: Int! @pk  name: String  email: String  city: String }
        type products @table(name: "products") { id: Int! @pk  name: String  price: Float }
        type orders @table(name: "orders") {
          id: Int! @pk
          customer_id: Int @field_references(references_name: "customers", field: "id", query: "customer", references_query: "orders")
          placed: Timestamp
          status: String
          total: Float
          note: String
        }
        type lines @table(name: "order_lines") {
          id: Int! @pk
          order_id: Int @field_references(references_name: "orders", field: "id", query: "order", references_query: "lines")
          product_id: Int @field_references(references_name: "products", field: "id", query: "product", references_query: "lines")
          quantity: Int
        }
        """

    /// 10,000 customers, 1,000 products, 100,000 orders of 5 lines.
    static let tables = """
        CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text, city text);
        CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2) NOT NULL);
        CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, placed timestamptz NOT NULL, status text NOT NULL,
            total numeric(10,2) NOT NULL, note text);
        CREATE TABLE order_lines (id int PRIMARY KEY, order_id int NOT NULL, product_id int NOT NULL, quantity int NOT NULL);
        INSERT INTO customers SELECT i, 'customer ' || i, 'c' || i || '@example.org', 'city ' || i % 100 FROM generate_series(1, 10000) i;
        INSERT INTO products SELECT i, 'a product of the shop, number ' || i, (i % 1000) / 10.0 + 1 FROM generate_series(1, 1000) i;
        INSERT INTO orders SELECT i, i % 10000 + 1, timestamptz '2026-01-01' + i * interval '5 minutes',
            (ARRAY['new', 'paid', 'sent', 'delivered'])[i % 4 + 1], (i % 5000) / 7.0,
            CASE WHEN i % 3 > 0 THEN 'left with the neighbour, 2nd floor' END FROM generate_series(1, 100000) i;
        INSERT INTO order_lines SELECT i, (i - 1) / 5 + 1, i % 1000 + 1, i % 5 + 1 FROM generate_series(1, 500000) i;
        CREATE INDEX ON orders (customer_id);
        CREATE INDEX ON order_lines (order_id);
        VACUUM ANALYZE;
        """

    /// A durable server with the shop in its database `shop`.
    static func start() async throws -> PostgreSQLServer {
        let server = try await PostgreSQLServer.start(
            settings: ["shared_buffers": "512MB", "max_connections": "200"], isDurable: true)
        try await server.execute("CREATE DATABASE shop")
        for statement in tables.split(separator: ";\n") { try await server.execute(String(statement), database: "shop") }
        return server
    }

    static func api() throws -> DataAPI {
        let source = SourceDescription(name: "shop", kind: .database(.postgreSQL))
        return try DataAPI(of: try DataModel(joining: [try SchemaReader.read([SchemaFile(name: "shop", text: schema)], of: source)]))
    }

    static func prepared(_ text: String, _ api: DataAPI) throws -> PreparedOperation {
        let document = try GraphQLDocument(parsing: text)
        let problems = api.schema.problems(with: document)
        guard problems.isEmpty else { throw ApusError(.usage, "the benchmark's own operation is invalid: \(problems[0].message)") }
        return try PreparedOperation(document, schema: api.schema)
    }

    /// The statements that a request is answered with, as Apus sends them: the value 4711 of `$id` may be among their parameters.
    static func statements(of test: Case) async throws -> [(sql: String, parameters: [String])] {
        let api = try api()
        let operation = try prepared(test.text, api)
        let plan = try QueryPlanner(api).plan(operation, variables: try operation.variables(from: ["id": 4711]))
        var found: [(String, [String])] = []
        _ = try await PlanRunner(plan).reply { calls in
            for call in calls {
                found.append(
                    (call.statement.sql.text, call.parameters.map { String(decoding: $0.postgreSQLText ?? [], as: UTF8.self) }))
            }
        }
        return found
    }
}
