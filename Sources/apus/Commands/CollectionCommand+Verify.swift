internal import ApusHTTP
internal import ApusTypes

extension CollectionCommand {
    static let verify: Command = Command(
        name: "verify", summary: "Compare what a node has in memory of a collection with the log.",
        discussion: """
            Shard by shard the node builds the points anew, from the segments in the store, whose checksums it checks, and the log in the \
            catalog, and compares their number and a digest over them with what it serves. Searches and writes go on. A shard's points that are \
            in no segment are in memory twice meanwhile. The exit status is 1 when something differs; a restart of the node \
            builds its memory anew.
            """,
        arguments: [nameArgument], options: ClientOptions.all,
        examples: [
            .init("apus collection verify words", "all shards, one after the other"),
            .init("apus collection verify words --json", "for a script"),
        ],
        run: { invocation in
            let name = try invocation.required(0)
            let client = try NodeClient(invocation)
            let path = "/api/collections/\(NodeClient.segment(name))/verify"
            var shards: [JSONValue] = []
            var (count, node): (Int, JSONValue) = (1, .null)
            while shards.count < count {
                if !invocation.wantsJSON, shards.count > 0 { progress(shards.count, count, invocation.terminal) }
                let reply = try await client.call(.post, "\(path)?shard=\(shards.count)", timeout: .seconds(3700))
                guard let shard = reply["shards"]?.asArray?.first, let all = reply["shard_count"]?.asInteger else {
                    throw ApusError(.internalError, "the node answered without shards")
                }
                (count, node) = (Int(all), reply["node"] ?? .null)
                shards.append(shard)
            }
            if !invocation.wantsJSON, count > 1 { progress(count, count, invocation.terminal) }
            let isWhole = shards.allSatisfy { $0["is_whole"]?.asBool == true }
            if invocation.wantsJSON {
                invocation.printJSON(["collection": .string(name), "node": node, "is_whole": .bool(isWhole), "shards": .array(shards)])
            } else {
                print(shards, invocation.terminal)
            }
            return isWhole ? .success : .negative
        })

    private static func progress(_ done: Int, _ count: Int, _ terminal: Terminal) {
        let line = done < count ? "\(done) of \(count) shards are verified" : ""
        if terminal.errorIsTerminal { terminal.redraw(line) } else if !line.isEmpty { terminal.note(line) }
    }

    private static func print(_ shards: [JSONValue], _ terminal: Terminal) {
        func number(_ value: JSONValue?) -> String { value?.asInteger.map { grouped(Int($0)) } ?? "?" }
        func digest(_ side: JSONValue?) -> String { String((side?["digest"]?.asString ?? "?").prefix(16)) }
        var table = Table(
            header: ["SHARD", "IN MEMORY", "IN THE LOG", "DIGEST IN MEMORY", "DIGEST OF THE LOG", "SEGMENTS", "OPERATIONS", "RESULT"],
            rightAligned: [0, 1, 2, 5, 6])
        table.rows = shards.map { shard in
            [
                number(shard["number"]), number(shard["memory"]?["points"]), number(shard["log"]?["points"]), digest(shard["memory"]),
                digest(shard["log"]), number(shard["segments"]), number(shard["operations"]),
                shard["is_whole"]?.asBool == true ? terminal.styled("whole", .green) : terminal.styled("differs", .red),
            ]
        }
        table.lines(terminal).forEach { terminal.print($0) }
        for shard in shards {
            let prefix = "shard \(number(shard["number"])): "
            for problem in shard["problems"]?.asArray ?? [] { terminal.print(prefix + (problem["message"]?.asString ?? "?")) }
            guard let differences = shard["differences"], differences != .null else { continue }
            terminal.print(
                prefix + "\(number(differences["missing"])) points are missing in memory, \(number(differences["extra"])) are too many, "
                    + "\(number(differences["changed"])) are not what was written; among them \(Outline.plain(differences["examples"] ?? .null))"
            )
        }
    }
}
