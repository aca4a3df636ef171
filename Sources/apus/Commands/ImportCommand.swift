internal import ApusHTTP
internal import ApusTypes

enum ImportCommand {
    private static let payload = Option.value("payload", "FILE.jsonl", .file(["jsonl"]), "A JSON object for each row of the .npy file.")
    private static let idField = Option.value(
        "id-field", "NAME", "The member with the point's id; default id. Without it, the row's number from 0.")
    private static let textField = Option.value(
        "text-field", "NAME", "Send this member of each line as the point's text, which the node embeds, instead of a vector.")
    private static let create = Option.flag("create", "Create the collection if it is not there.")
    private static let onError = Option.value(
        "on-error", "WHAT", .choice(["stop", "skip"]), "At a row that cannot be imported; default stop.")
    private static let batch = Option.value("batch", "ROWS", .integer(1...100_000), "Rows in one request; default 1000, of texts 50.")
    private static let inFlight = Option.value("in-flight", "N", .integer(1...64), "Requests at a time; default 4.")
    private static let stateDirectory = Option.value(
        "state", "DIR", .directory, "Where to note how far the import came; default: beside the input.")
    private static let restart = Option.flag("restart", "Begin with the first row, whatever an earlier run noted.")
    private static let patience = Option.value(
        "patience", "SECONDS", .integer(0...86_400), "How long the node may be busy or away before the import stops; default 60.")

    static let command: Command = Command(
        name: "import", summary: "Import points from a file into a collection.",
        discussion: """
            FILE is a .npy file of float16 or float32 with two dimensions, a row for each point, and --payload has a line of JSON for each row; \
            or it is a .jsonl file with {"id": …, "vector": […], "payload": {…}} on each line. With --text-field the lines hold texts for a \
            collection that embeds them; all other members are the payload.
            An import that was stopped goes on where it stopped when the same command is run again: what was acknowledged is not sent twice, \
            and what may or may not have arrived has one effect. A point with an id that is there already replaces it.
            Rows that cannot be imported are reported by their line; with --on-error skip the rest goes on, and the exit code is 1.
            With `hugr` and the core database of a Hugr (postgres://… or a .duckdb file) its data sources, catalogs, roles, permissions and \
            API keys are copied into this cluster, and the sources served; what is there already stays as it is, and what cannot be taken is \
            told with the reason, and the exit code is 1. Nothing is changed in that database.
            """,
        arguments: [
            CollectionCommand.newNameArgument, Argument(name: "FILE", help: "A .npy or .jsonl file.", values: .file(["npy", "jsonl"])),
        ],
        options: [
            payload, idField, textField, create, CollectionCommand.dimension, CollectionCommand.embedding, CollectionCommand.metric,
            CollectionCommand.shards,
            CollectionCommand.virtualNodes, CollectionCommand.factor,
            onError, batch, inFlight, patience, stateDirectory, restart, ClientOptions.dryRun,
        ] + ClientOptions.all,
        examples: [
            .init(
                "apus import words words.f16.npy --payload words.jsonl --create --metric cosine", "vectors and payloads beside each other"),
            .init("apus import notes notes.jsonl --text-field body --create --embedding minilm", "texts, which the node embeds"),
            .init("apus import words points.jsonl --on-error skip", "everything in one file; leave bad lines out"),
            .init("apus import words words.npy --dry-run", "check the file without sending anything"),
            .init("apus import hugr 'postgres://hugr:[$HUGR_PASSWORD]@db/hugr' --dry-run", "what a Hugr's core database would bring"),
        ],
        run: { invocation in
            if try isHugr(invocation) { return try await takeOver(invocation) }
            let file = try invocation.required(1)
            let field = invocation.text(idField) ?? "id"
            if file.hasSuffix(".npy") {
                guard !invocation.isSet(textField) else {
                    throw ApusError(.usage, "--text-field goes with a .jsonl file; a .npy file holds vectors")
                }
                var source = try NumPySource(vectors: file, payloads: invocation.text(payload), idField: field)
                return try await run(&source, invocation)
            }
            guard file.hasSuffix(".jsonl") || file.hasSuffix(".ndjson") else {
                throw ApusError(.usage, "'\(file)' is neither a .npy nor a .jsonl file", hint: "apus import --help")
            }
            guard !invocation.isSet(payload) else {
                throw ApusError(.usage, "--payload goes with a .npy file; a .jsonl file holds payloads itself")
            }
            if let text = invocation.text(textField) {
                var source = try TextLinesSource(path: file, idField: field, textField: text)
                return try await run(&source, invocation)
            }
            var source = try JSONLinesSource(path: file, idField: field)
            return try await run(&source, invocation)
        })

    private static func run(_ source: inout some PointSource, _ invocation: Invocation) async throws -> ErrorCode.ExitCode {
        let collection = try invocation.required(0), file = try invocation.required(1)
        if let wanted = invocation.integer(CollectionCommand.dimension) { try source.expect(dimension: wanted) }
        let dimension = source.dimension
        guard dimension != nil || invocation.isSet(textField) else {
            throw ApusError(.inputInvalid, "\(file) holds no line with a vector", hint: "for texts: --text-field NAME")
        }
        var settings = Importer.Settings()
        settings.skipsBadRows = invocation.text(onError) == "skip"
        // Texts are computed with: a request of a thousand long ones would take longer than a request may.
        settings.batchRows = invocation.integer(batch) ?? (invocation.isSet(textField) ? 50 : settings.batchRows)
        settings.inFlight = invocation.integer(inFlight) ?? settings.inFlight

        var random = SystemRandomNumberGenerator()
        var state = ImportState(
            collection: collection, createdAt: "", source: source.fingerprint, rows: 0, inserted: 0, bad: 0,
            run: hexadecimal((0..<8).map { _ in UInt8.random(in: 0...255, using: &random) }))
        var sender: BatchSender?
        var statePath: String?
        if invocation.isSet(ClientOptions.dryRun) {
            try await rehearse(collection, dimension: dimension, &source, invocation)
        } else {
            let client = try NodeClient(invocation)
            let target = try await prepare(collection, dimension: dimension, client, invocation)
            state.createdAt = target.createdAt
            // The collection says what a right row is, not the first row of the file.
            try source.expect(dimension: target.dimension)
            let path = ImportState.path(input: file, collection: collection, directory: invocation.text(stateDirectory))
            if !invocation.isSet(restart), let earlier = try ImportState.read(path) {
                if earlier.collection == collection, earlier.createdAt == state.createdAt, earlier.source == state.source {
                    state = earlier
                    if earlier.rows > 0 {
                        invocation.terminal.note("going on after row \(grouped(earlier.rows)), where the last run stopped")
                    }
                } else {
                    invocation.terminal.note("the input or the collection is not what the last run had; beginning with the first row")
                }
            }
            // Found out now, not after an hour: a place that cannot be written means an import that cannot be resumed.
            try state.write(path)
            statePath = path
            sender = BatchSender(
                client: client, collection: collection, run: state.run, skipsRefused: settings.skipsBadRows,
                patience: .seconds(invocation.integer(patience) ?? 60))
        }

        let started = ContinuousClock.now
        let before = state.rows
        var importer = Importer(
            sender: sender, settings: settings, state: state, statePath: statePath, terminal: invocation.terminal,
            isQuiet: invocation.wantsJSON)
        let summary = try await importer.run(&source)
        if let statePath { FileContents.remove(statePath) }
        report(summary, since: before, took: ContinuousClock.now - started, collection, invocation)
        return summary.bad == 0 ? .success : .negative
    }

    /// What an import goes into.
    private struct Target {
        /// To tell a collection from an earlier one of the same name.
        var createdAt: String
        var dimension: Int
    }

    /// What `prepare` would do and refuse, as far as a node can be asked.
    private static func rehearse(
        _ collection: String, dimension: Int?, _ source: inout some PointSource, _ invocation: Invocation
    ) async throws(ApusError) {
        let reply: NodeClient.Reply
        do throws(ApusError) {
            reply = try await NodeClient(invocation).send(.get, "/collections/\(NodeClient.segment(collection))?detail=true")
        } catch {
            return invocation.terminal.note("only the file is checked, because no node can be asked: \(error.summary)")
        }
        if reply.status == 404, invocation.isSet(create) {
            return invocation.terminal.note("would create collection '\(collection)'" + (dimension.map { " (\($0) dimensions)" } ?? ""))
        }
        try source.expect(dimension: try target(collection, reply, dimension: dimension, invocation).dimension)
    }

    /// Makes sure that the collection is there, as the command line wants it.
    private static func prepare(
        _ collection: String, dimension: Int?, _ client: NodeClient, _ invocation: Invocation
    ) async throws(ApusError) -> Target {
        let path = "/collections/\(NodeClient.segment(collection))"
        let question = path + "?detail=true"
        var reply = try await client.send(.get, question)
        if reply.status == 404, invocation.isSet(create) {
            let body = CollectionCommand.body(collection, dimension: dimension, invocation)
            let created = try await client.send(.post, "/collections", JSONValue.object(body).serialized())
            // Another import may have made it in between.
            guard created.status < 400 || created.status == 409 else { throw NodeClient.error(created, path) }
            reply = try await client.send(.get, question)
            invocation.terminal.note(
                "created collection '\(collection)' (\(reply.body["dimension"].map(Outline.plain) ?? "?") dimensions, \(invocation.text(CollectionCommand.metric) ?? "cosine"))"
            )
        }
        return try target(collection, reply, dimension: dimension, invocation)
    }

    /// The collection that a node describes, if it is there and as the command line wants it.
    private static func target(
        _ collection: String, _ reply: NodeClient.Reply, dimension: Int?, _ invocation: Invocation
    ) throws(ApusError) -> Target {
        guard reply.status < 400 else {
            var error = NodeClient.error(reply, "/collections/\(NodeClient.segment(collection))")
            if reply.status == 404 { error.hint = "add --create to make it, or see 'apus collection list'" }
            throw error
        }
        try checkSettings(of: collection, reply.body, invocation)
        return Target(
            createdAt: (reply.body["created_at"]).map(Outline.plain) ?? "",
            dimension: reply.body["dimension"]?.asInteger.map { Int($0) } ?? dimension ?? 0)
    }

    /// A collection keeps the settings that it was made with: asking for others must not look as if it had worked.
    private static func checkSettings(of collection: String, _ there: JSONValue, _ invocation: Invocation) throws(ApusError) {
        let asked: [(Option, JSONValue?)] = [
            (CollectionCommand.dimension, there["dimension"]), (CollectionCommand.metric, there["metric"]),
            (CollectionCommand.embedding, there["embedding_provider"] ?? "none"),
            (CollectionCommand.shards, there["sharding"]?["shard_count"]),
            (CollectionCommand.virtualNodes, there["sharding"]?["virtual_nodes_per_shard"]),
            (CollectionCommand.factor, there["replication_factor"]),
        ]
        for (option, has) in asked {
            guard let wanted = invocation.text(option), let has, Outline.plain(has) != wanted else { continue }
            throw ApusError(
                .collectionExists, "the collection '\(collection)' is there, with \(option.name) \(Outline.plain(has)) and not \(wanted)",
                hint: "leave \(option.spelling) out, or import into another collection")
        }
    }

    private static func report(
        _ summary: Importer.Summary, since before: Int, took: Duration, _ collection: String, _ invocation: Invocation
    ) {
        let seconds = took.seconds
        let rate = seconds > 0 ? Int(Double(summary.rows - before) / seconds) : 0
        let isDry = invocation.isSet(ClientOptions.dryRun)
        if invocation.wantsJSON {
            invocation.printJSON([
                "collection": .string(collection), "dry_run": .bool(isDry), "rows": .integer(Int64(summary.rows)),
                "inserted": .integer(Int64(summary.inserted)), "bad": .integer(Int64(summary.bad)),
                "resumed_after": .integer(Int64(before)), "seconds": .double(seconds), "rows_per_second": .integer(Int64(rate)),
                "bad_rows": .array(summary.badRows.map { .object(["place": .string($0.place), "reason": .string($0.reason)]) }),
            ])
            return
        }
        let verb = isDry ? "checked" : "imported"
        let bad = summary.bad == 0 ? "" : ", \(grouped(summary.bad)) skipped"
        let time = Double(Int(seconds * 10)) / 10
        invocation.terminal.print("\(verb) \(grouped(summary.inserted)) points\(bad) in \(time) s (\(grouped(rate))/s)")
    }
}
