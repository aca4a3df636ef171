internal import ApusHTTP
internal import ApusTypes

enum WhyCommand {
    static let command: Command = Command(
        name: "why", summary: "Show what was decided about a node or a shard, and why.",
        discussion: "Prints what was recorded when it was decided, newest first; nothing is worked out again.",
        arguments: [
            Argument(name: "KIND", help: "node or shard.", isRequired: false, values: .choice(["node", "shard"])),
            Argument(name: "NAME", help: "The node's name, or the shard's number in the catalog.", isRequired: false),
        ],
        options: [limit] + ClientOptions.all,
        examples: [
            .init("apus why shard 7", "why it is where it is"), .init("apus why", "the newest decisions about anything"),
        ],
        run: { invocation in
            var path = "/api/records?limit=\(invocation.text(limit) ?? "20")"
            if let kind = invocation.argument(0) {
                path += "&subject=" + NodeClient.segment("\(kind) \(try invocation.required(1))")
            }
            let reply = try await NodeClient(invocation).call(.get, path)
            if invocation.wantsJSON {
                invocation.terminal.print(reply.description)
                return .success
            }
            let records = reply["records"]?.asArray ?? []
            for record in records {
                func text(_ member: String) -> String { Outline.plain(record[member] ?? .null) }
                invocation.terminal.print("\(text("at"))  \(invocation.terminal.styled(text("subject"), .bold)): \(text("summary"))")
                if let candidates = record["inputs"]?["candidates"]?.asString { invocation.terminal.print("    \(candidates)") }
            }
            if records.isEmpty { invocation.terminal.note("Nothing is recorded.") }
            return records.isEmpty ? .negative : .success
        })

    private static let limit = Option.value("limit", "N", .integer(1...1000), "At most so many; default 20.")
}
