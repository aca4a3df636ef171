public import ApusDatabase
internal import ApusQueryPlan
internal import ApusTypes

/// The rows that a source told.
public enum SourceRows: Sendable {
    /// As PostgreSQL wrote them.
    case text(TextResult)
    /// Texts that a database of this process wrote.
    case packed(PackedRows)
    /// Values of a database in this process.
    case values(Rows)

    /// One row of one column: the reply itself.
    static func reply(_ value: JSONValue) -> SourceRows {
        .values(Rows(rows: [Row([value.isNull ? .null : .text(value.description)])]))
    }

    /// Of a batch of calls: the number of each call, and its reply.
    static func replies(_ values: [JSONValue]) -> SourceRows {
        .values(Rows(rows: values.enumerated().map { Row([.integer(Int64($0)), .text($1.description)]) }))
    }

    /// Gives the rows to what writes them into a reply.
    func add(to rows: RowAssembler) {
        switch self {
        case .text(let result):
            result.forEachRow { row in
                if !rows.isDone { rows.add(row) }
                return !rows.isDone
            }
        case .packed, .values:
            let source = source
            for number in 0..<source.rowCount where !rows.isDone { source.withRow(number) { rows.add($0) } }
        }
        rows.end()
    }

    /// Rows that can be gone through more than once.
    var source: any RowSource {
        switch self {
        case .text(let result): result.numbered
        case .packed(let packed): PackedSource(packed: packed)
        case .values(let values): ValueRows(values: values)
        }
    }

    private struct PackedSource: RowSource {
        let packed: PackedRows

        var rowCount: Int { packed.rowCount }

        func withRow<Value>(_ number: Int, _ body: (UnsafeBufferPointer<RowCell>) throws -> Value) rethrows -> Value {
            try packed.bytes.withUnsafeBytes { bytes in
                try (0..<packed.columnCount).map { bytes.cell(at: packed.place(row: number, column: $0)) }.withUnsafeBufferPointer(body)
            }
        }
    }

    private struct ValueRows: RowSource {
        let values: Rows

        var rowCount: Int { values.count }

        func withRow<Value>(_ number: Int, _ body: (UnsafeBufferPointer<RowCell>) throws -> Value) rethrows -> Value {
            var text: [UInt8] = []
            let places = values[number].values.map { value in
                let start = text.count
                return value.write(to: &text) ? start..<text.count : nil
            }
            // An empty text has an address, too.
            text.append(0)
            return try text.withUnsafeBytes { bytes in
                try places.map { bytes.cell(at: $0) }.withUnsafeBufferPointer(body)
            }
        }
    }

    /// All columns of all rows; nil for NULL.
    var texts: [[String?]] {
        switch self {
        case .text(let result): return result.texts
        case .packed, .values:
            let source = source
            return (0..<source.rowCount).map { source.withRow($0) { $0.map(\.text) } }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The text there; NULL of nowhere.
    fileprivate func cell(at place: Range<Int>?) -> RowCell {
        place.map { place in RowCell(baseAddress.map { $0 + place.lowerBound }, count: place.count) } ?? .null
    }
}

extension SQLValue {
    /// As text; false for NULL.
    fileprivate func write(to text: inout [UInt8]) -> Bool {
        switch self {
        case .null: return false
        case .text(let value): text.append(contentsOf: value.utf8)
        case .integer(let value): text.append(contentsOf: String(value).utf8)
        case .double(let value): text.append(contentsOf: String(value).utf8)
        case .bool(let value): text.append(UInt8(ascii: value ? "t" : "f"))
        case .blob(let bytes): text.append(contentsOf: bytes)
        }
        return true
    }
}
