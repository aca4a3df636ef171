import Glibc
import TestKit
import Testing

@testable import apus

/// Real shells complete real lines. Bash is everywhere; zsh and fish are asked where they are installed (`scripts/setup --test` does).
@Suite("Shell completion")
struct CompletionTests {
    /// A line, and what must and must not be offered at its end.
    struct Case: Sendable, CustomStringConvertible {
        var line: String
        var offered: [String]
        var withheld: [String] = []
        var description: String { line }
    }

    static let cases = [
        Case(line: "apus ", offered: ["node", "import", "collection", "completion"], withheld: ["create", "--help"]),
        Case(line: "apus co", offered: ["collection", "config", "completion"], withheld: ["node"]),
        Case(line: "apus collection ", offered: ["list", "create", "show", "delete"], withheld: ["node"]),
        Case(
            line: "apus collection create words --", offered: ["--dimension", "--metric", "--dry-run", "--help"],
            withheld: ["--payload", "list"]),
        Case(
            line: "apus collection create words --metric ", offered: ["cosine", "dot", "euclidean", "manhattan"],
            withheld: ["--help", "files.npy"]),
        Case(line: "apus --", offered: ["--help", "--version"], withheld: ["--data"]),
        Case(line: "apus import words fil", offered: ["files.npy"], withheld: ["folder"]),
        Case(line: "apus node --data fol", offered: ["folder"], withheld: ["files.npy"]),
        Case(line: "apus completion ", offered: ["bash", "zsh", "fish"], withheld: ["node"]),
        Case(line: "apus why ", offered: ["node", "shard", "collection", "rebalance"], withheld: ["list"]),
        Case(line: "apus why rebalance ", offered: [], withheld: ["node", "shard", "collection", "rebalance"]),
        Case(line: "apus node drain ", offered: ["n1", "n2"], withheld: ["words"]),
        Case(line: "apus collection show ", offered: ["words"], withheld: ["n1"]),
        Case(line: "apus shard why ", offered: ["words/0", "words/1"], withheld: ["words"]),
        Case(line: "apus shard move words/0 --to ", offered: ["n1", "n2"], withheld: ["words"]),
        Case(line: "apus why node ", offered: ["n1", "n2"], withheld: ["node", "words"]),
        Case(line: "apus config show --log-level ", offered: ["debug", "warning"], withheld: ["--json"]),
    ]

    private func folder() throws -> TemporaryDirectory {
        let folder = try TemporaryDirectory()
        try Program.write("", to: "\(folder.path)/files.npy")
        #expect(mkdir("\(folder.path)/folder", 0o755) == 0)
        // What the scripts ask; that `apus` answers so is seen beside a node.
        try Program.write(
            """
            #!/bin/sh
            case "$*" in
            "completion --names nodes") printf 'n1\nn2\n' ;;
            "completion --names collections") echo words ;;
            "completion --names shards") printf 'words/0\nwords/1\n' ;;
            *) exit 2 ;;
            esac

            """, to: "\(folder.path)/apus")
        #expect(chmod("\(folder.path)/apus", 0o755) == 0)
        for shell in Shell.allCases {
            try Program.write(shell.script(CompletionWords(root: Root.command)) + "\n", to: "\(folder.path)/\(shell.rawValue)")
        }
        return folder
    }

    private func check(_ expected: Case, _ finished: Finished) {
        #expect(finished.status == 0, "\(finished.errors)")
        let offers = Set(
            finished.output.split(whereSeparator: \.isNewline).map { word in
                // Directories may end with a slash; fish adds a description after a tab.
                let name = word.split(separator: "\t").first.map(String.init) ?? ""
                return name.hasSuffix("/") || name.hasSuffix(" ") ? String(name.dropLast()) : name
            })
        for word in expected.offered { #expect(offers.contains(word), "\(offers.sorted())") }
        for word in expected.withheld { #expect(!offers.contains(word), "\(offers.sorted())") }
    }

    @Test("bash", arguments: cases)
    func bash(expected: Case) async throws {
        let folder = try folder()
        let script = """
            set -u
            source \(folder.path)/bash
            cd \(folder.path); PATH="$PWD:$PATH"
            COMP_LINE="$1"; read -ra COMP_WORDS <<<"$1"
            case "$1" in *' ') COMP_WORDS+=("") ;; esac
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _apus
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        check(expected, try await Program.run("/bin/bash", ["--norc", "-c", script, "bash", expected.line]))
    }

    @Test("fish", .enabled(if: access("/usr/bin/fish", X_OK) == 0), arguments: cases)
    func fish(expected: Case) async throws {
        let folder = try folder()
        let script = "source \(folder.path)/fish; cd \(folder.path); set PATH \(folder.path) $PATH; complete -C \"$argv[1]\""
        check(expected, try await Program.run("/usr/bin/fish", ["--no-config", "-c", script, expected.line]))
    }

    /// zsh's completion runs in its line editor only, so it gets a terminal (zsh/zpty) and prints what it would offer.
    @Test("zsh", .enabled(if: access("/usr/bin/zsh", X_OK) == 0), arguments: cases)
    func zsh(expected: Case) async throws {
        let folder = try folder()
        let inner = """
            PROMPT='READY> '; autoload -Uz compinit; compinit -u -D
            source \(folder.path)/zsh; cd \(folder.path); path=(\(folder.path) $path)
            compadd() {
                local -a found; builtin compadd -O found "$@"
                (( ${#found} )) && print -rl -- "OFFER:"${^found}
                builtin compadd "$@"
            }
            """
        try Program.write(inner + "\n", to: "\(folder.path)/inner")
        let script = """
            zmodload zsh/zpty
            zpty completion /usr/bin/zsh -f -i
            zpty -w completion "source \(folder.path)/inner; print LOAD''ED"
            zpty -r completion out '*LOADED*READY*' || exit 1
            zpty -w -n completion "$1"$'\\t'
            zpty -w -n completion $'\\C-u'"print -r DO''NE"$'\\n'
            zpty -r completion out '*DONE*' || exit 1
            zpty -d completion
            print -r -- "$out" | tr '\\r' '\\n' | sed -n 's/.*OFFER://p'
            """
        check(expected, try await Program.run("/usr/bin/timeout", ["60", "/usr/bin/zsh", "-f", "-c", script, "zsh", expected.line]))
    }

    @Test("the scripts are what their shells accept")
    func syntax() async throws {
        let folder = try folder()
        for (shell, arguments) in [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])]
        where access("/usr/bin/\(shell)", X_OK) == 0 {
            let finished = try await Program.run("/usr/bin/\(shell)", arguments + ["\(folder.path)/\(shell)"])
            #expect(finished.status == 0 && finished.errors.isEmpty, "\(shell): \(finished.errors)")
        }
    }
}
