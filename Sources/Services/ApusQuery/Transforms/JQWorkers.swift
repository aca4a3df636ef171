public import ApusRuntime
public import ApusTypes
internal import Glibc
internal import Synchronization

/// Processes that run jq programs of clients.
///
/// A program may run for ever, take all memory or recurse until the stack ends, and jq has no way to stop it; so it runs in a process of its
/// own, which has no files and no environment, is given so much memory, and is killed when its time is over.
public final class JQWorkers: Sendable {
    public struct Options: Sendable {
        /// What becomes a worker when it is started: it speaks over its standard output, which is a socket (`CJQ`).
        public var executable: String
        public var arguments: [String] = []
        public var workers = 2
        /// Programs that may wait for a worker; beyond: `node.overloaded`.
        public var waiting = 256
        /// The largest result that a worker tells.
        public var output: ByteCount = .mebibytes(64)
        /// Of one program.
        public var time: Duration = .seconds(5)

        public init(executable: String) { self.executable = executable }
    }

    private struct Worker: Sendable {
        var socket: Int32
        var process: ChildProcess
    }

    private struct State {
        var idle: [Worker] = []
        var alive = 0
        var isClosed = false
    }

    private let loops: EventLoops
    private let options: Options
    private let pool: BlockingPool
    private let state = Mutex(State())

    public init(loops: EventLoops, options: Options) {
        self.loops = loops
        self.options = options
        pool = BlockingPool(name: "jq", threads: options.workers, queueLimit: options.waiting)
    }

    public var transform: JSONTransform { { try await self.run($0, $1, $2, deadline: $3) } }

    /// Ends the processes. Programs under way fail.
    public func close() {
        let workers = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        workers.forEach(end)
    }

    private func run(_ program: String, _ input: [UInt8], _ variables: JSONObject, deadline: Instant) async throws -> [UInt8] {
        // Variables are compiled into a program: one that names none is compiled once for all.
        let variables = program.contains("$") ? JSONValue.object(variables).serialized() : Array("{}".utf8)
        let parts = [Array(program.utf8), variables, input]
        guard !parts[0].contains(0), parts.allSatisfy({ $0.count < 1 << 30 }) else {
            throw ApusError(.requestInvalid, "the jq program cannot be read")
        }
        while true {
            try await startIfNeeded()
            let answer: [UInt8]? = try await pool.run(deadline: deadline) { [self] () throws -> [UInt8]? in
                guard let worker = state.withLock({ $0.idle.popLast() }) else { return nil }
                return try talk(worker, parts, until: min(deadline, BootClock.now.advanced(by: options.time)))
            }
            if let answer { return answer }
        }
    }

    /// There are as many workers as threads that ask them, so that a thread without one knows that one has ended.
    private func startIfNeeded() async throws {
        let isNeeded = try state.withLock { state in
            if state.isClosed { throw ApusError(.nodeDraining, "this node is stopping") }
            guard state.idle.isEmpty, state.alive < options.workers else { return false }
            state.alive += 1
            return true
        }
        guard isNeeded else { return }
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            state.withLock { $0.alive -= 1 }
            throw ApusError(.processFailed, "no socket for a jq worker: \(String(cString: strerror(errno)))")
        }
        defer { Glibc.close(pair[1]) }
        do {
            let command = ChildProcess.Command(options.executable, options.arguments, output: .descriptor(pair[1]))
            let process = try await ChildProcess.start(command, on: loops.any)
            state.withLock { $0.idle.append(Worker(socket: pair[0], process: process)) }
        } catch {
            Glibc.close(pair[0])
            state.withLock { $0.alive -= 1 }
            throw error
        }
    }

    private func end(_ worker: Worker) {
        worker.process.send(signal: SIGKILL)
        Glibc.close(worker.socket)
        state.withLock { $0.alive -= 1 }
    }

    // MARK: Talking to a worker

    private func talk(_ worker: Worker, _ parts: [[UInt8]], until deadline: Instant) throws -> [UInt8] {
        do {
            var head: [UInt8] = []
            for part in parts { withUnsafeBytes(of: UInt32(part.count)) { head += $0 } }
            try Self.transfer(worker.socket, &head, until: deadline, writes: true)
            for var part in parts { try Self.transfer(worker.socket, &part, until: deadline, writes: true) }
            var reply = [UInt8](repeating: 0, count: 5)
            try Self.transfer(worker.socket, &reply, until: deadline, writes: false)
            let count = reply[1...].withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
            guard count <= options.output.bytes else { throw Failure.end }
            var bytes = [UInt8](repeating: 0, count: Int(count))
            try Self.transfer(worker.socket, &bytes, until: deadline, writes: false)
            let isClosed = state.withLock { state in
                if !state.isClosed { state.idle.append(worker) }
                return state.isClosed
            }
            if isClosed { end(worker) }
            return try Self.result(reply[0], bytes)
        } catch let failure as Failure {
            end(worker)
            switch failure {
            case .time: throw ApusError(.requestInvalid, "the jq program did not end in time", hint: "give it less, or ask for less")
            case .end: throw ApusError(.requestInvalid, "the jq program needs more memory than it may have, or recurses too deeply")
            }
        }
    }

    private enum Failure: Error { case time, end }

    private static func result(_ status: UInt8, _ bytes: [UInt8]) throws(ApusError) -> [UInt8] {
        func said() -> String { String(decoding: bytes.prefix(500), as: UTF8.self).split(separator: "\n").first.map(String.init) ?? "" }
        switch status {
        case 0: return bytes
        case 1: throw ApusError(.requestInvalid, "the jq program cannot be compiled: \(said().replacing("jq: error: ", with: ""))")
        case 3: throw ApusError(.requestInvalid, "the jq program's output is larger than a reply may be")
        default: throw ApusError(.requestInvalid, "the jq program failed: \(said())")
        }
    }

    private static func transfer(_ socket: Int32, _ bytes: inout [UInt8], until deadline: Instant, writes: Bool) throws {
        var done = 0
        while done < bytes.count {
            let left = BootClock.now.duration(to: deadline)
            guard left > .zero else { throw Failure.time }
            var ready = pollfd(fd: socket, events: Int16(writes ? POLLOUT : POLLIN), revents: 0)
            let count = poll(&ready, 1, Int32(min(left.seconds * 1000 + 1, 60_000)))
            if count <= 0 { continue }
            let moved = bytes.withUnsafeMutableBytes { raw in
                let rest = raw.baseAddress! + done  // not empty
                return writes
                    ? send(socket, rest, raw.count - done, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
                    : recv(socket, rest, raw.count - done, Int32(MSG_DONTWAIT))
            }
            if moved > 0 {
                done += moved
            } else if moved == 0 || ![EAGAIN, EINTR].contains(errno) {
                throw Failure.end
            }
        }
    }
}
