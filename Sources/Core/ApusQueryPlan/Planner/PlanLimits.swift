/// How much an operation may be. What exceeds a limit is an error that names the field, the limit and what to do.
public struct PlanLimits: Sendable, Hashable {
    /// Rows of a list without a `limit`, which the reply then says.
    public var defaultRows = 2000
    /// Rows that one statement may send.
    public var rows = 1_000_000
    /// Keys that one batch may ask for.
    public var keys = 100_000
    /// Calls of a function of another source, for so many different arguments.
    public var calls = 1000
    /// Pairs of a geometry and a cell that it touches, of one field in `h3`.
    public var cells = 400_000
    /// Bytes of `data`, and of what is held while it is put together.
    public var replyBytes = 64 << 20
    /// Fields that are planned, each as often as fragments repeat it.
    public var fields = 20_000
    /// Statements, with batches.
    public var statements = 200
    /// Columns of one statement; PostgreSQL and SQLite take little more.
    public var columns = 1600
    /// Lists, related rows and conditions inside each other.
    public var depth = 24
    /// Bytes of one statement's text.
    public var textBytes = 256 << 10
    /// Parameters of one statement; SQLite takes no more.
    public var parameters = 32_000
    /// Bytes of the values of one statement's parameters, keys of batches among them.
    public var parameterBytes = 16 << 20

    public init() {}
}
