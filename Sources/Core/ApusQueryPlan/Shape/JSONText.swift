/// Text of a database as JSON, from bytes to bytes: nothing here makes a `String` of a value.
enum JSONText {
    static func quoted(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var text = text
        text.withUTF8 { quote(UnsafeRawBufferPointer($0), to: &bytes) }
        return bytes
    }

    static func write(_ bytes: UnsafeRawBufferPointer, as format: ValueFormat, to output: inout [UInt8]) {
        switch format {
        case .json: output.append(contentsOf: bytes)
        case .number, .count: isNumber(bytes) ? output.append(contentsOf: bytes) : null(&output)
        case .boolean:
            let isTrue = bytes.first.map { [UInt8(ascii: "t"), UInt8(ascii: "1")].contains($0) } ?? false
            output.append(contentsOf: isTrue ? "true".utf8 : "false".utf8)
        case .text: quote(bytes, to: &output)
        case .dateTime, .timestamp: instant(bytes, hasZone: format == .timestamp, to: &output)
        case .time:
            output.append(quotationMark)
            time(bytes[...], to: &output)
            output.append(quotationMark)
        }
    }

    static func null(_ output: inout [UInt8]) { output.append(contentsOf: "null".utf8) }

    private static let quotationMark = UInt8(ascii: "\"")
    private static let hexadecimal = Array("0123456789abcdef".utf8)

    /// Runs without anything to escape are copied whole.
    static func quote(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        output.append(quotationMark)
        var start = 0
        for (index, byte) in bytes.enumerated() where byte < 0x20 || byte == quotationMark || byte == UInt8(ascii: "\\") {
            output.append(contentsOf: bytes[start..<index])
            start = index + 1
            output.append(UInt8(ascii: "\\"))
            switch byte {
            case 0x08: output.append(UInt8(ascii: "b"))
            case 0x09: output.append(UInt8(ascii: "t"))
            case 0x0a: output.append(UInt8(ascii: "n"))
            case 0x0c: output.append(UInt8(ascii: "f"))
            case 0x0d: output.append(UInt8(ascii: "r"))
            case 0..<0x20:
                output.append(contentsOf: "u00".utf8)
                output.append(hexadecimal[Int(byte >> 4)])
                output.append(hexadecimal[Int(byte & 15)])
            default: output.append(byte)
            }
        }
        output.append(contentsOf: bytes[start...])
        output.append(quotationMark)
    }

    /// Databases write numbers as JSON does, and `NaN`, `Infinity` and `-Infinity`.
    private static func isNumber(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let last = bytes.last else { return false }
        return (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(last)
    }

    /// `2026-01-01 00:00:00.5+00` becomes `"2026-01-01T00:00:00.5Z"`; what is no date and time (`infinity`) stays as it is.
    private static func instant(_ bytes: UnsafeRawBufferPointer, hasZone: Bool, to output: inout [UInt8]) {
        guard bytes.count >= 19, bytes[4] == UInt8(ascii: "-") else { return quote(bytes, to: &output) }
        output.append(quotationMark)
        output.append(contentsOf: bytes[..<10])
        output.append(UInt8(ascii: "T"))
        let rest = bytes[11...]
        let sign = rest.firstIndex { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "Z") } ?? rest.endIndex
        output.append(contentsOf: rest[..<sign])
        let offset = rest[sign...]
        if !hasZone || offset.allSatisfy({ !(UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }) {
            output.append(UInt8(ascii: "Z"))
        } else {
            output.append(contentsOf: offset)
            if offset.count == 3 { output.append(contentsOf: ":00".utf8) }
        }
        output.append(quotationMark)
    }

    private static func time(_ bytes: Slice<UnsafeRawBufferPointer>, to output: inout [UInt8]) {
        output.append(contentsOf: bytes)
        let digits: Int
        if let point = bytes.firstIndex(of: UInt8(ascii: ".")) {
            digits = bytes.endIndex - point - 1
        } else {
            output.append(UInt8(ascii: "."))
            digits = 0
        }
        output.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: max(0, 9 - digits)))
    }
}
