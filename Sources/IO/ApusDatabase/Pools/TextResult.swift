public import ApusQueryPlan

/// What a statement told: rows with columns as PostgreSQL writes them as text, unless others were asked for.
public final class TextResult: Sendable {
    /// DataRow messages, one behind the other, and the command's own word behind them.
    private let bytes: [UInt8]
    private let rowBytes: Int
    public let rowCount: Int
    public let columnCount: Int
    /// Of the columns; empty where all are texts.
    public let encodings: [CellEncoding]
    /// Of a statement that was described: its columns' types, by their numbers in the server's catalog.
    let types: [UInt32]

    /// `rows` are the bodies of whole DataRow messages of so many columns.
    init(
        rows: [UInt8], rowBytes: Int, rowCount: Int, columnCount: Int, encodings: [CellEncoding] = [], types: [UInt32] = []
    ) {
        self.encodings = encodings
        self.types = types
        bytes = rows
        self.rowBytes = rowBytes
        self.rowCount = rowCount
        self.columnCount = columnCount
    }

    /// The command's own word for what it did: `UPDATE 5`; COMMIT, or ROLLBACK of a transaction that had failed.
    var command: String { String(decoding: bytes[rowBytes...], as: UTF8.self) }

    /// Rows that an INSERT, UPDATE or DELETE changed.
    public var changed: Int { command.split(separator: " ").last.flatMap { Int($0) } ?? 0 }

    /// Each row in its order, until `body` says that it is enough.
    public func forEachRow(_ body: (UnsafeBufferPointer<RowCell>) -> Bool) {
        bytes.withUnsafeBytes { bytes in
            withUnsafeTemporaryAllocation(of: RowCell.self, capacity: max(1, columnCount)) { cells in
                var offset = 0
                for _ in 0..<rowCount {
                    guard let row = read(bytes, at: offset, into: cells), body(row.cells) else { return }
                    offset += row.bytes
                }
            }
        }
    }

    /// The row that begins there and its size; nil when it does not end.
    private func read(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, into cells: UnsafeMutableBufferPointer<RowCell>
    ) -> (cells: UnsafeBufferPointer<RowCell>, bytes: Int)? {
        var column = 0
        let row = UnsafeRawBufferPointer(rebasing: bytes[offset..<rowBytes]).eachColumn { start, count in
            cells[column] = count < 0 ? .null : RowCell(start, count: count)
            column += 1
        }
        return row.map { (UnsafeBufferPointer(rebasing: cells[..<column]), $0.bytes) }
    }

    /// All columns of all rows; nil for NULL.
    public var texts: [[String?]] {
        var texts: [[String?]] = []
        forEachRow { row in
            texts.append(row.map(\.text))
            return true
        }
        return texts
    }
}

extension TextResult {
    var byteCount: Int { bytes.count }

    /// The rows by their numbers.
    public var numbered: some RowSource { NumberedRows(self) }

    private struct NumberedRows: RowSource {
        private let result: TextResult
        /// Where each row begins.
        private let starts: [Int]

        var rowCount: Int { starts.count }
        var encodings: [CellEncoding] { result.encodings }

        init(_ result: TextResult) {
            self.result = result
            var starts: [Int] = []
            starts.reserveCapacity(result.rowCount)
            result.bytes.withUnsafeBytes { bytes in
                var offset = 0
                while starts.count < result.rowCount,
                    let row = UnsafeRawBufferPointer(rebasing: bytes[offset..<result.rowBytes]).eachColumn({ _, _ in })
                {
                    starts.append(offset)
                    offset += row.bytes
                }
            }
            self.starts = starts
        }

        func withRows(from first: Int, _ body: (UnsafeBufferPointer<RowCell>) throws -> Bool) rethrows -> Int {
            guard first < rowCount else { return first }
            return try result.bytes.withUnsafeBytes { bytes in
                try withUnsafeTemporaryAllocation(of: RowCell.self, capacity: max(1, result.columnCount)) { cells in
                    for number in first..<rowCount {
                        guard let row = result.read(bytes, at: starts[number], into: cells), try body(row.cells) else { return number }
                    }
                    return rowCount
                }
            }
        }

        func withRow<Value>(_ number: Int, _ body: (UnsafeBufferPointer<RowCell>) throws -> Value) rethrows -> Value {
            try result.bytes.withUnsafeBytes { bytes in
                try withUnsafeTemporaryAllocation(of: RowCell.self, capacity: max(1, result.columnCount)) { cells in
                    // Whole: it was gone through before.
                    try body(result.read(bytes, at: starts[number], into: cells)?.cells ?? UnsafeBufferPointer(start: nil, count: 0))
                }
            }
        }
    }
}
