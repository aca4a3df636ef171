/// The name of an immutable object: 128 random bits, never reused.
public struct ObjectKey: Hashable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static func random(using generator: inout some RandomNumberGenerator) -> ObjectKey {
        ObjectKey(high: generator.next(), low: generator.next())
    }

    /// From 32 lower-case hexadecimal digits.
    public init?(_ text: String) {
        guard text.utf8.count == 32, text.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }),
            let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    public var description: String {
        hexadecimal([high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } })
    }
}

/// What a catalog row keeps about an object.
public struct ObjectDescription: Sendable, Hashable {
    public var size: ByteCount
    /// SHA-256 of all bytes.
    public var digest: Digest

    public init(size: ByteCount, digest: Digest) {
        self.size = size
        self.digest = digest
    }
}
