/// Makes the index of one path over the payloads of a new segment's rows (`PayloadIndex`).
struct PayloadIndexBuilder {
    private let path: PayloadPath
    private let hasWords: Bool
    /// How many first steps lead to values that, where they are arrays, are passed only by paths that search arrays.
    private let ways: Range<Int>
    private var flags: PayloadIndex.Flags = []
    private var strings: [Text] = []
    private var integers: [(value: Double, row: UInt32)] = []
    private var numbers: [(value: Double, row: UInt32)] = []
    private var places: [(place: GeoPoint, row: UInt32)] = []
    private var specials = [[UInt32]](repeating: [], count: PayloadIndex.Special.allCases.count)
    private var isTooLarge = false

    /// A string among the payloads, which stay where they are meanwhile.
    private struct Text {
        /// Its first 8 bytes, as a number: most pairs differ there.
        var head: UInt64
        var raw: UnsafeRawBufferPointer
        var place: PayloadStringPlace
        var row: UInt32

        func withBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
            place.hasEscapes ? PayloadScanner.unescaped(raw).withUnsafeBytes(body) : body(raw)
        }

        func isSame(as other: Text) -> Bool {
            head == other.head && withBytes { left in other.withBytes { left.count == $0.count && left.elementsEqual($0) } }
        }

        func precedes(_ other: Text) -> Bool {
            if head != other.head { return head < other.head }
            let order = withBytes { left in other.withBytes { left.order(to: $0) } }
            return order == 0 ? row < other.row : order < 0
        }
    }

    init(_ plan: IndexedPath) {
        path = plan.path
        hasWords = plan.hasWords
        ways = path.beginnings
    }

    /// `offset`: where the payload begins among all. Rows ascend.
    mutating func add(_ payload: UnsafeRawBufferPointer, row: UInt32, offset: Int) {
        func add(_ special: PayloadIndex.Special) {
            if specials[special.rawValue].last != row { specials[special.rawValue].append(row) }
        }
        for way in ways where !flags.contains(.passesArrays) {
            if PayloadScanner.values(at: path, steps: way, in: payload, { $0.first == UInt8(ascii: "[") }) { flags.insert(.passesArrays) }
        }
        _ = PayloadScanner.values(at: path, in: payload) { value in
            add(.present)
            if value.first == UInt8(ascii: "n") { add(.nullValue) } else if !value.elementsEqual("[]".utf8) { add(.filled) }
            guard value.first == UInt8(ascii: "[") else {
                addItem(value, row, of: payload, offset)
                return false
            }
            add(.array)
            return PayloadScanner.elements(of: value) { item in
                addItem(item, row, of: payload, offset)
                return false
            }
        }
    }

    private mutating func addItem(_ item: UnsafeRawBufferPointer, _ row: UInt32, of payload: UnsafeRawBufferPointer, _ offset: Int) {
        func add(_ special: PayloadIndex.Special) {
            if specials[special.rawValue].last != row { specials[special.rawValue].append(row) }
        }
        switch item.first {
        case UInt8(ascii: "\"") where item.count >= 2:
            let raw = UnsafeRawBufferPointer(rebasing: item[1..<item.count - 1])
            guard let start = raw.baseAddress, let base = payload.baseAddress,
                let place = PayloadStringPlace(
                    offset: offset + (start - base), count: raw.count, hasEscapes: raw.contains(UInt8(ascii: "\\")))
            else { return isTooLarge = true }
            var text = Text(head: 0, raw: raw, place: place, row: row)
            text.head = text.withBytes { bytes in
                (0..<8).reduce(0) { $0 << 8 | ($1 < bytes.count ? UInt64(bytes[$1]) : 0) }
            }
            strings.append(text)
        case UInt8(ascii: "t"): add(.isTrue)
        case UInt8(ascii: "f"): add(.isFalse)
        case UInt8(ascii: "n"): add(.null)
        default:
            guard let number = jsonNumber(of: item) else {
                if let place = GeoPoint(json: item) { places.append((place, row)) }
                return add(.other)
            }
            // Of the two zeros only one is a key.
            if let integer = Scalar.integer(item), integer.magnitude < 1 << 53 {
                integers.append((number + 0, row))
            } else {
                numbers.append((number + 0, row))
            }
        }
    }

    /// Nil where it would be larger than an index can be.
    consuming func finish(rows: Int) -> [UInt8]? {
        strings.sort { $0.precedes($1) }
        integers.sort { ($0.value, $0.row) < ($1.value, $1.row) }
        numbers.sort { ($0.value, $0.row) < ($1.value, $1.row) }
        places.sort { ($0.place.latitude, $0.row) < ($1.place.latitude, $1.row) }
        guard !isTooLarge, strings.count + integers.count + numbers.count + specials.reduce(0, { $0 + $1.count }) < Int(UInt32.max) else {
            return nil
        }
        complement(.present, .presentIsComplement, rows)
        complement(.filled, .filledIsComplement, rows)

        var starts: [UInt32] = []
        var lists: [UInt32] = []
        var keys: [Text] = []
        for text in strings {
            if let last = keys.last, text.isSame(as: last) {
                if lists.last == text.row { continue }
            } else {
                keys.append(text)
                starts.append(UInt32(lists.count))
            }
            lists.append(text.row)
        }
        func values(_ entries: [(value: Double, row: UInt32)]) -> [Double] {
            var values: [Double] = []
            for (value, row) in entries {
                if values.last == value {
                    if lists.last == row { continue }
                } else {
                    values.append(value)
                    starts.append(UInt32(lists.count))
                }
                lists.append(row)
            }
            return values
        }
        let integers = values(integers), numbers = values(numbers)
        for rows in specials {
            starts.append(UInt32(lists.count))
            lists += rows
        }
        starts.append(UInt32(lists.count))
        let times = keys.enumerated().compactMap { key, text in
            text.withBytes { PayloadTime($0) }.map { (time: $0.microseconds, key: UInt32(key)) }
        }.sorted { $0 < $1 }
        let words = hasWords ? Words(keys.map { $0.withBytes { TextMatch.words(of: Array($0)) } }) : Words([])
        if hasWords { flags.insert(.hasWords) }

        let sizes = PayloadIndex.Sizes(
            path: path.indexKey.count, strings: keys.count, integers: integers.count, numbers: numbers.count, times: times.count,
            places: places.count, words: words.count, rows: lists.count, wordStrings: words.strings.count, wordBytes: words.bytes.count)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(sizes.arrays.reduce(PayloadIndex.headerSize, +))
        bytes.append(number: flags.rawValue)
        let counts = [
            sizes.path, sizes.strings, sizes.integers, sizes.numbers, sizes.times, sizes.places, sizes.words, sizes.rows, sizes.wordStrings,
            sizes.wordBytes,
        ]
        bytes.append(numbers: counts.map { UInt32($0) })
        bytes.append(contentsOf: repeatElement(0, count: PayloadIndex.headerSize - bytes.count))
        bytes.append(array: keys.map(\.place.rawValue))
        bytes.append(array: integers)
        bytes.append(array: numbers)
        bytes.append(array: times.map(\.time))
        bytes.append(array: places.map(\.place.latitude))
        bytes.append(array: places.map(\.place.longitude))
        bytes.append(array: starts)
        bytes.append(array: lists)
        bytes.append(array: times.map(\.key))
        bytes.append(array: places.map(\.row))
        bytes.append(array: words.offsets)
        bytes.append(array: words.starts)
        bytes.append(array: words.strings)
        bytes += words.bytes
        bytes += path.indexKey
        return bytes
    }

    /// Most points have most of their members: then the few that do not are listed.
    private mutating func complement(_ special: PayloadIndex.Special, _ flag: PayloadIndex.Flags, _ rows: Int) {
        guard specials[special.rawValue].count > rows / 2 else { return }
        var there = RowSet(rows: rows)
        for row in specials[special.rawValue] { there.insert(Int(row)) }
        specials[special.rawValue] = []
        there.complement.forEach { specials[special.rawValue].append(UInt32($0)) }
        flags.insert(flag)
    }

    /// The words of all strings, in the order of `String`, in which words that look the same are equal, each with its strings.
    private struct Words {
        var offsets: [UInt32] = []
        var starts: [UInt32] = []
        var strings: [UInt32] = []
        var bytes: [UInt8] = []

        var count: Int { max(0, offsets.count - 1) }

        init(_ texts: [[String]]) {
            var lists: [String: [UInt32]] = [:]
            for (string, words) in texts.enumerated() {
                for word in words where lists[word]?.last != UInt32(string) { lists[word, default: []].append(UInt32(string)) }
            }
            guard !lists.isEmpty else { return }
            for (word, list) in lists.sorted(by: { $0.key < $1.key }) {
                offsets.append(UInt32(bytes.count))
                starts.append(UInt32(strings.count))
                bytes += word.utf8
                strings += list
            }
            offsets.append(UInt32(bytes.count))
            starts.append(UInt32(strings.count))
        }
    }
}

extension [UInt8] {
    /// Swift runs on little-endian machines only.
    fileprivate mutating func append<Value: BitwiseCopyable>(array: [Value]) { array.withUnsafeBytes { append(contentsOf: $0) } }
}

extension PayloadPath {
    /// The lengths of what a path that only names members leads through; nothing of one that says itself where arrays are.
    fileprivate var beginnings: Range<Int> {
        steps.allSatisfy { if case .member = $0 { true } else { false } } ? 1..<max(1, steps.count) : 1..<1
    }
}
