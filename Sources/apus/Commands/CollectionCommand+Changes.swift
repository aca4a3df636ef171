internal import ApusHTTP
internal import ApusTypes
internal import ApusVectors

/// What changes about a collection in use, and deletions that are taken back.
extension CollectionCommand {
    static let deletedOnly = Option.flag("deleted", "List those that were deleted and can be brought back.")
    static let factor = Option.value(
        "replication-factor", "N", .integer(CollectionConfiguration.replicaCounts), "How many nodes are to serve each shard.")
    private static let newName = Option.value("as", "NAME", "Give it this name, where its own is taken.")
    private static let identifier = Option.value(
        "id", "N", .integer(1...Int.max), "Which of several that had the name: its id; default the one deleted last.")

    static let set: Command = Command(
        name: "set", summary: "Change a collection in use.",
        discussion: """
            More replicas are loaded beside those that serve; too many go when the others serve. Nothing is missing from searches meanwhile.
            """,
        arguments: [nameArgument], options: [factor, ClientOptions.dryRun] + ClientOptions.all,
        examples: [
            .init("apus collection set words --replication-factor 2 --dry-run", "how many replicas would be loaded"),
            .init("apus collection set words --replication-factor 2", "so that any one node may die"),
        ],
        run: { invocation in
            let name = try invocation.required(0)
            guard let wanted = invocation.integer(factor) else {
                throw ApusError(
                    .usage, "--replication-factor is missing: there is nothing else to change", hint: "apus collection set --help")
            }
            let isTrial = invocation.isSet(ClientOptions.dryRun)
            let body = JSONValue.object(["replication_factor": .integer(Int64(wanted))]).serialized()
            let reply = try await NodeClient(invocation).call(
                .patch, "/api/collections/\(NodeClient.segment(name))" + (isTrial ? "?dry_run=true" : ""), body)
            func count(_ member: String) -> Int64 { reply[member]?.asInteger ?? 0 }
            var text = "\(isTrial ? "would change" : "changed") the replication factor of '\(name)' from "
            let loads = count("replicas_to_load") == 1 ? "1 replica" : "\(count("replicas_to_load")) replicas"
            text += "\(count("replication_factor_before")) to \(wanted): \(loads) to load, "
            text += "\(count("replicas_to_drop")) to drop"
            if count("replicas_missing") > 0 { text += "\nreplicas that no node can have: \(count("replicas_missing")); add nodes" }
            return invocation.answer(reply.asObject ?? JSONObject(), text)
        })

    static let undelete: Command = Command(
        name: "undelete", summary: "Bring a deleted collection back.",
        discussion: """
            It comes back with its points, settings and snapshots, and with those of its aliases that are still free. Its shards are missing from searches \
            until nodes have loaded them. How long it can be brought back is a setting, retention.deleted_collection_seconds.
            """,
        arguments: [Argument(name: "COLLECTION", help: "The name that it had.")],
        options: [newName, identifier, ClientOptions.dryRun] + ClientOptions.all,
        examples: [
            .init("apus collection undelete words", "the one of this name that was deleted last"),
            .init("apus collection undelete words --as words-before", "beside a new collection of its name"),
        ],
        run: { invocation in
            let name = try invocation.required(0)
            let client = try NodeClient(invocation)
            let found = try await deleted(name, invocation.integer(identifier), client)
            let shown = invocation.text(newName) ?? name
            if invocation.isSet(ClientOptions.dryRun) {
                return invocation.answer(
                    ["would_undelete": found],
                    "would bring '\(name)' back as '\(shown)', deleted at \(Outline.plain(found["deleted_at"] ?? .null))")
            }
            let query = invocation.text(newName).map { "?name=" + NodeClient.segment($0) } ?? ""
            let reply = try await client.call(.post, "/api/deleted-collections/\(Outline.plain(found["id"] ?? .null))/undelete" + query)
            return invocation.answer(
                ["undeleted": reply["collection"] ?? .string(shown)], "'\(shown)' is back; its shards are being loaded")
        })

    /// The deleted collection of that name, or throws `collection.unknown`.
    static func deleted(_ name: String, _ id: Int?, _ client: NodeClient) async throws -> JSONValue {
        let all = try await client.call(.get, "/api/deleted-collections")["collections"]?.asArray ?? []
        let found = all.first { $0["name"] == .string(name) && (id == nil || $0["id"] == id.map { .integer(Int64($0)) }) }
        guard let found else {
            throw ApusError(
                .collectionUnknown, "there is no deleted collection '\(name)'" + (id.map { " with the id \($0)" } ?? ""),
                hint: "apus collection list --deleted")
        }
        return found
    }

    static func listDeleted(_ invocation: Invocation) async throws -> ErrorCode.ExitCode {
        let collections = try await NodeClient(invocation).call(.get, "/api/deleted-collections")["collections"]?.asArray ?? []
        if invocation.wantsJSON {
            invocation.printJSON(["collections": .array(collections)])
        } else if collections.isEmpty {
            invocation.terminal.print("no deleted collections that can be brought back")
        } else {
            var table = Table(header: ["NAME", "ID", "SHARDS", "DELETED AT"], rightAligned: [1, 2])
            table.rows = collections.map { found in ["name", "id", "shards", "deleted_at"].map { Outline.plain(found[$0] ?? .null) } }
            table.lines(invocation.terminal).forEach { invocation.terminal.print($0) }
        }
        return .success
    }
}
