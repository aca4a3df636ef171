internal import ApusQueryPlan

/// The result of the statement that a server answers now.
struct ResultBuilder {
    private var bytes: [UInt8] = []
    private var rowBytes = 0
    private var rowCount = 0
    private var columnCount = 0
    private var types: [UInt32] = []

    /// Of its rows, in bytes.
    var size: Int { rowBytes }

    /// The body of a DataRow message; false where it is none.
    mutating func add(_ row: UnsafeRawBufferPointer) -> Bool {
        guard let (columns, size) = row.eachColumn({ _, _ in }), size == row.count, rowCount == 0 || columns == columnCount else {
            return false
        }
        columnCount = columns
        rowCount += 1
        bytes.append(contentsOf: row)
        rowBytes = bytes.count
        return true
    }

    /// The body of a RowDescription message; false where it is none.
    mutating func describe(_ columns: UnsafeRawBufferPointer) -> Bool {
        guard let types = columns.columnTypes else { return false }
        self.types = types
        return true
    }

    /// The body of a CommandComplete message.
    mutating func end(_ command: UnsafeRawBufferPointer) { bytes.append(contentsOf: command.dropLast()) }

    /// `encodings`: of the columns; of none where all are texts.
    mutating func take(_ encodings: [CellEncoding] = []) -> TextResult {
        defer { self = ResultBuilder() }
        return TextResult(
            rows: bytes, rowBytes: rowBytes, rowCount: rowCount, columnCount: columnCount, encodings: encodings, types: types)
    }
}
