internal import ApusTypes
internal import Glibc
internal import NemesisKit

/// `apus-nemesis [--minutes N] [--seed S] [--only KIND,…] [--directory DIR]`, `apus-nemesis check FILE`, `apus-nemesis scoreboard`, `apus-nemesis strangers`,
/// `apus-nemesis hung-store`.
struct RunOptions {
    enum Command {
        case run
        /// Checks a recorded run again.
        case check(String)
        /// Prints `docs/failures.md` made of the results that are kept.
        case scoreboard
        /// Trust and joining between hosts.
        case strangers
        /// What a store that hangs does to the other routes of its node.
        case hungStore
        /// Part of the lab: a file system that never answers.
        case hang(String)
    }

    var command = Command.run
    var minutes = 5.0
    var seed: UInt64 = 1
    var kinds = FaultKind.allCases
    /// Where the history and the logs are left.
    var directory = ".apus/nemesis"

    static let usage = """
        usage: apus-nemesis [--minutes N] [--seed S] [--only KIND,…] [--directory DIR]
               apus-nemesis check FILE      a recorded run, checked again
               apus-nemesis scoreboard      docs/failures.md, from the results under Benchmarks/results
               apus-nemesis strangers       whom nodes trust and how one joins, each host in a network namespace
               apus-nemesis hung-store      what a store that hangs does to the other routes of its node

        Kinds: \(FaultKind.allCases.map(\.rawValue).joined(separator: " "))

        """

    /// Throws `usage`.
    init(_ arguments: some Sequence<String>) throws(ApusError) {
        var rest = Array(arguments)[...]
        func value(_ option: String) throws(ApusError) -> String {
            guard let value = rest.popFirst() else { throw ApusError(.usage, "\(option) takes a value") }
            return value
        }
        while let word = rest.popFirst() {
            switch word {
            case "check": command = .check(try value(word))
            case "hang": command = .hang(try value(word))
            case "scoreboard": command = .scoreboard
            case "strangers": command = .strangers
            case "hung-store": command = .hungStore
            case "--minutes":
                guard let minutes = Double(try value(word)), minutes > 0 else { throw ApusError(.usage, "--minutes takes a number") }
                self.minutes = minutes
            case "--seed":
                guard let seed = UInt64(try value(word)) else { throw ApusError(.usage, "--seed takes a number") }
                self.seed = seed
            case "--only":
                kinds = []
                for name in try value(word).split(separator: ",") {
                    guard let kind = FaultKind(rawValue: String(name)) else { throw ApusError(.usage, "'\(name)' is no fault") }
                    kinds.append(kind)
                }
            case "--directory": directory = try value(word)
            default: throw ApusError(.usage, "'\(word)' is not known")
            }
        }
    }
}
