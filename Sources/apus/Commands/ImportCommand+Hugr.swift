internal import ApusQuery
internal import ApusRuntime
internal import ApusTypes

/// `apus import hugr DATABASE`: what a Hugr's core database defines becomes this cluster's.
extension ImportCommand {
    /// Else `hugr` is the name of a collection.
    static func isHugr(_ invocation: Invocation) throws(ApusError) -> Bool {
        guard try invocation.required(0) == "hugr" else { return false }
        let place = try invocation.required(1)
        return ["postgres://", "postgresql://"].contains { place.hasPrefix($0) } || place.hasSuffix(".duckdb") || place.hasSuffix(".db")
    }

    static func takeOver(_ invocation: Invocation) async throws -> ErrorCode.ExitCode {
        let core = try await read(try invocation.required(1))
        let client = try NodeClient(invocation)
        let isDry = invocation.isSet(ClientOptions.dryRun)
        let known = try await known(client)
        var lines: [String] = []
        var (taken, left): ([JSONValue], [JSONValue]) = ([], [])
        var missing: Set<String> = []
        for row in core.rows {
            let data = row.values
            // What refers to something that was left cannot be there either.
            let needed = [
                data["data_source_name"].map { "data source \($0.asString ?? "")" },
                data["catalog_name"].map { "catalog source \($0.asString ?? "")" },
            ]
            var obstacle = row.obstacle
            if let absent = needed.compactMap({ $0 }).first(where: missing.contains) { obstacle = "\(absent) is left" }
            if obstacle == nil, known.contains(row.name) { obstacle = "it is there already" }
            if obstacle == nil, !isDry {
                let target = row.table.target
                let told = row.table == .links ? "success" : row.table == .permissions ? "role" : "name"
                do throws(ApusError) {
                    _ = try await client.query(
                        "mutation($d: core_\(target)_mut_input_data!) { core { insert_\(target)(data: $d) { \(told) } } }",
                        ["d": .object(data)])
                } catch {
                    obstacle = error.summary
                }
            }
            if let obstacle {
                if !known.contains(row.name) { missing.insert(row.name) }
                left.append(["what": .string(row.name), "reason": .string(obstacle)])
                lines.append("left: \(row.name): \(obstacle)")
            } else {
                taken.append(.string(row.name))
                lines.append("\(isDry ? "would take" : "taken"): \(row.name)")
            }
        }
        var problems: [JSONValue] = []
        for row in core.rows where !isDry && row.table == .sources && row.values["disabled"] != true && taken.contains(.string(row.name)) {
            do throws(ApusError) {
                _ = try await client.core(
                    "load_data_source(name: $n)", ["n": row.values["name"] ?? .null], declaring: "$n: String!")
            } catch {
                problems.append(["what": .string(row.name), "reason": .string(error.summary)])
                lines.append("not served: \(row.name): \(error.summary)")
            }
        }
        lines.append("\(taken.count) of \(core.rows.count) rows of Hugr's core database \(core.version)\(isDry ? " would be" : "") taken")
        let exit = invocation.answer(
            ["taken": .array(taken), "left": .array(left), "not_served": .array(problems)], lines.joined(separator: "\n"))
        return left.isEmpty && problems.isEmpty ? exit : .negative
    }

    private static func read(_ place: String) async throws -> HugrCore {
        var definition = SourceDefinition("core", kind: place.contains("://") ? .postgres : .duckDB, path: place)
        definition.isReadOnly = true
        let environment = processEnvironment()
        var options = SourceOpener.Options()
        options.duckDBLibrary = environment["APUS_QUERY_DUCKDB_LIBRARY"]
        let opener = SourceOpener(loops: EventLoops(count: 1), environment: environment, options: options)
        guard let source = try await opener.open(definition) as? any SQLSource else {
            throw ApusError(.inputInvalid, "'\(place)' is no database")
        }
        let deadline = BootClock().now.advanced(by: .seconds(30))
        let core: HugrCore
        do { core = try await HugrCore.read(source, deadline: deadline) } catch {
            await source.close()
            throw error
        }
        await source.close()
        return core
    }

    /// What the cluster has already, in the words of rows.
    private static func known(_ client: NodeClient) async throws(ApusError) -> Set<String> {
        let data = try await client.query(
            """
            { core { roles(limit: 100000) { name } role_permissions(limit: 1000000) { role type_name field_name } api_keys(limit: 100000) { name }
              catalog_sources(limit: 100000) { name } data_sources(limit: 100000) { name } catalogs(limit: 100000) { data_source_name catalog_name } } }
            """)
        func rows(_ name: String) -> [JSONValue] { data["core"]?[name]?.asArray ?? [] }
        func text(_ row: JSONValue, _ name: String) -> String { row[name]?.asString ?? "" }
        var known: Set<String> = []
        for (table, word) in [
            ("roles", "role"), ("api_keys", "API key"), ("catalog_sources", "catalog source"), ("data_sources", "data source"),
        ] {
            known.formUnion(rows(table).map { "\(word) \(text($0, "name"))" })
        }
        known.formUnion(
            rows("role_permissions").map { "permission \(text($0, "role")) \(text($0, "type_name")).\(text($0, "field_name"))" })
        known.formUnion(rows("catalogs").map { "catalog \(text($0, "catalog_name")) of \(text($0, "data_source_name"))" })
        return known
    }
}
