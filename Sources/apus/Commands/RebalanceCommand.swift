internal import ApusHTTP
internal import ApusTypes

/// Evening the nodes' loads out, which the leader does by itself.
enum RebalanceCommand {
    static let command: Command = Command(
        name: "rebalance", summary: "Even the nodes' loads out now, or pause that.",
        discussion: """
            The cluster does this by itself whenever a node joins, leaves or dies, a few shards at a time: each is served where it was until it \
            is served where it goes. While it is paused nothing is moved only to even loads out; shards that too few nodes serve, nodes that \
            drain, and 'apus shard move' go on.
            """,
        options: [ClientOptions.dryRun] + ClientOptions.all,
        examples: [
            .init("apus rebalance --dry-run", "what would move, and the replicas of each node before and after"),
            .init("apus rebalance", "look at the loads now"),
        ],
        subcommands: [pause, resume, status],
        run: { invocation in
            let isTrial = invocation.isSet(ClientOptions.dryRun)
            let plan = try await NodeClient(invocation).call(.post, "/api/rebalance" + (isTrial ? "?dry_run=true" : ""))
            return show(plan, invocation)
        })

    private static let status: Command = Command(
        name: "status", summary: "Show what is moving and what is to be.", options: ClientOptions.all,
        examples: [.init("apus rebalance status", "moves under way, and replicas of each node")],
        run: { invocation in show(try await NodeClient(invocation).call(.get, "/api/rebalance"), invocation) })

    private static let pause: Command = switching(
        "pause", "Begin no move that only evens loads out.", "rebalancing is paused",
        example: "before machines are taken in and out for a while")

    private static let resume: Command = switching(
        "resume", "Even loads out again.", "rebalancing goes on", example: "after 'apus rebalance pause'")

    private static func switching(_ name: String, _ summary: String, _ done: String, example: String) -> Command {
        Command(
            name: name, summary: summary, options: [ClientOptions.dryRun] + ClientOptions.all,
            examples: [.init("apus rebalance \(name)", example)],
            run: { invocation in
                let isTrial = invocation.isSet(ClientOptions.dryRun)
                let reply = try await NodeClient(invocation).call(.post, "/api/rebalance/\(name)" + (isTrial ? "?dry_run=true" : ""))
                let isSame = reply["has_changed"] == false
                return invocation.answer(
                    reply.asObject ?? JSONObject(), isSame ? "nothing to do: \(done)" : isTrial ? "would \(name) rebalancing" : done)
            })
    }

    private static func show(_ plan: JSONValue, _ invocation: Invocation) -> ErrorCode.ExitCode {
        if invocation.wantsJSON {
            invocation.terminal.print(plan.description)
            return .success
        }
        func print(_ text: String) { invocation.terminal.print(text) }
        if plan["is_paused"] == true {
            print("paused by \(Outline.plain(plan["paused_by"] ?? .null)) at \(Outline.plain(plan["paused_at"] ?? .null))")
        }
        let (moving, planned) = (plan["moving"]?.asArray ?? [], plan["planned"]?.asArray ?? [])
        for move in moving { print("moving " + line(move)) }
        for move in planned { print("to move " + line(move)) }
        if moving.isEmpty, planned.isEmpty {
            // Those end when the others have served for long enough.
            let leaving = (plan["nodes"]?.asArray ?? []).contains {
                ($0["replicas"]?.asInteger ?? 0) > ($0["replicas_after"]?.asInteger ?? 0)
            }
            print(
                leaving
                    ? "nothing is to be loaded; replicas that were replaced end in a moment" : "nothing moves, and nothing is to be moved")
        }
        if let missing = plan["replicas_missing"]?.asInteger, missing > 0 { print("replicas that no node can have: \(missing)") }
        var table = Table(header: ["NODE", "REPLICAS", "AFTER", "AT MOST"], rightAligned: [1, 2, 3])
        table.rows = (plan["nodes"]?.asArray ?? []).map { node in
            ["node", "replicas", "replicas_after", "bound"].map { Outline.plain(node[$0] ?? .null) }
        }
        table.lines(invocation.terminal).forEach { print($0) }
        return .success
    }

    /// `words/3 from n1 to n2: n1 had a load of 9, above its bound of 6`
    static func line(_ move: JSONValue) -> String {
        func text(_ member: String) -> String { Outline.plain(move[member] ?? .null) }
        let from = move["from"]?.asArray?.isEmpty == false ? " from \(text("from"))" : ""
        return "\(text("collection"))/\(text("number"))\(from) to \(text("to"))" + (move["why"] == nil ? "" : ": \(text("why"))")
    }
}
