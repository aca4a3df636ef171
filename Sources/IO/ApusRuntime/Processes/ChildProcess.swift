internal import ApusTypes
internal import CUV
internal import Glibc
internal import Synchronization

/// A child process, started and reaped on an event loop.
public final class ChildProcess: Sendable {
    public struct Command: Sendable {
        public var executable: String
        public var arguments: [String]
        /// The whole environment of the child; nothing is inherited unless it is named here.
        public var environment: [String: String]
        public var directory: String?
        public var user: UInt32?
        public var group: UInt32?
        public var output: Output
        /// In a session of its own: what is typed on the terminal (Ctrl-C) goes to this process alone.
        public var isDetached = false

        public enum Output: Sendable {
            /// The child writes where this process does.
            case inherited
            case discarded
            /// Both streams, appended to a file.
            case file(String)
            /// Both streams, into a descriptor of this process, which stays its own to close.
            case descriptor(Int32)
        }

        public init(
            _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:], directory: String? = nil,
            user: UInt32? = nil, group: UInt32? = nil, output: Output = .inherited
        ) {
            self.executable = executable
            self.arguments = arguments
            self.environment = environment
            self.directory = directory
            self.user = user
            self.group = group
            self.output = output
        }
    }

    public enum Exit: Sendable, Hashable, CustomStringConvertible {
        case status(Int32)
        case signal(Int32)

        public var description: String {
            switch self {
            case .status(let status): "exit status \(status)"
            case .signal(let signal): "signal \(signal)"
            }
        }
    }

    public let identifier: Int32
    private let exit: ExitPromise

    private init(identifier: Int32, exit: ExitPromise) {
        self.identifier = identifier
        self.exit = exit
    }

    /// Starts the command. Throws `process.failed` when it cannot be started (no such file, no permission).
    public static func start(_ command: Command, on loop: EventLoop) async throws -> ChildProcess {
        try await loop.run {
            let promise = ExitPromise()
            let handle = UnsafeMutablePointer<uv_process_t>.allocate(capacity: 1)
            handle.pointee = uv_process_t()
            handle.pointee.data = Unmanaged.passRetained(promise).toOpaque()
            let status = spawn(command, loop: loop, handle: handle)
            guard status == 0 else {
                Unmanaged<ExitPromise>.fromOpaque(handle.pointee.data).release()
                handle.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
                    uv_close(handle) { UnsafeMutableRawPointer($0!).deallocate() }
                }
                throw ApusError(
                    .processFailed, "\(command.executable) cannot be started: \(String(cString: uv_strerror(status)))",
                    context: ["executable": command.executable])
            }
            return ChildProcess(identifier: handle.pointee.pid, exit: promise)
        }
    }

    /// Waits for the end; several may wait.
    public func wait() async -> Exit { await exit.value() }

    /// How it ended, nil while it runs.
    public var ended: Exit? { exit.now }

    /// Sends a signal, unless the process has ended (its number might be another's by then).
    public func send(signal: Int32) { exit.ifRunning { kill(identifier, signal) } }

    /// SIGTERM, then SIGKILL after `grace`.
    public func terminate(grace: Duration) async -> Exit {
        send(signal: SIGTERM)
        return await wait(atMost: grace)
    }

    /// Waits for the end, and brings it about after `limit` with SIGKILL.
    public func wait(atMost limit: Duration) async -> Exit {
        let timer = Deadlines.shared.schedule(at: BootClock.now.advanced(by: limit)) { self.send(signal: SIGKILL) }
        let exit = await wait()
        timer?()
        return exit
    }

    private static func spawn(_ command: Command, loop: EventLoop, handle: UnsafeMutablePointer<uv_process_t>) -> Int32 {
        var strings: [UnsafeMutablePointer<CChar>] = []
        defer { strings.forEach { free($0) } }
        func list(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
            texts.map { text in
                let copy = strdup(text)!  // out of memory ends the process
                strings.append(copy)
                return copy
            } + [nil]
        }
        var arguments = list([command.executable] + command.arguments)
        var environment = list(command.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
        let file = arguments[0]
        let directory = list(command.directory.map { [$0] } ?? [])[0]

        var output: Int32 = -1
        var isOpened = true
        defer { if output >= 0, isOpened { close(output) } }
        switch command.output {
        case .inherited: break
        case .discarded: output = open("/dev/null", O_WRONLY | O_CLOEXEC)
        case .file(let path): output = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        case .descriptor(let descriptor): (output, isOpened) = (descriptor, false)
        }
        func stream(_ descriptor: Int32) -> uv_stdio_container_t {
            var container = uv_stdio_container_t()
            container.flags = descriptor < 0 ? UV_IGNORE : UV_INHERIT_FD
            container.data.fd = descriptor
            return container
        }
        var streams = [stream(-1), stream(output < 0 ? STDOUT_FILENO : output), stream(output < 0 ? STDERR_FILENO : output)]

        return arguments.withUnsafeMutableBufferPointer { arguments in
            environment.withUnsafeMutableBufferPointer { environment in
                streams.withUnsafeMutableBufferPointer { streams in
                    var options = uv_process_options_t()
                    options.file = UnsafePointer(file)
                    options.args = arguments.baseAddress
                    options.env = environment.baseAddress
                    options.cwd = UnsafePointer(directory)
                    options.stdio_count = 3
                    options.stdio = streams.baseAddress
                    if command.isDetached { options.flags |= UV_PROCESS_DETACHED.rawValue }
                    if let user = command.user {
                        options.flags |= UV_PROCESS_SETUID.rawValue
                        options.uid = user
                    }
                    if let group = command.group {
                        options.flags |= UV_PROCESS_SETGID.rawValue
                        options.gid = group
                    }
                    options.exit_cb = { handle, status, signal in
                        Unmanaged<ExitPromise>.fromOpaque(handle!.pointee.data).takeRetainedValue()  // retained in start
                            .end(signal == 0 ? .status(Int32(truncatingIfNeeded: status)) : .signal(signal))
                        handle!.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
                            uv_close(handle) { UnsafeMutableRawPointer($0!).deallocate() }
                        }
                    }
                    return uv_spawn(loop.uv, handle, &options)
                }
            }
        }
    }
}

/// The end of a process, awaited by any number of tasks.
private final class ExitPromise: Sendable {
    private let state = Mutex<(exit: ChildProcess.Exit?, waiters: [CheckedContinuation<ChildProcess.Exit, Never>])>((nil, []))

    var now: ChildProcess.Exit? { state.withLock { $0.exit } }

    func ifRunning(_ body: () -> Void) { state.withLock { if $0.exit == nil { body() } } }

    func end(_ exit: ChildProcess.Exit) {
        let waiters = state.withLock { state in
            state.exit = exit
            defer { state.waiters = [] }
            return state.waiters
        }
        waiters.forEach { $0.resume(returning: exit) }
    }

    func value() async -> ChildProcess.Exit {
        await withCheckedContinuation { continuation in
            let exit = state.withLock { state in
                if state.exit == nil { state.waiters.append(continuation) }
                return state.exit
            }
            if let exit { continuation.resume(returning: exit) }
        }
    }
}
