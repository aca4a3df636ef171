internal import ApusCatalog
internal import ApusConfig
internal import ApusDatabase
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes

enum KeyCommand {
    static let command: Command = Command(
        name: "key", summary: "Create, list and revoke API keys.",
        discussion: """
            Keys are needed by everyone but this machine's own user and root. The commands ask the running node; \
            when none answers, they work on the catalog itself, which --data, --catalog or --config name as for 'apus node'.
            """,
        subcommands: [create, list, revoke])

    private static let role = Option.value(
        "role", "ROLE", .choice(APIKeyRole.allCases.map(\.rawValue)), "What it may do; default writer (an administrator also manages keys)."
    )

    private static let collections = Option.value(
        "collections", "NAMES", "The collections that it is for, separated by commas, * at the end for any ending; default: all.")

    /// Where the keys are reached: options of a client, and those that name a catalog.
    private static let options = ClientOptions.all + NodeOptions.catalog

    private static let create: Command = Command(
        name: "create", summary: "Create a key; its secret is shown this once.",
        arguments: [Argument(name: "NAME", help: "What you call it: whose it is, what for.")],
        options: [role, collections, ClientOptions.dryRun] + options,
        examples: [
            .init("apus key create laptop --role reader", "a key that may search and read"),
            .init(
                "apus key create shop --role writer --collections 'products,shop-*'", "a key for some collections, which it may also create"
            ),
            .init("apus key create ingest --json", "for a script: the member 'secret' holds it"),
        ],
        run: { invocation in
            let name = try invocation.required(0)
            let wanted = APIKeyRole(rawValue: invocation.text(role) ?? "") ?? .writer
            let scope = try scope(invocation)
            let names: JSONValue = scope.patterns.map { .array($0.map(JSONValue.string)) } ?? .null
            if invocation.isSet(ClientOptions.dryRun) {
                return invocation.answer(
                    ["would_create": ["name": .string(name), "role": .string(wanted.rawValue), "collections": names]],
                    "would create a \(wanted.rawValue)'s key '\(name)' for \(scope)")
            }
            let reply: JSONValue = try await withKeys(invocation) { client in
                try await client.call(
                    .post, "/api/keys",
                    JSONValue.object(["name": .string(name), "role": .string(wanted.rawValue), "collections": names]).serialized())
            } directly: { keys, deadline in
                let (key, secret) = try await keys.create(name: name, role: wanted, scope: scope, deadline: deadline)
                var object = json(key)
                object["secret"] = .string(secret.reveal())
                return .object(object)
            }
            if invocation.wantsJSON {
                invocation.terminal.print(reply.description)
            } else {
                invocation.terminal.note("Keep it: it is not shown again. Clients send it as 'Authorization: Bearer …' or 'X-API-Key: …'.")
                invocation.terminal.print(Outline.plain(reply["secret"] ?? .null))
            }
            return .success
        })

    private static func scope(_ invocation: Invocation) throws(ApusError) -> CollectionScope {
        guard let text = invocation.text(collections) else { return .everything }
        do { return try CollectionScope(text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)) } catch {
            throw ApusError(.usage, error.summary, hint: error.hint)
        }
    }

    private static let list: Command = Command(
        name: "list", summary: "List the keys, without their secrets.", options: options,
        examples: [.init("apus key list", "ids, names and roles")],
        run: { invocation in
            let reply: JSONValue = try await withKeys(invocation) { client in
                try await client.call(.get, "/api/keys")
            } directly: { keys, deadline in
                .object(["keys": .array(try await keys.list(deadline: deadline).map { .object(json($0)) })])
            }
            if invocation.wantsJSON {
                invocation.terminal.print(reply.description)
                return .success
            }
            let rows = (reply["keys"]?.asArray ?? []).map { key in
                ["id", "name", "role", "collections", "created_at", "revoked_at"].map { member in
                    member == "collections" && key[member]?.asArray == nil ? "all" : Outline.plain(key[member] ?? .null)
                }
            }
            if rows.isEmpty { return invocation.answer([:], "no keys yet; 'apus key create NAME' makes one") }
            Table(header: ["ID", "NAME", "ROLE", "COLLECTIONS", "CREATED", "REVOKED"], rows: rows).lines(invocation.terminal).forEach {
                invocation.terminal.print($0)
            }
            return .success
        })

    private static let revoke: Command = Command(
        name: "revoke", summary: "Revoke a key: it ends on this node at once, on others within a second.",
        arguments: [Argument(name: "ID", help: "The key's id, from 'apus key list'.")], options: [ClientOptions.dryRun] + options,
        examples: [.init("apus key revoke 1f0c9d…", "by its id")],
        run: { invocation in
            let id = try invocation.required(0)
            if invocation.isSet(ClientOptions.dryRun) { return invocation.answer(["would_revoke": .string(id)], "would revoke \(id)") }
            _ = try await withKeys(invocation) { client in
                try await client.call(.delete, "/api/keys/\(NodeClient.segment(id))")
            } directly: { keys, deadline in
                guard try await keys.revoke(id: id, deadline: deadline) else {
                    throw ApusError(.keyUnknown, "there is no key \(id) in force", hint: "apus key list")
                }
                return .null
            }
            return invocation.answer(["revoked": .string(id)], "revoked \(id)")
        })

    /// Through the node when one answers; else on the catalog, so that a key can be made before the first start and when the last
    /// administrator's key is lost. (Whoever can read the catalog can do everything anyway.)
    private static func withKeys(
        _ invocation: Invocation, throughNode: (NodeClient) async throws -> JSONValue,
        directly: (APIKeys, Instant) async throws -> JSONValue
    ) async throws -> JSONValue {
        do { return try await throughNode(try NodeClient(invocation)) } catch let error as ApusError where error.code == .nodeUnreachable {
            // A node that was named is the one that was meant.
            if invocation.isSet(ClientOptions.url) { throw error }
            let configuration = try NodeOptions.validated(invocation) { _ in }
            guard configuration.catalog.url != nil || FileContents.exists(configuration.sqlitePath) else { throw error }
            return try await onCatalog(configuration, directly)
        }
    }

    private static func onCatalog(
        _ configuration: Configuration, _ body: (APIKeys, Instant) async throws -> JSONValue
    ) async throws -> JSONValue {
        let clock = BootClock()
        let deadline = clock.now.advanced(by: .seconds(30))
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        let database: any Database
        if let url = configuration.catalog.url {
            database = try await PostgreSQLDatabase.open(url: url, loops: loops, deadline: deadline)
        } else {
            database = try await SQLiteDatabase.open(path: configuration.sqlitePath, mode: .readWrite)
        }
        let result: Result<JSONValue, any Error>
        do { result = .success(try await body(try await Catalog.open(database, clock: clock, deadline: deadline).keys, deadline)) } catch {
            result = .failure(error)
        }
        await database.close()
        return try result.get()
    }

    private static func json(_ key: APIKey) -> JSONObject {
        [
            "id": .string(key.id), "name": .string(key.name), "role": .string(key.role.rawValue),
            "collections": key.scope.patterns.map { .array($0.map(JSONValue.string)) } ?? .null,
            "created_at": .string(key.createdAt.description), "revoked_at": key.revokedAt.map { .string($0.description) } ?? .null,
        ]
    }
}
