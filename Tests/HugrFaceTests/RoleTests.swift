import ApusHTTP
import ApusRuntime
import ApusTypes
import NodeProcessKit
import TestKit
import Testing

/// What they may do, over HTTP. The planner's own table has every path and every rule; here real roles are on some of them.
@Suite("roles of the query service")
struct RoleTests {
    private static let paths: [(name: String, operation: String)] = [
        ("list", "{ notes { id text } }"), ("by_pk", "{ notes_by_pk(id: 2) { id text } }"),
        ("aggregation", "{ notes_aggregation { _rows_count id { sum } } }"),
        ("buckets", "{ notes_bucket_aggregation { key { text } aggregations { _rows_count } } }"),
        ("join", "{ notes(filter: {id: {eq: 1}}) { id _join(fields: [\"id\"]) { notes(fields: [\"id\"]) { text } } } }"),
        ("filter", "{ notes(filter: {text: {eq: \"two\"}}) { id } }"), ("order", "{ notes(order_by: [{field: \"text\"}]) { id text } }"),
        ("insert", "mutation { insert_notes(data: {id: 3, text: \"three\"}) { id text } }"),
        ("update", "mutation { update_notes(filter: {id: {eq: 2}}, data: {text: \"second\"}) { affected_rows } }"),
        ("delete", "mutation { delete_notes(filter: {id: {eq: 2}}) { affected_rows } }"),
        ("edges", "{ notes_edges(order_by: [{field: \"id\"}]) { cursor node { id } } }"),
        ("insert many", "mutation { insert_many_notes(data: [{id: 4, text: \"four\"}, {id: 5, text: \"five\"}]) { id } }"),
        (
            "upsert",
            "mutation { insert_notes(data: {id: 1, text: \"once\"}, on_conflict: {constraint: by_pk, update_columns: [text]}) { id } }"
        ),
    ]

    /// Which paths are forbidden for a rule; all others answer.
    private static let rules: [(role: String, rule: String, forbidden: Set<String>)] = [
        ("nothing", #"{type_name: "*", field_name: "*", disabled: true}"#, Set(paths.map(\.name))),
        ("no_rows", #"{type_name: "data-object:query", field_name: "notes", disabled: true}"#, Set(paths.map(\.name))),
        ("no_rows_of_any", #"{type_name: "data-object:query", field_name: "*", disabled: true}"#, Set(paths.map(\.name))),
        (
            "no_text", #"{type_name: "notes", field_name: "text", disabled: true}"#,
            ["list", "by_pk", "buckets", "join", "filter", "order", "insert"]
        ),
        ("no_list", #"{type_name: "Query", field_name: "notes", disabled: true}"#, ["list", "join", "filter", "order", "edges"]),
        (
            "no_changes", #"{type_name: "Mutation", field_name: "*", disabled: true}"#,
            ["insert", "update", "delete", "insert many", "upsert"]
        ),
        ("no_insertion", #"{type_name: "data-object:insert", field_name: "notes", disabled: true}"#, ["insert", "insert many", "upsert"]),
        ("no_insert_field", #"{type_name: "Mutation", field_name: "insert_notes", disabled: true}"#, ["insert", "insert many", "upsert"]),
        ("no_update", #"{type_name: "data-object:update", field_name: "*", disabled: true}"#, ["update", "upsert"]),
        ("no_deletion", #"{type_name: "Mutation", field_name: "delete_notes", disabled: true}"#, ["delete"]),
        ("no_text_written", #"{type_name: "notes_mut_data", field_name: "text", disabled: true}"#, ["update", "upsert"]),
    ]

    @Test("rules hold on every path")
    func matrix() async throws {
        try await AccessNode.with { lab in
            for (role, rule, forbidden) in Self.rules {
                try await lab.addRole(role, rules: rule)
                for (name, operation) in Self.paths {
                    let answer = try await lab.ask(operation, AccessNode.key(role))
                    let isForbidden = answer.message == "forbidden" && answer.data == nil
                    #expect(isForbidden == forbidden.contains(name), "\(role), \(name): \(answer.text)")
                    #expect(isForbidden || answer.message == nil, "\(role), \(name): \(answer.text)")
                }
                // As it was, for the next one.
                try await lab.manage(
                    #"mutation { delete_notes(filter: {id: {gt: 0}}) { success } a: insert_notes(data: {id: 1, text: "one"}) { id } b: insert_notes(data: {id: 2, text: "two"}) { id } }"#
                )
            }
        }
    }

    @Test("rows that a rule keeps from somebody are on no path, and what it stores cannot be chosen")
    func rows() async throws {
        try await AccessNode.with { lab in
            try await lab.addRole(
                "first",
                rules: #"""
                    {type_name: "data-object:query", field_name: "notes", filter: {id: {lte: 1}}},
                    {type_name: "data-object:insert", field_name: "notes", data: {text: "[$auth.role]"}}
                    """#)
            for (operation, expected) in [
                ("{ notes { id } }", #"{"data":{"notes":[{"id":1}]}}"#),
                ("{ notes_by_pk(id: 2) { id } }", #"{"data":{"notes_by_pk":null}}"#),
                ("{ notes_aggregation { _rows_count } }", #"{"data":{"notes_aggregation":{"_rows_count":1}}}"#),
                ("{ notes(filter: {_or: [{id: {eq: 2}}, {id: {eq: 1}}]}) { id } }", #"{"data":{"notes":[{"id":1}]}}"#),
                (
                    "mutation { delete_notes(filter: {id: {eq: 2}}) { affected_rows } }",
                    #"{"data":{"delete_notes":{"affected_rows":0}}}"#
                ),
                (
                    "mutation { insert_notes(data: {id: 0, text: \"spoofed\"}) { text } }",
                    #"{"data":{"insert_notes":{"text":"first"}}}"#
                ),
            ] {
                #expect(try await lab.ask(operation, AccessNode.key("first")).text == expected, "\(operation)")
            }
        }
    }

    @Test("the module core is closed to roles that no rule opens it for, on every way to it")
    func management() async throws {
        try await AccessNode.with { lab in
            try await lab.addRole("plain", rules: #"{type_name: "*", field_name: "*", disabled: false}"#)
            try await lab.addRole("clerk", rules: #"{type_name: "data-object:query", field_name: "core_roles"}"#)
            for operation in [
                "{ core { roles { name } } }", "{ core { api_keys { name } } }", "{ core { data_sources { path } } }",
                "{ core { role_permissions_aggregation { _rows_count } } }", "{ core { cluster { nodes { name } } } }",
                "{ notes { _join(fields: [\"text\"]) { core_roles(fields: [\"name\"]) { name } } } }",
                "{ function { core { describe_data_source_schema(name: \"notes\") } } }",
                "mutation { core { insert_roles(data: {name: \"mine\"}) { name } } }",
                "mutation { core { insert_api_keys(data: {name: \"k\", key: \"0123456789\", default_role: \"admin\"}) { name } } }",
                "mutation { core { update_roles(filter: {name: {eq: \"plain\"}}, data: {can_impersonate: true}) { success } } }",
                "mutation { core { delete_roles(filter: {name: {eq: \"clerk\"}}) { success } } }",
                "mutation { function { core { load_data_source(name: \"notes\") { success } } } }",
                "mutation { function { core { rotate_secrets { success } } } }", "{ core { meta { tables { name } } } }",
                "{ function { core { meta { duckdb_version } } } }", "{ core { roles_edges { node { name } } } }",
                "{ core { api_keys_by_key(key: \"0123456789\") { name } } }",
                "mutation { function { core { db { export_database(path: \"/tmp/x\") { success } } } } }",
                "mutation { function { core { db { import_database(path: \"/tmp/x\") { success } } } } }",
            ] {
                let answer = try await lab.ask(operation, AccessNode.key("plain"))
                #expect(answer.message == "forbidden" && answer.data == nil, "\(operation): \(answer.text)")
            }
            // What a rule names is open, and nothing else.
            #expect(try await lab.ask("{ core { roles(limit: 1) { name } } }", AccessNode.key("clerk")).message == nil)
            #expect(
                try await lab.ask("{ core { roles { name permissions { field_name } } } }", AccessNode.key("clerk")).message == "forbidden")
            #expect(
                try await lab.ask(
                    "mutation { core { delete_roles(filter: {name: {eq: \"plain\"}}) { success } } }", AccessNode.key("clerk")
                )
                .message == "forbidden")
            // Everybody may ask about themselves.
            let own = try await lab.ask(
                "{ function { core { auth { my_permissions { role_name permissions { object field disabled } } check_access(type_name: \"notes\", fields: \"id, text\") { field enabled } } } } }",
                AccessNode.key("clerk"))
            #expect(
                own.text
                    == #"{"data":{"function":{"core":{"auth":{"my_permissions":{"role_name":"clerk","permissions":[{"object":"data-object:query","field":"core_roles","disabled":false}]},"check_access":[{"field":"id","enabled":true},{"field":"text","enabled":true}]}}}}}"#
            )
        }
    }

    @Test("where nothing is allowed by default a role may do what its rules say, and the administrator everything")
    func denyByDefault() async throws {
        try await AccessNode.with("  deny_by_default: true\n") { lab in
            try await lab.addRole("empty", rules: "")
            try await lab.addRole("open", ", deny_by_default: false,", rules: "")
            try await lab.addRole(
                "narrow",
                rules: ["Query", "notes", "data-object:query"].flatMap { type in
                    (type == "notes" ? ["id"] : ["notes"]).map { #"{type_name: "\#(type)", field_name: "\#($0)"}"# }
                }.joined(separator: ","))
            #expect(try await lab.ask("{ notes { id } }", AccessNode.key("empty")).message == "forbidden")
            #expect(try await lab.ask("{ notes { id } }", AccessNode.key("open")).message == nil)
            #expect(try await lab.ask("{ notes { id } }", AccessNode.key("narrow")).message == nil)
            #expect(try await lab.ask("{ notes { text } }", AccessNode.key("narrow")).message == "forbidden")
            #expect(try await lab.ask("{ notes_aggregation { _rows_count } }", AccessNode.key("narrow")).message == "forbidden")
            try await lab.manage("{ notes { id text } core { roles { name } } }")
        }
    }

    @Test("introspection does not tell what is hidden, and tells what is only forbidden")
    func hidden() async throws {
        try await AccessNode.with { lab in
            try await lab.addRole("blind", rules: #"{type_name: "data-object:query", field_name: "notes", hidden: true}"#)
            try await lab.addRole(
                "half",
                rules: #"{type_name: "notes", field_name: "text", hidden: true}, {type_name: "notes", field_name: "id", disabled: true}"#)
            let fields = "{ __schema { queryType { fields { name } } mutationType { fields { name } } types { name } } }"
            let blind = try await lab.ask(fields, AccessNode.key("blind")).text
            #expect(!blind.contains("notes"), "\(blind)")
            let described = "{ _dataObject(name: \"notes\") { name fields { name } } _catalog { dataObjects { name } } }"
            #expect(
                try await lab.ask(described, AccessNode.key("blind")).text
                    == #"{"data":{"_dataObject":null,"_catalog":{"dataObjects":[]}}}"#)
            #expect(
                try await lab.ask(described, AccessNode.key("half")).text
                    == #"{"data":{"_dataObject":{"name":"notes","fields":[{"name":"id"}]},"_catalog":{"dataObjects":[{"name":"notes"}]}}}"#)
            // It may be asked for all the same.
            #expect(try await lab.ask("{ notes { id } }", AccessNode.key("blind")).message == nil)
            let half = try await lab.ask("{ __type(name: \"notes\") { fields { name } } }", AccessNode.key("half")).text
            #expect(half.contains("\"id\"") && !half.contains("\"text\""), "\(half)")
            #expect(try await lab.ask(fields, AccessNode.key("half")).text.contains("\"notes\""))
        }
    }

    @Test("a role's limits: rows, cost, and how many of its requests run at the same time")
    func limits() async throws {
        try await AccessNode.with("  max_queued: 0\n") { lab in
            try await lab.addRole("small", ", max_rows: 1, max_cost: 50,", rules: "")
            let cut = try await lab.ask("{ notes(limit: 1) { id } }", AccessNode.key("small"))
            #expect(cut.text == #"{"data":{"notes":[{"id":1}]}}"#)
            let rows = try await lab.ask("{ notes(limit: 2) { id } }", AccessNode.key("small"))
            #expect(rows.message?.contains("has more than 1 rows, which is the limit") == true, "\(rows.text)")
            let list = (0..<60).map { "a\($0): id" }.joined(separator: " ")
            let cost = try await lab.ask("{ notes(limit: 1) { \(list) } }", AccessNode.key("small"))
            #expect(
                cost.message
                    == "Operation has cost 61, which exceeds the limit of 50 of its role; ask for fewer fields, or give lists a limit.")

            // One request that takes long holds the only place of its role, and no other role's.
            try await lab.addRole("single", ", max_in_flight: 1,", rules: "")
            try await lab.addRole("others", rules: "")
            let long =
                "{ "
                + (0..<120).map { "n\($0): notes { id text _join(fields: [\"id\"]) { notes(fields: [\"id\"]) { id } } }" }.joined(
                    separator: " ") + " }"
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<16 { group.addTask { try await lab.ask(long, AccessNode.key("single")).status } }
                return try await group.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
            }
            #expect(statuses[429] ?? 0 > 0 && statuses[200] ?? 0 > 0 && statuses.count == 2, "\(statuses)")
            #expect(try await lab.ask("{ notes { id } }", AccessNode.key("others")).status == 200)
            #expect(try await lab.ask("{ notes { id } }", AccessNode.key("single")).status == 200)
            for value in ["0", "-1"] {
                let refused = try await lab.ask(
                    "mutation { core { insert_roles(data: {name: \"bad\", max_rows: \(value)}) { name } } }", ["X-API-Key": lab.node.key])
                #expect(refused.message?.contains("roles.max_rows must be more than 0") == true)
            }
        }
    }

    @Test("a request sees the version of the schema that it names, or hears that this node is behind")
    func version() async throws {
        try await AccessNode.with { lab in
            var headers: Headers = ["X-API-Key": lab.node.key, "X-Apus-Schema-Version": "0"]
            #expect(try await lab.ask("{ __typename }", headers).status == 200)
            headers["X-Apus-Schema-Version"] = "7"
            let behind = try await lab.ask("{ __typename }", headers)
            #expect(behind.status == 503 && behind.text.contains(#""code":"schema.behind""#), "\(behind)")
            #expect(behind.headers["Retry-After"] != nil)
            headers["X-Apus-Schema-Version"] = "new"
            #expect(try await lab.ask("{ __typename }", headers).status == 400)
        }
    }
}
