import ApusCatalog
import ApusQuery
import ApusTypes
import Foundation
import Synchronization
import TestKit
import Testing

@Suite("the module core")
struct CoreTests {
    private static let insertion = "mutation($d: core_data_sources_mut_input_data!) { core { insert_data_sources(data: $d) { name } } }"
    private static let loading = "mutation($n: String!) { function { core { load_data_source(name: $n) { success message } } } }"

    private static func source(
        _ name: String, path: String = "/data/x.db", text: String = "type t @table(name: \"t\") { id: Int! @pk }"
    ) -> JSONObject {
        [
            "d": [
                "name": .string(name), "prefix": .string(name), "type": "sqlite", "path": .string(path), "as_module": true,
                "catalogs": [["name": .string(name), "type": "text", "path": .string(text)]],
            ]
        ]
    }

    private static func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

    @Test("a source is added, loaded, described, unloaded and deleted as Hugr's clients do it", arguments: Backend.allCases)
    func life(backend: Backend) async throws {
        try await RegistryLab.with(backend, nodes: 2) { lab in
            let (node, other) = (lab.nodes[0], lab.nodes[1])
            #expect(
                try await node.query(Self.insertion, Self.source("s"))
                    == Self.json(#"{"data":{"core":{"insert_data_sources":{"name":"s"}}}}"#))
            let unknown = try await node.query("{ s { t { id } } }")
            #expect(unknown["errors"]?.asArray?[0]["message"] == "Cannot query field \"s\" on type \"Query\".")
            #expect(
                try await other.query("{ function { core { data_source_status(name: \"s\") } } }")
                    == Self.json(#"{"data":{"function":{"core":{"data_source_status":"detached"}}}}"#))
            let loaded = try await other.query(Self.loading, ["n": "s"])
            #expect(
                loaded
                    == (try Self.json(
                        #"{"data":{"function":{"core":{"load_data_source":{"success":true,"message":"Datasource was loaded"}}}}}"#)))
            for node in lab.nodes { #expect(node.fields(of: "s_t") == ["id", "_join"]) }
            let described = try await node.query(
                "{ function { core { a: describe_data_source_schema(name: \"s\") data_source_status(name: \"s\") cluster { schema_version my_role b: data_source_status(name: \"s\") { node status error } } } } }"
            )
            #expect(
                described
                    == (try Self.json(
                        #"{"data":{"function":{"core":{"a":"type t @table(name: \"t\") {\n\tid: Int! @pk\n}\n","data_source_status":"attached","cluster":{"schema_version":1,"my_role":"management","b":[{"node":"n1","status":"attached","error":null},{"node":"n2","status":"attached","error":null}]}}}}}"#
                    )), "\(described)")
            let list = try await other.query(
                "{ core { data_sources { name type prefix path as_module disabled catalogs { name type } } data_sources_by_pk(name: \"s\") { name } catalog_sources_aggregation { _rows_count } } }"
            )
            #expect(
                list
                    == (try Self.json(
                        #"{"data":{"core":{"data_sources":[{"name":"s","type":"sqlite","prefix":"s","path":"/data/x.db","as_module":true,"disabled":false,"catalogs":[{"name":"s","type":"text"}]}],"data_sources_by_pk":{"name":"s"},"catalog_sources_aggregation":{"_rows_count":1}}}}"#
                    )), "\(list)")
            let unloaded = try await node.query("mutation { function { core { unload_data_source(name: \"s\") { success message } } } }")
            #expect(
                unloaded
                    == (try Self.json(
                        #"{"data":{"function":{"core":{"unload_data_source":{"success":true,"message":"Datasource was unloaded"}}}}}"#)))
            for node in lab.nodes { #expect(node.fields(of: "s_t") == nil) }
            _ = try await node.query(Self.loading, ["n": "s"])
            // A source that is deleted is not served any more.
            let deleted = try await node.query(
                "mutation { core { delete_data_sources(filter: {name: {eq: \"s\"}}) { success affected_rows message } } }")
            #expect(
                deleted
                    == (try Self.json(#"{"data":{"core":{"delete_data_sources":{"success":true,"affected_rows":1,"message":"success"}}}}"#))
            )
            try await eventually("no node serves it") { lab.nodes.allSatisfy { $0.fields(of: "s_t") == nil } }
            #expect(
                try await node.query("{ core { data_sources { name } catalogs_aggregation { _rows_count } } }")
                    == Self.json(#"{"data":{"core":{"data_sources":[],"catalogs_aggregation":{"_rows_count":0}}}}"#))
        }
    }

    @Test("what does not compile is a result with its place, and changes nothing")
    func invalid() async throws {
        try await RegistryLab.with(.sqlite) { lab in
            let node = lab.nodes[0]
            _ = try await node.query(Self.insertion, Self.source("x", text: "type t @table(name: \"t\") { id: Nothing }"))
            let reply = try await node.query(Self.loading, ["n": "x"])["data"]?["function"]?["core"]?["load_data_source"]
            #expect(reply?["success"] == false)
            #expect(
                reply?["message"]?.asString?.hasPrefix("compile catalog \"x\": catalog schema is invalid: ") == true,
                "\(String(describing: reply))")
            #expect(node.registry.standing.version == 0)
            #expect(try await node.query(Self.loading, ["n": "y"])["data"]?["function"]?["core"]?["load_data_source"]?["success"] == false)
        }
    }

    @Test("errors name the field that is at fault, and nothing of the mutation is kept")
    func mistakes() async throws {
        try await RegistryLab.with(.sqlite) { lab in
            let node = lab.nodes[0]
            func problem(_ mutation: String) async throws -> String {
                let reply = try await node.query("mutation { core { \(mutation) } }")
                return reply["errors"]?.asArray?[0]["message"]?.asString ?? "\(reply)"
            }
            for (mutation, words) in [
                (#"insert_data_sources(data: {type: "sqlite", path: "p"}) { name }"#, "data_sources.name is missing"),
                (#"insert_data_sources(data: {name: "core", type: "sqlite", path: "p"}) { name }"#, "data_sources.name"),
                (#"insert_data_sources(data: {name: "a b", type: "sqlite", path: "p"}) { name }"#, "data_sources.name"),
                (#"insert_data_sources(data: {name: "a", type: "oracle", path: "p"}) { name }"#, "data_sources.type \"oracle\" is none of"),
                (
                    #"insert_data_sources(data: {name: "a", type: "mysql", path: "p"}) { name }"#,
                    "data_sources.type MySQL and SQL Server are not spoken"
                ),
                (#"insert_data_sources(data: {name: "a", type: "sqlite"}) { name }"#, "data_sources.path must not be empty"),
                (#"insert_data_sources(data: {name: "a", type: "sqlite", path: "p", prefix: "1x"}) { name }"#, "data_sources.prefix"),
                (
                    #"insert_data_sources(data: {name: "a", type: "sqlite", path: "p", catalogs: [{name: "c", type: "tape", path: "p"}]}) { name }"#,
                    "catalog_sources.type \"tape\""
                ),
                (
                    #"insert_catalogs(data: {data_source_name: "no", catalog_name: "no"}) { success }"#,
                    "catalogs.data_source_name names \"no\""
                ),
                (
                    #"insert_role_permissions(data: {role: "no", type_name: "Query", field_name: "*"}) { role }"#,
                    "role_permissions.role names \"no\""
                ),
                (
                    #"insert_role_permissions(data: {role: "admin", type_name: "Query", field_name: "*", filter: 3}) { role }"#,
                    "role_permissions.filter must be an object"
                ),
                (
                    #"insert_api_keys(data: {name: "k", key: "short", default_role: "admin"}) { name }"#,
                    "api_keys.key must have 8 characters"
                ),
                (
                    #"insert_api_keys(data: {name: "k", key: "long enough", default_role: "no"}) { name }"#,
                    "api_keys.default_role names \"no\""
                ),
                (
                    #"insert_api_keys(data: {name: "k", key: "long enough", default_role: "admin", is_temporal: true}) { name }"#,
                    "api_keys.expires_at is missing"
                ),
                (#"insert_roles(data: {name: "admin"}) { name }"#, "roles: there is a row \"admin\" already"),
                (
                    #"update_roles(filter: {name: {eq: "admin"}}, data: {name: "root"}) { success }"#,
                    "roles.name names the row and cannot be changed"
                ),
                (#"delete_roles(filter: {name: {eq: null}}) { success }"#, "has no filter that says anything"),
                (#"delete_roles { success }"#, "has no filter that says anything"),
                // The second fails: the first is not kept.
                (
                    #"a: insert_roles(data: {name: "r"}) { name } b: insert_roles(data: {name: "r"}) { name }"#,
                    "roles: there is a row \"r\" already"
                ),
            ] {
                let told = try await problem(mutation)
                #expect(told.contains(words), "\(mutation): \(told)")
            }
            #expect(
                try await node.query(
                    "{ core { roles { name description } data_sources { name } catalog_sources { name } api_keys { name } } }")
                    == Self.json(
                        #"{"data":{"core":{"roles":[{"name":"admin","description":"Admin role"},{"name":"public","description":"Public role"},{"name":"readonly","description":"Readonly role"}],"data_sources":[],"catalog_sources":[],"api_keys":[]}}}"#
                    ))
            #expect(try await node.catalog.feed.head(deadline: lab.deadline).version == 0)
        }
    }

    @Test("definitions and what serves them are two mutations, which is said, and neither is half done")
    func mixed() async throws {
        try await RegistryLab.with(.sqlite) { lab in
            let node = lab.nodes[0]
            let reply = try await node.query(
                #"mutation { core { insert_roles(data: {name: "r"}) { name } } function { core { load_data_source(name: "x") { success } } } }"#
            )
            #expect(
                reply["errors"]?.asArray?[0]["message"]?.asString?.contains("cannot be called in a mutation that changes rows of core")
                    == true, "\(reply)")
            #expect(
                try await node.query("{ core { roles_by_pk(name: \"r\") { name } } }")
                    == Self.json(#"{"data":{"core":{"roles_by_pk":null}}}"#))
        }
    }

    @Test("roles come with their permissions, which are changed and go with them", arguments: Backend.allCases)
    func roles(backend: Backend) async throws {
        try await RegistryLab.with(backend) { lab in
            let node = lab.nodes[0]
            let inserted = try await node.query(
                #"mutation { core { insert_roles(data: {name: "editor", description: "d", permissions: [{type_name: "Mutation", field_name: "*", disabled: true}, {type_name: "data-object:query", field_name: "t", filter: {id: {in: [1, 2]}}}]}) { name permissions { type_name disabled filter } } } }"#
            )
            #expect(
                inserted
                    == (try Self.json(
                        #"{"data":{"core":{"insert_roles":{"name":"editor","permissions":[{"type_name":"Mutation","disabled":true,"filter":null},{"type_name":"data-object:query","disabled":false,"filter":{"id":{"in":[1,2]}}}]}}}}"#
                    )), "\(inserted)")
            let changed = try await node.query(
                #"mutation { core { update_role_permissions(filter: {role: {eq: "editor"}}, data: {hidden: true}) { affected_rows } } }"#)
            #expect(changed["data"]?["core"]?["update_role_permissions"]?["affected_rows"] == 2, "\(changed)")
            let read = try await node.query(
                #"{ core { roles(filter: {name: {eq: "editor"}}) { can_impersonate permissions(order_by: [{field: "type_name"}]) { type_name hidden filter } } } }"#
            )
            #expect(
                read
                    == (try Self.json(
                        #"{"data":{"core":{"roles":[{"can_impersonate":false,"permissions":[{"type_name":"Mutation","hidden":true,"filter":null},{"type_name":"data-object:query","hidden":true,"filter":{"id":{"in":[1,2]}}}]}]}}}"#
                    )), "\(read)")
            _ = try await node.query(#"mutation { core { delete_roles(filter: {name: {eq: "editor"}}) { success } } }"#)
            #expect(
                try await node.query(#"{ core { role_permissions { role } } }"#)
                    == Self.json(#"{"data":{"core":{"role_permissions":[{"role":"readonly"}]}}}"#))
            #expect(try await node.catalog.definitions.versions(deadline: lab.deadline).access == 3)
        }
    }

    @Test("passwords and keys are told by nothing, kept sealed, and gone with their row", arguments: Backend.allCases)
    func secrets(backend: Backend) async throws {
        try await RegistryLab.with(backend) { lab in
            let node = lab.nodes[0]
            var definition = Self.source("s", path: "postgres://u:hush-hush@h:5432/d?sslmode=require")
            guard var row = definition["d"]?.asObject else { return }
            row["type"] = "postgres"
            definition["d"] = .object(row)
            _ = try await node.query(Self.insertion, definition)
            _ = try await node.query(Self.loading, ["n": "s"])
            #expect(node.opened.paths.withLock { $0 } == ["postgres://u:hush-hush@h:5432/d?sslmode=require"])
            _ = try await node.query(
                #"mutation { core { insert_api_keys(data: {name: "k", key: "open sesame", default_role: "admin", claims: {a: 1}}) { name key } } }"#
            )
            _ = try await node.query(
                #"mutation { function { core { cluster { register_storage(type: "s3", name: "o", scope: "s3://b", key: "hush-key", secret: "hush-secret", endpoint: "h:9000", use_ssl: false, url_style: "path") { success message } } } } }"#
            )
            let everything = try await node.query(
                "{ core { data_sources { name path description } api_keys { name key claims } storage { registered_object_storages { name type scope parameters } } } function { core { cluster { storages { name scope parameters } } describe_data_source_schema(name: \"s\") schema_versions { version summary } } } }"
            )
            let text = "\(everything)"
            #expect(everything["errors"] == nil, "\(text)")
            for secret in ["hush", "sesame", "v1."] { #expect(!text.contains(secret), "\(text)") }
            #expect(
                text.contains("postgres://u@h:5432/d?sslmode=require") && text.contains("********") && text.contains("s3://b"), "\(text)")
            // In the catalog they are sealed, with the key's id.
            let sealed = try await node.catalog.served.secrets(deadline: lab.deadline)
            #expect(sealed.count == 2 && sealed.allSatisfy { $0.hasPrefix("v1.") })
            let keys = try await node.catalog.definitions.rows(of: .keys, deadline: lab.deadline)
            #expect(!"\(keys)".contains("sesame"))
            // The same server and user keep the password; another server is not sent it.
            func secret() async throws -> JSONValue? {
                try await node.catalog.definitions.rows(of: .dataSources, deadline: lab.deadline)[0]["secret"]
            }
            _ = try await node.query(
                #"mutation { core { update_data_sources(filter: {name: {eq: "s"}}, data: {path: "postgres://u@h:5432/e"}) { success } } }"#)
            #expect(try await secret()?.isNull == false)
            _ = try await node.query(
                #"mutation { core { update_data_sources(filter: {name: {eq: "s"}}, data: {path: "postgres://u@evil:5432/e"}) { success } } }"#
            )
            #expect(try await secret() == .null)
            let gone = try await node.query(#"mutation { core { delete_data_sources(filter: {name: {eq: "s"}}) { success } } }"#)
            #expect(gone["errors"] == nil)
            let unregistered = try await node.query(
                #"mutation { function { core { cluster { unregister_storage(name: "o") { success message } } } } }"#)
            #expect(
                unregistered
                    == (try Self.json(
                        #"{"data":{"function":{"core":{"cluster":{"unregister_storage":{"success":true,"message":"unregister_storage: all workers ok"}}}}}}"#
                    )))
            #expect(try await node.catalog.served.secrets(deadline: lab.deadline) == [])
        }
    }

    @Test("a key's row is found by the key, of which only a digest is kept", arguments: Backend.allCases)
    func byKey(backend: Backend) async throws {
        try await RegistryLab.with(backend) { lab in
            let node = lab.nodes[0]
            for (name, key) in [("k", "open sesame"), ("l", "open says me")] {
                _ = try await node.query(
                    #"mutation { core { insert_api_keys(data: {name: "\#(name)", key: "\#(key)", default_role: "admin"}) { name } } }"#)
            }
            let found = try await node.query(
                "query($k: String!) { core { api_keys_by_key(key: $k) { name key } b: api_keys_by_key(key: \"********\") { name } } }",
                ["k": "open says me"])
            #expect(
                found
                    == (try Self.json(#"{"data":{"core":{"api_keys_by_key":{"name":"l","key":"********"},"b":null}}}"#)), "\(found)")
        }
    }

    @Test("core.catalog tells the model that is served, and what was loaded a moment ago")
    func model() async throws {
        try await RegistryLab.with(.sqlite) { lab in
            let node = lab.nodes[0]
            _ = try await node.query(
                Self.insertion,
                Self.source(
                    "s",
                    text: """
                        "Who writes"
                        type authors @table(name: "a") { id: Int! @pk  name: String @deprecated(reason: "ask him") }
                        type notes @table(name: "n") @module(name: "deep.er") {
                          id: Int! @pk
                          author: Int @field_references(references_name: "authors", field: "id", query: "writer", references_query: "notes")
                        }
                        extend type Function { twice(of: Int!): Int @function(name: "twice") }
                        """))
            let before = try await node.query("{ core { catalog { data_objects(filter: {data_source: {eq: \"s\"}}) { name } } } }")
            #expect(before == (try Self.json(#"{"data":{"core":{"catalog":{"data_objects":[]}}}}"#)), "\(before)")
            _ = try await node.query(Self.loading, ["n": "s"])
            let told = try await node.query(
                #"""
                { core { catalog {
                  modules(filter: {name: {like: "s%"}}, order_by: [{field: "name"}]) { name parent }
                  data_objects(filter: {data_source: {eq: "s"}}, order_by: [{field: "name"}]) {
                    name original_name module kind description read_only
                    fields(nested_order_by: [{field: "ordinal"}]) { name field_type is_pk is_nullable deprecation_reason }
                    relations { name kind destination source_keys destination_keys }
                  }
                  functions(filter: {data_source: {eq: "s"}}) { module name kind returns is_table args }
                  active_sources(filter: {name: {eq: "s"}}) { name type as_module }
                } } }
                """#)
            #expect(
                told
                    == (try Self.json(
                        #"{"data":{"core":{"catalog":{"modules":[{"name":"s","parent":""},{"name":"s.deep","parent":"s"},{"name":"s.deep.er","parent":"s.deep"}],"data_objects":[{"name":"s_authors","original_name":"authors","module":"s","kind":"table","description":"Who writes","read_only":false,"fields":[{"name":"id","field_type":"Int","is_pk":true,"is_nullable":false,"deprecation_reason":null},{"name":"name","field_type":"String","is_pk":false,"is_nullable":true,"deprecation_reason":"ask him"}],"relations":[{"name":"notes","kind":"many","destination":"s_notes","source_keys":["id"],"destination_keys":["author"]}]},{"name":"s_notes","original_name":"notes","module":"s.deep.er","kind":"table","description":null,"read_only":false,"fields":[{"name":"id","field_type":"Int","is_pk":true,"is_nullable":false,"deprecation_reason":null},{"name":"author","field_type":"Int","is_pk":false,"is_nullable":true,"deprecation_reason":null}],"relations":[{"name":"writer","kind":"one","destination":"s_authors","source_keys":["author"],"destination_keys":["id"]}]}],"functions":[{"module":"s","name":"twice","kind":"query","returns":"Int","is_table":false,"args":{"of":"Int!"}}],"active_sources":[{"name":"s","type":"sqlite","as_module":true}]}}}}"#
                    )), "\(told)")
        }
    }

    @Test(
        "definitions go to a file and come back, with what was sealed as it was; what is no whole copy changes nothing",
        arguments: Backend.allCases)
    func copies(backend: Backend) async throws {
        let directory = try TemporaryDirectory()
        try await RegistryLab.with(backend) { lab in
            let node = lab.nodes[0]
            func call(_ function: String) async throws -> JSONValue? {
                let reply = try await node.query(
                    "mutation { function { core { db { r: \(function) { success message affected_rows } } } } }")
                return reply["data"]?["function"]?["core"]?["db"]?["r"]
            }
            func all() async throws -> [String] {
                var rows: [String] = []
                for table in QueryTable.all {
                    for row in try await node.catalog.definitions.rows(of: table, deadline: lab.deadline) {
                        rows.append("\(table.name) \(JSONValue.object(row))")
                    }
                }
                return rows.sorted()
            }
            var definition = Self.source("s", path: "postgres://u:hush@h/d")
            guard var row = definition["d"]?.asObject else { return }
            row["type"] = "postgres"
            row["description"] = "as it was"
            definition["d"] = .object(row)
            _ = try await node.query(Self.insertion, definition)
            _ = try await node.query(Self.loading, ["n": "s"])
            _ = try await node.query(
                #"mutation { core { a: insert_api_keys(data: {name: "k", key: "open sesame", default_role: "admin", expires_at: "2090-01-01T00:00:00Z", claims: {a: [1, null]}}) { name } b: insert_roles(data: {name: "r", max_seconds: 1.5, permissions: [{type_name: "t", field_name: "*", filter: {id: {eq: 1}}}]}) { name } } }"#
            )
            let before = try await all()
            let path = directory.path + "/copy"
            let exported = try await call("export_database(path: \"\(path)\")")
            #expect(
                exported == [
                    "success": true, "message": .string("Database exported to \(path)"), "affected_rows": .integer(Int64(before.count)),
                ])
            let text = try String(contentsOfFile: path, encoding: .utf8)
            #expect(!text.contains("hush") && !text.contains("sesame"))
            #expect(try await call("export_database(path: \"\(path)\")")?["success"] == false)
            #expect(try await call("export_database(path: \"copy\")")?["message"]?.asString?.contains("must begin with /") == true)

            _ = try await node.query(
                #"mutation { core { a: delete_api_keys(filter: {name: {eq: "k"}}) { success } b: delete_roles(filter: {name: {eq: "r"}}) { success } c: insert_roles(data: {name: "other"}) { name } d: update_data_sources(filter: {name: {eq: "s"}}, data: {description: "another", path: "postgres://u@evil/d"}) { success } } }"#
            )
            #expect(try await call("import_descriptions(path: \"\(path)\")")?["success"] == true)
            let described = try await node.query("{ core { data_sources { description path } } }")
            #expect(
                described
                    == (try Self.json(#"{"data":{"core":{"data_sources":[{"description":"as it was","path":"postgres://u@evil/d"}]}}}"#)),
                "\(described)")
            let imported = try await call("import_database(path: \"\(path)\", backup_path: \"\(path).before\")")
            #expect(
                imported?["message"] == .string("Database imported from \(path) (backup at \(path).before)"),
                "\(String(describing: imported))")
            #expect(try await all() == before)
            // What was served is served.
            #expect(node.fields(of: "s_t") != nil)

            try text.replacing("as it was", with: "as it were").write(toFile: path + ".changed", atomically: true, encoding: .utf8)
            try String(text.prefix(100)).write(toFile: path + ".cut", atomically: true, encoding: .utf8)
            for (file, words) in [("changed", "was changed"), ("cut", "no copy"), ("missing", "cannot be read")] {
                let refused = try await call("import_database(path: \"\(path).\(file)\")")
                #expect(
                    refused?["success"] == false && refused?["message"]?.asString?.contains(words) == true, "\(String(describing: refused))"
                )
            }
            #expect(try await all() == before)
        }
        withExtendedLifetime(directory) {}
    }

    @Test("secrets are sealed under another key while the node serves, with both keys accepted meanwhile")
    func rotation() async throws {
        try await RegistryLab.with(.postgreSQL) { lab in
            let node = lab.nodes[0]
            var definition = Self.source("s", path: "postgres://u:hush@h/d")
            guard var row = definition["d"]?.asObject else { return }
            row["type"] = "postgres"
            definition["d"] = .object(row)
            _ = try await node.query(Self.insertion, definition)
            _ = try await node.query(Self.loading, ["n": "s"])
            node.setKeys(["another key of this laboratory", "a key of this laboratory"])
            let rotated = try await node.query("mutation { function { core { rotate_secrets { success affected_rows } } } }")
            #expect(rotated == (try Self.json(#"{"data":{"function":{"core":{"rotate_secrets":{"success":true,"affected_rows":2}}}}}"#)))
            node.setKeys(["another key of this laboratory"])
            #expect(try await node.query(Self.loading, ["n": "s"])["data"]?["function"]?["core"]?["load_data_source"]?["success"] == true)
            #expect(node.registry.standing.suspended.isEmpty)
            node.setKeys(["a key of this laboratory"])
            let refused = try await node.query("mutation { function { core { rotate_secrets { success } } } }")
            #expect(refused["errors"]?.asArray?[0]["message"]?.asString?.contains("sealed under the key") == true, "\(refused)")
        }
    }

    @Test("both generations' names of the cluster's module answer", arguments: Backend.allCases)
    func cluster(backend: Backend) async throws {
        try await RegistryLab.with(backend, nodes: 2) { lab in
            let (node, worker) = (lab.nodes[0], lab.nodes[1])
            for (name, roles) in [("n1", Set([NodeRole.manager])), ("n2", Set([NodeRole.worker]))] {
                _ = try await node.catalog.nodes.register(
                    NodeRegistration(name: NodeName(name), url: "http://\(name)", roles: roles, version: "0.1"), deadline: lab.deadline)
            }
            let nodes = try await node.query(
                "{ core { cluster { nodes(order_by: [{field: \"name\"}]) { name url role version ready error } cluster_nodes_aggregation { _rows_count } } } function { core { cluster { my_role management_url } version } } }"
            )
            #expect(
                nodes
                    == (try Self.json(
                        #"{"data":{"core":{"cluster":{"nodes":[{"name":"n1","url":"http://n1","role":"management","version":"0.1","ready":false,"error":"its session has ended"},{"name":"n2","url":"http://n2","role":"worker","version":"0.1","ready":false,"error":"its session has ended"}],"cluster_nodes_aggregation":{"_rows_count":2}}},"function":{"core":{"cluster":{"my_role":"management","management_url":"http://n1"},"version":"0.1"}}}}"#
                    )), "\(nodes)")
            _ = try await node.query(Self.insertion, Self.source("s"))
            for (asked, call, message) in [
                (node, "load_source(name: \"s\")", "load_source: all workers ok"),
                (worker, "reload_source(name: \"s\")", "forwarded to management"),
                (node, "unload_source(name: \"s\")", "unload_source: all workers ok"),
                (node, "load_data_source(name: \"s\")", "load_source: all workers ok"),
                (worker, "unload_data_source(name: \"s\")", "forwarded to management"),
                (node, "invalidate_cache", "invalidate_cache: all workers ok"),
                (
                    worker, "register_object_storage(type: \"s3\", name: \"o\", scope: \"s3://b\", key: \"k\", secret: \"s\")",
                    "forwarded to management"
                ),
                (node, "unregister_object_storage(name: \"o\")", "unregister_storage: all workers ok"),
            ] {
                let reply = try await asked.query("mutation { function { core { cluster { r: \(call) { success message } } } } }")
                #expect(
                    reply["data"]?["function"]?["core"]?["cluster"]?["r"] == ["success": true, "message": .string(message)],
                    "\(call): \(reply)")
            }
            #expect(
                try await node.query("{ function { core { schema_nodes { node behind reason } } } }")
                    == Self.json(
                        #"{"data":{"function":{"core":{"schema_nodes":[{"node":"n1","behind":false,"reason":null},{"node":"n2","behind":false,"reason":null}]}}}}"#
                    ))
        }
    }
}
