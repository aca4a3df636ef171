internal import ApusTypes

/// One command of the command line, as a value: parsing, `--help` and the completion scripts are all made from it.
///
/// The framework is our own because the project builds from the toolchain and distribution packages alone, and none of them holds a
/// Swift argument parser.
struct Command: Sendable {
    var name: String
    /// One line, for the parent's list.
    var summary: String
    /// What it does, for its own `--help`; may be several paragraphs.
    var discussion = ""
    var arguments: [Argument] = []
    var options: [Option] = []
    var examples: [Example] = []
    var subcommands: [Command] = []
    /// Whether it gives a result, which `--json` shows as one document. A node that runs has none.
    var hasResult = true
    /// Nil for a command that only groups others.
    var run: (@Sendable (Invocation) async throws -> ErrorCode.ExitCode)?

    struct Example: Sendable {
        var line: String
        var explanation: String

        init(_ line: String, _ explanation: String) {
            self.line = line
            self.explanation = explanation
        }
    }

    /// Its options and those that every command has.
    var allOptions: [Option] { options + (run == nil || !hasResult ? [] : [.json]) + [.help] }
}

/// A positional argument.
struct Argument: Sendable {
    var name: String
    var help: String
    var isRequired = true
    var values = Values.text
    /// The values are what completion offers, and others are taken too.
    var takesOthers = false
}

/// An option or, without `values`, a flag.
struct Option: Sendable, Hashable {
    var name: String
    var short: Character?
    var placeholder = ""
    /// Nil for a flag, which has no value.
    var values: Values?
    var isRepeatable = false
    var help: String

    static func flag(_ name: String, short: Character? = nil, _ help: String) -> Option {
        Option(name: name, short: short, values: nil, help: help)
    }

    static func value(_ name: String, short: Character? = nil, _ placeholder: String, _ help: String) -> Option {
        value(name, short: short, placeholder, .text, help)
    }

    static func value(_ name: String, short: Character? = nil, _ placeholder: String, _ values: Values, _ help: String) -> Option {
        Option(name: name, short: short, placeholder: placeholder, values: values, help: help)
    }

    var repeated: Option {
        var copy = self
        copy.isRepeatable = true
        return copy
    }

    var spelling: String { "--\(name)" }

    static let json = Option.flag("json", "Print one JSON document instead of text.")
    static let help = Option.flag("help", short: "h", "Show this help.")
    static let version = Option.flag("version", "Show the version.")
}

/// What a value may be; checked when it is parsed, and offered by completion.
enum Values: Sendable, Hashable {
    case text
    case integer(ClosedRange<Int>)
    case choice([String])
    /// A file, preferably with one of these name endings.
    case file([String])
    case directory
    /// A name that a running node knows.
    case named(ClusterNames)

    /// Why `text` is not acceptable, nil when it is.
    func complaint(about text: String) -> String? {
        switch self {
        case .text, .file, .directory, .named: return nil
        case .integer(let range):
            guard let value = Int(text), range.contains(value) else {
                return "must be a whole number"
                    + (range.upperBound == .max ? " from \(range.lowerBound)" : " from \(range.lowerBound) to \(range.upperBound)")
            }
            return nil
        case .choice(let names): return names.contains(text) ? nil : "must be one of \(names.joined(separator: ", "))"
        }
    }
}

/// Names of things of a cluster, which completion asks a node for.
enum ClusterNames: String, Sendable, CaseIterable {
    case nodes, collections, shards

    /// One of them, as an argument says it: `apus why node`.
    var kind: String { String(rawValue.dropLast()) }
}
