/// What can follow on a command line, per command path: the shells' scripts are all printed from it.
struct CompletionWords {
    struct Node {
        /// `apus collection create`
        var path: String
        var command: Command
        var options: [Option]
    }

    let nodes: [Node]

    init(root: Command) {
        var nodes: [Node] = []
        func visit(_ command: Command, _ path: String) {
            nodes.append(Node(path: path, command: command, options: command.allOptions + (path == root.name ? [.version] : [])))
            for subcommand in command.subcommands { visit(subcommand, "\(path) \(subcommand.name)") }
        }
        visit(root, root.name)
        self.nodes = nodes
    }

    /// Options that take a value, by the command they stand on.
    var valued: [(path: String, option: Option, values: Values)] {
        nodes.flatMap { node in node.options.compactMap { option in option.values.map { (node.path, option, $0) } } }
    }

    /// What the first positional argument that can be completed may be.
    func argumentValues(_ node: Node) -> Values? {
        node.command.arguments.map(\.values).first { $0 != .text }
    }

    /// Whose names stand behind a choice: `apus why node NAME`. A choice is made once: behind any other comes something that is not known here.
    func names(behind choice: String) -> ClusterNames? { ClusterNames.allCases.first { $0.kind == choice } }
}

enum Shell: String, CaseIterable {
    case bash, zsh, fish

    func script(_ words: CompletionWords) -> String {
        switch self {
        case .bash: BashCompletion(words: words).script
        case .zsh: ZshCompletion(words: words).script
        case .fish: FishCompletion(words: words).script
        }
    }
}

/// Text inside single quotes of a POSIX shell.
func shellQuoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}
