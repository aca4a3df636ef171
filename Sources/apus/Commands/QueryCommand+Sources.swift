internal import ApusQuery
internal import ApusSchemas
internal import ApusTypes

/// `apus query source`: what the cluster's query service serves.
extension QueryCommand {
    static let source: Command = Command(
        name: "source", summary: "List, add, test and remove data sources of the cluster.",
        discussion: "Every node serves the same sources. These commands ask a running node, which tells the others.",
        subcommands: [list, add, test, remove])

    private static let nameArgument = Argument(name: "NAME", help: "The data source's name.")
    private static let type = Option.value(
        "type", "TYPE", .choice(SourceDefinition.Kind.words), "What it is; default postgres.")
    private static let path = Option.value(
        "path", "URL", "Where it is: a URL or a file. [$NAME] stands for a variable of each node, the place for passwords.")
    private static let schemaPath = Option.value(
        "schema", "FILE", .file(["graphql"]), "Its schema in SDL, which is copied into the catalog; again for more files."
    ).repeated
    private static let prefix = Option.value("prefix", "NAME", "Put in front of the names of its types; default its name.")
    private static let isReadOnly = Option.flag("read-only", "Without mutations.")
    private static let isSelfDefined = Option.flag("self-defined", "Read its tables, keys and comments from the database.")
    private static let isAtRoot = Option.flag("at-root", "Its tables at the root of the API instead of in a module of its name.")

    private static let list: Command = Command(
        name: "list", summary: "List the data sources, and where they are served.", options: ClientOptions.all,
        examples: [.init("apus query source list", "names, types, paths without passwords, and what keeps a node from serving one")],
        run: { invocation in
            let data = try await NodeClient(invocation).query(
                """
                { core { data_sources(order_by: [{field: "name"}]) { name type path disabled } }
                  function { core { schema_nodes { node version behind reason suspended } cluster { schema_version } } } }
                """)
            if invocation.wantsJSON { return invocation.answer(data.asObject ?? [:], "") }
            let nodes = data["function"]?["core"]?["schema_nodes"]?.asArray ?? []
            var table = Table(header: ["NAME", "TYPE", "PATH", "PROBLEM"])
            table.rows = (data["core"]?["data_sources"]?.asArray ?? []).map { source in
                let name = source["name"]?.asString ?? ""
                let problems = nodes.compactMap { node in
                    node["suspended"]?[name]?.asString.map { "\(node["node"]?.asString ?? ""): \($0)" }
                }
                return ["name", "type", "path"].map { Outline.plain(source[$0] ?? .null) } + [problems.joined(separator: "; ")]
            }
            if table.rows.isEmpty { invocation.terminal.note("no data sources yet; 'apus query source add NAME' adds one") }
            table.lines(invocation.terminal).forEach { invocation.terminal.print($0) }
            for node in nodes where node["behind"] == true {
                invocation.terminal.note(
                    "\(Outline.plain(node["node"] ?? .null)) is behind with version \(Outline.plain(node["version"] ?? .null)): "
                        + Outline.plain(node["reason"] ?? .null))
            }
            return .success
        })

    private static let add: Command = Command(
        name: "add", summary: "Add a data source, and serve it on every node.",
        discussion:
            "With --dry-run it is checked and not written. Passwords in --path are sealed; better name a variable of the nodes there.",
        arguments: [nameArgument],
        options: [type, path, schemaPath, prefix, isReadOnly, isSelfDefined, isAtRoot, ClientOptions.dryRun] + ClientOptions.all,
        examples: [
            .init(
                "apus query source add shop --path 'postgres://app:[$SHOP_PASSWORD]@db/shop' --self-defined", "the tables that are there"),
            .init("apus query source add geo --type sqlite --path /data/geo.db --schema geo.graphql --read-only", "a file with its schema"),
        ],
        run: { invocation in
            let name = try invocation.required(0)
            var texts: [JSONValue] = []
            for (number, file) in invocation.texts(schemaPath).enumerated() {
                let text = String(decoding: try FileContents.read(file, limit: .mebibytes(8)), as: UTF8.self)
                texts.append(["name": .string(number == 0 ? name : "\(name)_\(number + 1)"), "type": "text", "path": .string(text)])
            }
            let data: JSONObject = [
                "name": .string(name), "type": .string(invocation.text(type) ?? "postgres"), "path": .string(invocation.text(path) ?? ""),
                "prefix": .string(invocation.text(prefix) ?? name), "as_module": .bool(!invocation.isSet(isAtRoot)),
                "read_only": .bool(invocation.isSet(isReadOnly)), "self_defined": .bool(invocation.isSet(isSelfDefined)),
                "catalogs": .array(texts),
            ]
            if invocation.isSet(ClientOptions.dryRun) {
                let description = SourceDescription(
                    name: name, kind: .database(SQLEngine(rawValue: invocation.text(type) ?? "postgres") ?? .postgreSQL),
                    prefix: invocation.text(prefix) ?? name, isModule: !invocation.isSet(isAtRoot))
                let files = texts.map { SchemaFile(name: $0["name"]?.asString ?? "", text: $0["path"]?.asString ?? "") }
                do { _ = try SchemaReader.read(files, of: description) } catch {
                    throw ApusError(.schemaInvalid, "\(error)")
                }
                return invocation.answer(["would_add": .string(name)], "would add '\(name)' with \(texts.count) texts of its schema")
            }
            let client = try NodeClient(invocation)
            _ = try await client.query(
                "mutation($d: core_data_sources_mut_input_data!) { core { insert_data_sources(data: $d) { name } } }", ["d": .object(data)])
            do throws(ApusError) {
                let message = try await client.core("load_data_source(name: $n)", ["n": .string(name)], declaring: "$n: String!")
                return invocation.answer(["added": .string(name), "message": .string(message)], message)
            } catch {
                throw ApusError(
                    error.code, "'\(name)' was written, and is not served: \(error.summary)", hint: "apus query source remove \(name)")
            }
        })

    private static let test: Command = Command(
        name: "test", summary: "Try what loading a data source would change, and whether each node serves it.",
        arguments: [nameArgument], options: ClientOptions.all,
        examples: [.init("apus query source test shop", "reads its schema anew, compiles it, changes nothing")],
        run: { invocation in
            let data = try await NodeClient(invocation).query(
                """
                query($n: String!) { function { core { try_data_source(name: $n) { version difference }
                  cluster { data_source_status(name: $n) { node status error } } } } }
                """, ["n": .string(try invocation.required(0))])
            let core = data["function"]?["core"] ?? .null
            let nodes = core["cluster"]?["data_source_status"]?.asArray ?? []
            let lines = nodes.map { node in
                let problem = node["error"]?.asString.map { ": \($0)" } ?? ""
                return "\(node["node"]?.asString ?? "") \(node["status"]?.asString ?? "")\(problem)"
            }
            let changes = core["try_data_source"]?["difference"]?.asArray?.compactMap(\.asString) ?? []
            let text = (lines + (changes.isEmpty ? ["loading it would change nothing"] : ["loading it would change:"] + changes)).joined(
                separator: "\n")
            let exit = invocation.answer(core.asObject ?? [:], text)
            return nodes.contains { $0["error"]?.isNull == false } ? .negative : exit
        })

    private static let remove: Command = Command(
        name: "remove", summary: "Cease to serve a data source, and forget its definition and its secret.",
        arguments: [nameArgument], options: [ClientOptions.dryRun] + ClientOptions.all,
        examples: [.init("apus query source remove shop", "its data is not touched")],
        run: { invocation in
            let name = try invocation.required(0)
            let client = try NodeClient(invocation)
            let found = try await client.query(
                "query($n: String!) { core { data_sources_by_pk(name: $n) { name catalogs { name } } } }", ["n": .string(name)])
            guard let row = found["core"]?["data_sources_by_pk"], !row.isNull else {
                throw ApusError(.sourceUnknown, "there is no data source '\(name)'", hint: "apus query source list")
            }
            if invocation.isSet(ClientOptions.dryRun) {
                return invocation.answer(["would_remove": .string(name)], "would remove '\(name)'")
            }
            let texts = row["catalogs"]?.asArray?.compactMap { $0["name"] } ?? []
            _ = try await client.query(
                """
                mutation($n: String!, $c: [String!]!) { core { delete_data_sources(filter: {name: {eq: $n}}) { success }
                  delete_catalog_sources(filter: {name: {in: $c}}) { success } } }
                """, ["n": .string(name), "c": .array(texts)])
            return invocation.answer(["removed": .string(name)], "removed '\(name)'")
        })
}

/// `apus query schema`: versions of what is served.
extension QueryCommand {
    static let schemaVersions: [Command] = [versions, diff, rollback]

    private static let version = Argument(name: "VERSION", help: "A version, from 'apus query schema list'.", values: .integer(0...Int.max))

    private static let versions: Command = Command(
        name: "list", summary: "List the versions of the schema that can be gone back to.", options: ClientOptions.all,
        examples: [.init("apus query schema list", "the newest first")],
        run: { invocation in
            let data = try await NodeClient(invocation).query("{ function { core { schema_versions { version at summary } } } }")
            let rows = data["function"]?["core"]?["schema_versions"]?.asArray ?? []
            if invocation.wantsJSON { return invocation.answer(["versions": .array(rows)], "") }
            Table(
                header: ["VERSION", "AT", "WHAT"],
                rows: rows.map { row in ["version", "at", "summary"].map { Outline.plain(row[$0] ?? .null) } }
            ).lines(invocation.terminal).forEach { invocation.terminal.print($0) }
            return .success
        })

    private static let diff: Command = Command(
        name: "diff", summary: "Show what going back to a version would change.", arguments: [version], options: ClientOptions.all,
        examples: [.init("apus query schema diff 12", "+ new, - gone, ~ otherwise")],
        run: { invocation in try await tried(invocation) })

    private static let rollback: Command = Command(
        name: "rollback", summary: "Serve again what a version of the schema served, as a new version.", arguments: [version],
        options: [ClientOptions.dryRun] + ClientOptions.all,
        examples: [.init("apus query schema rollback 12", "returns when the nodes serve it")],
        run: { invocation in
            if invocation.isSet(ClientOptions.dryRun) { return try await tried(invocation) }
            let number = Int64(try invocation.required(0)) ?? -1
            let message = try await NodeClient(invocation).core(
                "roll_back_schema(version: $v)", ["v": .integer(number)], declaring: "$v: BigInt!")
            return invocation.answer(["message": .string(message)], message)
        })

    private static func tried(_ invocation: Invocation) async throws -> ErrorCode.ExitCode {
        let data = try await NodeClient(invocation).query(
            "query($v: BigInt!) { function { core { try_schema_rollback(version: $v) { version difference } } } }",
            ["v": .integer(Int64(try invocation.required(0)) ?? -1)])
        let change = data["function"]?["core"]?["try_schema_rollback"] ?? .null
        let lines = change["difference"]?.asArray?.compactMap(\.asString) ?? []
        return invocation.answer(change.asObject ?? [:], lines.isEmpty ? "nothing would change" : lines.joined(separator: "\n"))
    }
}
