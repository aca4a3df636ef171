internal import ApusTypes

enum CompletionCommand {
    static let command: Command = Command(
        name: "completion", summary: "Print a completion script for a shell.",
        discussion: "Load it in the shell's start file; it completes commands, options, their values, and files.",
        arguments: [Argument(name: "SHELL", help: "The shell to complete for.", values: .choice(Shell.allCases.map(\.rawValue)))],
        examples: [
            .init("echo 'source <(apus completion bash)' >> ~/.bashrc", "bash, in every new shell"),
            .init("apus completion zsh > \"${fpath[1]}/_apus\"", "zsh, before compinit runs"),
            .init("apus completion fish > ~/.config/fish/completions/apus.fish", "fish"),
        ],
        run: { invocation in
            guard let shell = Shell(rawValue: try invocation.required(0)) else { throw ApusError(.usage, "unknown shell") }
            let script = shell.script(CompletionWords(root: Root.command))
            if invocation.wantsJSON {
                invocation.printJSON(["shell": .string(shell.rawValue), "script": .string(script)])
            } else {
                invocation.terminal.print(script)
            }
            return .success
        })
}
