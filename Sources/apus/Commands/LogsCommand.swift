internal import ApusRuntime
internal import ApusTypes

enum LogsCommand {
    static let command: Command = Command(
        name: "logs", summary: "Show what the nodes have logged lately.",
        discussion: """
            Any node answers for all of them, also while the catalog is away; who does not answer is named. Nodes keep their latest lines in \
            memory, some 20,000 of them; what is older is where their standard error goes.
            """,
        arguments: [Argument(name: "NODE", help: "Only this node's.", isRequired: false, values: .named(.nodes))],
        options: [tail, since, request, follow, ClientOptions.urls, ClientOptions.keyFile],
        examples: [
            .init("apus logs --tail 20", "the latest lines of each node"),
            .init("apus logs n2 --follow", "one node's, and what comes; Ctrl-C ends it"),
            .init("apus logs --since 1h --request 3f9a51c2", "what became of a request, wherever it went"),
        ],
        run: { invocation in
            let loops = EventLoops(count: 1)
            var reader = LogReader(
                nodes: try AnyNode(invocation, loops: loops), node: invocation.argument(0), most: invocation.integer(tail) ?? 100,
                since: try invocation.text(since).map { text throws(ApusError) in try moment(text) } ?? 0,
                word: invocation.text(request) ?? "")
            let names = try await show(&reader, invocation)
            guard invocation.isSet(follow) else {
                if !names { invocation.terminal.note("no line\(invocation.text(request).map { " mentions '\($0)'" } ?? "")") }
                return names ? .success : .negative
            }
            reader.most = 10_000
            while true {
                try await BootClock().sleep(for: .seconds(1))
                do throws(ApusError) { _ = try await show(&reader, invocation) } catch {
                    guard error.code == .nodeUnreachable else { throw error }
                    invocation.terminal.note("no node answers: \(error.summary)")
                }
            }
        })

    /// Prints one answer; whether there was a line in it.
    private static func show(_ reader: inout LogReader, _ invocation: Invocation) async throws(ApusError) -> Bool {
        let answer = try await reader.next()
        let terminal = invocation.terminal
        if invocation.wantsJSON {
            if !answer.lines.isEmpty || !invocation.isSet(follow) { terminal.print(answer.document.description) }
        } else {
            let width = answer.lines.map(\.node.count).max() ?? 0
            for line in answer.lines {
                let title = line.node + String(repeating: " ", count: width - line.node.count) + " |"
                let style: Terminal.Style? = line.level == "error" ? .red : line.level == "warning" ? .yellow : nil
                terminal.print("\(terminal.styled(title, .bold)) \(line.time) \(style.map { terminal.styled(line.text, $0) } ?? line.text)")
            }
        }
        for note in answer.notes { terminal.note(note) }
        return !answer.lines.isEmpty
    }

    private static let tail = Option.value(
        "tail", short: "n", "N", .integer(1...10_000), "At most so many lines of each node; default 100.")
    private static let since = Option.value("since", "TIME", "Not older: 30s, 15m, 1h, 2d.")
    private static let request = Option.value("request", "ID", "Only lines that mention this id of a request, or another word.")
    private static let follow = Option.flag("follow", short: "f", "Go on with what is logged from now on.")

    /// Nanoseconds since 1970 of so long ago.
    static func moment(_ text: String, now: WallTime = BootClock().wallTime) throws(ApusError) -> Int64 {
        guard let age = seconds(text) else {
            throw ApusError(.usage, "--since must be a number and s, m, h or d, not '\(text)'", hint: "--since 1h")
        }
        return (now.millisecondsSinceEpoch - age * 1000) * 1_000_000
    }

    /// Of `30s`, `15m`, `1h` or `2d`; nil for anything else.
    static func seconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Int64(text.dropLast()), (0...100_000_000).contains(count) else {
            return nil
        }
        return count * unit
    }
}
