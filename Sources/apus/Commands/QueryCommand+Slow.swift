internal import ApusHTTP
internal import ApusTypes

/// `apus query slow`: what to mend first.
extension QueryCommand {
    private static let node = Option.value("node", "NAME", .named(.nodes), "Only this node's.")
    private static let clear = Option.flag("clear", "Forget them all, on every node or on --node.")

    static let slow: Command = Command(
        name: "slow", summary: "List the statements of data sources that took long, of all nodes.",
        discussion: """
            Those that took most time of all come first, since the nodes started. Statements are shown as they were sent, without clients' values. \
            What is slow is said by query.slow_seconds.
            """,
        options: [node, clear] + ClientOptions.all,
        examples: [
            .init("apus query slow", "how often, how long, for which field, and the SQL"),
            .init("apus query slow --clear", "begin anew, after an index was made"),
        ],
        run: { invocation in
            let client = try NodeClient(invocation)
            let path = "/api/slow-statements" + (invocation.text(node).map { "?node=" + NodeClient.segment($0) } ?? "")
            let isCleared = invocation.isSet(clear)
            let answer = try await client.call(isCleared ? .delete : .get, path)
            if invocation.wantsJSON { return invocation.answer(answer.asObject ?? [:], "") }
            if isCleared { invocation.terminal.note("they are forgotten") } else { show(answer, invocation) }
            for missing in answer["missing"]?.asArray ?? [] {
                invocation.terminal.note(
                    "\(Outline.plain(missing["node"] ?? .null)) does not answer: \(Outline.plain(missing["reason"] ?? .null))")
            }
            return .success
        })

    private static func show(_ answer: JSONValue, _ invocation: Invocation) {
        var found: [(time: Double, lines: [String])] = []
        for node in answer["nodes"]?.asArray ?? [] {
            for statement in node["statements"]?.asArray ?? [] {
                func text(_ name: String) -> String { Outline.plain(statement[name] ?? .null) }
                func seconds(_ name: String) -> Double { statement[name]?.asDouble ?? 0 }
                func shown(_ name: String) -> String { "\(Double(Int(seconds(name) * 1000)) / 1000) s" }
                let title =
                    "\(text("source")) \(text("field")): \(text("count")) times, longest \(shown("longest_seconds")), together \(shown("seconds")), "
                    + "last \(text("last")) on \(Outline.plain(node["node"] ?? .null))"
                let sql = text("sql")
                found.append((seconds("seconds"), [invocation.terminal.styled(title, .bold)] + (sql.isEmpty ? [] : ["  " + sql])))
            }
        }
        if found.isEmpty { invocation.terminal.note("no statement took as long as query.slow_seconds") }
        for statement in found.sorted(by: { $0.time > $1.time }) { statement.lines.forEach { invocation.terminal.print($0) } }
    }
}
