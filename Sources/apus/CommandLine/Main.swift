internal import ApusTypes
internal import Glibc

/// Runs one command line and says how it went. Every error leaves in one form, on standard error, with the exit code of its code's
/// row in the table `ErrorCode.surfaces`.
struct Main {
    let root: Command
    let terminal: Terminal
    let environment: [String: String]

    func run(_ words: [String]) async -> ErrorCode.ExitCode {
        do {
            switch try ArgumentParser(root: root, terminal: terminal, environment: environment).parse(words) {
            case .help(let path, let command):
                terminal.print(Help(path: path, command: command, terminal: terminal).text)
                return .success
            case .version:
                terminal.print("apus \(Version.current)")
                return .success
            case .run(let invocation):
                guard let run = invocation.command.run else { preconditionFailure("the parser returns commands that run") }
                return try await run(invocation)
            }
        } catch {
            let error = error as? ApusError ?? ApusError(.internalError, "\(error)")
            report(error, asJSON: words.contains("--json"))
            return error.code.surface.exit
        }
    }

    private func report(_ error: ApusError, asJSON: Bool) {
        if asJSON {
            terminal.note(String(decoding: ErrorDocument(error).json, as: UTF8.self))
            return
        }
        let colours = terminal.colours && terminal.errorIsTerminal
        let prefix = colours ? terminal.styled("error:", .red) : "error:"
        terminal.note("\(prefix) \(error.summary) (\(error.code.rawValue))")
        if let hint = error.hint { terminal.note("  try: \(hint)") }
    }
}

enum Version {
    static let current = "0.1.0"
}
