public import ApusTypes
internal import CLinux
internal import Glibc
internal import Synchronization

/// Threads for calls that block: file systems that may hang, `fsync`, password hashing, long scans.
///
/// Threads are started when work waits and end after idling. A call whose deadline passes is abandoned to its thread: the caller goes on,
/// the thread stays taken until the call returns, so a dead mount costs at most `threads` threads and nothing else.
public final class BlockingPool: Sendable {
    public let name: String
    private let threads: Int
    private let queueLimit: Int
    private let niceness: Int32
    private let state = Mutex(State())
    private let wake = Semaphore()

    private struct State {
        var queue: [@Sendable () -> Void] = []
        var head = 0
        var running = 0
        /// Threads that sleep and for which no wake-up is on its way.
        var idle = 0
        var waiting: Int { queue.count - head }

        mutating func pop() -> (@Sendable () -> Void)? {
            guard head < queue.count else { return nil }
            let work = queue[head]
            head += 1
            if head == queue.count {
                queue.removeAll(keepingCapacity: true)
                head = 0
            } else if head > 1024 {
                queue.removeFirst(head)
                head = 0
            }
            return work
        }
    }

    /// The nicer its threads, the more they leave the processor to others when it is short: work in the background is at 10 or above.
    /// At most `threads` calls at a time and `queueLimit` waiting; beyond that `run` throws `node.overloaded`.
    public init(name: String, threads: Int, queueLimit: Int, niceness: Int32 = 0) {
        self.niceness = niceness
        self.name = name
        self.threads = max(1, threads)
        self.queueLimit = queueLimit
    }

    /// Calls that wait for a thread.
    public var waiting: Int { state.withLock { $0.waiting } }

    /// Its threads, those that idle included.
    public var running: Int { state.withLock { $0.running } }

    /// Runs `body` on one of the pool's threads. At `deadline` throws `deadline.exceeded` and abandons the call (a call that has not
    /// begun by then never does); on cancellation throws `CancellationError` in the same way.
    public func run<Value: Sendable>(deadline: Instant? = nil, _ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        let call = AbandonableCall<Value>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard call.begin(continuation) else { return }
                if let deadline {
                    Deadlines.shared.schedule(at: deadline) { [name] in
                        call.finish(.failure(ApusError(.deadlineExceeded, "a call in the pool '\(name)' did not return in time")))
                    }.map(call.onFinish)
                }
                do throws(ApusError) {
                    try submit {
                        guard call.isWaiting else { return }
                        call.finish(Result(catching: body))
                    }
                } catch {
                    call.finish(.failure(error))
                }
            }
        } onCancel: {
            call.finish(.failure(CancellationError()))
        }
    }

    /// Has one of the pool's threads do `work`, which nobody waits for.
    package func submit(_ work: @escaping @Sendable () -> Void) throws(ApusError) {
        enum Next { case refuse, wake, start, wait }
        let next: Next = state.withLock { state in
            guard state.waiting < queueLimit || state.running < threads else { return .refuse }
            state.queue.append(work)
            if state.idle > 0 {
                state.idle -= 1
                return .wake
            }
            guard state.running < threads else { return .wait }
            state.running += 1
            return .start
        }
        switch next {
        case .refuse: throw ApusError(.overloaded, "too much is waiting for the pool '\(name)'", context: ["pool": name])
        case .wake: wake.signal()
        case .start: startThread()
        case .wait: break  // a thread that is busy takes it when it is done
        }
    }

    /// Wake-ups that no thread has taken yet.
    var pendingWakes: Int { wake.value }

    private func startThread() {
        Thread.start(name: "apus-\(name)") { [self] in
            if niceness != 0 { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }  // of this thread alone, on Linux
            while true {
                let work = state.withLock { state in
                    let work = state.pop()
                    if work == nil { state.idle += 1 }
                    return work
                }
                if let work {
                    work()
                    continue
                }
                while !wake.wait(atMost: .seconds(10)) {
                    let ends = state.withLock { state in
                        // Every sleeper has a wake-up on its way, so this one has: it waits for it.
                        guard state.idle > 0 else { return false }
                        state.idle -= 1
                        state.running -= 1
                        return true
                    }
                    if ends { return }
                }
            }
        }
    }
}
