internal import ApusTypes

/// What a value is kept under: a digest of everything that it depends on.
///
/// Versions belong into it (of the schema, of the permissions), and who asks where the answer may depend on that: what was computed under one
/// version is then not there under the next, in any order of events.
public struct CacheKey: Hashable, Sendable, CustomStringConvertible {
    let digest: Digest

    /// Parts are told apart by their lengths: no two lists of parts give the same key.
    public init(_ parts: [[UInt8]]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(parts.reduce(0) { $0 + $1.count + 8 })
        for part in parts {
            withUnsafeBytes(of: UInt64(part.count).littleEndian) { bytes += $0 }
            bytes += part
        }
        digest = Digest(of: bytes)
    }

    // A digest's own bytes are spread evenly.
    public func hash(into hasher: inout Hasher) {
        digest.bytes.withUnsafeBytes { hasher.combine($0.loadUnaligned(as: UInt64.self)) }
    }

    public var description: String { digest.description }

    /// Under which it lies in a shared cache.
    var name: String { "apus:" + digest.description }
}
