/// Walks over JSON text without white space, without building anything: a filter reads a few members of each of many payloads.
///
/// The text was checked when it came in. Text that is no JSON is walked over in some way and ends the walk at its end at the latest.
struct PayloadScanner {
    private let text: UnsafeRawBufferPointer
    private var position = 0

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    /// Calls `visit` with each value that `path`, or so many of its first steps, lead to, until it returns true; returns whether it did.
    static func values(
        at path: PayloadPath, steps: Int? = nil, in text: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool { find(path, 0..<(steps ?? path.steps.count), in: text, visit) }

    /// The same, with the elements of an array instead of the array.
    static func items(
        at path: PayloadPath, in text: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        values(at: path, in: text) { value in value.first == UInt8(ascii: "[") ? elements(of: value, visit) : visit(value) }
    }

    private static func find(
        _ path: PayloadPath, _ steps: Range<Int>, in value: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        guard let step = steps.first else { return visit(value) }
        let rest = steps.dropFirst()
        switch (path.steps[step], value.first) {
        case (.member, UInt8(ascii: "{")):
            var scanner = PayloadScanner(value)
            guard let member = scanner.lastMember(path.encodedNames[step]) else { return false }
            return find(path, rest, in: member, visit)
        case (.member, UInt8(ascii: "[")) where path.searchesArrays:
            return elements(of: value) { find(path, steps, in: $0, visit) }
        case (.everyElement, UInt8(ascii: "[")):
            return elements(of: value) { find(path, rest, in: $0, visit) }
        case (.element(let wanted), UInt8(ascii: "[")):
            var number = 0
            var isFound = false
            _ = elements(of: value) { element in
                defer { number += 1 }
                if number == wanted { isFound = find(path, rest, in: element, visit) }
                return number == wanted
            }
            return isFound
        default:
            return false
        }
    }

    /// The value of a member of the object that the text is; nil if it has none of that name.
    static func member(_ name: StaticString, of object: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        guard object.first == UInt8(ascii: "{") else { return nil }
        var scanner = PayloadScanner(object)
        return scanner.lastMember(Array(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)))
    }

    /// Calls `visit` with each member's name and value.
    static func members(of object: UnsafeRawBufferPointer, _ visit: (_ name: [UInt8], _ value: UnsafeRawBufferPointer) -> Void) {
        guard object.first == UInt8(ascii: "{") else { return }
        var scanner = PayloadScanner(object)
        scanner.position = 1
        while scanner.peek == UInt8(ascii: "\"") {
            let name = unescaped(scanner.string())
            scanner.position += 1  // the colon
            visit(name, scanner.value())
            guard scanner.peek == UInt8(ascii: ",") else { return }
            scanner.position += 1
        }
    }

    /// Calls `visit` with each element of an array, until it returns true; returns whether it did.
    static func elements(of array: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        var scanner = PayloadScanner(array)
        scanner.position = 1
        while let byte = scanner.peek, byte != UInt8(ascii: "]") {
            let before = scanner.position
            if visit(scanner.value()) { return true }
            if scanner.peek == UInt8(ascii: ",") { scanner.position += 1 }
            if scanner.position == before { return false }
        }
        return false
    }

    /// The value of the last member `name` of the object that the text is.
    private mutating func lastMember(_ name: [UInt8]) -> UnsafeRawBufferPointer? {
        var found: UnsafeRawBufferPointer?
        position = 1
        while peek == UInt8(ascii: "\"") {
            let key = string()
            position += 1  // the colon
            let value = value()
            if Self.equals(key, name) { found = value }
            guard peek == UInt8(ascii: ",") else { break }
            position += 1
        }
        return found
    }

    private var peek: UInt8? { position < text.count ? text[position] : nil }

    /// Steps over one value and returns its text.
    private mutating func value() -> UnsafeRawBufferPointer {
        let start = position
        switch peek {
        case UInt8(ascii: "\""): _ = string()
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            var depth = 0
            repeat {
                switch text[position] {
                case UInt8(ascii: "\""):
                    _ = string()
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
                default: break
                }
                position += 1
            } while depth > 0 && position < text.count
        default:
            while let byte = peek, byte != UInt8(ascii: ","), byte != UInt8(ascii: "}"), byte != UInt8(ascii: "]") { position += 1 }
        }
        return slice(start, position)
    }

    /// Steps over a string and returns what is between its quotes, escapes and all.
    private mutating func string() -> UnsafeRawBufferPointer {
        position += 1
        let start = position
        while let byte = peek, byte != UInt8(ascii: "\"") { position += byte == UInt8(ascii: "\\") ? 2 : 1 }
        let end = position
        position += 1
        return slice(start, end)
    }

    /// What lies between two positions, which may be behind the end where the text was cut.
    private func slice(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: text[min(start, text.count)..<min(end, text.count)])
    }

    /// Whether a string's raw text means `bytes`.
    static func equals(_ raw: UnsafeRawBufferPointer, _ bytes: [UInt8]) -> Bool {
        if raw.contains(UInt8(ascii: "\\")) { return unescaped(raw) == bytes }
        return raw.count == bytes.count && raw.elementsEqual(bytes)
    }

    /// The UTF-8 that a string's raw text means.
    static func unescaped(_ raw: UnsafeRawBufferPointer) -> [UInt8] {
        guard raw.contains(UInt8(ascii: "\\")) else { return Array(raw) }
        var bytes: [UInt8] = []
        var index = 0
        func unit(at start: Int) -> UInt32? {
            guard start + 6 <= raw.count, raw[start] == UInt8(ascii: "\\"), raw[start + 1] == UInt8(ascii: "u") else { return nil }
            return UInt32(String(decoding: raw[start + 2..<start + 6], as: UTF8.self), radix: 16)
        }
        while index < raw.count {
            guard raw[index] == UInt8(ascii: "\\"), index + 1 < raw.count else {
                bytes.append(raw[index])
                index += 1
                continue
            }
            if var scalar = unit(at: index) {
                index += 6
                if (0xD800..<0xDC00).contains(scalar), let low = unit(at: index), (0xDC00..<0xE000).contains(low) {
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                    index += 6
                }
                bytes.append(contentsOf: String(Unicode.Scalar(scalar) ?? "\u{FFFD}").utf8)
                continue
            }
            switch raw[index + 1] {
            case UInt8(ascii: "b"): bytes.append(8)
            case UInt8(ascii: "t"): bytes.append(9)
            case UInt8(ascii: "n"): bytes.append(10)
            case UInt8(ascii: "f"): bytes.append(12)
            case UInt8(ascii: "r"): bytes.append(13)
            case let other: bytes.append(other)
            }
            index += 2
        }
        return bytes
    }
}
