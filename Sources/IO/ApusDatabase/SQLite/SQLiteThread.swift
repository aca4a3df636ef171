internal import ApusRuntime
internal import Glibc

/// A thread that owns one connection and runs jobs on it in order. A slow disk blocks this thread and nothing else.
final class SQLiteThread: @unchecked Sendable {  // `jobs` and `isStopping` are touched under `mutex` only
    typealias Job = @Sendable (SQLiteConnection) -> Void

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [Job] = []
    private var isStopping = false

    private init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Starts a thread and opens its connection there.
    static func start(name: String, _ open: @escaping @Sendable () throws -> SQLiteConnection) async throws -> SQLiteThread {
        try await withCheckedThrowingContinuation { continuation in
            Thread.start(name: name) {
                do {
                    let connection = try open()
                    let thread = SQLiteThread()
                    continuation.resume(returning: thread)
                    thread.serve(connection)
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    /// Adds a job; false after `stop`, and the job is then never run. The gates in front bound the number of jobs.
    @discardableResult
    func add(_ job: @escaping Job) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isStopping else { return false }
        jobs.append(job)
        pthread_cond_signal(condition)
        return true
    }

    /// Runs what was added before, closes the connection, ends the thread, and then calls `ended`.
    func stop() async {
        await withCheckedContinuation { continuation in
            pthread_mutex_lock(mutex)
            defer { pthread_mutex_unlock(mutex) }
            guard !isStopping else { return continuation.resume() }
            isStopping = true
            ended = { continuation.resume() }
            pthread_cond_signal(condition)
        }
    }

    private var ended: (() -> Void)?  // set under `mutex` before `isStopping` is seen, read after

    private func serve(_ connection: consuming SQLiteConnection) {
        while let batch = take() {
            for job in batch { job(connection) }
        }
        _ = consume connection  // closes the file before anybody hears that the thread ended
        ended?()
    }

    /// The jobs that wait; blocks until there are some. Nil at the end.
    private func take() -> [Job]? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while jobs.isEmpty && !isStopping { pthread_cond_wait(condition, mutex) }
        let batch = jobs.take()
        return batch.isEmpty ? nil : batch
    }
}
