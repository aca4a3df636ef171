internal import ApusTypes
internal import COpenSSL

/// SHA-256 of bytes that arrive in pieces.
struct IncrementalDigest: ~Copyable, @unchecked Sendable {  // it cannot be copied, so one owner at a time reaches the context
    private let context: OpaquePointer

    init() {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
            preconditionFailure("OpenSSL has no SHA-256: out of memory, or a provider configuration without it")
        }
        self.context = context
    }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        _ = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    /// The digest of everything added. Called once, last.
    mutating func finish() -> Digest {
        var bytes = [UInt8](repeating: 0, count: 32)
        _ = EVP_DigestFinal_ex(context, &bytes, nil)
        return Digest(bytes: bytes)!  // SHA-256 gives 32 bytes
    }

    deinit { EVP_MD_CTX_free(context) }
}
