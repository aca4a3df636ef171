public import ApusDatabase
public import ApusQueryPlan

/// The rows that a source told, as they are written into a reply.
public enum SourceRows: Sendable {
    /// Values of a database in this process.
    case values(Rows)

    /// Gives each row to `assembler`.
    public func add(to assembler: inout RowAssembler) {
        switch self {
        case .values(let rows): for row in rows { assembler.add(ValueRow(row: row)) }
        }
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
