internal import ApusTypes

enum NodeCommand {
    static let command: Command = Command(
        name: "node", summary: "Run a node, or take nodes of a running cluster out of service and back.",
        discussion: """
            Runs in the foreground until SIGTERM or SIGINT, then finishes what it has begun and exits. \
            Without a catalog and a store of its own choice it keeps everything in its data directory.
            Every setting can also come from a file or the environment; 'apus config show' tells where each value is from.
            """,
        options: NodeOptions.all,
        examples: [
            .init("apus node --data /var/lib/apus", "one machine, everything in one directory, served on 127.0.0.1:15002"),
            .init("apus node --data ./data --listen 0.0.0.0:15002", "serve other machines too; they need a key from 'apus key create'"),
            .init("apus node --config /etc/apus/apus.yml", "settings from a file"),
            .init(
                "apus node --data ./data --catalog /etc/apus/catalog.url --store /mnt/shared/apus", "PostgreSQL as catalog, a shared store"),
        ],
        subcommands: [list, drain, undrain, remove, token],
        hasResult: false,
        run: { invocation in
            let configuration = try NodeOptions.validated(invocation, withFiles: true) { invocation.terminal.note("warning: \($0)") }
            try await runNode(configuration)
            return .success
        })
}
