internal import ApusTypes

/// A query on its way, and who waits for it. Used on its loop only.
final class PendingQuery: @unchecked Sendable {  // made by the caller, then touched on the loop only
    let query: TextQuery
    let deadline: Instant
    private var continuation: CheckedContinuation<TextResult, any Error>?
    /// Whether it may be sent again when it was lost or cancelled by accident: it reads.
    let mayRepeat: Bool
    var attempts = 0
    /// The caller was answered, or has gone: what still comes is dropped.
    private(set) var isOver = false
    /// Since when nobody waits for what the server does.
    private(set) var abandoned: Instant?

    init(_ query: TextQuery, deadline: Instant, mayRepeat: Bool) {
        self.query = query
        self.deadline = deadline
        self.mayRepeat = mayRepeat
    }

    func wait(_ continuation: CheckedContinuation<TextResult, any Error>) {
        self.continuation = continuation
    }

    func finish(_ result: Result<TextResult, any Error>) {
        isOver = true
        continuation.take()?.resume(with: result)
    }

    /// Answers before the server has.
    func abandon(_ error: any Error, now: Instant) {
        abandoned = now
        finish(.failure(error))
    }
}
