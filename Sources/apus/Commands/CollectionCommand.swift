internal import ApusHTTP
internal import ApusTypes
internal import ApusVectors

enum CollectionCommand {
    static let command: Command = Command(
        name: "collection", summary: "List, create, show, change, verify, reindex and delete collections.",
        subcommands: [list, create, show, set, verify, forecast, reindex, delete, undelete])

    static let metrics = ["cosine", "dot", "euclidean", "manhattan"]
    static let nameArgument = Argument(name: "COLLECTION", help: "The collection's name.", values: .named(.collections))
    /// It may be new.
    static let newNameArgument = Argument(name: "COLLECTION", help: "The collection's name.")
    static let dimension = Option.value(
        "dimension", short: "d", "N", .integer(CollectionConfiguration.dimensions), "Numbers in each vector.")
    static let metric = Option.value("metric", "METRIC", .choice(metrics), "How near two vectors are; default cosine.")
    static let shards = Option.value(
        "shards", "N", .integer(Sharding.shardCounts), "Shards to spread the points over; default: the node's setting.")
    static let virtualNodes = Option.value(
        "virtual-nodes", "N", .integer(Sharding.virtualNodeCounts), "Virtual nodes of each shard on the ring of ids.")
    static let embedding = Option.value(
        "embedding", "PROVIDER",
        "Embed texts with bm25, tfidf, bag_of_words, char_ngram, minilm or model:NAME; then --dimension may be left out.")
    private static let yes = Option.flag("yes", short: "y", "Do not ask.")
    private static let forever = Option.flag("forever", "Free its space at once: it cannot be brought back.")

    private static let list: Command = Command(
        name: "list", summary: "List the collections.", options: [deletedOnly] + ClientOptions.all,
        examples: [
            .init("apus collection list", "names, sizes and metrics"),
            .init("apus collection list --deleted", "what 'apus collection undelete' can bring back"),
        ],
        run: { invocation in
            if invocation.isSet(deletedOnly) { return try await listDeleted(invocation) }
            let reply = try await NodeClient(invocation).call(.get, "/collections")
            let collections = reply["collections"]?.asArray ?? []
            if invocation.wantsJSON {
                invocation.printJSON(["collections": .array(collections)])
            } else if collections.isEmpty {
                invocation.terminal.print("no collections yet; 'apus import' and 'apus collection create' make them")
            } else {
                var table = Table(header: ["NAME", "POINTS", "DIMENSION", "METRIC"], rightAligned: [1, 2])
                table.rows = collections.map { collection in
                    let points = collection["vector_count"]?.asInteger.map { grouped(Int($0)) } ?? "?"
                    return [
                        collection["name"]?.asString ?? "?", points, collection["dimension"]?.asInteger.map(String.init) ?? "?",
                        collection["metric"]?.asString ?? "?",
                    ]
                }
                table.lines(invocation.terminal).forEach { invocation.terminal.print($0) }
            }
            return .success
        })

    private static let create: Command = Command(
        name: "create", summary: "Create a collection.",
        discussion: "With --dry-run and --points it also says what so many points would take, as 'apus collection forecast' does.",
        arguments: [newNameArgument],
        options: [dimension, embedding, metric, shards, virtualNodes, factor, points, payloadBytes, idBytes, ClientOptions.dryRun]
            + ClientOptions.all,
        examples: [
            .init("apus collection create words --dimension 384 --metric cosine", "for sentence embeddings of 384 numbers"),
            .init("apus collection create notes --embedding minilm", "for texts, which the nodes embed"),
        ],
        run: { invocation in
            let name = try invocation.required(0)
            let dimension = invocation.integer(dimension)
            guard dimension != nil || invocation.isSet(embedding) else {
                throw ApusError(
                    .usage, "--dimension is missing: a collection's vectors all have one length (or --embedding, for texts)",
                    hint: "apus collection create --help")
            }
            let body = Self.body(name, dimension: dimension, invocation)
            if invocation.isSet(ClientOptions.dryRun) {
                if invocation.isSet(points) {
                    let forecast = try await askForecast(invocation)
                    if invocation.wantsJSON {
                        invocation.printJSON(["would_create": .object(body), "forecast": forecast])
                    } else {
                        invocation.terminal.print("would create '\(name)'" + (dimension.map { " with \($0) dimensions" } ?? ""))
                        printForecast(forecast, invocation.terminal)
                    }
                    return .success
                }
                return invocation.answer(
                    ["would_create": .object(body)], "would create '\(name)'" + (dimension.map { " with \($0) dimensions" } ?? ""))
            }
            let made = try await NodeClient(invocation).call(.post, "/collections", JSONValue.object(body).serialized())
            return invocation.answer(["created": made], "created '\(name)'")
        })

    /// What the node is asked for.
    static func body(_ name: String, dimension: Int?, _ invocation: Invocation) -> JSONObject {
        var body: JSONObject = ["name": .string(name)]
        if let dimension { body["dimension"] = .integer(Int64(dimension)) }
        if let provider = invocation.text(embedding) { body["embedding_provider"] = .string(provider) }
        body["metric"] = .string(invocation.text(metric) ?? "cosine")
        var sharding = JSONObject()
        if let count = invocation.integer(shards) { sharding["shard_count"] = .integer(Int64(count)) }
        if let count = invocation.integer(virtualNodes) { sharding["virtual_nodes_per_shard"] = .integer(Int64(count)) }
        if !sharding.isEmpty { body["sharding"] = .object(sharding) }
        if let count = invocation.integer(factor) { body["replication_factor"] = .integer(Int64(count)) }
        return body
    }

    private static let show: Command = Command(
        name: "show", summary: "Show one collection.", arguments: [nameArgument], options: ClientOptions.all,
        examples: [.init("apus collection show words", "its size, settings and shards")],
        run: { invocation in
            let name = try invocation.required(0)
            let reply = try await NodeClient(invocation).call(.get, "/collections/\(NodeClient.segment(name))?detail=true")
            if invocation.wantsJSON {
                invocation.terminal.print(reply.description)
            } else {
                Outline(reply).lines.forEach { invocation.terminal.print($0) }
            }
            return .success
        })

    private static let delete: Command = Command(
        name: "delete", summary: "Delete a collection with all its points.",
        discussion: """
            For a day (retention.deleted_collection_seconds) 'apus collection undelete' brings it back. On a terminal it asks for the collection's \
            name; --yes does not ask, and is needed elsewhere.
            """,
        arguments: [nameArgument], options: [yes, forever, ClientOptions.dryRun] + ClientOptions.all,
        examples: [
            .init("apus collection delete words --yes", "in a script"),
            .init("apus collection delete words --forever", "what it takes is free afterwards"),
        ],
        run: { invocation in
            let name = try invocation.required(0)
            let client = try NodeClient(invocation)
            let path = "/collections/\(NodeClient.segment(name))"
            let found = try await client.call(.get, path)
            let count = found["vector_count"]?.asInteger.map { "\(grouped(Int($0))) points" } ?? "its points"
            if invocation.isSet(ClientOptions.dryRun) {
                return invocation.answer(["would_delete": found], "would delete '\(name)' with \(count)")
            }
            if !invocation.isSet(yes) { try invocation.confirm("delete '\(name)' with \(count)", typing: name) }
            _ = try await client.call(.delete, path)
            if invocation.isSet(forever) {
                let id = Outline.plain(try await deleted(name, nil, client)["id"] ?? .null)
                _ = try await client.call(.delete, "/api/deleted-collections/\(id)")
            }
            return invocation.answer(["deleted": .string(name)], "deleted '\(name)' with \(count)")
        })
}

extension Invocation {
    /// Prints one result, in the form that was asked for.
    func answer(_ json: JSONObject, _ line: String) -> ErrorCode.ExitCode {
        if wantsJSON { printJSON(json) } else { terminal.print(line) }
        return .success
    }

    /// Asks on the terminal for `word`; without a terminal, or for any other word, nothing is done.
    func confirm(_ action: String, typing word: String) throws(ApusError) {
        guard terminal.errorIsTerminal, terminal.inputIsTerminal else {
            throw ApusError(.confirmationMissing, "not confirmed: this would \(action)", hint: "add --yes")
        }
        Terminal.write("This will \(action). Type '\(word)' to go on: ", to: 2)
        guard readLine() == word else { throw ApusError(.confirmationMissing, "not confirmed; nothing was changed") }
    }
}

/// A JSON value as indented lines: `key: value`.
struct Outline {
    private(set) var lines: [String] = []

    init(_ value: JSONValue) { add(value, indent: "") }

    private mutating func add(_ value: JSONValue, indent: String) {
        switch value {
        case .object(let object):
            for (key, inner) in object {
                switch inner {
                case .object(let members) where !members.isEmpty:
                    lines.append("\(indent)\(key):")
                    add(inner, indent: indent + "  ")
                case .array(let items) where items.contains { $0.asObject != nil }:
                    lines.append("\(indent)\(key):")
                    for item in items {
                        lines.append("\(indent)  -")
                        add(item, indent: indent + "    ")
                    }
                default: lines.append("\(indent)\(key): \(Self.plain(inner))")
                }
            }
        default: lines.append(indent + Self.plain(value))
        }
    }

    static func plain(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .array(let items): items.isEmpty ? "none" : items.map(plain).joined(separator: ", ")
        case .null: "-"
        default: value.description
        }
    }
}
