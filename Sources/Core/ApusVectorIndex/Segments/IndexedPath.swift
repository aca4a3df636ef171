/// A path in the payloads that new segments have an index of.
public struct IndexedPath: Sendable, Hashable {
    public var path: PayloadPath
    /// Whether the words of the strings there are indexed too: a search for some does not read every string then.
    public var hasWords: Bool

    /// `path` is one that says where arrays are (`PayloadPath.init(jsonPath:)`); with single members it serves both dialects.
    public init(_ path: PayloadPath, hasWords: Bool = false) {
        self.path = path
        self.hasWords = hasWords
    }
}

extension IndexedPath {
    private static let sampledRows = 1024
    /// Of those that nobody has declared.
    private static let mostPaths = 32
    private static let deepest = 3
    /// Longer strings are texts, which nobody looks up as a whole.
    private static let longestString = 48
    private static let mostItems = 8

    private struct Seen {
        var rows = 0
        var items = 0
        var strings = 0
        var stringBytes = 0
        /// Objects and arrays among the items.
        var others = 0
    }

    /// The declared ones, and the members that a sample of the payloads has often, where their values are such as one filters by: not
    /// texts, not objects, not long arrays.
    static func chosen(_ declared: [IndexedPath], sample: some Sequence<UnsafeRawBufferPointer>) -> [IndexedPath] {
        var seen: [[String]: Seen] = [:]
        var rows = 0
        for payload in sample.prefix(sampledRows) {
            rows += 1
            look(at: payload, [], &seen)
        }
        let known = Set(declared.map(\.path.indexKey))
        let often = seen.filter { _, seen in
            seen.rows * 64 >= rows && seen.items <= seen.rows * mostItems && seen.others * 2 <= seen.items
                && seen.stringBytes <= seen.strings * longestString
        }
        let ordered = often.sorted { left, right in
            left.value.rows != right.value.rows ? left.value.rows > right.value.rows : left.key.lexicographicallyPrecedes(right.key)
        }
        let found = ordered.map { IndexedPath(PayloadPath(members: $0.key)) }.filter { !known.contains($0.path.indexKey) }
        return declared + found.prefix(mostPaths)
    }

    private static func look(at object: UnsafeRawBufferPointer, _ way: [String], _ seen: inout [[String]: Seen]) {
        PayloadScanner.members(of: object) { name, value in
            let path = way + [String(decoding: name, as: UTF8.self)]
            guard seen[path] != nil || seen.count < 4096 else { return }
            var here = seen[path] ?? Seen()
            here.rows += 1
            func count(_ item: UnsafeRawBufferPointer) -> Bool {
                here.items += 1
                switch item.first {
                case UInt8(ascii: "\""):
                    here.strings += 1
                    here.stringBytes += item.count
                case UInt8(ascii: "["): here.others += 1
                case UInt8(ascii: "{"): here.others += GeoPoint(json: item) == nil ? 1 : 0
                default: break
                }
                return false
            }
            _ = value.first == UInt8(ascii: "[") ? PayloadScanner.elements(of: value, count) : count(value)
            if value.first == UInt8(ascii: "{"), path.count < deepest { look(at: value, path, &seen) }
            seen[path] = here
        }
    }
}
