/// Completion for bash 4 and later, without the bash-completion package.
struct BashCompletion {
    let words: CompletionWords

    var script: String {
        let paths = words.nodes.dropFirst().map { "\"\($0.path)\"" }.joined(separator: "|")
        let values = words.valued.map { entry in
            "        \"\(entry.path) \(entry.option.spelling)\") \(action(entry.values)); return ;;"
        }
        let shorts = words.valued.compactMap { entry in
            entry.option.short.map { "        \"\(entry.path) -\($0)\") \(action(entry.values)); return ;;" }
        }
        let options = words.nodes.map { node in
            "        \"\(node.path)\") options=\(shellQuoted(node.options.map(\.spelling).joined(separator: " ")));"
                + " commands=\(shellQuoted(node.command.subcommands.map(\.name).joined(separator: " "))) ;;"
        }
        let arguments = words.nodes.compactMap { node in
            words.argumentValues(node).map { "        \"\(node.path)\") \(argument($0)) ;;" }
        }
        return """
            # bash completion for apus; load it with:  source <(apus completion bash)
            _apus() {
                local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"
                local path="apus" options="" commands="" i
                COMPREPLY=()
                for ((i = 1; i < COMP_CWORD; i++)); do
                    case "$path ${COMP_WORDS[i]}" in
                    \(paths)) path="$path ${COMP_WORDS[i]}" ;;
                    esac
                done
                case "$path $previous" in
            \((values + shorts).joined(separator: "\n"))
                esac
                case "$path" in
            \(options.joined(separator: "\n"))
                esac
                if [[ "$current" == -* ]]; then
                    COMPREPLY=($(compgen -W "$options" -- "$current"))
                    return
                fi
                if [[ -n "$commands" ]]; then
                    COMPREPLY=($(compgen -W "$commands" -- "$current"))
                    return
                fi
                case "$path" in
            \(arguments.joined(separator: "\n"))
                esac
            }
            complete -o filenames -F _apus apus
            """
    }

    private func argument(_ values: Values) -> String {
        guard case .choice(let names) = values else { return action(values) }
        let behind = names.map { "\($0)) \(words.names(behind: $0).map { action(.named($0)) } ?? ":") ;;" }
        return "case \"$previous\" in \(behind.joined(separator: " ")) *) \(action(values)) ;; esac"
    }

    private func action(_ values: Values) -> String {
        switch values {
        case .text, .integer: ":"
        case .choice(let names): "COMPREPLY=($(compgen -W \(shellQuoted(names.joined(separator: " "))) -- \"$current\"))"
        case .file: "COMPREPLY=($(compgen -f -- \"$current\"))"
        case .named(let names):
            "COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" completion --names \(names.rawValue) 2>/dev/null)\" -- \"$current\"))"
        case .directory: "COMPREPLY=($(compgen -d -- \"$current\"))"
        }
    }
}
