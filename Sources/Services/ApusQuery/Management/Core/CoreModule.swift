internal import ApusDatabase
internal import ApusSchemas

/// The module `core` as a data source: its tables are the catalog's, and what changes them, or has an effect, is code (`CoreSource`). Names
/// and arguments are Hugr's, of both generations of its clusters.
enum CoreModule {
    /// Several sources, because a name may be a function's in each of the modules.
    static func inputs(_ dialect: SQLDialect) -> [SchemaCompiler.Input] {
        let engine: SQLEngine = dialect == .sqlite ? .sqlite : .postgreSQL
        return [
            .own("core", engine, tables(dialect) + functions),
            .own("core.cluster", engine, nodes(dialect) + clusterFunctions),
            .own("core.storage", engine, storageModule),
            .own("core.db", engine, copies),
            .own("core.cache", engine, cacheFunctions),
            .own("core.store", engine, storeFunctions),
            .own("core.auth", engine, isManagement: false, ownAccess),
        ]
    }

    private static func tables(_ dialect: SQLDialect) -> String {
        // A key is known by its digest (`ManagedKeys`), which is all that is kept of it.
        let match =
            dialect == .sqlite
            ? "digest = lower(hex(sha256('apus managed key' || char(10) || [$key])))"
            : "digest = encode(sha256(convert_to('apus managed key' || chr(10) || [$key], 'UTF8')), 'hex')"
        return #"""
            type data_sources @table(name: "apus.data_source") {
              name: String! @pk
              type: String!
              prefix: String
              description: String
              "Without passwords: they are sealed, and never told."
              path: String
              as_module: Boolean
              disabled: Boolean
              self_defined: Boolean
              read_only: Boolean
              created_at: Timestamp
              updated_at: Timestamp
            }
            type catalog_sources @table(name: "apus.catalog_source") {
              name: String! @pk
              "text, localFS, uri or uriFile"
              type: String!
              description: String
              path: String
              created_at: Timestamp
              updated_at: Timestamp
            }
            type catalogs @table(name: "apus.data_source_catalog", is_m2m: true) {
              data_source_name: String! @pk @field_references(
                references_name: "data_sources", field: "name", query: "data_source", references_query: "catalogs")
              catalog_name: String! @pk @field_references(
                references_name: "catalog_sources", field: "name", query: "catalog", references_query: "data_sources")
            }
            type roles @table(name: "apus.query_role") {
              name: String! @pk
              description: String
              disabled: Boolean
              can_impersonate: Boolean
              "Requests that run at the same time on one node; further ones wait."
              max_in_flight: BigInt
              "Rows that one statement may tell."
              max_rows: BigInt
              "Time of one request."
              max_seconds: Float
              "Fields of one operation, each as often as there may be rows of the lists around it."
              max_cost: BigInt
              "Whether nothing is allowed that no permission allows. Null: as the nodes' configuration says."
              deny_by_default: Boolean
            }
            type role_permissions @table(name: "apus.role_permission") {
              role: String! @pk @field_references(
                references_name: "roles", field: "name", query: "role_info", references_query: "permissions")
              type_name: String! @pk
              field_name: String! @pk
              hidden: Boolean
              disabled: Boolean
              filter: JSON
              data: JSON
            }
            type api_keys @table(name: "apus.managed_key") @unique(fields: ["key"], query_suffix: "by_key", match: "MATCH") {
              name: String! @pk
              "Written, and never told: only a digest of it is kept."
              key: String
              description: String
              default_role: String
              disabled: Boolean
              is_temporal: Boolean
              expires_at: Timestamp
              headers: JSON
              claims: JSON
              created_at: Timestamp
            }

            """#.replacing("MATCH", with: match)
    }

    private static func nodes(_ dialect: SQLDialect) -> String {
        let isSQLite = dialect == .sqlite
        func time(_ milliseconds: String) -> String {
            isSQLite
                ? "strftime('%Y-%m-%dT%H:%M:%fZ', (\(milliseconds)) / 1000.0, 'unixepoch')" : "to_timestamp((\(milliseconds)) / 1000.0)"
        }
        let clock = isSQLite ? "(SELECT at FROM apus.clock)" : "apus.clock()"
        let seen = "s.expires_at - 4000"  // a session lasts four seconds from its last renewal
        let nodes = """
            SELECT n.name, n.url, CASE WHEN n.roles LIKE '%manager%' THEN 'management' ELSE 'worker' END AS role, n.version, \
            n.status, \(time("n.registered_at")) AS started_at, \(time(seen)) AS last_heartbeat, \(time(seen)) AS last_seen, \
            coalesce(n.status = 'active' AND s.expires_at > \(clock), false) AS ready, \
            CASE WHEN s.expires_at > \(clock) THEN NULL ELSE 'its session has ended' END AS error \
            FROM apus.node AS n LEFT JOIN apus.session AS s ON s.node = n.name WHERE n.status <> 'left'
            """
        func node(_ name: String) -> String {
            """
            type \(name) @view(name: "\(name)", sql: "\(nodes)") {
              name: String! @pk
              url: String!
              role: String!
              version: String
              status: String
              started_at: Timestamp
              last_heartbeat: Timestamp
              last_seen: Timestamp
              ready: Boolean
              error: String
            }

            """
        }
        return node("nodes") + node("cluster_nodes")
    }

    private static let storageModule = #"""
        type registered_object_storages
          @view(name: "registered_object_storages", sql: "SELECT name, type, scope, parameters FROM apus.object_storage") {
          name: String! @pk
          type: String!
          scope: String
          "Without keys and secrets."
          parameters: JSON
        }
        extend type MutationFunction {
          register_object_storage(STORAGE): OperationResult @function(name: "register_storage")
          unregister_storage(name: String!): OperationResult @function(name: "unregister_storage")
        }

        """#.replacing("STORAGE", with: storageArguments)

    private static let storageArguments = """
        type: String!, name: String!, scope: String!, key: String!, secret: String!, region: String = "", endpoint: String = "",
        use_ssl: Boolean = true, url_style: String = "", url_compatibility: Boolean = false, kms_key_id: String = "", account_id: String = ""
        """

    private static let functions = #"""
        type node_info { cluster_mode: Boolean! node_role: String! node_name: String version: String! }
        type schema_version_info { version: BigInt! at: Timestamp! summary: String! }
        type schema_change { version: BigInt! difference: [String!] }
        type node_schema { node: String! version: BigInt! newest: BigInt! behind: Boolean! reason: String suspended: JSON propagation_seconds: Float }

        extend type Function {
          data_source_status(name: String!): String @function(name: "data_source_status")
          describe_data_source_schema(name: String!, self: Boolean = false, log: Boolean = false): String
            @function(name: "describe_data_source_schema")
          version: String @function(name: "version")
          info: node_info @function(name: "info")
          "The versions of the schema that can be gone back to, the newest first."
          schema_versions: [schema_version_info] @function(name: "schema_versions", is_table: true)
          "How far each node is with the schema."
          schema_nodes: [node_schema] @function(name: "schema_nodes", is_table: true)
          "What loading a data source would change, without doing it."
          try_data_source(name: String!): schema_change @function(name: "try_data_source")
          "What going back to a version would change, without doing it."
          try_schema_rollback(version: BigInt!): schema_change @function(name: "try_schema_rollback")
        }
        extend type MutationFunction {
          load_data_source(name: String!): OperationResult @function(name: "load")
          unload_data_source(name: String!, hard: Boolean = false): OperationResult @function(name: "unload")
          "Serves again what a version of the schema served, as a new version."
          roll_back_schema(version: BigInt!): OperationResult @function(name: "roll_back_schema")
          "Seals all secrets under the first key that this node has; the others are still accepted."
          rotate_secrets: OperationResult @function(name: "rotate_secrets")
        }

        """#

    private static let copies = #"""
        extend type MutationFunction {
          "All definitions to a new file of this node; secrets stay sealed."
          export_database(path: String!): OperationResult @function(name: "export_database")
          "Definitions are those of the file and no others. With a backup path, what there was is exported first."
          import_database(path: String!, backup_path: String = ""): OperationResult @function(name: "import_database")
          "The descriptions of data sources, catalogs, roles and keys that are in the file."
          import_descriptions(path: String!, include_embeddings: Boolean = true, recompute_embeddings: Boolean = false): OperationResult
            @function(name: "import_descriptions")
        }

        """#

    private static let cacheFunctions = #"""
        extend type Function {
          "What was kept under one of the tags is out of date from now on, on all nodes; without tags everything is."
          invalidate(tags: [String!]): OperationResult @function(name: "invalidate_replies")
        }

        """#

    /// For everybody, about themselves.
    private static let ownAccess = #"""
        type identity {
          user_id: String user_name: String role: String auth_type: String auth_provider: String
          impersonated_by_user_id: String impersonated_by_user_name: String impersonated_by_role: String
        }
        type rule { object: String field: String hidden: Boolean disabled: Boolean filter: JSON data: JSON }
        type role { role_name: String disabled: Boolean permissions: [rule] }
        type access { field: String enabled: Boolean visible: Boolean filter: JSON data: JSON }

        extend type Function {
          "Who asks."
          me: identity @function(name: "me")
          "What the rules of whoever asks say."
          my_permissions: role @function(name: "my_permissions")
          "Which fields of a type whoever asks may use; `fields` has commas between them."
          check_access(type_name: String!, fields: String!): [access] @function(name: "check_access", is_table: true)
          check_access_info(type_name: String!, field: String!): access @function(name: "check_access_info")
        }

        """#

    private static let storeFunctions = #"""
        extend type Function {
          "The value of a key; null where there is none."
          get(store: String!, key: String!): String @function(name: "core_store_get")
          "The keys that fit a glob pattern, in order."
          keys(store: String!, pattern: String!): [String] @function(name: "core_store_keys")
        }
        extend type MutationFunction {
          "`ttl`: seconds; null or 0 for ever."
          set(store: String!, key: String!, value: String!, ttl: Int): OperationResult @function(name: "core_store_set")
          del(store: String!, key: String!): OperationResult @function(name: "core_store_del")
          "The number that it is then; a key that is not there counts as 0."
          incr(store: String!, key: String!): BigInt @function(name: "core_store_incr")
          expire(store: String!, key: String!, ttl: Int!): OperationResult @function(name: "core_store_expire")
          "`affected_rows` tells how many heard it."
          publish(store: String!, channel: String!, message: String!): OperationResult @function(name: "core_store_publish")
          "Of which events of keys the server tells (`notify-keyspace-events`), for all its clients: KEA is all."
          configure_keyspace_events(store: String!, events: String! = "KEA"): OperationResult
            @function(name: "core_store_configure_keyspace_events")
        }
        type store_message { channel: String message: String }
        type store_key_event { key: String event: String }
        extend type Subscription {
          "What is published on a channel."
          subscribe(store: String!, channel: String!): store_message @function(name: "core_store_subscribe")
          "What happens to keys: of a pattern of channels of keyspace events (`__keyevent@0__:*`), or of keys (`user:*`)."
          watch(store: String!, pattern: String!): store_key_event @function(name: "core_store_watch")
        }

        """#

    private static let clusterFunctions = #"""
        type node_status { node: String! status: String! error: String }
        type storage_info { node: String name: String! type: String! scope: [String] parameters: JSON }

        extend type Function {
          schema_version: Int! @function(name: "schema_version")
          my_role: String! @function(name: "my_role")
          management_url: String @function(name: "management_url")
          data_source_status(name: String!): [node_status] @function(name: "cluster_source_status", is_table: true)
          storages: [storage_info] @function(name: "storages", is_table: true)
        }
        extend type MutationFunction {
          load_source(name: String!): OperationResult @function(name: "load_source")
          unload_source(name: String!): OperationResult @function(name: "unload_source")
          reload_source(name: String!): OperationResult @function(name: "reload_source")
          load_data_source(name: String!): OperationResult @function(name: "load_source")
          unload_data_source(name: String!): OperationResult @function(name: "unload_source")
          invalidate_cache(catalog: String): OperationResult @function(name: "invalidate_cache")
          register_storage(STORAGE): OperationResult @function(name: "register_storage")
          register_object_storage(STORAGE): OperationResult @function(name: "register_storage")
          unregister_storage(name: String!): OperationResult @function(name: "unregister_storage")
          unregister_object_storage(name: String!): OperationResult @function(name: "unregister_storage")
        }

        """#.replacing("STORAGE", with: storageArguments)
}

extension SchemaCompiler.Input {
    /// A module of the program's own, with a prefix of its name: `core.meta`.
    static func own(
        _ name: String, _ engine: SQLEngine, isReadOnly: Bool = false, isManagement: Bool = true, _ text: String
    ) -> SchemaCompiler.Input {
        var source = SourceDescription(
            name: name, kind: .database(engine), prefix: name.replacing(".", with: "_"), isModule: true, isReadOnly: isReadOnly)
        source.actsItself = true
        source.isManagement = isManagement
        return SchemaCompiler.Input(source, files: [SchemaFile(name: name, text: text)])
    }
}
