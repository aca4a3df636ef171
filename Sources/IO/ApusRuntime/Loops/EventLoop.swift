internal import CLinux
public import CUV
internal import Glibc
internal import Synchronization

/// One libuv loop on a thread of its own, and the executor of the tasks that live on it.
///
/// A task started with `Task(executorPreference: loop)` runs on the loop's thread between two polls, so a handler runs where its
/// request was read, without a hop. libuv handles may be touched on the loop's thread only; `run(_:)` gets there.
public final class EventLoop: TaskExecutor, Sendable {
    public let index: Int
    /// The libuv loop. Only for code that runs on this loop's thread.
    public nonisolated(unsafe) let uv: UnsafeMutablePointer<uv_loop_t>  // libuv's rule: one thread touches it, and `isCurrent` asserts that
    public let timers: LoopTimers

    private nonisolated(unsafe) let wake: UnsafeMutablePointer<uv_async_t>  // uv_async_send may be called from any thread
    private nonisolated(unsafe) let check: UnsafeMutablePointer<uv_check_t>  // loop thread only
    private nonisolated(unsafe) let idle: UnsafeMutablePointer<uv_idle_t>  // loop thread only
    private let remote = Mutex(Remote())
    /// Work that was added on the loop's own thread, taken in order. Loop thread only, hence no lock.
    private nonisolated(unsafe) var local: [Work] = []
    /// Run once what is queued has run. Loop thread only.
    private nonisolated(unsafe) var endings: [() -> Void] = []
    /// The handles are being closed. Loop thread only.
    private nonisolated(unsafe) var isClosing = false

    private struct Remote {
        var queue: [Work] = []
        /// Nothing wakes the loop any more.
        var isStopped = false
        var thread: pthread_t?
    }

    private enum Work: Sendable {
        case job(UnownedJob)
        case closure(@Sendable () -> Void)
    }

    public init(index: Int = 0) {
        self.index = index
        uv = .allocate(capacity: 1)
        wake = .allocate(capacity: 1)
        check = .allocate(capacity: 1)
        idle = .allocate(capacity: 1)
        precondition(uv_loop_init(uv) == 0, "libuv cannot create a loop: out of file descriptors or memory")
        timers = LoopTimers(uv: uv)
        let context = Unmanaged.passUnretained(self).toOpaque()
        uv_async_init(uv, wake) { handle in EventLoop.of(handle!.pointee.data).takeRemote() }
        uv_check_init(uv, check)
        uv_idle_init(uv, idle)
        wake.pointee.data = context
        check.pointee.data = context
        idle.pointee.data = context
        uv_check_start(check) { handle in EventLoop.of(handle!.pointee.data).drain() }
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> EventLoop {
        Unmanaged<EventLoop>.fromOpaque(context!).takeUnretainedValue()  // set in init; the thread keeps the loop alive
    }

    /// The loop whose thread this is.
    public static var current: EventLoop? {
        apus_thread_loop().map { Unmanaged<EventLoop>.fromOpaque($0).takeUnretainedValue() }
    }

    public var isCurrent: Bool { apus_thread_loop() == Unmanaged.passUnretained(self).toOpaque() }

    // MARK: Running

    /// Starts the loop's thread. Called once.
    public func start() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { context in
                let loop = Unmanaged<EventLoop>.fromOpaque(context!).takeRetainedValue()
                apus_thread_set_loop(context)
                apus_thread_set_name("apus-loop-\(loop.index)")
                // A write to a connection that is gone is an error to handle, not a signal that ends the process. (uv_spawn clears the mask.)
                var pipe = sigset_t()
                sigemptyset(&pipe)
                sigaddset(&pipe, SIGPIPE)
                pthread_sigmask(SIG_BLOCK, &pipe, nil)
                uv_run(loop.uv, UV_RUN_DEFAULT)
                loop.close()
                return nil
            }, context)
        precondition(status == 0, "cannot start a thread: error \(status)")
        remote.withLock { $0.thread = thread }
    }

    /// Ends the loop after the work that is queued, and waits for its thread. Handles still open are closed without a word to their owners;
    /// what is added later never runs.
    public func stop() {
        precondition(!isCurrent, "a loop cannot wait for itself")
        execute { [self] in uv_stop(uv) }
        if let thread = remote.withLock({ $0.thread.take() }) { pthread_join(thread, nil) }
    }

    /// Gives the loop's descriptors back. On the loop's thread, at its end.
    private func close() {
        remote.withLock { $0.isStopped = true }
        takeRemote()
        isClosing = true
        uv_walk(uv, { handle, _ in if uv_is_closing(handle) == 0 { uv_close(handle, nil) } }, nil)
        // Work on libuv's own threads may take long, and nobody should wait for it here: its loop stays as it is.
        for _ in 0..<100 {
            let isAlive = uv_run(uv, UV_RUN_NOWAIT) != 0
            drain()
            if !isAlive, uv_loop_close(uv) == 0 { break }
            usleep(1000)
        }
        timers.close()
    }

    // MARK: Work

    public func enqueue(_ job: consuming ExecutorJob) { add(.job(UnownedJob(job))) }

    /// Runs `body` on the loop's thread, soon: never inside this call.
    public func execute(_ body: @escaping @Sendable () -> Void) { add(.closure(body)) }

    /// Runs `body` on the loop's thread: now if this is it.
    package func soon(_ body: @escaping @Sendable () -> Void) {
        if isCurrent { body() } else { execute(body) }
    }

    /// Runs `body` before the loop waits again, behind the work that is queued by then: what was collected meanwhile is sent at once. On the
    /// loop's thread.
    package func atEndOfTurn(_ body: @escaping () -> Void) {
        if local.isEmpty, endings.isEmpty, !isClosing { uv_idle_start(idle) { _ in } }
        endings.append(body)
    }

    /// Runs `body` on the loop's thread and returns what it gives.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        if isCurrent { return try body() }
        return try await withCheckedThrowingContinuation { continuation in
            execute { continuation.resume(with: Result(catching: body)) }
        }
    }

    private func add(_ work: Work) {
        if isCurrent {
            if local.isEmpty, !isClosing { uv_idle_start(idle) { _ in } }  // keeps the next poll from waiting
            local.append(work)
            return
        }
        remote.withLock { state in
            state.queue.append(work)
            // Under the lock, because a handle that is closed must not be sent to.
            if state.queue.count == 1, !state.isStopped { uv_async_send(wake) }
        }
    }

    private func takeRemote() {
        let taken = remote.withLock { state in
            var queue: [Work] = []
            swap(&queue, &state.queue)
            return queue
        }
        if local.isEmpty { local = taken } else { local.append(contentsOf: taken) }
        drain()
    }

    /// Runs what is queued. Work that arrives meanwhile runs too, up to a bound, so that I/O is not starved.
    private func drain() {
        var rounds = 0
        while !local.isEmpty, rounds < 8 {
            var batch: [Work] = []
            swap(&batch, &local)
            for work in batch {
                switch work {
                case .job(let job): job.runSynchronously(on: asUnownedTaskExecutor())
                case .closure(let body): body()
                }
            }
            rounds += 1
        }
        if !endings.isEmpty {
            var due: [() -> Void] = []
            swap(&due, &endings)
            for body in due { body() }
        }
        guard !isClosing else { return }
        if local.isEmpty, endings.isEmpty { uv_idle_stop(idle) } else { uv_idle_start(idle) { _ in } }
    }
}
