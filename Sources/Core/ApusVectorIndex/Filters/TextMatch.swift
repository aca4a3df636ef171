public import ApusTypes

/// How a string is compared with a text. Words are runs of letters and digits, without regard to case.
public enum TextMatch: Sendable, Hashable {
    /// Each of these words is there, in any order; no words match nothing.
    case allWords([String])
    case anyWord([String])
    /// The words follow each other.
    case phrase([String])
    /// The string begins with exactly this.
    case prefix(ExactString)
    /// This is somewhere in the string.
    case substring(ExactString)

    func matches(_ text: [UInt8]) -> Bool {
        switch self {
        case .allWords(let words):
            guard !words.isEmpty else { return false }
            let there = Set(Self.words(of: text))
            return words.allSatisfy(there.contains)
        case .anyWord(let words):
            guard !words.isEmpty else { return false }
            let there = Set(Self.words(of: text))
            return words.contains(where: there.contains)
        case .phrase(let words):
            let there = Self.words(of: text)
            guard !words.isEmpty, there.count >= words.count else { return false }
            return (0...there.count - words.count).contains { there[$0..<$0 + words.count].elementsEqual(words) }
        case .prefix(let prefix): return text.starts(with: prefix.text.utf8)
        case .substring(let part): return text.contains(Array(part.text.utf8))
        }
    }

    /// The words of a text, in lower case, in order.
    public static func words(of text: String) -> [String] { words(of: Array(text.utf8)) }

    static func words(of text: [UInt8]) -> [String] {
        String(decoding: text, as: UTF8.self).unicodeScalars.split { !$0.isWordPart }.map { String($0).lowercased() }
    }
}

extension Unicode.Scalar {
    /// A letter or a digit of any script.
    var isWordPart: Bool {
        if isASCII { return ("a"..."z").contains(self) || ("A"..."Z").contains(self) || ("0"..."9").contains(self) }
        return properties.isAlphabetic || [.decimalNumber, .letterNumber, .otherNumber].contains(properties.generalCategory)
    }
}

extension [UInt8] {
    fileprivate func contains(_ part: [UInt8]) -> Bool {
        guard let first = part.first else { return true }
        guard count >= part.count else { return false }
        for start in 0...count - part.count where self[start] == first {
            if self[start..<start + part.count].elementsEqual(part) { return true }
        }
        return false
    }
}
