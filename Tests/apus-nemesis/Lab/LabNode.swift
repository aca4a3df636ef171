internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import Synchronization
internal import TestKit

/// A node as a process of the lab; it can be killed, frozen and started again.
final class LabNode: Sendable {
    let name: String
    let host: String
    let port: UInt16
    let directory: String
    /// Where it sees the store: in its own mount namespace, another one than its neighbours' where the lab has namespaces.
    let storePath: String
    private let command: ChildProcess.Command
    private let process = Mutex<ChildProcess?>(nil)
    private let frozen = Mutex(false)

    init(name: String, host: String, port: UInt16, directory: String, storePath: String, command: ChildProcess.Command) {
        self.name = name
        self.host = host
        self.port = port
        self.directory = directory
        self.storePath = storePath
        self.command = command
    }

    var environment: [String: String] { command.environment }
    var url: String { "http://\(host):\(port)" }
    /// Nil while it does not run.
    var identifier: Int32? { process.withLock { $0 }.flatMap { $0.ended == nil ? $0.identifier : nil } }

    func start() async throws {
        let child = try await ChildProcess.start(command, on: TestLoops.shared.first)
        process.withLock { $0 = child }
    }

    func kill() async {
        let child = process.withLock { $0 }
        child?.send(signal: SIGKILL)
        _ = await child?.wait()
    }

    /// SIGTERM; SIGKILL after half a minute.
    func terminate() async { _ = await process.withLock { $0 }?.terminate(grace: .seconds(30)) }

    func freeze() {
        frozen.withLock { $0 = true }
        process.withLock { $0 }?.send(signal: SIGSTOP)
    }

    func thaw() {
        process.withLock { $0 }?.send(signal: SIGCONT)
        frozen.withLock { $0 = false }
    }

    var isFrozen: Bool { frozen.withLock { $0 } }

    /// How it ended, if nobody ended it.
    var ended: ChildProcess.Exit? { process.withLock { $0 }?.ended }
}
