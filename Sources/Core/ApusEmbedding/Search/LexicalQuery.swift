public import ApusTypes

/// The words of a query, to be counted in many texts without building anything of each.
public struct LexicalQuery: Sendable {
    /// Words beyond are left out: a question has fewer.
    public static let mostWords = 64

    /// By the hashes' unmixed states, which are as distinct as the hashes.
    private let states: [UInt64]
    /// Whether any of them has a state that ends in these bits; most words of a text are none of the query's.
    private let mask: UInt64

    public var words: Int { states.count }

    public init(_ text: String) {
        var states: [UInt64] = []
        Words.forEach(in: text) { word in
            let state = FeatureHash.state(of: word)
            if states.count < Self.mostWords, !states.contains(state) { states.append(state) }
        }
        self.states = states
        mask = states.reduce(0) { $0 | 1 << ($1 & 63) }
    }

    /// Adds to `counts`, one for each word of the query, how often it comes in a text of UTF-8. Returns the text's words.
    public func count(in text: UnsafeRawBufferPointer, into counts: inout [UInt32]) -> Int {
        var words = 0
        var state = FeatureHash.start
        var isInside = false
        for byte in text {
            guard byte < 0x80 else {
                for index in counts.indices { counts[index] = 0 }
                return countSlowly(in: text, &counts)
            }
            let letter = Self.folded[Int(byte)]
            if letter != 0 {
                state = (state ^ UInt64(letter)) &* FeatureHash.prime
                isInside = true
            } else if isInside {
                words += 1
                add(state, to: &counts)
                state = FeatureHash.start
                isInside = false
            }
        }
        if isInside {
            words += 1
            add(state, to: &counts)
        }
        // Nothing but symbols, which are its words then.
        return words == 0 && !text.isEmpty ? countSlowly(in: text, &counts) : words
    }

    private func countSlowly(in text: UnsafeRawBufferPointer, _ counts: inout [UInt32]) -> Int {
        var words = 0
        Words.forEach(in: String(decoding: text, as: UTF8.self)) { word in
            words += 1
            add(FeatureHash.state(of: word), to: &counts)
        }
        return words
    }

    private func add(_ state: UInt64, to counts: inout [UInt32]) {
        guard mask & 1 << (state & 63) != 0 else { return }
        for index in states.indices where states[index] == state { counts[index] += 1 }
    }

    /// Of ASCII: letters and digits in lower case, all else 0.
    private static let folded: [UInt8] = (0..<128).map { byte in
        switch UInt8(byte) {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): UInt8(byte)
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt8(byte) + 0x20
        default: 0
        }
    }
}

/// The texts of a collection that hold words of a query, and what their scores depend on: exact sums, so that the parts of several shards
/// add up to those of the whole.
public struct LexicalMatches<Place: Sendable>: Sendable {
    private let words: Int
    private var statistics: LexicalStatistics
    private var places: [Place] = []
    private var lengths: [UInt32] = []
    /// As many for each place as the query has words.
    private var counts: [UInt32] = []

    public init(_ query: LexicalQuery) {
        words = query.words
        statistics = LexicalStatistics(words: query.words)
    }

    /// One text: its words, and how often each of the query's comes in it. `isWanted` is asked only of texts that match; all count in the
    /// statistics.
    public mutating func add(_ place: Place, length: Int, counts: [UInt32], isWanted: () -> Bool) {
        guard statistics.add(length: length, counts: counts), isWanted() else { return }
        places.append(place)
        lengths.append(UInt32(clamping: length))
        self.counts += counts
    }

    public var collected: LexicalStatistics { statistics }

    /// The places with their scores by BM25 over `statistics`, in the order in which they were added.
    public func scored(_ statistics: LexicalStatistics, k1: Double = 1.5, b: Double = 0.75) -> [(place: Place, score: Double)] {
        let weights = statistics.weights
        let average = max(1, statistics.averageLength)
        return places.indices.map { index in
            let saturation = k1 * (1 - b + b * Double(lengths[index]) / average)
            var score = 0.0
            for word in 0..<words {
                let count = Double(counts[index * words + word])
                score += weights[word] * count * (k1 + 1) / (count + saturation)
            }
            return (places[index], score)
        }
    }
}

public struct LexicalStatistics: Sendable, Hashable {
    public private(set) var texts = 0
    private var totalLength = 0
    /// Texts that hold each word of the query.
    private var frequencies: [Int]

    init(words: Int) { frequencies = [Int](repeating: 0, count: words) }

    /// Whether the text holds any of the words.
    mutating func add(length: Int, counts: [UInt32]) -> Bool {
        texts += 1
        totalLength += length
        var isMatch = false
        for (word, count) in counts.enumerated() where count > 0 {
            frequencies[word] += 1
            isMatch = true
        }
        return isMatch
    }

    public static func + (left: LexicalStatistics, right: LexicalStatistics) -> LexicalStatistics {
        var sum = left
        sum.texts += right.texts
        sum.totalLength += right.totalLength
        sum.frequencies = zip(left.frequencies, right.frequencies).map(+)
        return sum
    }

    var averageLength: Double { texts == 0 ? 0 : Double(totalLength) / Double(texts) }

    /// ln(1 + (texts - frequency + ½) / (frequency + ½)), which is never negative.
    var weights: [Double] {
        frequencies.map { frequency in logarithm(1 + (Double(texts - frequency) + 0.5) / (Double(frequency) + 0.5)) }
    }
}

// MARK: Between nodes

extension LexicalMatches: WireValue where Place: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(words, statistics, places, lengths, counts) }

    public init(from reader: inout WireReader) throws(ApusError) {
        words = try reader.read()
        statistics = try reader.read()
        places = try reader.read()
        lengths = try reader.read()
        counts = try reader.read()
        guard words >= 0, statistics.words == words, lengths.count == places.count,
            counts.count == places.count.multipliedReportingOverflow(by: words).partialValue
        else { throw WireReader.invalid("the counts of words do not fit the texts") }
    }
}

extension LexicalStatistics: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(texts, totalLength, frequencies) }

    public init(from reader: inout WireReader) throws(ApusError) {
        texts = try reader.read()
        totalLength = try reader.read()
        frequencies = try reader.read()
    }

    fileprivate var words: Int { frequencies.count }
}
