/// Completion for zsh, with descriptions. It works as a file `_apus` in `$fpath` and when it is sourced.
struct ZshCompletion {
    let words: CompletionWords

    var script: String {
        let paths = words.nodes.dropFirst().map { "\"\($0.path)\"" }.joined(separator: "|")
        let values = words.valued.map { "        (\"\($0.path) \($0.option.spelling)\") \(action($0.values)); return ;;" }
        let described = words.nodes.map { node in
            let commands = node.command.subcommands.map { item($0.name, $0.summary) }.joined(separator: " ")
            let options = node.options.map { item($0.spelling, $0.help) }.joined(separator: " ")
            return "        (\"\(node.path)\") commands=(\(commands)); options=(\(options)) ;;"
        }
        let arguments = words.nodes.compactMap { node in
            words.argumentValues(node).map { "        (\"\(node.path)\") \(argument($0)) ;;" }
        }
        return """
            #compdef apus
            # zsh completion for apus; load it with:  source <(apus completion zsh)
            _apus() {
                local where="apus" i
                local -a commands options
                for ((i = 2; i < CURRENT; i++)); do
                    case "$where ${words[i]}" in
                    (\(paths)) where="$where ${words[i]}" ;;
                    esac
                done
                case "$where ${words[CURRENT-1]}" in
            \(values.joined(separator: "\n"))
                esac
                case "$where" in
            \(described.joined(separator: "\n"))
                esac
                if [[ "${words[CURRENT]}" == -* ]]; then
                    _describe -o 'option' options
                    return
                fi
                if (( ${#commands} )); then
                    _describe 'command' commands
                    return
                fi
                case "$where" in
            \(arguments.joined(separator: "\n"))
                esac
            }
            if [[ "${funcstack[1]}" == _apus ]]; then _apus "$@"; else compdef _apus apus; fi
            """
    }

    private func item(_ name: String, _ description: String) -> String {
        // A colon would end the name.
        shellQuoted(name + ":" + String(description.map { $0 == ":" ? "," : $0 }))
    }

    private func argument(_ values: Values) -> String {
        guard case .choice(let names) = values else { return action(values) }
        let behind = names.map { "(\($0)) \(words.names(behind: $0).map { action(.named($0)) } ?? ":") ;;" }
        return "case \"${words[CURRENT-1]}\" in \(behind.joined(separator: " ")) (*) \(action(values)) ;; esac"
    }

    private func action(_ values: Values) -> String {
        switch values {
        case .text, .integer: ":"
        case .choice(let names): "compadd -- \(names.map(shellQuoted).joined(separator: " "))"
        case .file: "_files"
        case .directory: "_files -/"
        case .named(let names): "compadd -- ${(f)\"$(${words[1]} completion --names \(names.rawValue) 2>/dev/null)\"}"
        }
    }
}
