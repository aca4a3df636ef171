internal import ApusCatalog
internal import ApusGraphQL
internal import ApusRuntime
public import ApusSchemas
public import ApusTypes

/// The functions of the module `core`.
extension CoreSource {
    public func call(
        _ function: DataFunction, _ arguments: JSONObject, identity: JSONObject, deadline: Instant
    ) async throws -> JSONValue {
        if let changing = Self.changing, function.sqlName == "unload" {
            return try await changing.unload(arguments["name"]?.asString ?? "")
        }
        guard Self.changing == nil || !function.isMutation else {
            throw ApusError(
                .requestInvalid, "\(function.name) cannot be called in a mutation that changes rows of core",
                hint: "send two mutations: the rows first, then the call")
        }
        let name = arguments["name"]?.asString ?? ""
        switch function.sqlName {
        case let call where call.hasPrefix("core_store_"): return try await store(call, arguments, deadline: deadline)
        case "load": return await outcome("Datasource was loaded") { try await self.registry.load(name, deadline: deadline) }
        case "unload":
            return await outcome(CoreTransaction.unloaded) {
                do { return try await self.registry.unload(name, deadline: deadline) } catch let error as ApusError
                    where error.code == .sourceUnknown
                {
                    // One that is defined is unloaded already.
                    guard try await self.isDefined(name, deadline: deadline) else { throw error }
                    return SchemaChange(version: self.registry.standing.version)
                }
            }
        case "load_source", "reload_source":
            return try await clusterOutcome(function.sqlName) { try await self.registry.load(name, deadline: deadline).missing }
        case "unload_source":
            return try await clusterOutcome(function.sqlName) { try await self.registry.unload(name, deadline: deadline).missing }
        case "register_storage":
            return try await clusterOutcome(function.sqlName) { try await self.register(arguments, deadline: deadline) }
        case "unregister_storage":
            return try await clusterOutcome(function.sqlName) { try await self.unregister(name, deadline: deadline) }
        case "invalidate_cache":
            // What is served follows the catalog by itself; looking again is all there is to do.
            registry.wake.rise(by: 1)
            return try await clusterOutcome(function.sqlName) { [:] }
        case "invalidate_replies":
            let tags = arguments["tags"]?.asArray?.compactMap(\.asString)
            return await outcome("cache invalidated") {
                try await self.cache?.invalidate(tags: tags, deadline: min(deadline, self.registry.clock.now.advanced(by: .seconds(5))))
                return SchemaChange(version: self.registry.standing.version)
            }
        case "export_database", "import_database", "import_descriptions":
            return await copy(function.sqlName, arguments, deadline: deadline)
        case "data_source_status": return .string(try await status(of: name, deadline: deadline))
        case "cluster_source_status": return .array(try await clusterStatus(of: name, deadline: deadline))
        case "describe_data_source_schema": return .string(try await text(of: name, deadline: deadline))
        case "me", "my_permissions", "check_access", "check_access_info": return try Self.access(function.sqlName, arguments)
        case "version": return .string(facts.version)
        case "info":
            return [
                "cluster_mode": .bool(registry.peers != nil), "node_role": facts.isManager ? "management" : "worker",
                "node_name": registry.peers.map { .string($0.node.rawValue) } ?? .null, "version": .string(facts.version),
            ]
        case "schema_version": return .integer(registry.standing.version)
        case "my_role": return .string(facts.isManager ? "management" : "worker")
        case "management_url": return facts.managementURL().map { .string($0) } ?? .null
        case "storages": return .array(try await storages(deadline: deadline))
        case "schema_versions":
            return .array(
                try await catalog.served.history(deadline: deadline).map {
                    ["version": .integer($0.version), "at": .string($0.at.description), "summary": .string($0.summary)]
                })
        case "schema_nodes": return .array(await nodes(deadline: deadline))
        case "try_data_source": return Self.told(try await registry.load(name, onlyTried: true, deadline: deadline))
        case "try_schema_rollback":
            return Self.told(try await registry.rollBack(to: Self.version(arguments), onlyTried: true, deadline: deadline))
        case "roll_back_schema":
            return await outcome("The schema is back at version \(Self.version(arguments))") {
                try await self.registry.rollBack(to: Self.version(arguments), deadline: deadline)
            }
        case "rotate_secrets": return try await rotate(deadline: deadline)
        default: throw ApusError(.unsupported, "there is no function \(function.name)")
        }
    }

    private func isDefined(_ name: String, deadline: Instant) async throws -> Bool {
        try await catalog.definitions.rows(of: .dataSources, deadline: deadline).contains { $0["name"]?.asString == name }
    }

    // MARK: Results

    /// A load that is refused is a result, not an error of the request.
    private func outcome(_ message: String, _ body: () async throws -> SchemaChange) async -> JSONValue {
        do {
            let change = try await body()
            let missing = change.missing.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
            return [
                "success": true,
                "message": .string(message + (missing.isEmpty ? "" : ", and not yet on \(missing.joined(separator: "; "))")),
            ]
        } catch {
            return ["success": false, "message": .string((error as? ApusError)?.summary ?? "\(error)")]
        }
    }

    /// In the words of Hugr's clusters. A worker's client hears that a manager did it; here whoever is asked does.
    private func clusterOutcome(_ operation: String, _ body: () async throws -> [NodeName: String]) async throws -> JSONValue {
        do {
            let missing = try await body()
            guard missing.isEmpty else {
                let nodes = missing.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: "; ")
                return ["success": false, "message": .string("\(operation): partial failure: [\(nodes)]")]
            }
            return ["success": true, "message": .string(facts.isManager ? "\(operation): all workers ok" : "forwarded to management")]
        } catch let error as ApusError {
            return ["success": false, "message": .string("\(operation): \(error.summary)")]
        }
    }

    private static func told(_ change: SchemaChange) -> JSONValue {
        ["version": .integer(change.version), "difference": .array(change.difference.map { .string($0) })]
    }

    private static func version(_ arguments: JSONObject) -> Int64 {
        arguments["version"]?.asInteger ?? arguments["version"]?.asString.flatMap { Int64($0) } ?? -1
    }

    // MARK: Sources

    private func requireDefined(_ name: String, deadline: Instant) async throws {
        let rows = try await catalog.definitions.rows(of: .dataSources, deadline: deadline)
        guard rows.contains(where: { $0["name"]?.asString == name }) else {
            throw ApusError(.sourceUnknown, "there is no data source \"\(name)\"", hint: "apus query source list")
        }
    }

    private func status(of name: String, deadline: Instant) async throws -> String {
        try await requireDefined(name, deadline: deadline)
        let isServed = try await catalog.served.current(deadline: deadline).sources.contains { $0.name == name }
        return isServed && registry.standing.suspended[name] == nil ? "attached" : "detached"
    }

    private func clusterStatus(of name: String, deadline: Instant) async throws -> [JSONValue] {
        try await requireDefined(name, deadline: deadline)
        let isServed = try await catalog.served.current(deadline: deadline).sources.contains { $0.name == name }
        return await registry.standings(deadline: deadline).sorted { $0.key < $1.key }.map { node, standing in
            let problem = standing == nil ? "the node does not answer" : standing?.suspended[name]
            return [
                "node": .string(node.rawValue), "status": .string(isServed && problem == nil ? "attached" : "detached"),
                "error": problem.map { .string($0) } ?? .null,
            ]
        }
    }

    private func nodes(deadline: Instant) async -> [JSONValue] {
        await registry.standings(deadline: deadline).sorted { $0.key < $1.key }.map { node, standing in
            let known = standing ?? SchemaStanding()
            return [
                "node": .string(node.rawValue), "version": .integer(known.version), "newest": .integer(known.newest),
                "behind": .bool(standing == nil || known.isBehind),
                "reason": (standing == nil ? "it does not answer" : known.reason).map { .string($0) } ?? .null,
                "propagation_seconds": known.propagation.map { .double($0.seconds) } ?? .null,
                "suspended": .object(JSONObject(known.suspended.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            ]
        }
    }

    /// The texts of a source's schema as it is served; of one that is not, as it would be.
    private func text(of name: String, deadline: Instant) async throws -> String {
        let served = try await catalog.served.current(deadline: deadline).sources.first { $0.name == name }
        let source: ServedSource
        if let served { source = served } else { source = try await registry.prepared(name, deadline: deadline) }
        let files = try SourceDefinition(source, secret: nil).files
        return files.map(Self.printed).joined()
    }

    /// As Hugr prints schemas: without comments and empty lines, with tabs. A text that cannot be read is told as it is.
    private static func printed(_ file: SchemaFile) -> String {
        guard let document = try? GraphQLDocument(parsing: file.text, limits: .schema) else { return file.text + "\n" }
        var isInText = false
        var lines: [String] = []
        for line in document.printed().split(separator: "\n", omittingEmptySubsequences: false) {
            let quotes = line.ranges(of: #"""""#).count
            let indent = line.prefix { $0 == " " }.count
            // What stands in a description is somebody's own.
            if isInText {
                lines.append(String(line))
            } else if !line.isEmpty {
                lines.append(String(repeating: "\t", count: indent / 2) + line.dropFirst(indent))
            }
            if !quotes.isMultiple(of: 2) { isInText.toggle() }
        }
        return lines.map { $0 + "\n" }.joined()
    }

    // MARK: Object storages

    private func register(_ arguments: JSONObject, deadline: Instant) async throws -> [NodeName: String] {
        let name = arguments["name"]?.asString ?? ""
        let hidden: JSONObject = ["key": arguments["key"] ?? .null, "secret": arguments["secret"] ?? .null]
        let sealed = try DefinitionRules(secrets: secrets()).ring().seal(
            Redacted(JSONValue.object(hidden).description), for: DefinitionRules.purpose(.objectStorages, name))
        let open = arguments.filter { !["name", "type", "scope", "key", "secret"].contains($0.key) && $0.value != .string("") }
        let row: JSONObject = [
            "name": .string(name), "type": arguments["type"] ?? "", "scope": arguments["scope"] ?? "",
            "parameters": .object(JSONObject(open.map { ($0.key, $0.value) })), "secret": .string(sealed),
        ]
        for field in ["name", "type"] where row[field]?.asString?.isEmpty != false {
            throw DefinitionRules.invalid(.objectStorages, field, "must not be empty")
        }
        try await catalog.definitions.change(deadline: deadline) { change in
            _ = try await change.delete([name], from: .objectStorages)
            _ = try await change.insert(row, into: .objectStorages)
        }
        return [:]
    }

    private func unregister(_ name: String, deadline: Instant) async throws -> [NodeName: String] {
        guard try await catalog.definitions.change(deadline: deadline, { try await $0.delete([name], from: .objectStorages) }) else {
            throw ApusError(.sourceUnknown, "there is no object storage \"\(name)\"")
        }
        return [:]
    }

    private func storages(deadline: Instant) async throws -> [JSONValue] {
        try await catalog.definitions.rows(of: .objectStorages, deadline: deadline).map { row in
            [
                "node": .null, "name": row["name"] ?? .null, "type": row["type"] ?? .null, "scope": .array([row["scope"] ?? .null]),
                "parameters": row["parameters"] ?? .null,
            ]
        }
    }

    // MARK: Secrets

    /// Envelopes alone are written anew. What was sealed under a key that this node does not have stops it, and nothing is changed.
    private func rotate(deadline: Instant) async throws -> JSONValue {
        let ring = try DefinitionRules(secrets: secrets()).ring()
        let count = try await catalog.served.reseal(deadline: deadline) { try ring.resealed($0) }
        return [
            "success": true, "affected_rows": .integer(Int64(count)),
            "message": .string("\(count) secrets are sealed under the key \(ring.keyIDs[0]) now"),
        ]
    }
}
