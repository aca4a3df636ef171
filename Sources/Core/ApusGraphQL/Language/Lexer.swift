/// Reads one token after the other from UTF-8 bytes; white space, commas and comments are passed over.
///
/// What is not ASCII is only decoded where it is allowed, in strings and comments, so invalid UTF-8 is found wherever it is.
struct Lexer {
    /// Valid while the parser's `withUnsafeBufferPointer` runs.
    let bytes: UnsafeBufferPointer<UInt8>
    private(set) var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// 0 beyond the end: no token contains it.
    @inline(__always)
    func byte(at index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }

    mutating func next() throws(SyntaxProblem) -> Token {
        while position < bytes.count {
            let start = position
            let byte = bytes[start]
            switch byte {
            case 0x20, 0x09, 0x2C, 0x0A, 0x0D:
                position += 1
            case 0x41...0x5A, 0x61...0x7A, 0x5F:
                var end = start + 1
                while end < bytes.count, bytes[end].continuesName { end += 1 }
                return token(.name, start, end)
            case UInt8(ascii: "{"): return token(.openBrace, start, start + 1)
            case UInt8(ascii: "}"): return token(.closeBrace, start, start + 1)
            case UInt8(ascii: "("): return token(.openParenthesis, start, start + 1)
            case UInt8(ascii: ")"): return token(.closeParenthesis, start, start + 1)
            case UInt8(ascii: ":"): return token(.colon, start, start + 1)
            case UInt8(ascii: "$"): return token(.dollar, start, start + 1)
            case UInt8(ascii: "!"): return token(.bang, start, start + 1)
            case UInt8(ascii: "["): return token(.openBracket, start, start + 1)
            case UInt8(ascii: "]"): return token(.closeBracket, start, start + 1)
            case UInt8(ascii: "="): return token(.equals, start, start + 1)
            case UInt8(ascii: "@"): return token(.at, start, start + 1)
            case UInt8(ascii: "|"): return token(.pipe, start, start + 1)
            case UInt8(ascii: "&"): return token(.ampersand, start, start + 1)
            case UInt8(ascii: "#"): try skipComment()
            case .quote:
                let isBlock = self.byte(at: start + 1) == .quote && self.byte(at: start + 2) == .quote
                return isBlock ? try blockString(start) : try string(start)
            case UInt8(ascii: "-"), 0x30...0x39: return try number(start)
            case UInt8(ascii: ".") where self.byte(at: start + 1) == byte && self.byte(at: start + 2) == byte:
                return token(.spread, start, start + 3)
            case 0xEF where self.byte(at: start + 1) == 0xBB && self.byte(at: start + 2) == 0xBF:
                position += 3  // a byte order mark counts as white space
            case UInt8(ascii: "'"):
                throw SyntaxProblem(
                    offset: start, message: "Unexpected single quote character ('), did you mean to use a double quote (\")?")
            default:
                let kind = byte < 0x80 || Self.scalar(bytes, start) != nil ? "Unexpected" : "Invalid"
                throw SyntaxProblem(offset: start, message: "\(kind) character: \(printed(at: start)).")
            }
        }
        return Token(kind: .endOfFile, start: bytes.count, end: bytes.count)
    }

    @inline(__always)
    mutating func token(_ kind: Token.Kind, _ start: Int, _ end: Int) -> Token {
        position = end
        return Token(kind: kind, start: start, end: end)
    }

    private mutating func skipComment() throws(SyntaxProblem) {
        position += 1
        while position < bytes.count, bytes[position] != .lineFeed, bytes[position] != .carriageReturn {
            guard let length = scalarLength(at: position) else {
                throw SyntaxProblem(offset: position, message: "Invalid character: \(printed(at: position)).")
            }
            position += length
        }
    }

    private mutating func number(_ start: Int) throws(SyntaxProblem) -> Token {
        var index = start
        var kind = Token.Kind.int
        if bytes[index] == UInt8(ascii: "-") { index += 1 }
        if byte(at: index) == UInt8(ascii: "0") {
            index += 1
            if byte(at: index).isDigit {
                throw SyntaxProblem(offset: index, message: "Invalid number, unexpected digit after 0: \(printed(at: index)).")
            }
        } else {
            index = try digits(index)
        }
        if byte(at: index) == UInt8(ascii: ".") {
            kind = .float
            index = try digits(index + 1)
        }
        if byte(at: index) | 0x20 == UInt8(ascii: "e") {
            kind = .float
            index += 1
            if byte(at: index) == UInt8(ascii: "+") || byte(at: index) == UInt8(ascii: "-") { index += 1 }
            index = try digits(index)
        }
        // A number is never followed by a dot or the start of a name.
        if byte(at: index) == UInt8(ascii: ".") || byte(at: index).beginsName {
            throw SyntaxProblem(offset: index, message: "Invalid number, expected digit but got: \(printed(at: index)).")
        }
        return token(kind, start, index)
    }

    private func digits(_ start: Int) throws(SyntaxProblem) -> Int {
        guard byte(at: start).isDigit else {
            throw SyntaxProblem(offset: start, message: "Invalid number, expected digit but got: \(printed(at: start)).")
        }
        var index = start + 1
        while byte(at: index).isDigit { index += 1 }
        return index
    }
}

extension Lexer {
    /// The length of the scalar that begins at `index`; nil for invalid UTF-8.
    @inline(__always)
    func scalarLength(at index: Int) -> Int? {
        bytes[index] < 0x80 ? 1 : Self.scalar(bytes, index).map { UTF8.width($0) }
    }

    static func scalar(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Unicode.Scalar? {
        var decoder = UTF8()
        var iterator = bytes[index..<min(index + 4, bytes.count)].makeIterator()
        guard case .scalarValue(let scalar) = decoder.decode(&iterator) else { return nil }
        return scalar
    }

    /// What is at `index`, for errors: ASCII quoted, the rest by its number.
    func printed(at index: Int) -> String {
        guard index < bytes.count else { return Token.Kind.endOfFile.description }
        switch bytes[index] {
        case .quote: return "'\"'"
        case let byte where byte >= 0x20 && byte < 0x7F: return "\"\(Character(Unicode.Scalar(byte)))\""
        case let byte:
            let value = Self.scalar(bytes, index)?.value ?? UInt32(byte)
            let digits = String(value, radix: 16, uppercase: true)
            return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        }
    }

    /// At most `count` scalars from `start`.
    func excerpt(_ start: Int, scalars count: Int) -> String {
        String(
            String.UnicodeScalarView(
                String(decoding: bytes[start..<min(bytes.count, start + 4 * count)], as: UTF8.self).unicodeScalars.prefix(count)))
    }
}
