import ApusGraphQL
import ApusSchemas
import ApusTypes
import Testing

/// What values look like in a reply follows from their declared types.
@Suite("values as their types say")
struct ValueTests {
    /// In SQLite a column holds what it is given.
    static let loose = Tables(
        schema: """

            type loose @table(name: "loose") {
              id: Int! @pk
              number: Int
              ratio: Float
              flag: Boolean
              data: JSON
              at: Timestamp
              day: Date
              numbers: [Int]
              flags: [Boolean]
              name: String
            }
            """,
        statements: [
            "CREATE TABLE loose (id INTEGER PRIMARY KEY, number, ratio, flag, data, at, day, numbers, flags, name)",
            """
            INSERT INTO loose VALUES
              (1, 7, 1.5, 1, '{"a": "b"}', '2025-01-01 10:00:00', '2025-01-01', '[1, 2]', '[1, 0]', 'x'),
              (2, 'seven', 'much', 'yes', 'silver', 'noon', 'today', '[1.5]', '1', x'ff')
            """,
        ])

    @Test("what is of its type is told")
    func fits() async throws {
        try await StoreDatabase.with(.sqlite, more: Self.loose) { store in
            let answer = try await store.run(
                "{ pg_store { loose_by_pk(id: 1) { number ratio flag data at day numbers flags name } } }")
            #expect(
                answer.data.description
                    == #"{"pg_store":{"loose_by_pk":{"number":7,"ratio":1.5,"flag":true,"data":{"a":"b"},"at":"2025-01-01T10:00:00Z","day":"2025-01-01","numbers":[1,2],"flags":[true,false],"name":"x"}}}"#
            )
        }
    }

    @Test(
        "what is not is an error that names the field",
        arguments: ["number", "ratio", "flag", "data", "at", "day", "numbers", "flags", "name"])
    func misfits(field: String) async throws {
        try await StoreDatabase.with(.sqlite, more: Self.loose) { store in
            let error = await #expect(throws: GraphQLError.self) { try await store.run("{ pg_store { rows: loose { id \(field) } } }") }
            #expect(error?.message.contains("\"pg_store.rows.\(field)\"") == true)
        }
    }

    /// Over both databases.
    static let cases: [(String, String)] = [
        (
            "{ pg_store { products(filter: {id: {lte: 3}}, order_by: [{field: \"id\"}]) { tags(struct: {color: true}) } } }",
            #"{"pg_store":{"products":[{"tags":{"color":"silver"}},{"tags":{"color":"black"}},{"tags":null}]}}"#
        ),
        (
            "{ local_db { items_aggregation(order_by: [{field: \"id\", direction: DESC}]) { tags { list(path: \"color\") all: list } specs { ram_gb { sum } } } } }",
            #"{"local_db":{"items_aggregation":{"tags":{"list":["gray","black","silver"],"all":[{"color":"gray"},{"color":"black"},{"color":"silver"}]},"specs":{"ram_gb":{"sum":88}}}}}"#
        ),
        (
            "{ local_db { events_aggregation { metadata { list(path: \"attendees\") count(path: \"absent\") max(path: \"attendees\") } } } }",
            #"{"local_db":{"events_aggregation":{"metadata":{"list":[500,50,30,100,200],"count":0,"max":500}}}}"#
        ),
        (
            "{ pg_store { products_aggregation(order_by: [{field: \"price\", direction: DESC}]) { id { list } name { string_agg(sep: \"|\") } is_active { list } } } }",
            #"{"pg_store":{"products_aggregation":{"id":{"list":[5,1,3,2,4]},"name":{"string_agg":"Gaming Desktop|Laptop Pro|USB-C Hub|Wireless Mouse|Old Keyboard"},"is_active":{"list":[true,true,true,true,false]}}}}"#
        ),
        (
            "{ pg_store { products_aggregation(order_by: [{field: \"id\", direction: DESC}], limit: 2) { id { list } } } }",
            #"{"pg_store":{"products_aggregation":{"id":{"list":[5,4]}}}}"#
        ),
        (
            "{ local_db { event_tags_aggregation(order_by: [{field: \"tag\"}]) { tag { string_agg(sep: \", \", distinct: true) } } } }",
            #"{"local_db":{"event_tags_aggregation":{"tag":{"string_agg":"competition, networking, social, technology"}}}}"#
        ),
        (
            "{ local_db { event_tags_aggregation(filter: {event_id: {eq: 99}}) { tag { string_agg(sep: \",\", distinct: true) list } } } }",
            #"{"local_db":{"event_tags_aggregation":{"tag":{"string_agg":null,"list":null}}}}"#
        ),
        (
            "{ local_db { items_aggregation(order_by: [{field: \"id\"}]) { created_at { list } } items(limit: 1, order_by: [{field: \"id\"}]) { created_at } } }",
            #"{"local_db":{"items_aggregation":{"created_at":{"list":["2025-01-15T10:00:00Z","2025-02-20T14:00:00Z","2025-03-10T09:00:00Z"]}},"items":[{"created_at":"2025-01-15T10:00:00Z"}]}}"#
        ),
    ]

    @Test(
        "aggregates and members of JSON have the form of their types, in the order that was asked for",
        arguments: [SQLEngine.postgreSQL, .sqlite])
    func forms(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine) { store in
            for (operation, expected) in Self.cases {
                do {
                    let text = try await store.run(operation).data.description.replacing(".0,", with: ",").replacing(".0}", with: "}")
                    #expect(text == expected, "\(operation)")
                } catch {
                    Issue.record("\(operation): \(error)")
                }
            }
        }
    }

    @Test("order inside groups and of related rows", arguments: [SQLEngine.postgreSQL, .sqlite])
    func ordered(_ engine: SQLEngine) async throws {
        let buckets =
            "{ pg_store { products_bucket_aggregation(order_by: [{field: \"key.category_id\"}]) { key { category_id } aggregations(order_by: [{field: \"price\"}]) { id { list last } } } } }"
        let related =
            "{ pg_store { categories(order_by: [{field: \"id\"}]) { products_aggregation(order_by: [{field: \"id\", direction: DESC}]) { id { list } } } } }"
        try await StoreDatabase.with(engine) { store in
            guard engine == .postgreSQL else {
                // It has no aggregates that are told an order, and says so.
                for text in [buckets, related] { await #expect(throws: GraphQLError.self) { try await store.run(text) } }
                return
            }
            let grouped = try await store.run(buckets)
            #expect(
                grouped.data.description
                    == #"{"pg_store":{"products_bucket_aggregation":[{"key":{"category_id":2},"aggregations":{"id":{"list":[1,5],"last":5}}},{"key":{"category_id":3},"aggregations":{"id":{"list":[4,2,3],"last":3}}}]}}"#
            )
            let rows = try await store.run(related)
            #expect(
                rows.data.description
                    == #"{"pg_store":{"categories":[{"products_aggregation":{"id":{"list":null}}},{"products_aggregation":{"id":{"list":[5,1]}}},{"products_aggregation":{"id":{"list":[4,3,2]}}}]}}"#
            )
        }
    }
}
