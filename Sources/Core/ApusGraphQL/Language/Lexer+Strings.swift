/// Strings are checked when they are read and decoded when they are asked for: most are never looked at.
extension Lexer {
    mutating func string(_ start: Int) throws(SyntaxProblem) -> Token {
        var index = start + 1
        while index < bytes.count {
            switch bytes[index] {
            case .quote: return token(.string, start, index + 1)
            case .backslash: index += try escape(at: index).length
            case .lineFeed, .carriageReturn: throw SyntaxProblem(offset: index, message: "Unterminated string.")
            default: index += try contentLength(at: index)
            }
        }
        throw SyntaxProblem(offset: index, message: "Unterminated string.")
    }

    mutating func blockString(_ start: Int) throws(SyntaxProblem) -> Token {
        var index = start + 3
        while index < bytes.count {
            switch bytes[index] {
            case .quote where byte(at: index + 1) == .quote && byte(at: index + 2) == .quote:
                return token(.blockString, start, index + 3)
            case .backslash where Self.isEscapedDelimiter(bytes, index): index += 4
            default: index += try contentLength(at: index)
            }
        }
        throw SyntaxProblem(offset: index, message: "Unterminated string.")
    }

    /// Whether `\"""` is at `index`.
    static func isEscapedDelimiter(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        index + 3 < bytes.count && bytes[index] == .backslash && bytes[index + 1] == .quote && bytes[index + 2] == .quote
            && bytes[index + 3] == .quote
    }

    private func contentLength(at index: Int) throws(SyntaxProblem) -> Int {
        guard let length = scalarLength(at: index) else {
            throw SyntaxProblem(offset: index, message: "Invalid character within String: \(printed(at: index)).")
        }
        return length
    }

    /// The scalar that an escape sequence means, and how many bytes it takes.
    func escape(at index: Int) throws(SyntaxProblem) -> (scalar: Unicode.Scalar, length: Int) {
        switch byte(at: index + 1) {
        case .quote: return ("\"", 2)
        case .backslash: return ("\\", 2)
        case UInt8(ascii: "/"): return ("/", 2)
        case UInt8(ascii: "b"): return ("\u{8}", 2)
        case UInt8(ascii: "f"): return ("\u{C}", 2)
        case UInt8(ascii: "n"): return ("\n", 2)
        case UInt8(ascii: "r"): return ("\r", 2)
        case UInt8(ascii: "t"): return ("\t", 2)
        case UInt8(ascii: "u"): return byte(at: index + 2) == UInt8(ascii: "{") ? try bracedEscape(at: index) : try unicodeEscape(at: index)
        default: throw SyntaxProblem(offset: index, message: "Invalid character escape sequence: \"\(excerpt(index, scalars: 2))\".")
        }
    }

    /// `\u{…}` with one to eight hexadecimal digits.
    private func bracedEscape(at index: Int) throws(SyntaxProblem) -> (Unicode.Scalar, Int) {
        var value: UInt32 = 0
        var length = 3
        let longest = min(12, bytes.count - index)
        while length < longest {
            let byte = bytes[index + length]
            length += 1
            if byte == UInt8(ascii: "}") {
                guard length >= 5, let scalar = Unicode.Scalar(value) else { break }
                return (scalar, length)
            }
            guard let digit = byte.hexadecimalValue, value >> 28 == 0 else { break }
            value = value << 4 | digit
        }
        throw SyntaxProblem(offset: index, message: "Invalid Unicode escape sequence: \"\(excerpt(index, scalars: length))\".")
    }

    /// `\uXXXX`, or two of them that are a surrogate pair, as in JSON.
    private func unicodeEscape(at index: Int) throws(SyntaxProblem) -> (Unicode.Scalar, Int) {
        if let code = hexadecimal(at: index + 2) {
            if let scalar = Unicode.Scalar(code) { return (scalar, 6) }
            if code < 0xDC00, byte(at: index + 6) == .backslash, byte(at: index + 7) == UInt8(ascii: "u"),
                let low = hexadecimal(at: index + 8), (0xDC00...0xDFFF).contains(low),
                let scalar = Unicode.Scalar(0x10000 + (code - 0xD800) << 10 + (low - 0xDC00))
            {
                return (scalar, 12)
            }
        }
        throw SyntaxProblem(offset: index, message: "Invalid Unicode escape sequence: \"\(excerpt(index, scalars: 6))\".")
    }

    private func hexadecimal(at index: Int) -> UInt32? {
        var value: UInt32 = 0
        for offset in 0..<4 {
            guard let digit = byte(at: index + offset).hexadecimalValue else { return nil }
            value = value << 4 | digit
        }
        return value
    }
}
