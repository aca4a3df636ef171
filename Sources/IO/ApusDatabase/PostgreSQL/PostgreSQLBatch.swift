internal import ApusTypes

/// Statements that travel to the server together, and what came back. Used on the session's loop only.
final class PostgreSQLBatch {
    /// What became of a batch.
    enum Outcome: Sendable {
        /// The server answered everything. Statements after a failed one of the same transaction have no result.
        case answered([Result<Rows, ApusError>], isCommitCut: Bool)
        /// The connection is gone. What was answered before is known; the rest may have happened if it was sent.
        case lost(ApusError, answered: [Result<Rows, ApusError>], wasSent: Bool)
    }

    let statements: [Statement]
    /// Whether each statement is a transaction by itself.
    let isSeparate: Bool
    var results: [Result<Rows, ApusError>] = []
    var isCommitCut = false
    var wasSent = false
    /// The caller was answered at its deadline; what still comes is dropped.
    var isExpired: Bool { continuation == nil }
    private var continuation: CheckedContinuation<Outcome, Never>?

    init(_ statements: [Statement], isSeparate: Bool, _ continuation: CheckedContinuation<Outcome, Never>?) {
        self.statements = statements
        self.isSeparate = isSeparate
        self.continuation = continuation
    }

    var cancelTimer: (() -> Void)?

    func finish() { resume(.answered(results, isCommitCut: isCommitCut)) }
    func lose(_ error: ApusError) { resume(.lost(error, answered: results, wasSent: wasSent)) }

    private func resume(_ outcome: Outcome) {
        cancelTimer?()
        cancelTimer = nil
        continuation?.resume(returning: outcome)
        continuation = nil
    }
}
