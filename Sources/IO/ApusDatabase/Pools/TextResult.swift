internal import CPostgreSQL

/// What a statement told, as libpq holds it: columns as PostgreSQL writes them as text.
public final class TextResult: @unchecked Sendable {  // libpq only reads a result that is complete
    private let result: OpaquePointer
    public let rowCount: Int
    public let columnCount: Int

    /// Takes `result` over.
    init(_ result: OpaquePointer) {
        self.result = result
        rowCount = Int(PQntuples(result))
        columnCount = Int(PQnfields(result))
    }

    deinit { PQclear(result) }

    /// Rows that an INSERT, UPDATE or DELETE changed.
    public var changed: Int { Int(String(cString: PQcmdTuples(result))) ?? 0 }

    /// The command's own word for what it did: COMMIT, or ROLLBACK of a transaction that had failed.
    var command: String { String(cString: PQcmdStatus(result)) }

    /// Nil for NULL. Valid as long as the result is held.
    public func bytes(row: Int, column: Int) -> UnsafeRawBufferPointer? {
        let (row, column) = (Int32(truncatingIfNeeded: row), Int32(truncatingIfNeeded: column))
        let count = Int(PQgetlength(result, row, column))
        if count == 0, PQgetisnull(result, row, column) == 1 { return nil }
        return UnsafeRawBufferPointer(start: PQgetvalue(result, row, column), count: count)
    }

    /// The text of a column; nil for NULL.
    public func text(row: Int, column: Int) -> String? {
        bytes(row: row, column: column).map { String(decoding: $0, as: UTF8.self) }
    }
}
