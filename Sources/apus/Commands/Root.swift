enum Root {
    static let command: Command = Command(
        name: "apus", summary: "Apus: a data cluster, on one machine or many.",
        discussion: "One binary is the server of every node and the command line of its operator.",
        examples: [
            .init("apus up", "a cluster of three nodes on this machine, to try it"),
            .init("apus node --data ./data", "run a node; everything it keeps is in ./data"),
            .init("apus import words words.f16.npy --payload words.jsonl --create --metric cosine", "load vectors with their payloads"),
            .init("apus search words --npy queries.f16.npy --row 0", "find the neighbours of a vector"),
            .init("apus status", "how the node and its cluster are"),
        ],
        subcommands: [
            UpCommand.command, NodeCommand.command, JoinCommand.command, StatusCommand.command, WhyCommand.command, LogsCommand.command,
            DoctorCommand.command, ShardCommand.command, RebalanceCommand.command, ImportCommand.command, SearchCommand.command,
            CollectionCommand.command, ModelCommand.command, KeyCommand.command, SecretCommand.command, RenderCommand.command,
            ConfigCommand.command,
            GraphQLCommand.command, QueryCommand.command, CompletionCommand.command,
        ])
}
