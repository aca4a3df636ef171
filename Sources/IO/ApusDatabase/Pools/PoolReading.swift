public import ApusQueryPlan
internal import ApusRuntime
internal import ApusTypes

/// Statements over one state of a server's data, each read through a portal of its own.
public final class PoolReading: @unchecked Sendable {  // one task uses it
    private let transaction: PoolTransaction
    private let pieceTime: Duration
    private var cursors = 0

    init(_ transaction: PoolTransaction, pieceTime: Duration) {
        self.transaction = transaction
        self.pieceTime = pieceTime
    }

    /// Has the server begin with a statement, and tell columns in binary where what is made of them is known, and suits their types.
    public func open(_ query: TextQuery, uses: ColumnUses = ColumnUses()) async throws -> PoolCursor {
        let run: PoolCursor.Run = { [transaction, pieceTime] part in
            try await transaction.run(query, part, deadline: BootClock.now.advanced(by: pieceTime))
        }
        if cursors == 0 {
            // A reader may take its time with the rows, as long as the HTTP server lets it; and no worker helps with rows that are told in pieces.
            _ = try await transaction.run(
                TextQuery(
                    """
                    SELECT set_config('max_parallel_workers_per_gather', '0', true), \
                    set_config('idle_in_transaction_session_timeout', '90s', true)
                    """), deadline: BootClock.now.advanced(by: pieceTime))
        }
        cursors += 1
        return PoolCursor("cursor\(cursors)", uses.encodings(of: try await run(.columns).types), run)
    }
}

/// The rows of one statement, piece by piece; the server works on the next one while this one is used.
public final class PoolCursor: @unchecked Sendable {  // one task uses it
    typealias Run = @Sendable (PendingQuery.Part) async throws -> TextResult

    private let portal: String
    private let encodings: [CellEncoding]
    private let run: Run
    private var pending: Task<TextResult, any Error>?
    private var isOpen = false
    private var isOver = false
    /// Rows that are asked for at once.
    private var count = 16

    init(_ portal: String, _ encodings: [CellEncoding], _ run: @escaping Run) {
        self.portal = portal
        self.encodings = encodings
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
        guard result.rowCount == count else {
            isOver = true
            return result.rowCount == 0 ? nil : result
        }
        // How long a piece takes is known when it was waited for.
        let time = start.duration(to: BootClock.now)
        var most = 16_384
        while most > 1, time / count * most > Self.pieceTime { most /= 2 }
        let rowBytes = max(1, result.byteCount / result.rowCount)
        while count < most, rowBytes * count * 2 <= Self.pieceBytes { count *= 2 }
        while count > 1, rowBytes * count > 2 * Self.pieceBytes || count > most { count /= 2 }
        pending = ask()
        return result
    }

    private func ask() -> Task<TextResult, any Error> {
        let rows = Int32(count)
        let part = isOpen ? PendingQuery.Part.nextRows(rows, portal: portal, encodings) : .firstRows(rows, portal: portal, encodings)
        isOpen = true
        return Task { [run] in try await run(part) }
    }

    /// Ends with what is under way. Must be called.
    public func close() async {
        isOver = true
        pending?.cancel()
        _ = await pending?.result
        pending = nil
    }
}
