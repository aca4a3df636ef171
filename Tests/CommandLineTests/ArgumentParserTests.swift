import ApusTypes
import Testing

@testable import apus

@Suite("Command line parsing")
struct ArgumentParserTests {
    private static let count = Option.value("count", short: "n", "N", .integer(1...9), "How many.")
    private static let name = Option.value("name", "NAME", "A name.").repeated
    private static let kind = Option.value("kind", "KIND", .choice(["big", "small"]), "Which.")
    private static let loud = Option.flag("loud", short: "l", "Loudly.")
    private static let root = Command(
        name: "tool", summary: "A tool.",
        subcommands: [
            Command(
                name: "make", summary: "Make.",
                arguments: [Argument(name: "THING", help: "What."), Argument(name: "OTHER", help: "More.", isRequired: false)],
                options: [count, name, kind, loud], run: { _ in .success }),
            Command(name: "group", summary: "A group.", subcommands: [Command(name: "inner", summary: "Inner.", run: { _ in .success })]),
        ])

    private func parse(_ words: [String]) throws(ApusError) -> ParsedCommandLine {
        try ArgumentParser(root: Self.root, terminal: .plain, environment: [:]).parse(words)
    }

    private func invocation(_ words: String...) throws -> Invocation {
        guard case .run(let invocation) = try parse(words) else { throw WrongOutcome() }
        return invocation
    }

    @Test("options may stand anywhere, with '=' or a space, and short flags may be joined")
    func forms() throws {
        let made = try invocation("make", "-ln", "3", "a", "--name=x=y", "--name", "z", "b", "--kind", "big")
        #expect(made.path == ["tool", "make"])
        #expect(made.arguments == ["a", "b"])
        #expect(made.isSet(Self.loud) && made.integer(Self.count) == 3)
        #expect(made.texts(Self.name) == ["x=y", "z"])
        #expect(made.text(Self.kind) == "big")
        #expect(try invocation("make", "a", "-n3").integer(Self.count) == 3)
    }

    @Test("'--' ends the options, '-' and negative numbers are arguments")
    func arguments() throws {
        #expect(try invocation("make", "--", "--loud", "-x").arguments == ["--loud", "-x"])
        #expect(try invocation("make", "-").arguments == ["-"])
        #expect(try invocation("make", "-1.5").arguments == ["-1.5"])
    }

    @Test(
        "what is wrong is said with what was probably meant",
        arguments: [
            (["mke"], "'mke' is no command of 'tool'; did you mean 'make'?"),
            (["make", "a", "--lod"], "'--lod' is no option of 'tool make'; did you mean '--loud'?"),
            (["make", "a", "-z"], "'-z' is no option of 'tool make'"), (["make"], "THING is missing: What."),
            (["make", "a", "b", "c"], "'c' is one argument too many"),
            (["make", "a", "--count", "0"], "--count must be a whole number from 1 to 9, not '0'"),
            (["make", "a", "--count"], "--count needs a value: --count N"),
            (["make", "a", "--kind", "bg"], "--kind must be one of big, small, not 'bg'"),
            (["make", "a", "--loud=1"], "--loud takes no value"),
            (["make", "a", "-n", "1", "-n", "2"], "--count is given twice"), (["group"], "'tool group' needs a command: inner"),
            (["group", "outer"], "'outer' is no command of 'tool group'"),
        ])
    func mistakes(words: [String], summary: String) throws {
        do throws(ApusError) {
            _ = try parse(words)
            Issue.record("was accepted")
        } catch {
            #expect(error.summary == summary)
            #expect(error.code.surface.exit == .usage)
            #expect(error.hint?.hasSuffix("--help") == true)
        }
    }

    @Test("help is given for what was asked about, also by 'help COMMAND', and before arguments are checked")
    func help() throws {
        for words in [["make", "--help"], ["make", "-h"], ["help", "make"]] {
            guard case .help(let path, _) = try parse(words) else { throw WrongOutcome() }
            #expect(path == ["tool", "make"])
        }
        guard case .help(["tool"], _) = try parse([]) else { throw WrongOutcome() }
        guard case .version = try parse(["--version"]) else { throw WrongOutcome() }
    }
}

struct WrongOutcome: Error {}

extension Terminal {
    /// What a script sees.
    static let plain = Terminal(errorIsTerminal: false, outputIsTerminal: false, inputIsTerminal: false, colours: false, width: 80)
}

@Suite("Help")
struct HelpTests {
    private func commands(_ command: Command, _ path: [String]) -> [([String], Command)] {
        [(path, command)] + command.subcommands.flatMap { commands($0, path + [$0.name]) }
    }

    @Test("every command that runs says what it does, has examples that parse, and fits on a screen's width")
    func everyCommand() throws {
        let all = commands(Root.command, ["apus"])
        #expect(all.count > 15)
        for (path, command) in all {
            let text = Help(path: path, command: command, terminal: .plain).text
            #expect(text.hasPrefix(command.summary))
            for option in command.options { #expect(text.contains(option.spelling), "\(path)") }
            let prose = text.split(separator: "Examples:", maxSplits: 1)[0]
            #expect(prose.split(separator: "\n").allSatisfy { $0.count <= 100 }, "\(path)")
            if command.run != nil { #expect(!command.examples.isEmpty, "\(path) has no example") }
            for example in command.examples { try checkExample(example.line) }
        }
    }

    /// The words after `apus` of an example are a valid command line.
    private func checkExample(_ line: String) throws {
        var words = ShellWords(line).words
        while let first = words.first, first.contains("="), !first.hasPrefix("-") { words.removeFirst() }
        guard words.first == "apus" else { return }
        let end = words.firstIndex { [">", "|", ">>"].contains($0) } ?? words.endIndex
        do { _ = try ArgumentParser(root: Root.command, terminal: .plain, environment: [:]).parse(Array(words[1..<end])) } catch {
            Issue.record("the example '\(line)' does not parse: \(error)")
        }
    }

    @Test("no command has two options of one name or letter")
    func options() {
        for (path, command) in commands(Root.command, ["apus"]) {
            let names = command.allOptions.map(\.name)
            #expect(Set(names).count == names.count, "\(path)")
            let letters = command.allOptions.compactMap(\.short)
            #expect(Set(letters).count == letters.count, "\(path)")
        }
    }

    @Test("every command that changes something has --dry-run, every one that has a result has --json")
    func conventions() {
        for (path, command) in commands(Root.command, ["apus"]) where command.run != nil {
            #expect(command.allOptions.contains(.json) == command.hasResult, "\(path)")
            let changes = [
                "create", "delete", "revoke", "import", "add", "remove", "reindex", "drain", "undrain", "join", "move", "rebalance",
                "pause", "rollback", "rotate",
                "resume", "set", "undelete", "render", "up",
            ].contains(path.last ?? "")
            #expect(command.options.contains(ClientOptions.dryRun) == changes, "\(path)")
        }
    }
}

/// The words of a simple shell line: spaces and quotes.
private struct ShellWords {
    var words: [String] = []

    init(_ line: String) {
        var word = ""
        var quote: Character?
        for character in line {
            if let open = quote {
                if character == open { quote = nil } else { word.append(character) }
            } else if character == "'" || character == "\"" {
                quote = character
            } else if character == " " {
                if !word.isEmpty { words.append(word) }
                word = ""
            } else {
                word.append(character)
            }
        }
        if !word.isEmpty { words.append(word) }
    }
}
