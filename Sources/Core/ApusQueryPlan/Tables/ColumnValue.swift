internal import ApusArrow

/// A value's text in a column of its type.
enum ColumnValue {
    @inline(__always)
    static func append(
        _ bytes: UnsafeRawBufferPointer, _ format: ValueFormat, _ isOuter: Bool, _ isChecked: Bool, to column: ArrowColumn
    ) -> Bool {
        if format.isList { return list(bytes, format.scalar, isChecked, to: column) }
        switch format.scalar {
        case .integer, .count, .int32: return ColumnText.integer(bytes).map(column.append) ?? false
        case .number: return ColumnText.number(bytes).map(column.append) ?? false
        case .boolean: return ColumnText.boolean(bytes).map { column.append(Int64($0 ? 1 : 0)) } ?? false
        case .text, .h3Cell: return (!isChecked || ReplyBuffer.isUTF8(bytes)) && column.append(bytes)
        case .json: return (!isChecked || ReplyBuffer.isUTF8(bytes) && JSONScanner.isValue(bytes)) && column.append(bytes)
        case .date where isOuter: return ColumnText.date(bytes).map(column.append) ?? false
        case .time where isOuter: return ColumnText.time(bytes).map(column.append) ?? false
        case .dateTime where isOuter, .timestamp where isOuter: return ColumnText.instant(bytes).map(column.append) ?? false
        case .interval where isOuter:
            guard let interval = ColumnText.interval(bytes) else { return false }
            return column.append(months: interval.months, days: interval.days, nanoseconds: interval.nanoseconds)
        case .geometry where isOuter:
            return WellKnownBinary.from(geoJSON: bytes)?.withUnsafeBytes { column.append($0) } ?? false
        case .geometry: return column.append(bytes)
        case .date, .time, .dateTime, .timestamp, .interval: return text(bytes, format.scalar, isChecked, to: column)
        }
    }

    /// As JSON tells it, without the quotation marks.
    private static func text(
        _ bytes: UnsafeRawBufferPointer, _ scalar: ValueFormat.Scalar, _ isChecked: Bool, to column: ArrowColumn
    ) -> Bool {
        var buffer = ReplyBuffer(capacity: 64)
        defer { buffer.free() }
        guard buffer.write(bytes, as: scalar, isChecked), buffer.count >= 2 else { return false }
        return column.append(UnsafeRawBufferPointer(rebasing: buffer.bytes[1..<(buffer.count - 1)]))
    }

    /// A JSON array; lists inside of it have no place.
    private static func list(
        _ bytes: UnsafeRawBufferPointer, _ scalar: ValueFormat.Scalar, _ isChecked: Bool, to column: ArrowColumn
    ) -> Bool {
        if isChecked, !ReplyBuffer.isUTF8(bytes) { return false }
        var scanner = JSONScanner(bytes)
        guard scanner.take(UInt8(ascii: "[")) else { return false }
        let elements = column.child(0)
        var isFirst = true
        while !scanner.take(UInt8(ascii: "]")) {
            if !isFirst { guard scanner.take(UInt8(ascii: ",")) else { return false } }
            isFirst = false
            guard let element = scanner.takeValue(), append(element: element, scalar, to: elements) else { return false }
        }
        return scanner.isAtEnd() && column.finishElement()
    }

    private static func append(element: UnsafeRawBufferPointer, _ scalar: ValueFormat.Scalar, to column: ArrowColumn) -> Bool {
        if scalar == .json || scalar == .geometry { return column.append(element) }
        if element.elementsEqual("null".utf8) { return column.appendNull() }
        let format = ValueFormat(scalar: scalar)
        guard element.first == Ascii.quote else { return append(element, format, false, false, to: column) }
        let inside = UnsafeRawBufferPointer(rebasing: element[1..<(element.count - 1)])
        if !inside.contains(Ascii.backslash) { return append(inside, format, false, false, to: column) }
        guard var text = JSONScanner.text(of: element) else { return false }
        return text.withUTF8 { append(UnsafeRawBufferPointer($0), format, false, false, to: column) }
    }
}
