/// The text that a document was parsed from, as UTF-8. Positions in it are byte offsets.
public struct SourceText: Sendable, Hashable {
    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    public init(_ text: String) { bytes = Array(text.utf8) }

    /// A place for people: both count from 1, columns in Unicode scalars. (JavaScript counts UTF-16 units; both agree below U+10000.)
    public struct Location: Sendable, Hashable {
        public var line: Int
        public var column: Int

        public init(line: Int, column: Int) {
            self.line = line
            self.column = column
        }
    }

    /// Lines end with LF, CR or CR LF. Walks the text from its start: for errors, not for hot paths.
    public func location(at offset: Int) -> Location { locations(at: [offset])[offset] ?? Location(line: 1, column: 1) }

    /// The places of many offsets in one walk: an error may name thousands, and a text may be one long line.
    func locations(at offsets: some Sequence<Int>) -> [Int: Location] {
        var locations: [Int: Location] = [:]
        var place = Location(line: 1, column: 1)
        var index = 0
        for offset in Set(offsets).sorted() {
            while index < min(offset, bytes.count) {
                let byte = bytes[index]
                index += 1
                // CR LF is one end, which its LF makes.
                let isEnd = byte == .lineFeed || (byte == .carriageReturn && (index == bytes.count || bytes[index] != .lineFeed))
                if isEnd {
                    place = Location(line: place.line + 1, column: 1)
                } else if !byte.continuesScalar {
                    place.column += 1
                }
            }
            locations[offset] = place
        }
        return locations
    }

    func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
}

extension UInt8 {
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")

    var continuesScalar: Bool { self & 0xC0 == 0x80 }
    var isDigit: Bool { self &- 0x30 < 10 }
    var beginsName: Bool { (self | 0x20) &- 0x61 < 26 || self == 0x5F }
    var continuesName: Bool { beginsName || isDigit }

    /// The value of a hexadecimal digit.
    var hexadecimalValue: UInt32? {
        switch self {
        case 0x30...0x39: UInt32(self) - 0x30
        case 0x41...0x46: UInt32(self) - 55
        case 0x61...0x66: UInt32(self) - 87
        default: nil
        }
    }
}
