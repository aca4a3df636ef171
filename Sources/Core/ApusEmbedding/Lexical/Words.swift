@_spi(_Unicode) internal import Swift

/// The words of a text: runs of letters, marks and digits, lower case, composed (NFC), so that all ways of writing "é" are one. Each
/// ideograph is a word of its own. What is no letter separates; a text without any letter has its symbols as words.
public enum Words {
    public static func all(in text: String) -> [String] {
        var words: [String] = []
        forEach(in: text) { word in
            words.append(String(String.UnicodeScalarView(word.lazy.compactMap { Unicode.Scalar($0) })))
        }
        return words
    }

    /// Calls `body` with the code points of each word.
    static func forEach(in text: String, _ body: ([UInt32]) -> Void) {
        var collector = Collector()
        collector.read(text, isLetter: { isLetter($0) }, body)
        guard collector.words == 0 else { return }
        collector.read(text, isLetter: { !$0.properties.isWhitespace && $0.properties.generalCategory != .control }, body)
    }

    private struct Collector {
        var word: [UInt32] = []
        var words = 0

        mutating func read(_ text: String, isLetter: (Unicode.Scalar) -> Bool, _ body: ([UInt32]) -> Void) {
            if text.utf8.allSatisfy({ $0 < 0x80 }) {
                for byte in text.utf8 { take(Unicode.Scalar(byte), isLetter, body) }
            } else {
                for scalar in text._nfc { take(scalar, isLetter, body) }
            }
            end(body)
        }

        private mutating func take(_ scalar: Unicode.Scalar, _ isLetter: (Unicode.Scalar) -> Bool, _ body: ([UInt32]) -> Void) {
            guard isLetter(scalar) else { return end(body) }
            if scalar.isASCII {
                word.append((0x41...0x5A).contains(scalar.value) ? scalar.value + 0x20 : scalar.value)
            } else if scalar.isIdeograph {
                end(body)
                word.append(scalar.value)
                end(body)
            } else {
                for lower in scalar.properties.lowercaseMapping.unicodeScalars { word.append(lower.value) }
            }
        }

        private mutating func end(_ body: ([UInt32]) -> Void) {
            guard !word.isEmpty else { return }
            words += 1
            body(word)
            word.removeAll(keepingCapacity: true)
        }
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return (0x61...0x7A).contains(scalar.value) || (0x41...0x5A).contains(scalar.value) || (0x30...0x39).contains(scalar.value)
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber, .letterNumber,
            .otherNumber,
            .nonspacingMark, .spacingMark:
            return true
        default: return false
        }
    }
}

extension Unicode.Scalar {
    /// What BERT's tokenizer sets apart: the blocks of CJK ideographs, without kana and hangul.
    var isIdeograph: Bool {
        switch value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F, 0x2B820...0x2CEAF,
            0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }
}
