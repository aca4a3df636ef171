/// The collections that a key is good for: all of them, or those whose names it lists, each exactly or, with `*` at its end, by how it
/// begins. Names are compared by their bytes, as everywhere.
public struct CollectionScope: Sendable, Hashable, CustomStringConvertible {
    /// In order, each once; nil: all collections, those that do not exist yet too.
    public let patterns: [String]?

    public static let everything = CollectionScope()
    public static let mostPatterns = 100

    private init() { patterns = nil }

    /// Throws `request.invalid`, naming the field `collections`.
    public init(_ patterns: [String]) throws(ApusError) {
        func refuse(_ reason: String) -> ApusError {
            ApusError(
                .requestInvalid, "'collections': \(reason)", hint: "names of collections; a * at the end of one stands for any ending",
                context: ["field": "collections"])
        }
        guard (1...Self.mostPatterns).contains(patterns.count) else {
            throw refuse("it has \(patterns.count) elements; 1 to \(Self.mostPatterns) are possible")
        }
        for pattern in patterns {
            guard (1...255).contains(pattern.utf8.count) else { throw refuse("a name has 1 to 255 bytes") }
            for (place, scalar) in pattern.unicodeScalars.enumerated() {
                let isWild = scalar == "*" && place == pattern.unicodeScalars.count - 1
                guard isWild || !#"<>:"/\|?*"#.unicodeScalars.contains(scalar), scalar.properties.generalCategory != .control else {
                    throw refuse("'\(pattern)' is no collection's name")
                }
            }
        }
        self.patterns = Set(patterns).sorted()
    }

    public var isEverything: Bool { patterns == nil }

    public func contains(_ name: CollectionName) -> Bool {
        guard let patterns else { return true }
        return patterns.contains { pattern in
            pattern.utf8.last == UInt8(ascii: "*")
                ? name.rawValue.utf8.starts(with: pattern.utf8.dropLast()) : name.rawValue.utf8.elementsEqual(pattern.utf8)
        }
    }

    /// Throws `auth.forbidden` for a collection that the key is not for, whether it exists or not.
    public func require(_ name: CollectionName) throws(ApusError) {
        guard contains(name) else {
            throw ApusError(
                .forbidden, "this key has no access to the collection '\(name)'", hint: "it is for \(description)",
                context: ["collection": name.rawValue])
        }
    }

    public var description: String { patterns?.joined(separator: ", ") ?? "all collections" }
}
