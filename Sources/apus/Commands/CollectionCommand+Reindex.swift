internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes

extension CollectionCommand {
    private static let alias = Option.value("alias", "NAME", "Switch this alias to the new collection when it holds everything.")
    private static let resume = Option.flag(
        "resume", "Go on with a new collection that holds points already; what the old one does not hold is deleted from it.")
    /// Rounds after the first do only what was written meanwhile. Beyond, writes are faster than this.
    private static let mostRounds = 10

    static let reindex: Command = Command(
        name: "reindex", summary: "Copy a collection into a new one with another number of shards.",
        discussion: """
            Shards are not split: points go to a new collection, made with the same vectors and settings, and an alias leads from one to the \
            other. The points are copied in the order of their ids, with vectors and payloads, in rounds: each finds what was written to the old \
            collection during the one before. When nothing was written to the old collection during a whole round, the alias is switched. Writes that \
            go to the old collection after that are not copied, so let writers use the alias, or pause them for the last round. What was begun \
            can be repeated with --resume. The old collection stays until it is deleted.
            """,
        arguments: [
            Argument(name: "OLD", help: "The collection to copy, or an alias of it.", values: .named(.collections)),
            Argument(name: "NEW", help: "The collection to make."),
        ],
        options: [shards, alias, resume, ClientOptions.dryRun] + ClientOptions.all,
        examples: [
            .init("apus collection reindex words words-2 --shards 8 --alias current-words", "spread over 8 shards, then switch the alias"),
            .init("apus collection reindex words words-2 --shards 8 --resume", "go on after an interruption"),
        ],
        run: { invocation in
            let (old, new) = (try invocation.required(0), try invocation.required(1))
            let client = try NodeClient(invocation)
            if invocation.isSet(ClientOptions.dryRun) {
                let found = try await client.call(.get, "/collections/\(NodeClient.segment(old))")
                let count = found["vector_count"]?.asInteger.map { "\(grouped(Int($0))) points" } ?? "its points"
                return invocation.answer(
                    ["would_copy": found, "to": .string(new)], "would copy '\(old)' with \(count) into '\(new)'")
            }
            var copying = Copying(client: client, old: old, new: new, invocation: invocation)
            let isStill = try await copying.run(mostRounds, shards: invocation.integer(shards), resumes: invocation.isSet(resume))
            guard isStill else {
                throw ApusError(
                    .shardBusy, "'\(old)' is written to faster than it is copied; '\(new)' is nearly the same, and no alias was switched",
                    hint: "pause its writers, and go on with --resume")
            }
            if let name = invocation.text(alias) {
                let action: JSONValue = ["create_alias": ["alias_name": .string(name), "collection_name": .string(new)]]
                _ = try await client.call(.post, "/qdrant/collections/aliases", JSONValue.object(["actions": [action]]).serialized())
            }
            let switched = invocation.text(alias)
            return invocation.answer(
                [
                    "copied": .string(old), "to": .string(new), "points": .integer(Int64(copying.points)),
                    "alias": switched.map(JSONValue.string) ?? .null,
                ],
                "'\(new)' holds all \(grouped(copying.points)) points of '\(old)'" + (switched.map { ", and '\($0)' leads to it" } ?? ""))
        })
}

/// A copy under way.
private struct Copying {
    let client: NodeClient
    let old: String
    let new: String
    let invocation: Invocation
    private(set) var points = 0

    init(client: NodeClient, old: String, new: String, invocation: Invocation) {
        self.client = client
        self.old = old
        self.new = new
        self.invocation = invocation
    }

    /// False if the old collection did not hold still for a round.
    mutating func run(_ rounds: Int, shards: Int?, resumes: Bool) async throws -> Bool {
        for round in 0..<rounds {
            var body: JSONObject = ["to": .string(new), "resume": .bool(resumes || round > 0)]
            if let shards { body["shards"] = .integer(Int64(shards)) }
            var progress = ImportProgress(
                terminal: invocation.terminal, isQuiet: invocation.wantsJSON, now: BootClock().now, rows: 0, share: 0)
            var (done, changes) = (0, 0)
            var first: JSONValue?
            while true {
                let reply = try await step(body)
                if first == nil { first = reply["source_before"] }
                done += Int(reply["compared"]?.asInteger ?? 0)
                changes += Int((reply["written"]?.asInteger ?? 0) + (reply["deleted"]?.asInteger ?? 0))
                points = Int(reply["source_points"]?.asInteger ?? 0)
                progress.update(rows: done, total: points, share: points == 0 ? 1 : Double(done) / Double(points), now: BootClock().now)
                guard let next = reply["next"]?.asString else {
                    progress.clear()
                    if reply["source_after"] == first { return true }
                    break
                }
                body = ["to": .string(new), "from": .string(next)]
            }
            if !invocation.wantsJSON { invocation.terminal.note("round \(round + 1): \(grouped(changes)) points were written or deleted") }
        }
        return false
    }

    /// Steps are safe to repeat: what is busy or away for a moment is asked again.
    private func step(_ body: JSONObject) async throws -> JSONValue {
        let clock = BootClock()
        for attempt in 0..<10 {
            let reply = try await client.send(
                .post, "/api/collections/\(NodeClient.segment(old))/copy", JSONValue.object(body).serialized(), timeout: .seconds(150))
            if reply.status == 429 || reply.status == 503, attempt < 9 {
                try await clock.sleep(until: clock.now.advanced(by: reply.retryAfter ?? .seconds(1)), tolerance: nil)
                continue
            }
            guard reply.status < 400 else { throw NodeClient.error(reply, "/collections/") }
            return reply.body
        }
        throw ApusError(.nodeUnready, "the node did not take the copy's steps")
    }
}
