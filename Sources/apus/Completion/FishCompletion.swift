/// Completion for fish 3.
struct FishCompletion {
    let words: CompletionWords

    var script: String {
        let paths = words.nodes.dropFirst().map { quoted($0.path) }.joined(separator: " ")
        var lines: [String] = []
        for node in words.nodes {
            let condition = "-n \(quoted("__apus_at \(quoted(node.path))"))"
            for subcommand in node.command.subcommands {
                lines.append("complete -c apus \(condition) -a \(quoted(subcommand.name)) -d \(quoted(subcommand.summary))")
            }
            for option in node.options {
                let short = option.short.map { " -s \($0)" } ?? ""
                lines.append(
                    "complete -c apus \(condition) -l \(option.name)\(short)\(option.values.map(value) ?? "") -d \(quoted(option.help))")
            }
            switch words.argumentValues(node) {
            case .choice(let names)?:
                let choices = names.joined(separator: " ")
                let isOpen = "__apus_at \(quoted(node.path)); and not contains -- (commandline -opc)[-1] \(choices)"
                lines.append("complete -c apus -n \(quoted(isOpen)) -a \(quoted(choices))")
                for (choice, names) in names.compactMap({ choice in words.names(behind: choice).map { (choice, $0) } }) {
                    let isMade = "__apus_at \(quoted(node.path)); and test (commandline -opc)[-1] = \(choice)"
                    lines.append("complete -c apus -n \(quoted(isMade)) -a \(quoted(asked(names)))")
                }
            case .named(let names)?: lines.append("complete -c apus \(condition) -a \(quoted(asked(names)))")
            case .file?, .directory?: lines.append("complete -c apus \(condition) -F")
            case .text?, .integer?, nil: break
            }
        }
        return """
            # fish completion for apus; load it with:  apus completion fish | source
            function __apus_at
                set -l where apus
                set -l tokens (commandline -opc)
                for token in $tokens[2..-1]
                    if contains -- "$where $token" \(paths)
                        set where "$where $token"
                    end
                end
                test "$where" = "$argv[1]"
            end
            complete -c apus -f
            \(lines.joined(separator: "\n"))
            """
    }

    private func value(_ values: Values) -> String {
        switch values {
        case .text, .integer: " -x"
        case .choice(let names): " -x -a \(quoted(names.joined(separator: " ")))"
        case .file: " -r -F"
        case .directory: " -x -a '(__fish_complete_directories)'"
        case .named(let names): " -x -a \(quoted(asked(names)))"
        }
    }

    private func asked(_ names: ClusterNames) -> String { "(apus completion --names \(names.rawValue) 2>/dev/null)" }

    /// Text inside double quotes of fish, which may hold single quotes.
    private func quoted(_ text: String) -> String {
        var result = ""
        for character in text {
            if character == "\"" || character == "\\" || character == "$" { result += "\\" }
            result.append(character)
        }
        return text.contains("'") ? "\"\(result)\"" : "'\(text)'"
    }
}
