internal import ApusHTTP
internal import ApusTypes

enum CompletionCommand {
    static let command: Command = Command(
        name: "completion", summary: "Print a completion script for a shell.",
        discussion: """
            Load it in the shell's start file; it completes commands, options, their values, files, and the names of nodes, collections and \
            shards, for which it asks the node that APUS_URL names.
            """,
        arguments: [
            Argument(
                name: "SHELL", help: "The shell to complete for.", isRequired: false, values: .choice(Shell.allCases.map(\.rawValue)))
        ],
        options: [names] + ClientOptions.all,
        examples: [
            .init("echo 'source <(apus completion bash)' >> ~/.bashrc", "bash, in every new shell"),
            .init("apus completion zsh > \"${fpath[1]}/_apus\"", "zsh, before compinit runs"),
            .init("apus completion fish > ~/.config/fish/completions/apus.fish", "fish"),
        ],
        run: { invocation in
            if let kind = invocation.text(names).flatMap(ClusterNames.init(rawValue:)) {
                let found = try await kind.ask(NodeClient(invocation))
                if invocation.wantsJSON {
                    invocation.printJSON(["names": .array(found.map { .string($0) })])
                } else if !found.isEmpty {
                    invocation.terminal.print(found.joined(separator: "\n"))
                }
                return .success
            }
            guard let shell = Shell(rawValue: try invocation.required(0)) else { throw ApusError(.usage, "unknown shell") }
            let script = shell.script(CompletionWords(root: Root.command))
            if invocation.wantsJSON {
                invocation.printJSON(["shell": .string(shell.rawValue), "script": .string(script)])
            } else {
                invocation.terminal.print(script)
            }
            return .success
        })

    private static let names = Option.value(
        "names", "KIND", .choice(ClusterNames.allCases.map(\.rawValue)), "Print the cluster's names instead, as the scripts ask for them.")
}

extension ClusterNames {
    /// Somebody waits at a prompt.
    fileprivate func ask(_ client: NodeClient) async throws -> [String] {
        func members(_ path: String, _ list: String) async throws -> [JSONValue] {
            try await client.call(.get, path, timeout: .seconds(2))[list]?.asArray ?? []
        }
        switch self {
        case .nodes: return try await members("/api/nodes", "nodes").compactMap { $0["name"]?.asString }
        case .collections: return try await members("/collections", "collections").compactMap { $0["name"]?.asString }
        case .shards:
            return try await members("/api/shards", "shards").map {
                "\(Outline.plain($0["collection"] ?? .null))/\(Outline.plain($0["number"] ?? .null))"
            }
        }
    }
}
