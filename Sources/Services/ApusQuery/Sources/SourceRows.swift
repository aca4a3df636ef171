public import ApusDatabase
public import ApusQueryPlan

/// The rows that a source told, as they are written into a reply.
public enum SourceRows: Sendable {
    /// As PostgreSQL wrote them.
    case text(TextResult)
    /// Values of a database in this process.
    case values(Rows)

    /// All columns of all rows as text; nil for NULL.
    var texts: [[String?]] {
        switch self {
        case .text(let result):
            (0..<result.rowCount).map { row in (0..<result.columnCount).map { result.text(row: row, column: $0) } }
        case .values(let rows):
            rows.map { row in
                row.values.indices.map { column in
                    ValueRow(row: row).withColumn(column) { $0.map { String(decoding: $0, as: UTF8.self) } }
                }
            }
        }
    }

    /// Gives each row to `assembler`.
    public func add(to assembler: inout RowAssembler) {
        switch self {
        case .text(let result): for row in 0..<result.rowCount { assembler.add(ResultRow(result: result, row: row)) }
        case .values(let rows): for row in rows { assembler.add(ValueRow(row: row)) }
        }
    }
}

private struct ResultRow: TextRow {
    let result: TextResult
    let row: Int

    func withColumn<Value>(_ column: Int, _ body: (UnsafeRawBufferPointer?) -> Value) -> Value {
        body(result.bytes(row: row, column: column))
    }
}

/// A row of values as text.
private struct ValueRow: TextRow {
    let row: Row

    func withColumn<Value>(_ column: Int, _ body: (UnsafeRawBufferPointer?) -> Value) -> Value {
        var text: String
        switch row.values[column] {
        case .null: return body(nil)
        case .text(let value): text = value
        case .integer(let value): text = String(value)
        case .double(let value): text = String(value)
        case .bool(let value): text = value ? "t" : "f"
        case .blob(let bytes): return bytes.withUnsafeBytes { body($0) }
        }
        return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}
