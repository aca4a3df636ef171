internal import ApusDatabase
internal import ApusSchemas

/// The module `core.meta`: the databases of the sources, with their schemas, tables, views, columns and constraints. Names are Hugr's.
enum MetaModule {
    static let input = SchemaCompiler.Input.own("core.meta", .sqlite, isReadOnly: true, text)

    /// What an object's rows are in. A table's first columns say to which database, schema and table a row belongs.
    struct Columns {
        var table: StaticSQL
        var names: [StaticSQL]
    }

    static let databases = Columns(
        table: "meta_databases", names: ["id INTEGER", "name TEXT", "type TEXT", "readonly INTEGER", "internal INTEGER"])
    static let schemas = Columns(table: "meta_schemas", names: place(["id INTEGER", "name TEXT"]) + ["comment TEXT"])
    static let tables = Columns(
        table: "meta_tables",
        names: place(["id INTEGER", "name TEXT"], schema) + [
            "comment TEXT", "has_primary_key INTEGER", "estimated_size INTEGER", "column_count INTEGER", "index_count INTEGER",
        ])
    static let views = Columns(
        table: "meta_views", names: place(["id INTEGER", "name TEXT"], schema) + ["comment TEXT", "column_count INTEGER"])
    static let columns = Columns(
        table: "meta_columns",
        names: place(schema, table) + [
            "name TEXT", "data_type TEXT", "is_nullable INTEGER", "\"default\" TEXT", "comment TEXT", "ordinal_position INTEGER",
        ])
    static let constraints = Columns(
        table: "meta_constraints",
        names: place(schema, table) + [
            "name TEXT", "type TEXT", "columns TEXT", "references_table_name TEXT", "references_columns TEXT",
        ])

    private static let schema: [StaticSQL] = ["schema_id INTEGER", "schema_name TEXT"]
    private static let table: [StaticSQL] = ["table_id INTEGER", "table_name TEXT"]

    private static func place(_ own: [StaticSQL]...) -> [StaticSQL] { ["database_id INTEGER", "database_name TEXT"] + own.joined() }

    private static let text = #"""
        type databases @view(name: "meta_databases") @unique(fields: ["name"], query_suffix: "by_name") {
          "The same for each request."
          id: BigInt! @pk
          name: String!
          "postgres, sqlite or duckdb"
          type: String!
          readonly: Boolean
          "Whether it is Apus's own."
          internal: Boolean
        }
        type schemas @view(name: "meta_schemas") {
          id: BigInt! @pk
          name: String!
          DATABASE("schemas")
          comment: String
        }
        "Also the views of databases that are no DuckDB."
        type tables @view(name: "meta_tables") {
          id: BigInt! @pk
          name: String!
          DATABASE("tables")
          SCHEMA("tables")
          comment: String
          has_primary_key: Boolean
          "As the database takes it to be; null where it does not say."
          estimated_size: BigInt
          column_count: Int
          index_count: Int
        }
        type views @view(name: "meta_views") {
          id: BigInt! @pk
          name: String!
          DATABASE("views")
          SCHEMA("views")
          comment: String
          column_count: Int
        }
        type columns @view(name: "meta_columns") {
          DATABASE("columns")
          SCHEMA("columns")
          table_id: BigInt! @pk
            @field_references(references_name: "tables", field: "id", query: "table", references_query: "columns")
            @field_references(references_name: "views", field: "id", query: "view", references_query: "columns")
          table_name: String!
          name: String! @pk
          "In the words of DuckDB, SQLite's as its tables were written."
          data_type: String
          is_nullable: Boolean
          default: String
          comment: String
          ordinal_position: Int
        }
        type constraints @view(name: "meta_constraints") {
          DATABASE("constraints")
          SCHEMA("constraints")
          table_id: BigInt! @pk
            @field_references(references_name: "tables", field: "id", query: "table", references_query: "constraints")
          table_name: String!
          name: String! @pk
          "PRIMARY KEY, UNIQUE, FOREIGN KEY or CHECK"
          type: String
          columns: [String!]
          references_table_name: String
          references_columns: [String!]
        }
        extend type Function {
          "Of the engine that a DuckDB source is read by; null where there is none."
          duckdb_version: String @function(name: "duckdb_version")
        }

        """#
        .replacing(/DATABASE\("(.*?)"\)/) { match in
            """
            database_id: BigInt! @field_references(
                references_name: "databases", field: "id", query: "database", references_query: "\(match.1)")
              database_name: String!
            """
        }
        .replacing(/SCHEMA\("(.*?)"\)/) { match in
            """
            schema_id: BigInt! @field_references(
                references_name: "schemas", field: "id", query: "schema", references_query: "\(match.1)")
              schema_name: String!
            """
        }
}
