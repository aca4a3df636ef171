import ApusGraphQL
import ApusSchemas
import ApusTypes
import Testing

/// Ways between rows that no foreign key guards.
@Suite("related rows where the data are loose")
struct RelatedRowTests {
    /// Two labels have the same code.
    static let labels = Tables(
        schema: """

            type labels @table(name: "labels") { id: Int! @pk  code: String  text: String }
            type readings @table(name: "readings") {
              id: Int! @pk
              value: Int
              code: String @field_references(references_name: "labels", field: "code", query: "label", references_query: "readings")
            }
            """,
        statements: [
            "CREATE TABLE labels (id INTEGER PRIMARY KEY, code TEXT, text TEXT)",
            "INSERT INTO labels VALUES (1, 'a', 'first'), (2, 'a', 'second'), (3, 'b', 'other')",
            "CREATE TABLE readings (id INTEGER PRIMARY KEY, value INTEGER, code TEXT)",
            "INSERT INTO readings VALUES (1, 10, 'a'), (2, 20, 'a'), (3, 30, 'b'), (4, 40, 'c')",
        ])

    static let cases: [(String, String)] = [
        (
            "{ pg_store { readings(order_by: [{field: \"id\"}]) { id label { text } } } }",
            #"{"pg_store":{"readings":[{"id":1,"label":{"text":"first"}},{"id":2,"label":{"text":"first"}},{"id":3,"label":{"text":"other"}},{"id":4,"label":null}]}}"#
        ),
        (
            "{ pg_store { readings_aggregation { _rows_count value { sum } label { _rows_count text { count } id { sum } } } } }",
            #"{"pg_store":{"readings_aggregation":{"_rows_count":4,"value":{"sum":100},"label":{"_rows_count":4,"text":{"count":3},"id":{"sum":5}}}}}"#
        ),
        (
            "{ pg_store { a: readings(filter: {label: {text: {eq: \"second\"}}}) { id } b: readings(filter: {label: {text: {eq: \"first\"}}}, order_by: [{field: \"id\"}]) { id } } }",
            #"{"pg_store":{"a":[],"b":[{"id":1},{"id":2}]}}"#
        ),
        (
            "{ pg_store { readings_aggregation(filter: {label: {text: {ilike: \"%r%\"}}}) { _rows_count value { sum } label { text { count } } } } }",
            #"{"pg_store":{"readings_aggregation":{"_rows_count":3,"value":{"sum":60},"label":{"text":{"count":3}}}}}"#
        ),
        (
            "{ pg_store { readings(order_by: [{field: \"label.text\", direction: DESC}, {field: \"id\"}], filter: {id: {lt: 4}}) { id } } }",
            #"{"pg_store":{"readings":[{"id":3},{"id":1},{"id":2}]}}"#
        ),
    ]

    @Test("a way to one row leads to the same one everywhere, and multiplies nothing", arguments: [SQLEngine.postgreSQL, .sqlite])
    func notUnique(_ engine: SQLEngine) async throws {
        try await StoreDatabase.with(engine, more: Self.labels) { store in
            for (operation, expected) in Self.cases {
                do {
                    let answer = try await store.run(operation)
                    #expect(answer.data.description == expected, "\(operation)")
                } catch {
                    Issue.record("\(operation): \(error)")
                }
            }
        }
    }

    /// Values that are equal, and written in different ways.
    static let equals: [(type: String, column: String, near: String, far: String)] = [
        ("Float", "numeric", "1.0", "1"), ("Float", "double precision", "100", "1e2"), ("String", "char(5)", "'x'", "'x  '"),
        ("Timestamp", "timestamptz", "'2025-01-01 00:00+00'", "'2025-01-01 02:00+02'"), ("String", "uuid", "'\(upper)'", "'\(lower)'"),
        ("Interval", "interval", "'1 day'", "'24 hours'"),
    ]
    private static let lower = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    private static let upper = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"

    /// Two tables that are joined by a column of a type: once inside a statement, and once between two.
    static func joined(_ type: String, _ nearColumn: String, _ farColumn: String, _ near: String, _ far: String) -> Tables {
        Tables(
            schema: """

                type near_rows @table(name: "near_rows") {
                  id: Int! @pk
                  key: \(type)
                  one: [far_rows] @join(references_name: "far_rows", source_fields: ["key"], references_fields: ["key"])
                  two: [far_rows] @join(references_name: "far_rows", source_fields: ["key"], references_fields: ["key"])
                }
                type far_rows @table(name: "far_rows") { id: Int! @pk  key: \(type) }
                """,
            statements: [
                "CREATE TABLE near_rows (id integer primary key, key \(nearColumn))",
                "CREATE TABLE far_rows (id integer primary key, key \(farColumn))",
                "INSERT INTO near_rows VALUES (1, \(near)), (2, NULL)", "INSERT INTO far_rows VALUES (7, \(far)), (8, NULL)",
            ])
    }

    @Test("the database that is asked decides what is equal", arguments: equals.indices)
    func spellings(_ index: Int) async throws {
        let (type, column, near, far) = Self.equals[index]
        try await StoreDatabase.with(.postgreSQL, more: Self.joined(type, column, column, near, far)) { store in
            try await Self.check(store)
        }
    }

    static func check(_ store: StoreDatabase) async throws {
        let answer = try await store.run(
            "{ pg_store { near_rows(order_by: [{field: \"id\"}]) { one { id } two { id } two_aggregation { _rows_count } b: two_bucket_aggregation { key { id } } } } }"
        )
        #expect(
            answer.data.description
                == #"{"pg_store":{"near_rows":[{"one":[{"id":7}],"two":[{"id":7}],"two_aggregation":{"_rows_count":1},"b":[{"key":{"id":7}}]},{"one":null,"two":null,"two_aggregation":{"_rows_count":0},"b":null}]}}"#
        )
    }

    @Test("the blanks behind a char(n) are no part of a key, as inside a statement")
    func blanks() async throws {
        try await StoreDatabase.with(.postgreSQL, more: Self.joined("String", "char(5)", "varchar", "'x'", "'x'")) { store in
            try await Self.check(store)
        }
    }

    @Test("two spellings of one key both get its rows")
    func twoSpellings() async throws {
        var tables = Self.joined("Float", "numeric", "numeric", "1.0", "1.00")
        tables.statements.append("INSERT INTO near_rows VALUES (3, 1)")
        try await StoreDatabase.with(.postgreSQL, more: tables) { store in
            let answer = try await store.run("{ pg_store { near_rows(order_by: [{field: \"id\"}]) { one { id } two { id } } } }")
            #expect(
                answer.data.description
                    == #"{"pg_store":{"near_rows":[{"one":[{"id":7}],"two":[{"id":7}]},{"one":null,"two":null},{"one":[{"id":7}],"two":[{"id":7}]}]}}"#
            )
        }
    }

    @Test("keys of several columns", arguments: [SQLEngine.postgreSQL, .sqlite])
    func severalColumns(_ engine: SQLEngine) async throws {
        var tables = Self.joined("Int", "integer", "integer", "1", "1")
        for (fields, column) in [("source_fields", "key"), ("references_fields", "key")] {
            tables.schema = tables.schema.replacing("\(fields): [\"\(column)\"]", with: "\(fields): [\"\(column)\", \"code\"]")
        }
        tables.schema = tables.schema.replacing("key: Int", with: "key: Int code: String")
        tables.statements = tables.statements.map {
            $0.replacing("integer)", with: "integer, code varchar(9))").replacing("1), (2, NULL)", with: "1, 'a\"'), (2, 1, 'b')")
                .replacing("1), (8, NULL)", with: "1, 'a\"'), (8, 2, 'b')")
        }
        try await StoreDatabase.with(engine, more: tables) { store in try await Self.check(store) }
    }

    @Test(
        "keys that sources write in different ways are refused, with the reason",
        arguments: [("Timestamp", SQLEngine.sqlite), ("Float", .sqlite), ("JSON", .postgreSQL), ("Interval", .postgreSQL)])
    func refused(_ type: String, _ engine: SQLEngine) async throws {
        func table(_ name: String) -> String { "\ntype \(name) @table(name: \"\(name)\") { id: Int! @pk  key: \(type) }" }
        let tables = Tables(schema: table("near_rows"), otherSchema: table("far_rows"))
        let error = await #expect(throws: (any Error).self) {
            try await StoreDatabase.with(engine, more: tables) { store in
                _ = try await store.run(
                    "{ pg_store { near_rows { _join(fields: [\"key\"]) { local_db_far_rows(fields: [\"key\"]) { id } } } } }")
            }
        }
        if let error { #expect("\(error)".contains("cannot be matched between statements"), "\(error)") }
    }
}
