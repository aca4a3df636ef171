/// The one error type at module boundaries. It carries the caller's next move and never a secret.
///
/// `summary` and `hint` are safe to show to a client; `context` and `cause` go to the log only.
public struct ApusError: Error, Sendable {
    public var code: ErrorCode
    /// What happened, in one lower-case sentence without a full stop.
    public var summary: String
    /// What to do next: a command, a key to set, a value that would be accepted.
    public var hint: String?
    public var retry: Retry
    /// Data for the log and for faces that name the field at fault (`["field": "vector[3]"]`).
    public var context: [String: String]
    public var cause: (any Error)?

    /// Whether the same request may succeed later.
    public enum Retry: Sendable, Hashable {
        case never
        /// May be repeated at once, on this node or another.
        case immediately
        case after(Duration)
    }

    public init(
        _ code: ErrorCode, _ summary: String, hint: String? = nil, retry: Retry? = nil,
        context: [String: String] = [:], cause: (any Error)? = nil
    ) {
        self.code = code
        self.summary = summary
        self.hint = hint
        self.retry = retry ?? code.defaultRetry
        self.context = context
        self.cause = cause
    }
}

extension ApusError: CustomStringConvertible {
    public var description: String {
        hint.map { "\(summary) (\(code.rawValue)); \($0)" } ?? "\(summary) (\(code.rawValue))"
    }
}
