internal import ApusTypes
internal import Glibc
internal import Synchronization

/// Writes lines to a descriptor on a thread of its own, because whoever reads the other end may have stopped reading.
///
/// At most `limit` bytes wait. Lines beyond that are dropped and counted, and a line says how many as soon as there is room again.
final class LogWriter: Sendable {
    private let descriptor: Int32
    private let limit: Int
    private let state = Mutex(State())
    private let work = Semaphore()
    private let idle = Semaphore()

    private struct State {
        var waiting: [UInt8] = []
        var dropped = 0
        var hasThread = false
        var isWriting = false
        /// Those who wait until everything is written.
        var flushes = 0
    }

    init(descriptor: Int32, limit: Int = 1 << 20) {
        self.descriptor = descriptor
        self.limit = limit
    }

    /// Queues one line. Never waits.
    func write(_ line: some Collection<UInt8>) {
        let (startsThread, wakes) = state.withLock { state in
            guard state.waiting.count + line.count <= limit else {
                state.dropped += 1
                return (false, false)
            }
            let wasEmpty = state.waiting.isEmpty
            state.waiting += line
            defer { state.hasThread = true }
            return (!state.hasThread, wasEmpty && !state.isWriting)
        }
        if startsThread { Thread.start(name: "apus-log") { self.run() } }
        if wakes { work.signal() }
    }

    /// Returns when everything queued is written, or when `limit` has passed: for the end of the process.
    func flush(atMost limit: Duration) {
        let isDone = state.withLock { state in
            guard !state.waiting.isEmpty || state.isWriting else { return true }
            state.flushes += 1
            return false
        }
        if !isDone { _ = idle.wait(atMost: limit) }
    }

    private func run() {
        while true {
            let (bytes, dropped, flushes): ([UInt8], Int, Int) = state.withLock { state in
                defer {
                    state.waiting = []
                    state.dropped = 0
                }
                state.isWriting = !state.waiting.isEmpty
                guard !state.isWriting else { return (state.waiting, state.dropped, 0) }
                defer { state.flushes = 0 }
                return ([], 0, state.flushes)
            }
            for _ in 0..<flushes { idle.signal() }
            if bytes.isEmpty {
                _ = work.wait(atMost: .seconds(3600))
                continue
            }
            put(bytes)
            if dropped > 0 {
                put(
                    LogOutput.text(
                        LogLine(
                            level: .warning, area: "log", message: "lines were dropped because nobody read the log in time",
                            metadata: ["lines": "\(dropped)"])))
            }
        }
    }

    /// A log that cannot be written is nobody's to report.
    private func put(_ bytes: [UInt8]) {
        var start = 0
        while start < bytes.count {
            // not empty
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + start, $0.count - start) }
            if count > 0 {
                start += count
            } else if count < 0, errno == EAGAIN {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            } else if count == 0 || errno != EINTR {
                return
            }
        }
    }
}
