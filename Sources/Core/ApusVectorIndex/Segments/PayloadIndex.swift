internal import ApusTypes

/// Which rows of a segment have which values at one path of their payloads, as it lies in the segment's bytes (docs/segment-format.md).
///
/// Every value that `PayloadScanner.items` gives at the path is a key: strings in the order of their bytes, then integers below 2^53, then
/// all other numbers, both by value, then what `Special` names. Each key has a list of rows; the lists lie in the order of the keys, so that
/// a range of keys is one list. A string is not copied: it is read in a payload that has it.
struct PayloadIndex: @unchecked Sendable {  // read only, as long as the segment lives
    enum Special: Int, CaseIterable {
        case isFalse, isTrue
        /// Objects and arrays among the items.
        case other
        /// Among the items, and as the value itself.
        case null, nullValue
        /// Values that are arrays.
        case array
        /// Rows that have a value, and rows with one that is neither null nor an empty array. The lists of these two may be of the rows
        /// that do not.
        case present, filled
    }

    /// The header's flags.
    struct Flags: OptionSet {
        let rawValue: UInt32
        /// Some row has an array where the path only names members: a path that searches arrays finds more than is here.
        static let passesArrays = Flags(rawValue: 1)
        static let hasWords = Flags(rawValue: 2)
        static let presentIsComplement = Flags(rawValue: 4)
        static let filledIsComplement = Flags(rawValue: 8)
    }

    /// How many there are of each thing, in the order of the header.
    struct Sizes {
        var path = 0, strings = 0, integers = 0, numbers = 0, times = 0, places = 0, words = 0, rows = 0, wordStrings = 0, wordBytes = 0

        var keys: Int { strings + integers + numbers + Special.allCases.count }

        /// Bytes of each array, in the order in which they lie behind the header.
        var arrays: [Int] {
            [
                strings * 8, integers * 8, numbers * 8, times * 8, places * 8, places * 8, (keys + 1) * 4, rows * 4, times * 4, places * 4,
                words > 0 ? (words + 1) * 4 : 0, words > 0 ? (words + 1) * 4 : 0, wordStrings * 4, wordBytes, path,
            ]
        }
    }

    static let headerSize = 64

    let flags: Flags
    let sizes: Sizes
    /// `PayloadPath.indexKey`.
    let path: [UInt8]
    /// Of the segment.
    let rows: Int
    private let payloads: UnsafeRawBufferPointer
    private let strings: UnsafeRawBufferPointer
    private let integers: UnsafeRawBufferPointer
    private let numbers: UnsafeRawBufferPointer
    private let times: UnsafeRawBufferPointer
    private let latitudes: UnsafeRawBufferPointer
    private let longitudes: UnsafeRawBufferPointer
    private let starts: UnsafeRawBufferPointer
    private let lists: UnsafeRawBufferPointer
    private let timeStrings: UnsafeRawBufferPointer
    private let placeRows: UnsafeRawBufferPointer
    private let wordOffsets: UnsafeRawBufferPointer
    private let wordStarts: UnsafeRawBufferPointer
    private let wordStrings: UnsafeRawBufferPointer
    private let wordBytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer, rows: Int, payloads: UnsafeRawBufferPointer) throws(ApusError) {
        guard bytes.count >= Self.headerSize else { throw SegmentFormat.unreadable("an index of its payloads is cut") }
        func count(_ place: Int) -> Int { Int(bytes.number(at: 4 + place * 4, as: UInt32.self)) }
        flags = Flags(rawValue: bytes.number(at: 0))
        sizes = Sizes(
            path: count(0), strings: count(1), integers: count(2), numbers: count(3), times: count(4), places: count(5), words: count(6),
            rows: count(7), wordStrings: count(8), wordBytes: count(9))
        let lengths = sizes.arrays
        guard lengths.reduce(Self.headerSize, +) == bytes.count else {
            throw SegmentFormat.unreadable("an index of its payloads has another size")
        }
        var position = Self.headerSize
        let parts = lengths.map { length in
            defer { position += length }
            return UnsafeRawBufferPointer(rebasing: bytes[position..<position + length])
        }
        (strings, integers, numbers, times, latitudes, longitudes) = (parts[0], parts[1], parts[2], parts[3], parts[4], parts[5])
        (starts, lists, timeStrings, placeRows) = (parts[6], parts[7], parts[8], parts[9])
        (wordOffsets, wordStarts, wordStrings, wordBytes) = (parts[10], parts[11], parts[12], parts[13])
        path = Array(parts[14])
        self.rows = rows
        self.payloads = payloads
    }

    // MARK: Lists

    /// The rows of a range of keys.
    func rows(ofKeys keys: Range<Int>) -> UnsafeRawBufferPointer { Self.slice(lists, starts, keys) }

    func key(of special: Special) -> Range<Int> {
        let key = sizes.strings + sizes.integers + sizes.numbers + special.rawValue
        return key..<key + 1
    }

    func rows(of special: Special) -> RowLists {
        var found = RowLists(certain: [rows(ofKeys: key(of: special))])
        switch special {
        case .present: found.isComplement = flags.contains(.presentIsComplement)
        case .filled: found.isComplement = flags.contains(.filledIsComplement)
        default: break
        }
        return found
    }

    /// Items of 4 bytes between two offsets; none where the offsets are rotten.
    private static func slice(
        _ items: UnsafeRawBufferPointer, _ starts: UnsafeRawBufferPointer, _ range: Range<Int>
    ) -> UnsafeRawBufferPointer {
        let start = Int(starts.number(at: range.lowerBound * 4, as: UInt32.self))
        let end = Int(starts.number(at: range.upperBound * 4, as: UInt32.self))
        guard start <= end, end <= items.count / 4 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(rebasing: items[start * 4..<end * 4])
    }

    // MARK: Keys

    /// The UTF-8 of a string; empty where what tells of it is rotten.
    func string(_ key: Int) -> [UInt8] {
        let text = raw(key)
        return PayloadStringPlace(rawValue: strings.number(at: key * 8)).hasEscapes ? PayloadScanner.unescaped(text) : Array(text)
    }

    private func raw(_ key: Int) -> UnsafeRawBufferPointer {
        let place = PayloadStringPlace(rawValue: strings.number(at: key * 8))
        guard place.offset <= payloads.count, place.count <= payloads.count - place.offset else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeRawBufferPointer(rebasing: payloads[place.offset..<place.offset + place.count])
    }

    /// The first string for which `isReached` is true, as it is for all after it.
    func firstString(_ isReached: (UnsafeRawBufferPointer) -> Bool) -> Int {
        Self.first(of: sizes.strings) { key in
            let text = raw(key)
            guard PayloadStringPlace(rawValue: strings.number(at: key * 8)).hasEscapes else { return isReached(text) }
            return PayloadScanner.unescaped(text).withUnsafeBytes(isReached)
        }
    }

    /// Keys of the integers and those of the other numbers from the first for which `isReached` is true up to the first for which
    /// `isPassed` is.
    func keysOfNumbers(from isReached: (Double) -> Bool, to isPassed: (Double) -> Bool) -> (integers: Range<Int>, numbers: Range<Int>) {
        func range(_ values: UnsafeRawBufferPointer, _ first: Int) -> Range<Int> {
            func place(_ test: (Double) -> Bool) -> Int { Self.first(of: values.count / 8) { test(values.double(at: $0 * 8)) } }
            let start = place(isReached)
            return first + start..<first + max(start, place(isPassed))
        }
        return (range(integers, sizes.strings), range(numbers, sizes.strings + sizes.integers))
    }

    /// Strings that read as moments within the bounds.
    func strings(within range: TimeRange) -> [Int] {
        var found: [Int] = []
        func time(_ place: Int) -> PayloadTime { PayloadTime(microseconds: times.number(at: place * 8)) }
        let lower = TimeRange(after: range.after, atLeast: range.atLeast)
        let start = Self.first(of: sizes.times) { lower.contains(time($0)) }
        for place in start..<sizes.times {
            guard range.contains(time(place)) else { break }
            found.append(Int(timeStrings.number(at: place * 4, as: UInt32.self)))
        }
        return found.filter { $0 < sizes.strings }
    }

    /// Rows with a place in the shape.
    func rows(in shape: GeoShape) -> [UInt32] {
        guard sizes.places > 0 else { return [] }
        // The sphere's formula means nothing by itself beyond the poles.
        let isOnSphere = latitudes.double(at: 0) >= -90 && latitudes.double(at: sizes.places * 8 - 8) <= 90
        let (south, north) = isOnSphere ? shape.latitudes : (-.infinity, .infinity)
        var found: [UInt32] = []
        for place in Self.first(of: sizes.places, where: { latitudes.double(at: $0 * 8) >= south })..<sizes.places {
            let latitude = latitudes.double(at: place * 8)
            guard latitude <= north else { break }
            guard shape.contains(GeoPoint(latitude: latitude, longitude: longitudes.double(at: place * 8))) else { continue }
            found.append(placeRows.number(at: place * 4))
        }
        return found
    }

    /// The strings that have a word, ascending; nil if the words are not indexed.
    func strings(with word: String) -> [Int]? {
        guard flags.contains(.hasWords) else { return nil }
        let place = Self.first(of: sizes.words) { !(self.word($0) < word) }
        guard place < sizes.words, self.word(place) == word else { return [] }
        let list = Self.slice(wordStrings, wordStarts, place..<place + 1)
        return (0..<list.count / 4).map { Int(list.number(at: $0 * 4, as: UInt32.self)) }.filter { $0 < sizes.strings }
    }

    private func word(_ place: Int) -> String {
        let start = Int(wordOffsets.number(at: place * 4, as: UInt32.self)),
            end = Int(wordOffsets.number(at: place * 4 + 4, as: UInt32.self))
        guard start <= end, end <= wordBytes.count else { return "" }
        return String(decoding: wordBytes[start..<end], as: UTF8.self)
    }

    private static func first(of count: Int, where isReached: (Int) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isReached(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

/// Where the raw text of a string is among a segment's payloads: 39 bits of offset, one that tells of escapes, 24 of length.
struct PayloadStringPlace {
    let rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Nil for what is too far or too long.
    init?(offset: Int, count: Int, hasEscapes: Bool) {
        guard offset < 1 << 39, count < 1 << 24 else { return nil }
        rawValue = UInt64(offset) << 25 | (hasEscapes ? 1 << 24 : 0) | UInt64(count)
    }

    var offset: Int { Int(rawValue >> 25) }
    var hasEscapes: Bool { rawValue & 1 << 24 != 0 }
    var count: Int { Int(rawValue & 0xFF_FFFF) }
}

extension UnsafeRawBufferPointer {
    fileprivate func double(at offset: Int) -> Double { Double(bitPattern: number(at: offset)) }
}

extension PayloadPath {
    /// The steps, the same for all spellings: kind (0 member, 1 element, 2 every element), number or length of the name (8 bytes), name.
    var indexKey: [UInt8] {
        var key: [UInt8] = []
        for (step, name) in zip(steps, encodedNames) {
            switch step {
            case .member:
                key.append(0)
                key.append(number: UInt64(name.count))
                key += name
            case .element(let number):
                key.append(1)
                key.append(number: UInt64(number))
            case .everyElement:
                key.append(2)
                key.append(number: UInt64(0))
            }
        }
        return key
    }
}

extension GeoShape {
    /// No point of the shape is south or north of these, with room for rounding.
    fileprivate var latitudes: (south: Double, north: Double) {
        let bounds: (south: Double, north: Double)
        switch self {
        case .circle(let center, let radius):
            let degrees = radius / 6_371_008.8 * 180 / .pi
            guard abs(center.latitude) <= 90 else { return (-.infinity, .infinity) }
            bounds = (center.latitude - degrees, center.latitude + degrees)
        case .box(let topLeft, let bottomRight): bounds = (bottomRight.latitude, topLeft.latitude)
        case .polygon(let ring, _):
            bounds = (ring.reduce(.infinity) { min($0, $1.latitude) }, ring.reduce(-.infinity) { max($0, $1.latitude) })
        }
        return bounds.south.isNaN || bounds.north.isNaN ? (-.infinity, .infinity) : (bounds.south - 1e-6, bounds.north + 1e-6)
    }
}
