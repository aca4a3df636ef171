internal import COpenSSL

/// A key of 32 bytes that was derived from a secret for one purpose: proves that its holder knows the secret, and seals messages between such.
public struct SecretKey: Sendable {
    private let bytes: Redacted<[UInt8]>

    /// Keys for different purposes tell nothing of each other (HMAC-SHA256 as a key derivation, RFC 5869's "expand" with one block).
    public init(from secret: Redacted<String>, for purpose: String) {
        bytes = Redacted(Self.code(Array(purpose.utf8), Array(secret.reveal().utf8)))
    }

    /// Nil unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = Redacted(bytes)
    }

    /// A further key, for one message or one partner.
    public func derived(for purpose: String) -> SecretKey { SecretKey(raw: Self.code(Array(purpose.utf8), bytes.reveal())) }

    private init(raw: [UInt8]) { bytes = Redacted(raw) }

    /// What only holders of the key may see.
    public func reveal() -> [UInt8] { bytes.reveal() }

    /// HMAC-SHA256 (RFC 2104) of a message: 32 bytes that only who has the key can make.
    public func code(of message: [UInt8]) -> [UInt8] { Self.code(message, bytes.reveal()) }

    private static func code(_ message: [UInt8], _ key: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, buffer.baseAddress, nil)
            count = 32
        }
    }

    private static let nonceSize = 12
    private static let tagSize = 16

    /// AES-256-GCM (NIST SP 800-38D) under a random nonce: nonce, ciphertext, tag.
    public func seal(_ message: [UInt8]) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        let nonce = (0..<Self.nonceSize).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        var tag = [UInt8](repeating: 0, count: Self.tagSize)
        let text = transform(
            message, nonce, isSealing: true, afterEnd: { EVP_CIPHER_CTX_ctrl($0, EVP_CTRL_GCM_GET_TAG, Int32(Self.tagSize), &tag) })
        guard let text else { preconditionFailure("AES-GCM takes every message") }
        return nonce + text + tag
    }

    /// What was sealed under this key; nil for anything else.
    public func open(_ sealed: [UInt8]) -> [UInt8]? {
        guard sealed.count >= Self.nonceSize + Self.tagSize else { return nil }
        var tag = Array(sealed.suffix(Self.tagSize))
        return transform(
            Array(sealed[Self.nonceSize..<sealed.count - Self.tagSize]), Array(sealed.prefix(Self.nonceSize)), isSealing: false,
            beforeEnd: { EVP_CIPHER_CTX_ctrl($0, EVP_CTRL_GCM_SET_TAG, Int32(Self.tagSize), &tag) })
    }

    private func transform(
        _ input: [UInt8], _ nonce: [UInt8], isSealing: Bool, beforeEnd: ((OpaquePointer) -> Int32)? = nil,
        afterEnd: ((OpaquePointer) -> Int32)? = nil
    ) -> [UInt8]? {
        guard let context = EVP_CIPHER_CTX_new() else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        var output = [UInt8](repeating: 0, count: input.count)
        var (count, rest): (Int32, Int32) = (0, 0)
        var block = [UInt8](repeating: 0, count: 16)  // GCM writes nothing at its end
        guard EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nil, bytes.reveal(), nonce, isSealing ? 1 : 0) == 1,
            EVP_CipherUpdate(context, &output, &count, input, Int32(input.count)) == 1,
            beforeEnd?(context) ?? 1 == 1, EVP_CipherFinal_ex(context, &block, &rest) == 1, afterEnd?(context) ?? 1 == 1
        else { return nil }
        return output
    }
}
