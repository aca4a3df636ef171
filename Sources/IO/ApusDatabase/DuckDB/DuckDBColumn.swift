internal import ApusTypes
internal import CDuckDB

/// Writes the values of one column of a chunk as text, in the forms that PostgreSQL has.
struct DuckDBColumn {
    private let column: apus_duckdb_column

    /// While the chunk is there.
    init(_ column: apus_duckdb_column) { self.column = column }

    /// Throws for a type that has no text of its own.
    static func check(_ column: apus_duckdb_column, _ number: Int) throws(ApusError) {
        guard unreadable[column.type] != nil else { return }
        throw ApusError(
            .sourceRejected,
            "column \(number + 1) of the statement is a \(unreadable[column.type] ?? "value") of DuckDB, which is not read",
            hint: "declare it as JSON, and compute it with @sql(exp: \"to_json([column])\")")
    }

    private static let unreadable: [UInt32: String] = [
        24: "LIST", 25: "STRUCT", 26: "MAP", 28: "UNION", 29: "BIT", 30: "TIME WITH TIME ZONE", 33: "ARRAY", 34: "ANY", 35: "BIGNUM",
        37: "literal", 38: "literal", 39: "TIME_NS", 40: "GEOMETRY",
    ]

    func write(_ row: Int, to text: inout [UInt8]) -> Bool {
        if let validity = column.validity, validity[row >> 6] >> (row & 63) & 1 == 0 { return false }
        func value<Value>(_ type: Value.Type) -> Value {
            column.data.loadUnaligned(fromByteOffset: row * MemoryLayout<Value>.stride, as: type)
        }
        func add(_ string: String) { text += string.utf8 }
        switch column.type {
        case 1: text.append(UInt8(ascii: value(UInt8.self) == 0 ? "f" : "t"))
        case 2: add(String(value(Int8.self)))
        case 3: add(String(value(Int16.self)))
        case 4: add(String(value(Int32.self)))
        case 5: add(String(value(Int64.self)))
        case 6: add(String(value(UInt8.self)))
        case 7: add(String(value(UInt16.self)))
        case 8: add(String(value(UInt32.self)))
        case 9: add(String(value(UInt64.self)))
        case 10: add(Self.text(Double(value(Float.self)), value(Float.self).description))
        case 11: add(Self.text(value(Double.self), value(Double.self).description))
        case 12, 31: add(Self.instant(value(Int64.self), unitsInSecond: 1_000_000, zone: column.type == 31 ? "+00" : ""))
        case 20: add(Self.instant(value(Int64.self), unitsInSecond: 1))
        case 21: add(Self.instant(value(Int64.self), unitsInSecond: 1000))
        case 22: add(Self.instant(value(Int64.self), unitsInSecond: 1_000_000_000))
        case 13: add(Self.date(Int64(value(Int32.self)), infinity: Int64(Int32.max)))
        case 14: add(Self.time(value(Int64.self), unitsInSecond: 1_000_000))
        case 15:
            let at = row * 16
            add(
                Self.interval(
                    months: column.data.loadUnaligned(fromByteOffset: at, as: Int32.self),
                    days: column.data.loadUnaligned(fromByteOffset: at + 4, as: Int32.self),
                    microseconds: column.data.loadUnaligned(fromByteOffset: at + 8, as: Int64.self)))
        case 16: add(String(wide(row)))
        case 32: add(String(UInt128(truncatingIfNeeded: wide(row))))
        case 17, 18:
            var length: UInt32 = 0
            withUnsafePointer(to: column) { column in
                let bytes = apus_duckdb_text(column, UInt64(row), &length)
                text += UnsafeRawBufferPointer(start: bytes, count: Int(length))
            }
        case 19: add(Self.decimal(whole(row), scale: Int(column.scale)))
        case 23:
            withUnsafePointer(to: column) { column in
                guard let name = apus_duckdb_enum_text(column, UInt64(truncatingIfNeeded: whole(row))) else { return }
                add(String(cString: name))
                apus_duckdb_free(name)
            }
        case 27: add(Self.uuid(wide(row)))
        default: return false  // the type of NULL alone is left
        }
        return true
    }

    // MARK: Numbers

    private func wide(_ row: Int) -> Int128 {
        let low = column.data.loadUnaligned(fromByteOffset: row * 16, as: UInt64.self)
        let high = column.data.loadUnaligned(fromByteOffset: row * 16 + 8, as: Int64.self)
        return Int128(high) << 64 | Int128(low)
    }

    /// What decimals and enums are stored as.
    private func whole(_ row: Int) -> Int128 {
        switch column.storage {
        case 3: Int128(column.data.loadUnaligned(fromByteOffset: row * 2, as: Int16.self))
        case 4: Int128(column.data.loadUnaligned(fromByteOffset: row * 4, as: Int32.self))
        case 5: Int128(column.data.loadUnaligned(fromByteOffset: row * 8, as: Int64.self))
        case 6: Int128(column.data.loadUnaligned(fromByteOffset: row, as: UInt8.self))
        case 7: Int128(column.data.loadUnaligned(fromByteOffset: row * 2, as: UInt16.self))
        case 8: Int128(column.data.loadUnaligned(fromByteOffset: row * 4, as: UInt32.self))
        default: wide(row)
        }
    }

    private static func text(_ number: Double, _ description: String) -> String {
        number.isNaN ? "NaN" : number.isInfinite ? (number < 0 ? "-Infinity" : "Infinity") : description
    }

    static func decimal(_ number: Int128, scale: Int) -> String {
        guard scale > 0 else { return String(number) }
        let digits = String(number.magnitude)
        let padded = String(repeating: "0", count: max(0, scale + 1 - digits.count)) + digits
        return (number < 0 ? "-" : "") + padded.dropLast(scale) + "." + padded.suffix(scale)
    }

    static func uuid(_ number: Int128) -> String {
        // Stored with the first bit turned, so that numbers sort as the texts do.
        let bits = UInt128(truncatingIfNeeded: number) ^ (1 << 127)
        let digits = String(bits, radix: 16)
        let padded = Array(String(repeating: "0", count: 32 - digits.count) + digits)
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(padded[$0]) }.joined(separator: "-")
    }

    // MARK: Times

    static func instant(_ units: Int64, unitsInSecond: Int64, zone: String = "") -> String {
        if units == .max { return "infinity" }
        if units == -.max { return "-infinity" }
        let day = 86_400 * unitsInSecond
        let days = units >= 0 ? units / day : -((-units + day - 1) / day)
        let time = time(units - days * day, unitsInSecond: unitsInSecond) + zone
        let date = date(days, infinity: .max)
        return date.hasSuffix(" BC") ? "\(date.dropLast(3)) \(time) BC" : "\(date) \(time)"
    }

    /// Of days since 1970, in the Gregorian calendar also before it was there (Howard Hinnant, "chrono-compatible low-level date algorithms").
    static func date(_ days: Int64, infinity: Int64) -> String {
        if days == infinity { return "infinity" }
        if days == -infinity { return "-infinity" }
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        let month = part < 10 ? part + 3 : part - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let text = "\(padded(year > 0 ? year : 1 - year, 4))-\(padded(month, 2))-\(padded(dayOfYear - (153 * part + 2) / 5 + 1, 2))"
        return year > 0 ? text : text + " BC"
    }

    static func time(_ units: Int64, unitsInSecond: Int64) -> String {
        let seconds = units / unitsInSecond
        let text = "\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
        return text + fraction(units % unitsInSecond, unitsInSecond)
    }

    private static func fraction(_ units: Int64, _ unitsInSecond: Int64) -> String {
        guard units > 0 else { return "" }
        var digits = padded(units, String(unitsInSecond).count - 1)
        while digits.last == "0" { digits.removeLast() }
        return "." + digits
    }

    /// ISO 8601, as PostgreSQL writes it.
    static func interval(months: Int32, days: Int32, microseconds: Int64) -> String {
        var text = "P"
        if months / 12 != 0 { text += "\(months / 12)Y" }
        if months % 12 != 0 { text += "\(months % 12)M" }
        if days != 0 { text += "\(days)D" }
        if microseconds != 0 {
            text += "T"
            let size = Int64(clamping: microseconds.magnitude)
            let sign = microseconds < 0 ? "-" : ""
            if size / 3_600_000_000 > 0 { text += "\(sign)\(size / 3_600_000_000)H" }
            if size / 60_000_000 % 60 > 0 { text += "\(sign)\(size / 60_000_000 % 60)M" }
            let rest = size % 60_000_000
            if rest > 0 { text += "\(sign)\(rest / 1_000_000)\(fraction(rest % 1_000_000, 1_000_000))S" }
        }
        return text == "P" ? "PT0S" : text
    }

    private static func padded(_ number: Int64, _ count: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, count - digits.count)) + digits
    }
}
