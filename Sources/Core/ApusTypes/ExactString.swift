/// A string that equals another only if their UTF-8 does.
///
/// Swift compares strings by canonical equivalence: to it "é" is the same as "e" with a combining accent. To a database, to JSON and to
/// clients in other languages these are two names, so what users name is compared as this.
public struct ExactString: Hashable, Comparable, Sendable {
    public let text: String

    public init(_ text: String) { self.text = text }

    public var utf8: String.UTF8View { text.utf8 }

    public static func == (left: ExactString, right: ExactString) -> Bool { left.utf8.elementsEqual(right.utf8) }

    public static func < (left: ExactString, right: ExactString) -> Bool { left.utf8.lexicographicallyPrecedes(right.utf8) }

    public func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension ExactString: ExpressibleByStringLiteral, CustomStringConvertible {
    public init(stringLiteral text: String) { self.init(text) }
    public var description: String { text }
}
