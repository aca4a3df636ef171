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
        case .packed(let packed): Self.add(packed, to: rows)
        case .values(let values): Self.add(values, to: rows)
        }
    }

    private static func add(_ packed: PackedRows, to rows: RowAssembler) {
        packed.bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            var cells = [RowCell](repeating: .null, count: max(1, packed.columnCount))
            for row in 0..<packed.rowCount where !rows.isDone {
                for column in 0..<packed.columnCount {
                    let place = packed.place(row: row, column: column)
                    cells[column] = place.map { RowCell(base + $0.lowerBound, count: $0.count) } ?? .null
                }
                cells.withUnsafeBufferPointer { rows.add($0) }
            }
        }
    }

    private static func add(_ values: Rows, to rows: RowAssembler) {
        var text: [UInt8] = []
        var places: [Range<Int>?] = []
        for row in values where !rows.isDone {
            text.removeAll(keepingCapacity: true)
            places.removeAll(keepingCapacity: true)
            for value in row.values {
                let start = text.count
                places.append(value.write(to: &text) ? start..<text.count : nil)
            }
            // An empty text has an address, too.
            text.append(0)
            text.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                let cells = places.map { place in place.map { RowCell(base + $0.lowerBound, count: $0.count) } ?? .null }
                cells.withUnsafeBufferPointer { rows.add($0) }
            }
        }
    }

    /// All columns of all rows; nil for NULL.
    var texts: [[String?]] {
        switch self {
        case .text(let result): result.texts
        case .packed(let packed):
            (0..<packed.rowCount).map { row in
                (0..<packed.columnCount).map { column in
                    packed.place(row: row, column: column).map { String(decoding: packed.bytes[$0], as: UTF8.self) }
                }
            }
        case .values(let rows):
            rows.map { row in
                row.values.map { value in
                    var text: [UInt8] = []
                    return value.write(to: &text) ? String(decoding: text, as: UTF8.self) : nil
                }
            }
        }
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
