internal import ApusTypes
internal import CPostgreSQL

/// The parameters of one statement as libpq wants them: text, but bytes as they are.
struct EncodedParameters {
    private var bytes: [UInt8] = []
    private var offsets: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    init(_ values: [SQLValue]) throws(ApusError) {
        for value in values {
            switch value {
            case .null: addNull()
            case .bool(let value): add((value ? "t" : "f").utf8, isBinary: false)
            case .integer(let value): add(String(value).utf8, isBinary: false)
            case .double(let value): add(Self.text(value).utf8, isBinary: false)
            case .text(let value):
                if value.utf8.contains(0) { throw ApusError(.databaseRejected, "text with a NUL character cannot be stored") }
                add(value.utf8, isBinary: false)
            case .blob(let value): add(value, isBinary: true)
            }
        }
    }

    /// Calls `body` with the number of parameters, their addresses, lengths and formats.
    func withPointers<Value>(
        _ body: (Int32, [UnsafePointer<CChar>?], [Int32], [Int32]) -> Value
    ) -> Value {
        bytes.withUnsafeBytes { buffer in
            let start = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
            return body(Int32(offsets.count), offsets.map { offset in offset.flatMap { start?.advanced(by: $0) } }, lengths, formats)
        }
    }

    private mutating func add<Bytes: Collection<UInt8>>(_ value: Bytes, isBinary: Bool) {
        offsets.append(bytes.count)
        lengths.append(Int32(value.count))
        formats.append(isBinary ? 1 : 0)
        bytes.append(contentsOf: value)
        bytes.append(0)  // ends a text; after bytes it gives an empty value an address
    }

    private mutating func addNull() {
        offsets.append(nil)
        lengths.append(0)
        formats.append(0)
    }

    private static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        return "\(value)"  // the shortest text that reads back as the same number
    }
}

/// Reads a result whose columns are all in the binary format, or all text.
enum ResultDecoder {
    static func rows(_ result: OpaquePointer?) throws(ApusError) -> Rows {
        let columns = PQnfields(result)
        var rows = Rows()
        rows.columns = (0..<columns).map { String(cString: PQfname(result, $0)) }
        rows.changed = Int(String(cString: PQcmdTuples(result))) ?? 0
        let types = (0..<columns).map { PQftype(result, $0) }
        let count = PQntuples(result)
        rows.rows.reserveCapacity(Int(count))
        for row in 0..<count {
            var values: [SQLValue] = []
            values.reserveCapacity(Int(columns))
            for column in 0..<columns {
                guard PQgetisnull(result, row, column) == 0, let start = PQgetvalue(result, row, column) else {
                    values.append(.null)
                    continue
                }
                let bytes = UnsafeRawBufferPointer(start: start, count: Int(PQgetlength(result, row, column)))
                if PQfformat(result, column) == 0 {
                    values.append(.text(String(decoding: bytes, as: UTF8.self)))
                    continue
                }
                values.append(try value(bytes, type: types[Int(column)], column: column))
            }
            rows.rows.append(Row(values))
        }
        return rows
    }

    /// Type numbers are fixed in PostgreSQL's `pg_type.dat`.
    private static func value(_ bytes: UnsafeRawBufferPointer, type: Oid, column: Int32) throws(ApusError) -> SQLValue {
        switch type {
        case 16: return .bool(bytes[0] != 0)
        case 17: return .blob(Array(bytes))
        case 20: return .integer(Int64(bitPattern: bigEndian(bytes)))
        case 23: return .integer(Int64(Int32(truncatingIfNeeded: bigEndian(bytes))))
        case 21: return .integer(Int64(Int16(truncatingIfNeeded: bigEndian(bytes))))
        case 26, 28: return .integer(Int64(bigEndian(bytes)))  // oid, xid
        case 700: return .double(Double(Float(bitPattern: UInt32(bigEndian(bytes)))))
        case 701: return .double(Double(bitPattern: bigEndian(bytes)))
        case 18, 19, 25, 114, 705, 1042, 1043: return .text(String(decoding: bytes, as: UTF8.self))
        case 3802: return .text(String(decoding: bytes.dropFirst(), as: UTF8.self))  // jsonb: a version byte first
        case 2278: return .null  // void
        case 2950: return .text(uuid(bytes))
        case 3220: return .text(logPosition(bigEndian(bytes)))
        default:
            throw ApusError(.databaseRejected, "column \(column) has type \(type), which its statement must cast")
        }
    }

    private static func bigEndian(_ bytes: UnsafeRawBufferPointer) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    private static func uuid(_ bytes: UnsafeRawBufferPointer) -> String {
        let digits = Array(hexadecimal(bytes))
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }.joined(separator: "-")
    }

    /// As `pg_lsn` prints it.
    private static func logPosition(_ value: UInt64) -> String {
        String(value >> 32, radix: 16, uppercase: true) + "/" + String(value & 0xffff_ffff, radix: 16, uppercase: true)
    }
}
