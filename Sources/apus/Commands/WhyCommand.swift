internal import ApusHTTP
internal import ApusTypes

enum WhyCommand {
    static let command: Command = Command(
        name: "why", summary: "Show what was decided about a node, a shard or a collection, and why.",
        discussion: "Prints what was recorded when it was decided, newest first; nothing is worked out again.",
        arguments: [
            Argument(
                name: "KIND", help: "node, shard, collection or rebalance; or a node's name or a shard's COLLECTION/N alone.",
                isRequired: false,
                values: kinds, takesOthers: true),
            Argument(name: "NAME", help: "The node's or the collection's name; a shard's COLLECTION/N or its id.", isRequired: false),
        ],
        options: [limit] + ClientOptions.all,
        examples: [
            .init("apus why n2", "what was decided about a node"), .init("apus why shard words/3", "why it is where it is"),
            .init("apus why", "the newest decisions about anything"),
        ],
        run: { invocation in
            let client = try NodeClient(invocation)
            guard let first = invocation.argument(0) else { return try await show(nil, client, invocation) }
            if first == "rebalance" { return try await show(first, client, invocation) }
            var (kind, name) = (first, "")
            switch (kinds.complaint(about: first), invocation.argument(1)) {
            case (nil, let given?): name = given
            case (nil, nil):
                throw ApusError(
                    .usage, "NAME is missing: which \(kind)", hint: "apus why \(kind) \(kind == "shard" ? "COLLECTION/N" : "NAME")")
            case (_?, nil): (kind, name) = (first.contains("/") ? "shard" : "node", first)
            case (let complaint?, _?): throw ApusError(.usage, "KIND \(complaint), not '\(first)'", hint: "apus why --help")
            }
            if kind == "shard", name.contains("/") { name = try await ShardCommand.id(of: name, client) }
            return try await show("\(kind) \(name)", client, invocation)
        })

    private static let kinds = Values.choice(["node", "shard", "collection", "rebalance"])
    static let limit = Option.value("limit", "N", .integer(1...1000), "At most so many; default 20.")

    /// Prints the records of a subject, or of all.
    static func show(_ subject: String?, _ client: NodeClient, _ invocation: Invocation) async throws -> ErrorCode.ExitCode {
        var path = "/api/records?limit=\(invocation.text(limit) ?? "20")"
        if let subject { path += "&subject=" + NodeClient.segment(subject) }
        let reply = try await client.call(.get, path)
        if invocation.wantsJSON {
            invocation.terminal.print(reply.description)
            return .success
        }
        let records = reply["records"]?.asArray ?? []
        let names = records.contains { $0["subject"]?.asString?.hasPrefix("shard ") ?? false } ? try await ShardCommand.names(client) : [:]
        for record in records {
            func text(_ member: String) -> String { Outline.plain(record[member] ?? .null) }
            let subject = names[text("subject")] ?? text("subject")
            invocation.terminal.print("\(text("at"))  \(invocation.terminal.styled(subject, .bold)): \(text("summary"))")
            if let candidates = record["inputs"]?["candidates"]?.asString { invocation.terminal.print("    \(candidates)") }
        }
        if records.isEmpty { invocation.terminal.note("Nothing is recorded\(subject.map { " of \($0)" } ?? "").") }
        return records.isEmpty ? .negative : .success
    }
}
