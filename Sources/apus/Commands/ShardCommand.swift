internal import ApusHTTP
internal import ApusTypes

/// Where shards are, and where they are to be.
enum ShardCommand {
    static let command: Command = Command(
        name: "shard", summary: "Show where shards are served and why, and move them.", subcommands: [list, move, why])

    private static let shard = Argument(name: "COLLECTION/N", help: "A collection's shard, by its number from 0.", values: .named(.shards))
    private static let node = Option.value("node", "NODE", .named(.nodes), "Only those that this node has a replica of.")
    private static let target = Option.value("to", "NODE", .named(.nodes), "The node that is to serve it.")
    private static let source = Option.value("from", "NODE", .named(.nodes), "The node that gives it up; needed where several serve it.")

    private static let list: Command = Command(
        name: "list", summary: "List the shards and the nodes that serve them.",
        arguments: [Argument(name: "COLLECTION", help: "Only its shards.", isRequired: false, values: .named(.collections))],
        options: [node] + ClientOptions.all,
        examples: [
            .init("apus shard list words", "each shard's nodes, and what the replicas are doing"),
            .init("apus shard list --node n2", "what a node has"),
        ],
        run: { invocation in
            let query = [("collection", invocation.argument(0)), ("node", invocation.text(node))].compactMap { name, value in
                value.map { "\(name)=\(NodeClient.segment($0))" }
            }
            let reply = try await NodeClient(invocation).call(
                .get, "/api/shards" + (query.isEmpty ? "" : "?" + query.joined(separator: "&")))
            let shards = reply["shards"]?.asArray ?? []
            if invocation.wantsJSON {
                invocation.printJSON(["shards": .array(shards)])
            } else if shards.isEmpty {
                invocation.terminal.print("no shards")
            } else {
                var table = Table(header: ["SHARD", "ID", "FACTOR", "REPLICAS"], rightAligned: [1, 2])
                table.rows = shards.map { shard in
                    let replicas = (shard["replicas"]?.asArray ?? []).map { replica in
                        "\(Outline.plain(replica["node"] ?? .null)) \(Outline.plain(replica["state"] ?? .null))"
                    }
                    return [
                        "\(Outline.plain(shard["collection"] ?? .null))/\(Outline.plain(shard["number"] ?? .null))",
                        Outline.plain(shard["shard"] ?? .null), Outline.plain(shard["replication_factor"] ?? .null),
                        replicas.isEmpty ? "none" : replicas.joined(separator: ", "),
                    ]
                }
                table.lines(invocation.terminal).forEach { invocation.terminal.print($0) }
            }
            return .success
        })

    private static let move: Command = Command(
        name: "move", summary: "Have another node serve a shard.",
        discussion: """
            The new node loads the shard and serves it before the old one stops, so that no search misses it. What would make the loads \
            uneven is moved back in time, unless rebalancing is paused; --dry-run says so.
            """,
        arguments: [shard], options: [target, source, ClientOptions.dryRun] + ClientOptions.all,
        examples: [
            .init("apus shard move words/3 --to n2 --dry-run", "what would happen, and what forbids it"),
            .init("apus shard move words/3 --to n2 --from n1", "where several nodes serve it"),
        ],
        run: { invocation in
            let name = try invocation.required(0)
            let (collection, number) = try parse(name)
            guard let target = invocation.text(target) else {
                throw ApusError(.usage, "--to is missing: the node that is to serve the shard", hint: "apus shard move --help")
            }
            let isTrial = invocation.isSet(ClientOptions.dryRun)
            var path = "/api/collections/\(NodeClient.segment(collection))/shards/\(number)/move?to=\(NodeClient.segment(target))"
            if let source = invocation.text(source) { path += "&from=\(NodeClient.segment(source))" }
            if isTrial { path += "&dry_run=true" }
            let reply = try await NodeClient(invocation).call(.post, path)
            var text = "\(isTrial ? "would move" : "moving") \(name) from \(Outline.plain(reply["from"] ?? .null)) to \(target)"
            for follower in reply["follows"]?.asArray ?? [] { text += "\nthen the balance moves " + RebalanceCommand.line(follower) }
            return invocation.answer(reply.asObject ?? JSONObject(), text)
        })

    private static let why: Command = Command(
        name: "why", summary: "Show what was decided about a shard, and why.",
        discussion: "Prints what was recorded when it was decided, newest first; nothing is worked out again.",
        arguments: [shard], options: [WhyCommand.limit] + ClientOptions.all,
        examples: [.init("apus shard why words/3", "why it is where it is")],
        run: { invocation in
            let client = try NodeClient(invocation)
            return try await WhyCommand.show("shard \(try await id(of: try invocation.required(0), client))", client, invocation)
        })

    /// The catalog's number of `collection/number`.
    static func id(of name: String, _ client: NodeClient) async throws -> String {
        let (collection, number) = try parse(name)
        let reply = try await client.call(.get, "/api/shards?collection=\(NodeClient.segment(collection))")
        let shards = reply["shards"]?.asArray ?? []
        guard let id = shards.first(where: { $0["number"]?.asInteger == Int64(number) })?["shard"]?.asInteger else {
            throw ApusError(
                .shardUnknown, "'\(collection)' has no shard \(number): its shards are 0 to \(shards.count - 1)", hint: "apus shard list")
        }
        return String(id)
    }

    /// `shard words/3` of what records call `shard 17`.
    static func names(_ client: NodeClient) async throws -> [String: String] {
        let shards = try await client.call(.get, "/api/shards")["shards"]?.asArray ?? []
        return Dictionary(
            shards.compactMap { shard in
                guard let collection = shard["collection"]?.asString, let number = shard["number"]?.asInteger else { return nil }
                return ("shard \(Outline.plain(shard["shard"] ?? .null))", "shard \(collection)/\(number)")
            }, uniquingKeysWith: { first, _ in first })
    }

    private static func parse(_ name: String) throws(ApusError) -> (collection: String, number: Int) {
        guard let slash = name.lastIndex(of: "/"), slash != name.startIndex, let number = Int(name[name.index(after: slash)...]),
            number >= 0
        else {
            throw ApusError(.usage, "a shard is named by its collection and number, words/3, not '\(name)'", hint: "apus shard list")
        }
        return (String(name[..<slash]), number)
    }
}
