internal import ApusHTTP
internal import ApusTypes

/// What operators do with the nodes of a running cluster.
extension NodeCommand {
    static let list: Command = Command(
        name: "list", summary: "List the cluster's nodes.", options: ClientOptions.all,
        examples: [.init("apus node list", "names, states, addresses, shards")],
        run: { invocation in
            let status = try await NodeClient(invocation).call(.get, "/api/status", timeout: .seconds(5))
            guard let nodes = status["nodes"]?.asArray else {
                throw ApusError(.catalogUnavailable, "the node cannot say who the others are: its catalog is away", hint: "apus status")
            }
            if invocation.wantsJSON {
                invocation.printJSON(["nodes": .array(nodes)])
                return .success
            }
            var table = Table(header: ["NODE", "STATUS", "URL", "VERSION", "SHARDS"], rightAligned: [4])
            table.rows = nodes.map { node in ["name", "status", "url", "version", "shards"].map { Outline.plain(node[$0] ?? .null) } }
            (table.lines(invocation.terminal) + StatusCommand.unreached(nodes, invocation.terminal)).forEach {
                invocation.terminal.print($0)
            }
            return .success
        })

    static let drain: Command = emptying(
        "drain", "Move what a node serves to others, and give it nothing more.", .post, "/drain",
        example: "before it is taken away for a while; 'apus node undrain n2' ends it")

    static let remove: Command = emptying(
        "remove", "Forget a node, after others serve what it served.", .delete, "", example: "a machine that does not come back")

    static let undrain: Command = Command(
        name: "undrain", summary: "Give a node work again that drains.", arguments: [node],
        options: [ClientOptions.dryRun] + ClientOptions.all,
        examples: [.init("apus node undrain n2", "after 'apus node drain n2'")],
        run: { invocation in
            let name = try invocation.required(0)
            let isTrial = invocation.isSet(ClientOptions.dryRun)
            let reply = try await NodeClient(invocation).call(.post, path(name) + "/undrain" + query(invocation))
            let text = isTrial ? "would give node '\(name)' work again" : "node '\(name)' takes work again"
            return invocation.answer(
                reply.asObject ?? JSONObject(), reply["has_changed"] == false ? "node '\(name)' does not drain: nothing to change" : text)
        })

    private static let life = Option.value(
        "expires", "TIME", "How long it can be used: 30s, 15m, 1h, 2d, or a number of seconds; an hour unless said.")

    static let token: Command = Command(
        name: "token", summary: "Make a token with which one machine joins the cluster.",
        discussion: """
            The token is a secret until it is used or has expired: who has it can become a node. It is printed once, and kept nowhere.
            """,
        options: [life] + ClientOptions.all,
        examples: [.init("apus node token", "then 'apus join TOKEN' on the new machine")],
        run: { invocation in
            let seconds = try invocation.text(life).map { text throws(ApusError) in
                guard let seconds = Int64(text) ?? LogsCommand.seconds(text) else {
                    throw ApusError(
                        .usage, "--expires must be a number of seconds, or a number and s, m, h or d, not '\(text)'", hint: "--expires 1h")
                }
                return seconds
            }
            let body: JSONValue = ["life_seconds": .integer(seconds ?? 3600)]
            let reply = try await NodeClient(invocation).call(.post, "/api/join/tokens", Array(body.description.utf8))
            return invocation.answer(reply.asObject ?? JSONObject(), reply["token"]?.asString ?? "")
        })

    private static let node = Argument(name: "NODE", help: "Its name, as 'apus node list' shows it.", values: .named(.nodes))
    private static let force = Option.flag("force", "Also where collections have fewer replicas then than they ask for.")

    private static func path(_ name: String) -> String { "/api/nodes/" + NodeClient.segment(name) }

    private static func query(_ invocation: Invocation) -> String {
        let set = [("dry_run", ClientOptions.dryRun), ("force", force)].filter { invocation.isSet($0.1) }.map { "\($0.0)=true" }
        return set.isEmpty ? "" : "?" + set.joined(separator: "&")
    }

    /// A dry run exits with 3 where the node would refuse.
    private static func emptying(_ name: String, _ summary: String, _ method: Method, _ suffix: String, example: String) -> Command {
        Command(
            name: name, summary: summary, arguments: [node], options: [force, ClientOptions.dryRun] + ClientOptions.all,
            examples: [
                .init("apus node \(name) n2 --dry-run", "what would move, and what forbids it"), .init("apus node \(name) n2", example),
            ],
            run: { invocation in
                let node = try invocation.required(0)
                let reply = try await NodeClient(invocation).call(method, path(node) + suffix + query(invocation))
                func count(_ member: String) -> Int { reply[member]?.asArray?.count ?? 0 }
                let isTrial = invocation.isSet(ClientOptions.dryRun)
                let shards = count("moves") == 1 ? "1 shard" : "\(count("moves")) shards"
                var text = "\(isTrial ? "would move" : "moving") \(shards) of node '\(node)' to others"
                let blockers = [("unserved", "that nobody else could serve"), ("short", "that would have fewer replicas than they should")]
                for (member, what) in blockers where count(member) > 0 {
                    let first = (reply[member]?.asArray ?? []).prefix(5).map { Outline.plain($0) }.joined(separator: ", ")
                    text += "\nshards \(what): \(count(member)) (\(first))"
                }
                let refusal = reply["refusal"]
                if let message = refusal?["message"]?.asString, let code = refusal?["code"]?.asString {
                    text += "\nwould be refused: \(message) (\(code))"
                    if let hint = refusal?["hint"]?.asString { text += "\ntry: \(hint)" }
                }
                if !isTrial, count("moves") > 0 { text += "\n'apus status --watch' shows how far it is" }
                _ = invocation.answer(reply.asObject ?? JSONObject(), text)
                return refusal?["code"] == nil ? .success : .refused
            })
    }
}
