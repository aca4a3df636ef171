import ApusGraphQL
import ApusSchemas
import ApusTypes
import Testing

@testable import ApusQuery

/// What databases say of themselves, as a schema's text.
@Suite("schemas that databases describe")
struct DescribedSchemaTests {
    private static func column(_ name: String, _ type: String = "Int", required: Bool = false) -> DescribedTable.Column {
        DescribedTable.Column(name: name, type: type, isNonNull: required)
    }

    @Test("keys, references, names that GraphQL does not have, and other schemas of the database")
    func text() throws {
        let tables = [
            DescribedTable(
                schema: "public", name: "order lines", comment: "What is \"in\"\nan order",
                columns: [Self.column("id", required: true), Self.column("order-id"), Self.column("note", "String")], primaryKey: ["id"],
                uniqueKeys: [["order-id", "id"]],
                foreignKeys: [.init(name: "fk", columns: ["order-id"], targetSchema: "sales", target: "orders", targetColumns: ["id"])]),
            DescribedTable(
                schema: "sales", name: "orders", columns: [Self.column("id", required: true), Self.column("parent")], primaryKey: ["id"],
                foreignKeys: [
                    .init(name: "parent_fk", columns: ["parent"], targetSchema: "sales", target: "orders", targetColumns: ["id"]),
                    .init(name: "lost", columns: ["parent"], targetSchema: "sales", target: "gone", targetColumns: ["id"]),
                ]),
            DescribedTable(schema: "public", name: "nothing to tell"),
        ]
        let text = DescribedSchema(tables).text
        #expect(
            text == #"""
                "What is \"in\"\u000aan order"
                type order_lines @table(name: "public.order lines") @unique(fields: ["order_id", "id"]) @references(name: "order_lines_fk_fk", references_name: "sales_orders", source_fields: ["order_id"], references_fields: ["id"], query: "ref_fk", references_query: "ref_fk") {
                  id: Int! @pk
                  "\"order-id\" in the database"
                  order_id: Int @field_source(field: "order-id")
                  note: String
                }

                type sales_orders @table(name: "sales.orders") @module(name: "sales") @references(name: "orders_parent_fk_fk", references_name: "sales_orders", source_fields: ["parent"], references_fields: ["id"], query: "ref_parent_fk", references_query: "ref_parent_fk_orders") {
                  id: Int! @pk
                  parent: Int
                }

                """#)
        // It is a schema that can be served.
        let source = SourceDescription(name: "s", kind: .database(.postgreSQL), prefix: "s", isModule: true)
        let output = SchemaCompiler().compile([.init(source, files: [SchemaFile(name: "s", text: text)])])
        #expect(output.suspended.isEmpty)
        #expect(output.api.schema.type("s_sales_orders")?.fields.map(\.name).contains("ref_fk") == true)
    }

    @Test("tables and columns that begin with an underscore have names that GraphQL does not reserve, and say what they are called")
    func underscores() throws {
        let table = DescribedTable(
            schema: "public", name: "_prisma_migrations",
            columns: [Self.column("id", required: true), Self.column("_at", "Timestamp"), Self.column("1st")], primaryKey: ["id"])
        let text = DescribedSchema([table]).text
        #expect(text.hasPrefix(#""\"_prisma_migrations\" in the database""#))
        for prefix in ["", "s"] {
            let source = SourceDescription(name: "s", kind: .database(.postgreSQL), prefix: prefix)
            let output = SchemaCompiler().compile([.init(source, files: [SchemaFile(name: "s", text: text)])])
            #expect(output.suspended.isEmpty)
            #expect(output.api.schema.problems().isEmpty)
            let object = output.api.model.objects[(prefix.isEmpty ? "" : "s_") + "db__prisma_migrations"]
            #expect(object?.relation == "public._prisma_migrations")
            #expect(object?.columns.map(\.name) == ["id", "db__at", "db_1st"])
            #expect(object?.columns.map(\.storedColumn) == ["id", "_at", "1st"])
        }
    }

    @Test("constraints of two tables with one name lead back by two")
    func sameNames() throws {
        func child(_ name: String) -> DescribedTable {
            DescribedTable(
                schema: "public", name: name, columns: [Self.column("id", required: true)], primaryKey: ["id"],
                foreignKeys: [.init(name: "owner", columns: ["id"], targetSchema: "public", target: "owners", targetColumns: ["id"])])
        }
        let owners = DescribedTable(schema: "public", name: "owners", columns: [Self.column("id", required: true)], primaryKey: ["id"])
        let text = DescribedSchema([child("cats"), child("dogs"), owners]).text
        let source = SourceDescription(name: "s", kind: .database(.postgreSQL))
        let output = SchemaCompiler().compile([.init(source, files: [SchemaFile(name: "s", text: text)])])
        #expect(output.suspended.isEmpty)
        let fields = output.api.schema.type("owners")?.fields.map(\.name) ?? []
        #expect(fields.contains("ref_owner_cats") && fields.contains("ref_owner_dogs"))
    }

    @Test(
        "types",
        arguments: [
            ("integer", "b", "Int"), ("bigint", "b", "BigInt"), ("numeric", "b", "Float"), ("timestamp with time zone", "b", "Timestamp"),
            ("uuid", "b", "String"), ("mood", "e", "String"), ("text[]", "b", "[String]"), ("jsonb", "b", "JSON"), ("point", "b", nil),
        ])
    func types(name: String, kind: String, expected: String?) {
        #expect(SelfDescription.postgreSQLType(name, kind: kind) == expected)
    }

    @Test("variables of the environment in a path, and one that is not set")
    func variables() throws {
        let path = try SourceDefinition.resolved("postgres://u:[$P]@[$H]/db", environment: ["P": "x[$H]", "H": "h"])
        #expect(path.reveal() == "postgres://u:x[$H]@h/db")
        do {
            _ = try SourceDefinition.resolved("[$NOT_SET]", environment: [:])
            Issue.record("an unset variable is no empty one")
        } catch {
            #expect(error.summary.contains("NOT_SET"))
        }
    }
}
