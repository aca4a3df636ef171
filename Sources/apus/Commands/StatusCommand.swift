internal import ApusHTTP
internal import ApusTypes

enum StatusCommand {
    static let command: Command = Command(
        name: "status", summary: "Show how a running node and its cluster are.",
        discussion: "Exits with 0 when the node is ready to read and write, with 69 when it is not or does not answer.",
        options: ClientOptions.all,
        examples: [
            .init("apus status", "the node on this machine"),
            .init("apus status --url http://10.0.0.1:15002 --json", "another node, for a program to read"),
        ],
        run: { invocation in
            let client = try NodeClient(invocation)
            let status = try await client.call(.get, "/api/status", timeout: .seconds(5))
            if invocation.wantsJSON {
                invocation.terminal.print(status.description)
            } else {
                lines(status, invocation.terminal).forEach { invocation.terminal.print($0) }
            }
            let isReady = ["read", "write"].allSatisfy { status["readiness"]?[$0]?["is_ready"]?.asBool == true }
            return isReady ? .success : .unavailable
        })

    static func lines(_ status: JSONValue, _ terminal: Terminal) -> [String] {
        var lines: [String] = []
        func add(_ title: String, _ text: String) {
            lines.append(terminal.styled(title, .bold) + String(repeating: " ", count: max(1, 13 - title.count)) + text)
        }
        func text(_ value: JSONValue?) -> String { Outline.plain(value ?? .null) }

        let node = status["node"]
        let up = node?["uptime_seconds"]?.asDouble.map { ", up " + ImportProgress.time($0) } ?? ""
        add("node", "\(text(node?["name"])) at \(text(node?["url"])), version \(text(node?["version"]))\(up)")
        let listeners = status["listeners"]?.asObject?.map { "\(text($0.value)) (\($0.key))" } ?? []
        if !listeners.isEmpty { add("listens", listeners.joined(separator: ", ")) }
        for (title, role) in [("reads", "read"), ("writes", "write")] {
            let readiness = status["readiness"]?[role]
            let reasons = (readiness?["problems"]?.asArray ?? []).map { text($0["problem"]) + " (\(text($0["code"])))" }
            let isReady = readiness?["is_ready"]?.asBool == true
            add(title, isReady ? terminal.styled("ready", .green) : terminal.styled("not ready: ", .red) + reasons.joined(separator: "; "))
        }
        if status["readiness"]?["is_draining"]?.asBool == true {
            add("draining", "it takes no new work and ends when the running work is done")
        }

        let catalog = status["catalog"]
        let latency = catalog?["latency_seconds"]?.asDouble.map { ", answers in \(Double(Int($0 * 100_000)) / 100) ms" } ?? ""
        let away = catalog?["is_available"]?.asBool == false ? ", away: \(text(catalog?["problem"]))" : ""
        let readOnly = catalog?["is_read_only"]?.asBool == true ? ", read-only" : ""
        add("catalog", text(catalog?["kind"]) + latency + away + readOnly)
        add("store", text(status["store"]?["place"]))
        add("tolerance", text(status["failure_tolerance"]))

        if let nodes = status["nodes"]?.asArray, nodes.count > 1 {
            var table = Table(header: ["NODE", "STATUS", "URL", "SHARDS"], rightAligned: [3])
            table.rows = nodes.map { [text($0["name"]), text($0["status"]), text($0["url"]), text($0["shards"])] }
            lines += [""] + table.lines(terminal)
        }
        if let missing = status["missing_nodes"]?.asArray, !missing.isEmpty {
            let names = missing.map { node in node["name"]?.asString.map { "\($0) (\(text(node["address"])))" } ?? text(node["address"]) }
            lines += ["", "\(terminal.styled("missing", .yellow)): expected, and no node: \(names.joined(separator: ", "))"]
        }
        if let collections = status["collections"]?.asArray, !collections.isEmpty {
            var table = Table(header: ["COLLECTION", "POINTS", "DIMENSION", "METRIC", "MEMORY", ""], rightAligned: [1, 2, 4])
            table.rows = collections.map { collection in
                [
                    text(collection["name"]), collection["points"]?.asInteger.map { grouped(Int($0)) } ?? "?",
                    text(collection["dimension"]),
                    text(collection["metric"]), collection["memory_bytes"]?.asInteger.map { ByteCount(Int($0)).description } ?? "?",
                    collection["is_complete"]?.asBool == false ? "still loading" : "",
                ]
            }
            lines += [""] + table.lines(terminal)
        } else {
            add("collections", status["collections"]?.asArray == nil ? text(status["collections_problem"]) : "none yet")
        }
        for problem in status["problems"]?.asArray ?? [] {
            lines += [
                "",
                "\(terminal.styled("problem", .yellow)): \(text(problem["component"])): \(text(problem["problem"])) (\(text(problem["code"])))",
            ]
            if let hint = problem["hint"]?.asString { lines.append("  try: \(hint)") }
        }
        return lines
    }
}
