internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import Synchronization

/// Keeps one child process running: when it ends without having been asked to, it is started again after a pause that grows.
final class Supervisor: Sendable {
    enum Event: Sendable {
        case started(process: Int32)
        case ended(ChildProcess.Exit, nextIn: Duration)
        case failed(ApusError, nextIn: Duration)
    }

    private let command: ChildProcess.Command
    private let loop: EventLoop
    private let report: @Sendable (Event) -> Void
    /// Asked for before the process is told, so that its end is not taken for an accident.
    private let stopping = StopRequest()
    private let stopped = StopRequest()
    private let state = Mutex<(process: ChildProcess?, signal: Int32?)>((nil, nil))

    init(_ command: ChildProcess.Command, on loop: EventLoop, report: @escaping @Sendable (Event) -> Void) {
        self.command = command
        self.loop = loop
        self.report = report
    }

    /// The running process; nil between two of them.
    var process: ChildProcess? { state.withLock { $0.process } }

    /// Returns after `stop`.
    func run() async {
        defer { stopped.request() }
        var backOff = RestartBackOff()
        while state.withLock({ $0.signal }) == nil {
            let began = BootClock.now
            let pause: Duration
            do {
                let process = try await ChildProcess.start(command, on: loop)
                let signal = state.withLock { state in
                    state.process = process
                    return state.signal
                }
                report(.started(process: process.identifier))
                if let signal { process.send(signal: signal) }
                let exit = await process.wait()
                state.withLock { $0.process = nil }
                if state.withLock({ $0.signal }) != nil { return }
                pause = backOff.pause(after: began.duration(to: BootClock.now))
                report(.ended(exit, nextIn: pause))
            } catch {
                pause = backOff.pause(after: began.duration(to: BootClock.now))
                report(.failed(error as? ApusError ?? ApusError(.processFailed, "\(error)"), nextIn: pause))
            }
            _ = try? await stopping.racing { try await BootClock().sleep(for: pause) }  // cut short: the loop's condition says why
        }
    }

    /// Sends `signal`, and SIGKILL after `grace`; returns when the process is gone and none follows. Only while `run` runs.
    func stop(_ signal: Int32 = SIGTERM, grace: Duration) async {
        let process = state.withLock { state in
            state.signal = signal
            return state.process
        }
        stopping.request()
        process?.send(signal: signal)
        _ = await process?.wait(atMost: grace)
        await stopped.wait()
    }
}
