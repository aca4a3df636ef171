internal import ApusHTTP
internal import ApusTypes

enum SearchCommand {
    private static let vector = Option.value("vector", "FILE|JSON", .file(["json"]), "The vector, as JSON or in a file: [0.1, 0.2, …].")
    private static let npy = Option.value("npy", "FILE", .file(["npy"]), "Take the vector from this .npy file; see --row.")
    private static let row = Option.value("row", "N", .integer(0...Int.max), "Which row of the .npy file; default 0.")
    private static let id = Option.value("id", "ID", "Find what is near to this point of the collection.")
    private static let text = Option.value("text", short: "t", "TEXT", "Find what is near to this text; the collection must embed texts.")
    private static let hybrid = Option.flag("hybrid", "With --text: rank what is near together with what holds its words.")
    private static let limit = Option.value(
        "limit", short: "n", "N", .integer(1...10_000),
        "How many neighbours, default 10; a node gives 100 at most, the point of --id among them.")
    private static let filter = Option.value("filter", short: "f", "JSON", "Only points whose payload matches.")

    private static let strict = Option.flag("strict", "Fail where a shard does not answer, instead of giving what the others have.")

    static let command: Command = Command(
        name: "search", summary: "Find the nearest neighbours of a vector or a text.",
        discussion: """
            The vector comes from --vector, --npy or --id, or is made of --text. Scores are the collection's metric: \
            for cosine and dot a larger one is nearer. Those of --hybrid are sums of 1 / (60 + rank).
            When no point matches, the exit code is 1.
            A filter is an object of fields: {"pos": "verb"} for equality, {"year": {"gte": 1990}} for ranges, {"pos": ["noun", "verb"]} for any of several.
            """,
        arguments: [CollectionCommand.nameArgument],
        options: [vector, npy, row, id, text, hybrid, limit, filter, strict] + ClientOptions.all,
        examples: [
            .init("apus search words --npy queries.f16.npy --row 3 --limit 5", "a row of a .npy file"),
            .init("apus search words --id 4711 --filter '{\"pos\": \"verb\"}'", "the verbs nearest to a point that is there"),
            .init("apus search notes --text 'birds that sleep in flight' --hybrid", "a text, by its meaning and its words"),
            .init("apus search tiny --vector '[0.1, 0.2, 0.3]' --json", "a vector on the command line, for a program to read"),
        ],
        run: { invocation in
            let name = try invocation.required(0)
            let client = try NodeClient(invocation)
            let path = "/collections/\(NodeClient.segment(name))"
            let wanted = invocation.integer(limit) ?? 10
            let own = invocation.text(id)
            let query = try await query(invocation, client, path)
            let filterValue = try filterValue(invocation)

            var body = JSONWriter()
            body.object { object in
                switch query {
                case .vector(let numbers):
                    object.key("vector")
                    object.floats(numbers)
                case .text(let text):
                    object.member("query", text)
                }
                // The point itself is its own nearest neighbour, and not what was asked for.
                object.member("limit", own == nil ? wanted : wanted + 1)
                if invocation.isSet(hybrid) { for list in ["dense_k", "sparse_k"] { object.member(list, max(20, min(wanted, 100))) } }
                object.member("with_payload", true)
                if invocation.isSet(strict) { object.member("strict", true) }
                if let filterValue { object.member("filter", filterValue) }
            }
            let started = ContinuousClock.now
            let reply = try await client.call(.post, path + (invocation.isSet(hybrid) ? "/hybrid_search" : "/search"), body.bytes)
            let took = ContinuousClock.now - started
            let hits = (reply["results"]?.asArray ?? []).filter { own == nil || Outline.plain($0["id"] ?? .null) != own }.prefix(wanted)
            let isComplete = reply["complete"]?.asBool ?? true
            if invocation.wantsJSON {
                var answer: JSONObject = ["results": .array(Array(hits)), "complete": .bool(isComplete)]
                if let missing = reply["missing"] { answer["missing"] = missing }
                invocation.printJSON(answer)
            } else {
                print(Array(hits), invocation.terminal)
                if hits.isEmpty { invocation.terminal.print("no point matches") }
                invocation.terminal.note("\(hits.count) neighbour\(hits.count == 1 ? "" : "s") in \(took.milliseconds) ms")
            }
            if let most = reply["limit"]?.asInteger, most < (own == nil ? wanted : wanted + 1) {
                invocation.terminal.note(
                    "warning: the node gives \(most) points at most\(own == nil ? "" : ", the asked one among them"), not \(wanted) neighbours"
                )
            }
            if !isComplete { invocation.terminal.note("warning: the answer is partial; 'apus status' says what is missing") }
            return hits.isEmpty ? .negative : .success
        })

    private enum Query {
        case vector([Float])
        case text(String)
    }

    private static func query(_ invocation: Invocation, _ client: NodeClient, _ path: String) async throws(ApusError) -> Query {
        let given = [vector, npy, id, text].filter { invocation.isSet($0) }
        guard given.count == 1 else {
            throw ApusError(.usage, "one of --vector, --npy, --id and --text must say what to search for", hint: "apus search --help")
        }
        if let text = invocation.text(text) { return .text(text) }
        guard !invocation.isSet(hybrid) else {
            throw ApusError(.usage, "--hybrid needs the words of a --text", hint: "apus search --help")
        }
        return .vector(try await numbers(invocation, client, path))
    }

    private static func numbers(_ invocation: Invocation, _ client: NodeClient, _ path: String) async throws(ApusError) -> [Float] {
        if let text = invocation.text(vector) {
            let isInline = text.drop { $0 == " " }.hasPrefix("[")
            let bytes = isInline ? Array(text.utf8) : try FileContents.read(text, limit: .mebibytes(16))
            return try floats(try JSONDocument(parsing: bytes).root, in: isInline ? "--vector" : text)
        }
        if let file = invocation.text(npy) {
            let array = try NumPyArray(path: file)
            let wanted = invocation.integer(row) ?? 0
            guard wanted < array.rows else { throw ApusError(.usage, "--row \(wanted) is beyond the file's last row, \(array.rows - 1)") }
            return try array.floats(rows: wanted..<wanted + 1)
        }
        let point = try await client.call(.get, "\(path)/vectors/\(NodeClient.segment(invocation.text(id) ?? ""))")
        let numbers = point["vector"] ?? point["data"] ?? .null
        return try floats(try JSONDocument(parsing: numbers.serialized()).root, in: "the point")
    }

    private static func floats(_ element: JSONElement, in place: String) throws(ApusError) -> [Float] {
        guard element.kind == .array, element.count > 0 else { throw ApusError(.inputInvalid, "\(place) is not a list of numbers") }
        return try element.floats(dimension: element.count)
    }

    private static func filterValue(_ invocation: Invocation) throws(ApusError) -> JSONValue? {
        guard let text = invocation.text(filter) else { return nil }
        do throws(ApusError) { return try JSONValue(parsing: Array(text.utf8)) } catch {
            throw ApusError(.usage, "--filter is not JSON: \(error.summary)", hint: "--filter '{\"pos\": \"verb\"}'")
        }
    }

    /// Rank, score, id, and of the payload what a person would read first.
    private static func print(_ hits: [JSONValue], _ terminal: Terminal) {
        let ids = hits.map { Outline.plain($0["id"] ?? .null) }
        let width = ids.map(\.count).max() ?? 0
        for (index, hit) in hits.enumerated() {
            let rank = String(repeating: " ", count: index < 9 ? 2 : 1) + "\(index + 1)"
            let score = decimals(hit["score"]?.asDouble ?? 0)
            let id = ids[index] + String(repeating: " ", count: width - ids[index].count)
            let head = "\(rank)  \(score)  "
            let text = gist(hit["payload"] ?? .null)
            let room = terminal.outputIsTerminal ? max(20, terminal.width - head.count - width - 2) : Int.max
            let shown = text.count > room ? "\(text.prefix(room - 1))…" : text
            terminal.print(head + terminal.styled(id, .faint) + (shown.isEmpty ? "" : "  \(shown)"))
        }
    }

    private static func decimals(_ score: Double) -> String {
        let text = String(Int((abs(score) * 10_000).rounded()))
        let padded = String(repeating: "0", count: max(0, 5 - text.count)) + text
        return (score < 0 ? "-" : "") + padded.dropLast(4) + "." + padded.suffix(4)
    }

    /// The payload's text, else all of it.
    static func gist(_ payload: JSONValue) -> String {
        guard let object = payload.asObject, !object.isEmpty else { return "" }
        for name in ["text", "title", "name", "content"] {
            if let text = object[name]?.asString { return String(text.map { $0.isNewline ? " " : $0 }) }
        }
        return payload.description
    }
}
