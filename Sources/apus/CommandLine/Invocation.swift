internal import ApusConfig
internal import ApusTypes

/// A parsed command line: the command, its options and arguments, and the terminal it talks to.
struct Invocation: Sendable {
    /// `["apus", "collection", "create"]`
    var path: [String]
    var command: Command
    var terminal: Terminal
    var environment: [String: String]
    fileprivate(set) var values: [String: [String]] = [:]
    fileprivate(set) var arguments: [String] = []

    var wantsJSON: Bool { isSet(.json) }

    func isSet(_ option: Option) -> Bool { values[option.name] != nil }
    func text(_ option: Option) -> String? { values[option.name]?.last }
    func texts(_ option: Option) -> [String] { values[option.name] ?? [] }
    /// Parsing has checked that it is one.
    func integer(_ option: Option) -> Int? { text(option).flatMap { Int($0) } }

    /// The argument declared at `index`; parsing has checked that required ones are there.
    func argument(_ index: Int) -> String? { arguments.indices.contains(index) ? arguments[index] : nil }

    /// A required argument.
    func required(_ index: Int) throws(ApusError) -> String {
        guard let text = argument(index) else { throw ApusError(.usage, "an argument is missing") }
        return text
    }
}

/// What a command line asks for.
enum ParsedCommandLine: Sendable {
    case run(Invocation)
    case help(path: [String], Command)
    case version
}

/// Reads words into an invocation of `root` or one of its subcommands. Throws `cli.usage` naming the word at fault and what was
/// probably meant.
///
/// `--option value` and `--option=value` are the same, short flags can be joined, `--` ends the options, and `-` alone is an argument.
struct ArgumentParser {
    let root: Command
    var terminal: Terminal
    var environment: [String: String]

    func parse(_ words: [String]) throws(ApusError) -> ParsedCommandLine {
        var path = [root.name]
        var command = root
        var rest = words[...]
        while let word = rest.first, let next = command.subcommands.first(where: { $0.name == word }) {
            command = next
            path.append(next.name)
            rest = rest.dropFirst()
        }
        // `apus help import` is what people type.
        if path.count == 1, rest.first == "help" {
            return try parse(Array(rest.dropFirst()) + ["--help"])
        }

        var invocation = Invocation(path: path, command: command, terminal: terminal, environment: environment)
        let options = command.allOptions + (path.count == 1 ? [.version] : [])
        while let word = rest.popFirst() {
            if word == "--" {
                invocation.arguments += rest
                break
            }
            guard word.hasPrefix("-"), word != "-", Double(word) == nil else {
                if !command.subcommands.isEmpty { throw unknown(word, among: command.subcommands.map(\.name), what: "command", path) }
                invocation.arguments.append(word)
                continue
            }
            try take(word, from: &rest, options, into: &invocation)
        }
        if invocation.isSet(.help) { return .help(path: path, command) }
        if invocation.isSet(.version) { return .version }
        guard command.run != nil else {
            if words.isEmpty { return .help(path: path, command) }
            throw ApusError(
                .usage, "'\(path.joined(separator: " "))' needs a command: \(command.subcommands.map(\.name).joined(separator: ", "))",
                hint: "\(path.joined(separator: " ")) --help")
        }
        try checkArguments(invocation)
        return .run(invocation)
    }

    private func take(
        _ word: String, from rest: inout ArraySlice<String>, _ options: [Option], into invocation: inout Invocation
    ) throws(ApusError) {
        if !word.hasPrefix("--") { return try takeShort(word, from: &rest, options, into: &invocation) }
        let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let option = options.first(where: { $0.name == parts[0] }) else {
            throw unknown("--\(parts[0])", among: options.map(\.spelling), what: "option", invocation.path)
        }
        guard option.values != nil else {
            guard parts.count == 1 else { throw usage("\(option.spelling) takes no value", invocation.path) }
            invocation.values[option.name] = []
            return
        }
        try add(parts.count == 2 ? parts[1] : rest.popFirst(), to: option, in: &invocation)
    }

    private func takeShort(
        _ word: String, from rest: inout ArraySlice<String>, _ options: [Option], into invocation: inout Invocation
    ) throws(ApusError) {
        var letters = word.dropFirst()
        while let letter = letters.popFirst() {
            guard let option = options.first(where: { $0.short == letter }) else {
                throw unknown("-\(letter)", among: options.map(\.spelling), what: "option", invocation.path)
            }
            guard option.values != nil else {
                invocation.values[option.name] = []
                continue
            }
            try add(letters.isEmpty ? rest.popFirst() : String(letters), to: option, in: &invocation)
            return
        }
    }

    private func add(_ value: String?, to option: Option, in invocation: inout Invocation) throws(ApusError) {
        guard let value else { throw usage("\(option.spelling) needs a value: \(option.spelling) \(option.placeholder)", invocation.path) }
        if let complaint = option.values?.complaint(about: value) {
            throw usage("\(option.spelling) \(complaint), not '\(value)'", invocation.path)
        }
        guard invocation.values[option.name] == nil || option.isRepeatable else {
            throw usage("\(option.spelling) is given twice", invocation.path)
        }
        invocation.values[option.name, default: []].append(value)
    }

    private func checkArguments(_ invocation: Invocation) throws(ApusError) {
        let declared = invocation.command.arguments
        if invocation.arguments.count > declared.count {
            let word = invocation.arguments[declared.count]
            // A file given to a command that takes one by option.
            let isFile = invocation.command.options.contains { $0.name == "config" } && word.hasSuffix(".yml")
            throw usage("'\(word)' is one argument too many\(isFile ? "; did you mean --config \(word)?" : "")", invocation.path)
        }
        for (index, argument) in declared.enumerated() {
            guard index < invocation.arguments.count else {
                if argument.isRequired { throw usage("\(argument.name) is missing: \(argument.help)", invocation.path) }
                continue
            }
            if !argument.takesOthers, let complaint = argument.values.complaint(about: invocation.arguments[index]) {
                throw usage("\(argument.name) \(complaint), not '\(invocation.arguments[index])'", invocation.path)
            }
        }
    }

    private func unknown(_ word: String, among names: [String], what: String, _ path: [String]) -> ApusError {
        let near = nearest(to: word, among: names).map { "; did you mean '\($0)'?" } ?? ""
        return usage("'\(word)' is no \(what) of '\(path.joined(separator: " "))'\(near)", path)
    }

    private func usage(_ summary: String, _ path: [String]) -> ApusError {
        ApusError(.usage, summary, hint: "\(path.joined(separator: " ")) --help")
    }
}
