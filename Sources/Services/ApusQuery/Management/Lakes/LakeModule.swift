internal import ApusDatabase
internal import ApusSchemas

/// The module `core.ducklake`: what the sources of type `ducklake` say of their snapshots and files, and their upkeep. Names are Hugr's.
enum LakeModule {
    static let input = SchemaCompiler.Input.own("core.ducklake", .sqlite, isReadOnly: true, text)

    /// Rows of one kind: where they are while a statement is run, and what of a lake tells them.
    struct Part: Sendable {
        var table: StaticSQL
        var columns: [StaticSQL]
        var sql: StaticSQL
        /// Whether it is asked for one table: the statement's second and third parameters are the table and its schema.
        var isOfTable = false
    }

    static let parts = [
        Part(
            table: "lake_snapshots", columns: ["snapshot_id INTEGER", "snapshot_time TEXT", "schema_version INTEGER", "changes TEXT"],
            sql: "SELECT snapshot_id, snapshot_time, schema_version, to_json(changes)::VARCHAR FROM ducklake_snapshots($1)"),
        Part(
            table: "lake_tables",
            columns: [
                "table_name TEXT", "table_id INTEGER", "table_uuid TEXT", "file_count INTEGER", "file_size_bytes INTEGER",
                "delete_file_count INTEGER", "delete_file_size_bytes INTEGER",
            ],
            sql: """
                SELECT table_name, table_id, table_uuid, file_count, file_size_bytes, delete_file_count, delete_file_size_bytes \
                FROM ducklake_table_info($1)
                """),
        Part(
            table: "lake_files",
            columns: [
                "data_file TEXT", "data_file_size_bytes INTEGER", "data_file_footer_size INTEGER", "delete_file TEXT",
                "delete_file_size_bytes INTEGER",
            ],
            sql: """
                SELECT data_file, data_file_size_bytes, data_file_footer_size, delete_file, delete_file_size_bytes \
                FROM ducklake_list_files($1, $2, schema => $3)
                """, isOfTable: true),
    ]

    private static let text = #"""
        enum Option {
          data_inlining_row_limit parquet_compression parquet_version parquet_compression_level parquet_row_group_size
          parquet_row_group_size_bytes hive_file_pattern target_file_size require_commit_message rewrite_delete_threshold
          delete_older_than expire_older_than auto_compact encrypted per_thread_output data_path
        }
        type Info {
          name: String
          snapshot_count: BigInt
          current_snapshot: BigInt
          table_count: BigInt
          schema_count: BigInt
          view_count: BigInt
          schema_version: BigInt
          "duckdb or postgres"
          metadata_backend: String
          ducklake_version: String
          data_path: String
          created_at: String
          last_modified_at: String
        }
        input CatalogArgs { name: String! }
        input TableArgs { name: String!  table_name: String!  schema_name: String = "main" }

        type snapshots @view(name: "lake_snapshots", sql: "SELECT * FROM lake_snapshots WHERE lake = [$name]") @args(name: "CatalogArgs") {
          snapshot_id: BigInt! @pk
          snapshot_time: Timestamp
          schema_version: BigInt
          "In JSON"
          changes: String
        }
        type table_stats @view(name: "lake_tables", sql: "SELECT * FROM lake_tables WHERE lake = [$name]") @args(name: "CatalogArgs") {
          table_name: String!
          table_id: BigInt
          table_uuid: String
          file_count: BigInt
          file_size_bytes: BigInt
          delete_file_count: BigInt
          delete_file_size_bytes: BigInt
        }
        type data_files @view(
          name: "lake_files"
          sql: "SELECT * FROM lake_files WHERE lake = [$name] AND of_table = [$table_name] AND of_schema = coalesce([$schema_name], 'main')"
        ) @args(name: "TableArgs") {
          data_file: String!
          data_file_size_bytes: BigInt
          data_file_footer_size: BigInt
          delete_file: String
          delete_file_size_bytes: BigInt
        }

        extend type Function {
          info(name: String!): Info @function(name: "info")
          current_snapshot(name: String!): Int @function(name: "current_snapshot")
        }
        extend type MutationFunction {
          "`versions`: their numbers, with commas between. `dry_run`: nothing is removed."
          expire_snapshots(name: String!, versions: String, older_than: String, dry_run: Boolean = false): OperationResult
            @function(name: "expire_snapshots")
          merge_adjacent_files(name: String!, table_name: String, schema_name: String): OperationResult
            @function(name: "merge_adjacent_files")
          "`delete_threshold`: files of which a smaller part is deleted stay as they are."
          rewrite_data_files(name: String!, table_name: String, schema_name: String, delete_threshold: Float): OperationResult
            @function(name: "rewrite_data_files")
          cleanup_old_files(name: String!, older_than: String, cleanup_all: Boolean = false, dry_run: Boolean = false): OperationResult
            @function(name: "cleanup_old_files")
          flush_inlined_data(name: String!): OperationResult @function(name: "flush_inlined_data")
          "All of the others that are due."
          checkpoint(name: String!): OperationResult @function(name: "checkpoint")
          set_option(name: String!, option: Option!, value: String!, schema_name: String, table_name: String): OperationResult
            @function(name: "set_option")
        }
        """#
}
