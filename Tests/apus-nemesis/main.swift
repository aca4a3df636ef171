internal import ApusTypes
internal import Foundation
internal import Glibc
internal import NemesisKit

do {
    let options = try RunOptions(CommandLine.arguments.dropFirst())
    switch options.command {
    case .hang(let path): SharedStore.hangHere(at: path)
    case .check(let path):
        let history = try RecordedRun.read(path)
        let violations = Checker.violations(of: history)
        for violation in violations { print("violation: \(violation)") }
        let faults = history.episodes.reduce(0) { $0 + $1.faults.count }
        print("\(faults) faults, \(history.operations.count) operations, \(violations.count) violations")
        exit(violations.isEmpty ? 0 : 1)
    case .scoreboard: print(Scoreboard(results: try RecordedRun.results()).document, terminator: "")
    case .strangers:
        Namespaces.enter()
        guard Namespaces.isInside else { throw ApusError(.usage, "without root there are no namespaces here") }
        exit(try await Strangers.run(in: options.directory) ? 0 : 1)
    case .hungStore:
        Namespaces.enter()
        guard Namespaces.isInside else { throw ApusError(.usage, "without root there are no namespaces here") }
        exit(try await HungStore.run(in: options.directory) ? 0 : 1)
    case .run:
        Namespaces.enter()
        exit(try await Run(options, isNamespaced: Namespaces.isInside).run() ? 0 : 1)
    }
} catch let error as ApusError where error.code == .usage {
    FileHandle.standardError.write(Data("apus-nemesis: \(error.summary)\n\n\(RunOptions.usage)".utf8))
    exit(64)
} catch {
    FileHandle.standardError.write(Data("apus-nemesis: \(error)\n".utf8))
    exit(70)
}
