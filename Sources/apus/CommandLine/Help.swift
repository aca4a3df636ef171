/// The text of `--help`: usage, what it does, arguments, options, and examples to copy.
struct Help {
    let path: [String]
    let command: Command
    let terminal: Terminal

    var text: String {
        var lines: [String] = []
        lines.append(command.summary)
        lines.append("")
        lines.append("\(terminal.styled("Usage:", .bold)) \(usage)")
        if !command.discussion.isEmpty {
            for paragraph in command.discussion.split(separator: "\n", omittingEmptySubsequences: false) {
                lines.append("")
                lines += wrapped(String(paragraph), indent: 0)
            }
        }
        section("Commands", command.subcommands.map { ($0.name, $0.summary) }, &lines)
        section("Arguments", command.arguments.map { ($0.isRequired ? $0.name : "[\($0.name)]", $0.help) }, &lines)
        let options = command.allOptions + (path.count == 1 ? [.version] : [])
        section("Options", options.map { (spelling($0), describe($0)) }, &lines)
        if !command.examples.isEmpty {
            lines += ["", terminal.styled("Examples:", .bold)]
            for (index, example) in command.examples.enumerated() {
                if index > 0 { lines.append("") }
                lines += wrapped("# " + example.explanation, indent: 2)
                lines.append("  " + example.line)
            }
        }
        if !command.subcommands.isEmpty {
            lines += ["", "'\(path.joined(separator: " ")) COMMAND --help' says more about each."]
        }
        return lines.joined(separator: "\n")
    }

    private var usage: String {
        var words = path
        if !command.subcommands.isEmpty { words.append(command.run == nil ? "COMMAND" : "[COMMAND]") }
        words += command.arguments.map { $0.isRequired ? $0.name : "[\($0.name)]" }
        words.append("[OPTIONS]")
        return words.joined(separator: " ")
    }

    private func spelling(_ option: Option) -> String {
        let short = option.short.map { "-\($0), " } ?? ""
        return short + option.spelling + (option.values == nil ? "" : " \(option.placeholder)")
    }

    private func describe(_ option: Option) -> String {
        guard case .choice(let names) = option.values else { return option.help }
        return option.help + " One of " + names.joined(separator: ", ") + "."
    }

    private func section(_ title: String, _ entries: [(name: String, help: String)], _ lines: inout [String]) {
        guard !entries.isEmpty else { return }
        lines += ["", terminal.styled("\(title):", .bold)]
        let column = min(26, (entries.map(\.name.count).max() ?? 0) + 4)
        for entry in entries {
            let help = wrapped(entry.help, indent: column)
            if entry.name.count + 4 <= column, let first = help.first {
                lines.append("  " + entry.name + String(repeating: " ", count: column - 2 - entry.name.count) + first.drop { $0 == " " })
                lines += help.dropFirst()
            } else {
                lines.append("  " + entry.name)
                lines += help
            }
        }
    }

    /// Broken at spaces to the terminal's width, at most 100 columns.
    private func wrapped(_ text: String, indent: Int) -> [String] {
        let width = max(40, min(100, terminal.width)) - indent
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " " + word
        }
        lines.append(line)
        return lines.map { String(repeating: " ", count: indent) + $0 }
    }
}
