internal import ApusQueryPlan
internal import ApusTypes

/// A query on its way, and who waits for it. Used on its loop only.
final class PendingQuery: @unchecked Sendable {  // made by the caller, then touched on the loop only
    let query: TextQuery
    let part: Part
    let deadline: Instant
    private var continuation: CheckedContinuation<TextResult, any Error>?
    /// Whether it may be sent again when it was lost or cancelled by accident: it reads.
    let mayRepeat: Bool
    var attempts = 0
    /// The caller was answered, or has gone: what still comes is dropped.
    private(set) var isOver = false
    /// Since when nobody waits for what the server does.
    private(set) var abandoned: Instant?

    /// What of a statement is asked for.
    enum Part {
        case all
        /// Which columns it has.
        case columns
        /// Of one whose columns were told just before: its first rows.
        case firstRows(Int32, portal: String, [CellEncoding])
        case nextRows(Int32, portal: String, [CellEncoding])

        var encodings: [CellEncoding] {
            switch self {
            case .all, .columns: []
            case .firstRows(_, _, let encodings), .nextRows(_, _, let encodings): encodings
            }
        }
    }

    init(_ query: TextQuery, _ part: Part = .all, deadline: Instant, mayRepeat: Bool) {
        self.query = query
        self.part = part
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
