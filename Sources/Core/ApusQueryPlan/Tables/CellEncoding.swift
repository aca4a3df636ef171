internal import ApusArrow

/// How a column's values lie in rows: as text, or as PostgreSQL sends its types in binary
/// (the `…_send` functions of https://github.com/postgres/postgres/tree/REL_15_STABLE/src/backend/utils/adt).
public enum CellEncoding: UInt8, Sendable, Hashable {
    case text
    case boolean, int16, int32, int64, double, numeric
    /// Since 2000-01-01: days, and microseconds.
    case date, instant
    /// Microseconds of a day.
    case time

    /// Of a type's number in the server's catalog, for a column of this format; as text where that says something else.
    init(type: UInt32, _ format: ValueFormat, isOuter: Bool) {
        self = .text
        guard !format.isList else { return }
        switch (type, format.scalar) {
        case (16, .boolean): self = .boolean
        case (21, .integer), (21, .int32), (21, .count), (21, .number): self = .int16
        case (23, .integer), (23, .int32), (23, .count), (23, .number): self = .int32
        case (20, .integer), (20, .int32), (20, .count), (20, .number): self = .int64
        // Not of 32 bits: as text it is the shortest number, which is another one with 64.
        case (701, .number): self = .double
        case (1700, .number): self = .numeric
        case (1082, .date) where isOuter: self = .date
        case (1083, .time) where isOuter: self = .time
        case (1114, .dateTime) where isOuter, (1184, .timestamp) where isOuter: self = .instant
        default: break
        }
    }

    /// False when the bytes are none of such a value, or it has no place in the column.
    @inline(__always)
    func append(_ bytes: UnsafeRawBufferPointer, _ format: ValueFormat, to column: ArrowColumn) -> Bool {
        switch self {
        case .boolean: return bytes.count == 1 && column.append(Int64(bytes[0] == 0 ? 0 : 1))
        case .int16: return Self.integer(bytes, Int16.self).map { Self.append($0, format, to: column) } ?? false
        case .int32: return Self.integer(bytes, Int32.self).map { Self.append($0, format, to: column) } ?? false
        case .int64: return Self.integer(bytes, Int64.self).map { Self.append($0, format, to: column) } ?? false
        case .double: return Self.integer(bytes, UInt64.self).map { column.append(Double(bitPattern: $0)) } ?? false
        case .numeric: return Self.numeric(bytes).map(column.append) ?? false
        case .time: return Self.integer(bytes, Int64.self).map(column.append) ?? false
        case .date: return Self.date(bytes).map(column.append) ?? false
        case .instant: return Self.instant(bytes).map(column.append) ?? false
        case .text: return false
        }
    }

    @inline(__always)
    private static func integer<Number: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ type: Number.Type) -> Number? {
        bytes.count == MemoryLayout<Number>.size ? Number(bigEndian: bytes.loadUnaligned(as: Number.self)) : nil
    }

    @inline(__always)
    private static func append(_ value: some FixedWidthInteger, _ format: ValueFormat, to column: ArrowColumn) -> Bool {
        format.scalar == .number ? column.append(Double(value)) : column.append(Int64(truncatingIfNeeded: value))
    }

    /// Days since 1970-01-01. The first and the last number are infinite.
    static func date(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        integer(bytes, Int32.self).flatMap { $0 == .min || $0 == .max ? nil : Int64($0) + 10_957 }
    }

    /// Microseconds since 1970-01-01, likewise.
    static func instant(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        guard let micros = integer(bytes, Int64.self), micros != .min, micros != .max else { return nil }
        let (since1970, isOver) = micros.addingReportingOverflow(946_684_800_000_000)
        return isOver ? nil : since1970
    }

    /// Groups of four decimal digits behind four numbers: how many, the power of 10,000 of the first, the sign, and digits behind the point.
    @inline(__always)
    static func numeric(_ bytes: UnsafeRawBufferPointer) -> Double? {
        guard bytes.count >= 8 else { return nil }
        func word(_ index: Int) -> Int { Int(Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 2, as: Int16.self))) }
        let (count, weight, sign) = (word(0), word(1), word(2) & 0xffff)
        guard count >= 0, bytes.count == 8 + count * 2 else { return nil }
        switch sign {
        case 0, 0x4000: break
        case 0xc000: return .nan
        case 0xd000: return .infinity
        case 0xf000: return -.infinity
        default: return nil
        }
        var digits: UInt64 = 0
        for index in 0..<min(count, 4) {
            guard 0..<10_000 ~= word(4 + index) else { return nil }
            digits = digits &* 10_000 &+ UInt64(word(4 + index))
        }
        let power = (weight - count + 1) * 4
        let value: Double
        if count <= 4, digits < 1 << 53, abs(power) < ColumnText.powers.count {
            // Digits and power are exact, so one operation rounds correctly (Clinger, 1990).
            value = power < 0 ? Double(digits) / ColumnText.powers[-power] : Double(digits) * ColumnText.powers[power]
        } else {
            guard let long = longNumber((0..<count).map { word(4 + $0) }, power) else { return nil }
            value = long
        }
        return sign == 0 ? value : -value
    }

    @inline(never)
    private static func longNumber(_ groups: [Int], _ power: Int) -> Double? {
        guard groups.allSatisfy({ 0..<10_000 ~= $0 }) else { return nil }
        return Double(groups.map { String($0 + 10_000).dropFirst() }.joined() + "e\(power)")
    }
}

/// What is made of the columns of a statement's rows.
public struct ColumnUses: Sendable {
    struct Use: Sendable {
        var format: ValueFormat
        var isOuter: Bool
    }

    private var uses: [Int: [Use]] = [:]

    public init() {}

    mutating func add(_ use: Use, of column: Int) { uses[column, default: []].append(use) }

    /// How columns of these types in PostgreSQL's catalog are best told. One that several values are made of must suit all of them.
    public func encodings(of types: [UInt32]) -> [CellEncoding] {
        types.enumerated().map { column, type in
            let suiting = Set((uses[column] ?? []).map { CellEncoding(type: type, $0.format, isOuter: $0.isOuter) })
            return suiting.count == 1 ? suiting.first ?? .text : .text
        }
    }
}
