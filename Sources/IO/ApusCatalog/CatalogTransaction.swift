public import ApusDatabase
internal import ApusTypes

/// A transaction of the catalog. What it publishes goes to the feed at its end, under the lock that orders the feed.
public final class CatalogTransaction {
    private let inner: any Transaction
    public let dialect: SQLDialect
    /// Statements that ride along with the next round trip; their results are nobody's.
    private var pending: [Statement]
    private var published: [(topic: Topic, key: String)] = []

    init(_ inner: any Transaction, dialect: SQLDialect, mark: OperationMark) {
        self.inner = inner
        self.dialect = dialect
        pending = mark.statements(dialect)
    }

    var hasPublished: Bool { !published.isEmpty }

    /// Runs the statements in one round trip. The first that fails ends the transaction.
    public func run(_ statements: [Statement]) async throws -> [Rows] {
        let riders = pending
        pending = []
        return Array(try await inner.run(riders + statements).dropFirst(riders.count))
    }

    public func run(_ statement: Statement) async throws -> Rows { try await run([statement])[0] }

    /// The next number of a sequence without gaps or repeats (`collection`, `shard`).
    func allocate(_ counter: String, count: Int = 1) async throws -> Range<Int64> {
        let rows = try await run(
            Statement(
                "UPDATE apus.counter SET value = value + $2 WHERE name = $1 RETURNING value", [.text(counter), .integer(Int64(count))]))
        let last = try rows[0].integer(0)
        return last - Int64(count) + 1..<last + 1
    }

    /// Adds a change to the feed when the transaction ends. Followers read the rows that it names; it carries no data.
    public func publish(_ topic: Topic, key: String) { published.append((topic, key)) }

    /// Publishes and commits: last, because the feed's head stays locked until then.
    func finish() async throws {
        _ = try await inner.commit(
            after: pending + published.flatMap { ChangeFeed.publishing($0.topic, key: $0.key, dialect: dialect) })
    }
}
