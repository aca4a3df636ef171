public import ApusTypes
@_spi(_Unicode) internal import Swift

/// BERT's tokenizer: text is cleaned, lower-cased and stripped of accents, cut at white space, punctuation and around ideographs, and each
/// word is cut into the longest pieces that the vocabulary has (Wu et al., 2016). Words that cannot be cut are `[UNK]`.
///
/// The names of special tokens have no meaning inside a text: `[SEP]` there is three words.
public struct WordPiece: Sendable {
    static let longestWord = 100
    static let mostPieces = 1_000_000

    /// All pieces, without `##`, one after the other.
    private let bytes: [UInt8]
    /// Where each piece lies in `bytes`.
    private let ranges: [Range<Int>]
    /// Piece by the hash of its bytes; those inside a word hash from another start.
    private let ids: [UInt64: Int32]
    public let lowercases: Bool
    let unknown: Int32
    let begin: Int32
    let end: Int32
    public var count: Int { ranges.count }

    /// `vocabulary`: a piece a line, in the order of their ids. Throws `model.invalid`.
    public init(vocabulary: [UInt8], lowercases: Bool) throws(ApusError) {
        var bytes: [UInt8] = []
        var ranges: [Range<Int>] = []
        var ids: [UInt64: Int32] = [:]
        var special: [[UInt8]: Int32] = [:]
        bytes.reserveCapacity(vocabulary.count)
        var lines = vocabulary.split(separator: 0x0A, omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        guard lines.count <= Self.mostPieces else {
            throw ApusError(.modelInvalid, "the vocabulary has \(lines.count) pieces; \(Self.mostPieces) is the most")
        }
        for (number, line) in lines.enumerated() {
            let line = line.last == 0x0D ? line.dropLast() : line
            let isInside = line.count > 2 && line.starts(with: [0x23, 0x23])
            let piece = isInside ? line.dropFirst(2) : line
            ranges.append(bytes.count..<bytes.count + piece.count)
            bytes += piece
            var hash = PieceHash(isInside: isInside)
            for byte in piece { hash.add(byte) }
            ids[hash.value] = Int32(number)
            if line.first == UInt8(ascii: "[") { special[Array(line)] = Int32(number) }
        }
        func find(_ name: String) throws(ApusError) -> Int32 {
            guard let id = special[Array(name.utf8)] else {
                throw ApusError(.modelInvalid, "the vocabulary has no '\(name)': it is not that of a BERT model")
            }
            return id
        }
        (unknown, begin, end) = (try find("[UNK]"), try find("[CLS]"), try find("[SEP]"))
        (self.bytes, self.ranges, self.ids, self.lowercases) = (bytes, ranges, ids, lowercases)
    }

    /// The text's pieces between `[CLS]` and `[SEP]`, at most `limit` in all; what is beyond is cut off.
    public func pieces(of text: String, limit: Int) -> [Int32] {
        var pieces = [begin]
        let room = max(1, limit - 1)  // the last place is that of the end
        var word: [UInt8] = []
        var characters = 0
        func finish() {
            if !word.isEmpty { cut(word, characters, into: &pieces) }
            word.removeAll(keepingCapacity: true)
            characters = 0
        }
        func take(_ scalar: Unicode.Scalar) {
            if scalar.isWhiteSpaceOfBERT { return finish() }
            let isAlone = scalar.isPunctuationOfBERT || scalar.isIdeograph
            if isAlone { finish() }
            word += UTF8.encode(scalar).map(Array.init) ?? []
            characters += 1
            if isAlone { finish() }
        }
        if text.utf8.allSatisfy({ $0 < 0x80 }) {
            for byte in text.utf8 {
                guard byte >= 0x20 && byte != 0x7F || byte == 0x09 || byte == 0x0A || byte == 0x0D else { continue }
                take(Unicode.Scalar(lowercases && (0x41...0x5A).contains(byte) ? byte + 0x20 : byte))
                if pieces.count >= room { break }
            }
        } else {
            let cleaned = String(String.UnicodeScalarView(text.unicodeScalars.lazy.filter { !$0.isRemovedByBERT }))
            if lowercases {
                for scalar in cleaned._nfd where scalar.properties.generalCategory != .nonspacingMark {
                    for lower in scalar.properties.lowercaseMapping.unicodeScalars { take(lower) }
                    if pieces.count >= room { break }
                }
            } else {
                for scalar in cleaned.unicodeScalars {
                    take(scalar)
                    if pieces.count >= room { break }
                }
            }
        }
        finish()
        return pieces.prefix(room) + [end]
    }

    private func cut(_ word: [UInt8], _ characters: Int, into pieces: inout [Int32]) {
        guard characters <= Self.longestWord else { return pieces.append(unknown) }
        let first = pieces.count
        var start = 0
        while start < word.count {
            var hash = PieceHash(isInside: start > 0)
            var found: (id: Int32, end: Int)?
            for end in start + 1...word.count {
                hash.add(word[end - 1])
                if let id = ids[hash.value], bytes[ranges[Int(id)]].elementsEqual(word[start..<end]) { found = (id, end) }
            }
            guard let found else {
                pieces.removeSubrange(first...)
                return pieces.append(unknown)
            }
            pieces.append(found.id)
            start = found.end
        }
    }

    /// FNV-1a over bytes, which a longer prefix continues.
    private struct PieceHash {
        private(set) var value: UInt64

        init(isInside: Bool) { value = isInside ? 0x9E37_79B9_7F4A_7C15 : 0xCBF2_9CE4_8422_2325 }

        mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
}

extension Unicode.Scalar {
    fileprivate var isWhiteSpaceOfBERT: Bool { properties.isWhitespace }

    /// All ASCII that is neither letter, digit, space nor control, and Unicode's punctuation.
    fileprivate var isPunctuationOfBERT: Bool {
        switch value {
        case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: return true
        case 0..<0x80: return false
        default:
            switch properties.generalCategory {
            case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation, .finalPunctuation,
                .otherPunctuation:
                return true
            default: return false
            }
        }
    }

    fileprivate var isRemovedByBERT: Bool {
        switch value {
        case 0x09, 0x0A, 0x0D: return false
        case 0, 0xFFFD: return true
        default:
            switch properties.generalCategory {
            case .control, .format, .privateUse, .unassigned, .surrogate: return true
            default: return false
            }
        }
    }
}
