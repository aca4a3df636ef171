internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes

enum StatusCommand {
    static let command: Command = Command(
        name: "status", summary: "Show how a running node and its cluster are.",
        discussion: """
            Exits with 0 when the node is ready to read and write, with 69 when it is not or does not answer. The failure tolerance is the number \
            of nodes that may be lost, whichever they are.
            """,
        options: [watch, ClientOptions.urls, ClientOptions.keyFile],
        examples: [
            .init("apus status", "the node on this machine"),
            .init("apus status --url http://10.0.0.1:15002 --json", "another node, for a program to read"),
            .init("apus status --watch", "the same each second, with moves and rates, until Ctrl-C; a line each second in a pipe"),
        ],
        run: { invocation in
            let nodes = try AnyNode(invocation, loops: EventLoops(count: 1))
            if invocation.isSet(watch) { try await follow(nodes, invocation) }
            let status = try await nodes.get("/api/status", timeout: .seconds(5))
            if invocation.wantsJSON {
                invocation.terminal.print(status.description)
            } else {
                lines(status, invocation.terminal).forEach { invocation.terminal.print($0) }
            }
            let isReady = ["read", "write"].allSatisfy { status["readiness"]?[$0]?["is_ready"]?.asBool == true }
            return isReady ? .success : .unavailable
        })

    private static let watch = Option.flag("watch", short: "w", "Look again each second, until it is stopped.")

    /// Draws over what it drew before on a terminal; in a pipe each look is a line.
    private static func follow(_ nodes: AnyNode, _ invocation: Invocation) async throws -> Never {
        let terminal = invocation.terminal
        var watch = StatusWatch()
        if terminal.outputIsTerminal, !invocation.wantsJSON { Terminal.write("\u{1B}[2J", to: 1) }
        while true {
            let next = BootClock.now.advanced(by: .seconds(1))
            var shown: [String]
            do throws(ApusError) {
                let vitals = try await nodes.get("/api/vitals", timeout: .seconds(2))
                let rates = watch.rates(vitals, at: BootClock.now)
                let status = try await nodes.get("/api/status", timeout: .seconds(5))
                if invocation.wantsJSON {
                    shown = [JSONValue.object(["status": status, "vitals": vitals]).description]
                } else if terminal.outputIsTerminal {
                    shown = lines(status, terminal, rates: rates)
                } else {
                    shown = ["\(BootClock().wallTime) \(StatusWatch.line(status, rates))"]
                }
            } catch {
                guard error.code.surface.exit == .unavailable else { throw error }
                shown =
                    invocation.wantsJSON
                    ? [String(decoding: ErrorDocument(error).json, as: UTF8.self)] : ["\(BootClock().wallTime) \(error.summary)"]
            }
            if terminal.outputIsTerminal, !invocation.wantsJSON {
                Terminal.write("\u{1B}[H" + shown.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J", to: 1)
            } else {
                shown.forEach { terminal.print($0) }
            }
            try await BootClock().sleep(until: next)
        }
    }

    /// What is said below a list of nodes of those that others do not reach.
    static func unreached(_ nodes: [JSONValue], _ terminal: Terminal) -> [String] {
        nodes.compactMap { node in
            guard let unreached = node["unreached"]?.asObject, let name = node["name"]?.asString else { return nil }
            func names(_ member: String) -> String { (unreached[member]?.asArray ?? []).map { Outline.plain($0) }.joined(separator: ", ") }
            let title = terminal.styled("unreached", .yellow)
            guard names("answers").isEmpty else {
                return "\(title): \(name) answers \(names("answers")) again, and not \(names("failures")): it is given nothing"
            }
            let emptied = unreached["is_emptied"]?.asBool == true ? "; its shards are placed elsewhere" : ""
            let time = ImportProgress.time(unreached["seconds"]?.asDouble ?? 0)
            return "\(title): \(name) beats, and has not answered \(names("failures")) for \(time)\(emptied); try: apus doctor cluster"
        }
    }

    /// `rates`: of each node, where they are known.
    static func lines(_ status: JSONValue, _ terminal: Terminal, rates: [String: StatusWatch.Rate]? = nil) -> [String] {
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
            // Two parts of the node may have one reason.
            var reasons: [String] = []
            for problem in readiness?["problems"]?.asArray ?? [] {
                let reason = text(problem["problem"]) + " (\(text(problem["code"])))"
                if !reasons.contains(reason) { reasons.append(reason) }
            }
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
        let nodes = status["nodes"]?.asArray ?? []
        if let tolerance = status["failure_tolerance"]?.asObject {
            add("failure tolerance", "\(text(tolerance["nodes"])): \(text(tolerance["reason"]))")
            for loss in tolerance["losses"]?.asArray ?? [] where nodes.count > 1 && loss["outcome"] != "survived" {
                let reasons = (loss["reasons"]?.asArray ?? []).map { text($0) }.joined(separator: "; ")
                lines.append("  without \(text(loss["node"])): \(reasons)")
            }
        } else {
            add("failure tolerance", "not known while the catalog is away")
        }
        let moves = status["moves"]?.asArray ?? []
        if let shards = status["shards"]?.asObject, nodes.count > 1 || !moves.isEmpty {
            add(
                "shards",
                "\(text(shards["served"])) of \(text(shards["total"])) served, \(moves.count) replica\(moves.count == 1 ? "" : "s") on the way"
            )
        }

        if nodes.count > 1 {
            var table = Table(
                header: ["NODE", "STATUS", "URL", "SHARDS"] + (rates == nil ? [] : ["REQUESTS/S", "FAILURES/S"]), rightAligned: [3, 4, 5])
            table.rows = nodes.map { node in
                let rate = rates?[text(node["name"])]
                let numbers = [rate?.requests, rate?.failures].map { $0.map { String(Int($0.rounded())) } ?? "?" }
                return ["name", "status", "url", "shards"].map { text(node[$0]) } + (rates == nil ? [] : numbers)
            }
            lines += [""] + table.lines(terminal)
        }
        lines += unreached(nodes, terminal)
        if rates != nil, !moves.isEmpty {
            var table = Table(header: ["MOVE", "NODE", "STATE"])
            table.rows = moves.prefix(10).map { ["shard \(text($0["shard"]))", text($0["node"]), text($0["state"])] }
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
