internal import ApusRuntime
public import ApusTypes

/// Statements over one state of a server's data, each with a cursor.
public final class PoolReading: @unchecked Sendable {  // one task uses it
    private let transaction: PoolTransaction
    private let pieceTime: Duration
    private var cursors = 0

    init(_ transaction: PoolTransaction, pieceTime: Duration) {
        self.transaction = transaction
        self.pieceTime = pieceTime
    }

    /// Has the server begin with a statement.
    public func open(_ query: TextQuery) async throws -> PoolCursor {
        let run: @Sendable (TextQuery) async throws -> TextResult = { [transaction, pieceTime] query in
            try await transaction.run(query, deadline: BootClock.now.advanced(by: pieceTime))
        }
        if cursors == 0 {
            // All rows will be asked for; and a reader may take its time with them, as long as the HTTP server lets it.
            _ = try await run(
                TextQuery(
                    """
                    SELECT set_config('cursor_tuple_fraction', '1', true), \
                    set_config('idle_in_transaction_session_timeout', '90s', true)
                    """))
        }
        let name = StaticSQL.identifier("cursor\(cursors)")
        cursors += 1
        _ = try await run(TextQuery("DECLARE " + name + " NO SCROLL CURSOR FOR " + query.sql, query.parameters))
        return PoolCursor(name, run)
    }
}

/// The rows of one statement, piece by piece; the server works on the next one while this one is used.
public final class PoolCursor: @unchecked Sendable {  // one task uses it
    private let name: StaticSQL
    private let run: @Sendable (TextQuery) async throws -> TextResult
    private var pending: Task<TextResult, any Error>?
    private var isOver = false
    /// Rows that are asked for at once.
    private var count: Int64 = 16

    init(_ name: StaticSQL, _ run: @escaping @Sendable (TextQuery) async throws -> TextResult) {
        self.name = name
        self.run = run
    }

    /// Bytes that a piece should about have, and the longest time that it should take.
    private static let (pieceBytes, pieceTime) = (1 << 20, Duration.milliseconds(250))

    /// The next rows; nil at the end.
    public func next() async throws -> TextResult? {
        guard !isOver else { return nil }
        let start = BootClock.now
        let asked = pending ?? ask()
        pending = nil
        let result = try await withTaskCancellationHandler {
            try await asked.value
        } onCancel: {
            asked.cancel()
        }
        guard Int64(result.rowCount) == count else {
            isOver = true
            return result.rowCount == 0 ? nil : result
        }
        // A number of few values: each is a text that the connection keeps prepared. How long a piece takes is known when it was waited for.
        let time = start.duration(to: BootClock.now)
        var most: Int64 = 16_384
        while most > 1, time / Int(count) * Int(most) > Self.pieceTime { most /= 2 }
        let rowBytes = max(1, result.byteCount / result.rowCount)
        while count < most, rowBytes * Int(count) * 2 <= Self.pieceBytes { count *= 2 }
        while count > 1, rowBytes * Int(count) > 2 * Self.pieceBytes || count > most { count /= 2 }
        pending = ask()
        return result
    }

    private func ask() -> Task<TextResult, any Error> {
        let query = TextQuery("FETCH FORWARD " + StaticSQL.count(count) + " FROM " + name)
        return Task { [run] in try await run(query) }
    }

    /// Ends with what is under way. Must be called.
    public func close() async {
        isOver = true
        pending?.cancel()
        _ = await pending?.result
        pending = nil
    }
}

extension StaticSQL {
    /// A number of rows.
    fileprivate static func count(_ number: Int64) -> StaticSQL { place(Int(number)) }
}
