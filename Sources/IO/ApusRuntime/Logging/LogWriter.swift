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
        /// Somebody waits until everything is written.
        var isFlushing = false
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
                // A line that is too long by itself finds nobody at work.
                defer { state.hasThread = true }
                return (!state.hasThread, state.waiting.isEmpty && !state.isWriting)
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
        let end = BootClock.now.advanced(by: limit)
        while BootClock.now < end {
            let isBusy = state.withLock { state in
                state.isFlushing = !state.waiting.isEmpty || state.isWriting
                return state.isFlushing
            }
            guard isBusy else { return }
            _ = idle.wait(atMost: BootClock.now.duration(to: end))
        }
    }

    private func run() {
        while true {
            let (bytes, dropped, wakesFlush) = state.withLock { state in
                state.isWriting = !state.waiting.isEmpty || state.dropped > 0
                let wakesFlush = state.isFlushing && !state.isWriting
                if wakesFlush { state.isFlushing = false }
                defer {
                    state.waiting = []
                    state.dropped = 0
                }
                return (state.waiting, state.dropped, wakesFlush)
            }
            if bytes.isEmpty, dropped == 0 {
                if wakesFlush { idle.signal() }
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
