internal import ApusTypes
internal import COpenSSL

/// A public key in OpenSSL's form.
final class PublicKey: Sendable {
    // Never changed after init; OpenSSL takes its own locks where it keeps what it derives of a key.
    private nonisolated(unsafe) let key: OpaquePointer

    init?(pem: String) {
        ERR_clear_error()
        let bytes = Array(pem.utf8)
        func read(_ body: (OpaquePointer) -> OpaquePointer?) -> OpaquePointer? {
            guard let memory = BIO_new_mem_buf(bytes, Int32(bytes.count)) else { return nil }
            defer { BIO_free(memory) }
            return body(memory)
        }
        let found =
            read { PEM_read_bio_PUBKEY($0, nil, nil, nil) }
            ?? read { memory in
                guard let certificate = PEM_read_bio_X509(memory, nil, nil, nil) else { return nil }
                defer { X509_free(certificate) }
                return X509_get_pubkey(certificate)
            }
        ERR_clear_error()
        guard let found else { return nil }
        key = found
    }

    /// From a `SubjectPublicKeyInfo` (RFC 5280) in DER. Points that are not on their curve are refused.
    init?(information: [UInt8]) {
        ERR_clear_error()
        let found = information.withUnsafeBufferPointer { bytes -> OpaquePointer? in
            var start = bytes.baseAddress
            guard let key = d2i_PUBKEY(nil, &start, bytes.count) else { return nil }
            guard start == bytes.baseAddress.map({ $0 + bytes.count }) else {
                EVP_PKEY_free(key)
                return nil
            }
            return key
        }
        ERR_clear_error()
        guard let found else { return nil }
        key = found
    }

    deinit { EVP_PKEY_free(key) }

    /// Nil for a kind that no algorithm is for, or a key that is too short.
    var kind: VerificationKey.Kind? {
        if EVP_PKEY_is_a(key, "RSA") == 1 { return EVP_PKEY_get_bits(key) >= 2048 ? .rsa : nil }
        if EVP_PKEY_is_a(key, "ED25519") == 1 { return .edwards }
        guard EVP_PKEY_is_a(key, "EC") == 1 else { return nil }
        var name = [CChar](repeating: 0, count: 64)
        var count = 0
        guard EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else { return nil }
        switch String(decoding: name.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) {
        case "prime256v1", "P-256": return .elliptic(size: 32)
        case "secp384r1", "P-384": return .elliptic(size: 48)
        case "secp521r1", "P-521": return .elliptic(size: 66)
        default: return nil
        }
    }

    func verifies(_ message: [UInt8], _ signature: [UInt8], _ algorithm: SignatureAlgorithm) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        var parameters: OpaquePointer?
        guard EVP_DigestVerifyInit(context, &parameters, algorithm.scheme == .edwards ? nil : algorithm.digest, nil, key) == 1 else {
            return false
        }
        if algorithm.scheme == .pss {
            // The salt is as long as the digest (RFC 7518, 3.5).
            guard EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1,
                EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1
            else { return false }
        }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}

/// Public keys as `SubjectPublicKeyInfo`.
enum PublicKeyInformation {
    /// By its name in RFC 7518.
    enum Curve: String {
        case p256 = "P-256"
        case p384 = "P-384"
        case p521 = "P-521"

        /// Bytes of a coordinate.
        var size: Int {
            switch self {
            case .p256: 32
            case .p384: 48
            case .p521: 66
            }
        }

        fileprivate var identifier: [UInt8] {
            switch self {
            case .p256: [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]
            case .p384: [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22]
            case .p521: [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23]
            }
        }
    }

    static func rsa(modulus: [UInt8], exponent: [UInt8]) -> [UInt8] {
        let algorithm: [UInt8] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]
        return DER.sequence(DER.sequence(algorithm), DER.bits(DER.sequence(DER.integer(modulus), DER.integer(exponent))))
    }

    /// `point`: uncompressed.
    static func elliptic(_ curve: Curve, point: [UInt8]) -> [UInt8] {
        DER.sequence(DER.sequence([0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01], curve.identifier), DER.bits(point))
    }

    static func edwards(_ key: [UInt8]) -> [UInt8] { DER.sequence(DER.sequence([0x06, 0x03, 0x2b, 0x65, 0x70]), DER.bits(key)) }
}

/// Public keys as SSH writes them (RFC 4253, 6.6; RFC 5656; RFC 8709).
enum SSHKey {
    /// The same key as `SubjectPublicKeyInfo`.
    static func information(_ bytes: [UInt8]) -> [UInt8]? {
        var rest = bytes[...]
        func field() -> [UInt8]? {
            guard rest.count >= 4 else { return nil }
            let count = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        switch field().map({ String(decoding: $0, as: UTF8.self) }) {
        case "ssh-rsa":
            guard let exponent = field(), let modulus = field() else { return nil }
            return PublicKeyInformation.rsa(modulus: modulus, exponent: exponent)
        case "ssh-ed25519": return field().map { PublicKeyInformation.edwards($0) }
        case let name? where name.hasPrefix("ecdsa-sha2-nistp"):
            guard let curve = PublicKeyInformation.Curve(rawValue: "P-" + name.dropFirst("ecdsa-sha2-nistp".count)), field() != nil,
                let point = field()
            else { return nil }
            return PublicKeyInformation.elliptic(curve, point: point)
        default: return nil
        }
    }
}
