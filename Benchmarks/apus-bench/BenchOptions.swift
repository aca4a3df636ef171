import ApusTypes
import Foundation

/// What a run was told: `apus-bench NAME [--rounds N] [--data DIR]`.
struct BenchOptions: Sendable {
    var name: String?
    /// How often everything is measured; nil leaves it to the benchmark.
    var rounds: Int?
    /// The folder with points and queries; nil where they are made up.
    var data = ProcessInfo.processInfo.environment["APUS_BENCH_DATA"].flatMap { $0.isEmpty ? nil : $0 }

    static let given = try? BenchOptions(CommandLine.arguments.dropFirst())

    /// Throws `usage`.
    init(_ arguments: some Sequence<String>) throws {
        var rest = Array(arguments)[...]
        while let word = rest.popFirst() {
            switch word {
            case "--rounds":
                guard let rounds = rest.popFirst().flatMap({ Int($0) }), rounds > 0 else {
                    throw ApusError(.usage, "--rounds takes a number")
                }
                self.rounds = rounds
            case "--data":
                guard let folder = rest.popFirst() else { throw ApusError(.usage, "--data takes a folder") }
                data = folder
            default:
                guard name == nil, !word.hasPrefix("-") else { throw ApusError(.usage, "'\(word)' is not known") }
                name = word
            }
        }
    }

    static func rounds(_ usual: Int) -> Int { given?.rounds ?? usual }
}

private let started = ContinuousClock.now

/// A line while a benchmark runs, with the seconds since its start.
func progress(_ text: String) {
    let seconds = Int((ContinuousClock.now - started).components.seconds)
    FileHandle.standardError.write(Data("[\(seconds) s] \(text)\n".utf8))
}
