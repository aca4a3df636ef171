internal import COpenSSL

/// A SHA-256 digest.
public struct Digest: Hashable, Sendable {
    /// Exactly 32 bytes.
    public let bytes: [UInt8]

    /// Fails unless `bytes` are exactly 32.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    public init(of data: UnsafeRawBufferPointer) {
        bytes = [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            SHA256(data.baseAddress?.assumingMemoryBound(to: UInt8.self), data.count, buffer.baseAddress)
            count = 32
        }
    }

    public init(of data: [UInt8]) { self = data.withUnsafeBytes(Digest.init(of:)) }
    public init(of text: String) { self.init(of: Array(text.utf8)) }

    /// The digest of a chain of operations before its first one.
    public static let origin = Digest(bytes: [UInt8](repeating: 0, count: 32))!  // 32 bytes by construction

    /// The chain rule of the catalog: sha256(previous ‖ sha256(operation)).
    public func chained(with operation: Digest) -> Digest { Digest(of: bytes + operation.bytes) }
}

extension Digest: CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    public var description: String { hexadecimal(bytes) }
}

/// Lower-case hexadecimal digits, two for each byte.
public func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

/// What `hexadecimal` has written, with digits of either case; nil for anything else.
public func bytes(ofHexadecimal text: some StringProtocol) -> [UInt8]? {
    let digits = text.utf8.map { byte -> UInt8? in
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(digits.count / 2)
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = digits[index], let low = digits[index + 1] else { return nil }
        bytes.append(high << 4 | low)
    }
    return bytes
}

/// Compares without giving away by its duration where two secrets differ. Lengths are not secret.
public func constantTimeEqual(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) } == 0
}
