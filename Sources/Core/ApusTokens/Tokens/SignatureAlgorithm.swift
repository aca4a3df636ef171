internal import COpenSSL

/// How a token is signed (RFC 7518, 3.1; RFC 8037). `none` is none of these.
struct SignatureAlgorithm {
    enum Scheme: Hashable {
        case hmac, pkcs1, pss, edwards
        /// `size`: bytes of each half of a signature.
        case ecdsa(size: Int)
    }

    let name: String
    let scheme: Scheme
    private let bits: Int

    init?(_ name: String) {
        self.name = name
        if name == "EdDSA" {
            (scheme, bits) = (.edwards, 512)
            return
        }
        guard let bits = Int(name.dropFirst(2)), [256, 384, 512].contains(bits), name.utf8.count == 5 else { return nil }
        self.bits = bits
        switch name.prefix(2) {
        case "HS": scheme = .hmac
        case "RS": scheme = .pkcs1
        case "PS": scheme = .pss
        case "ES": scheme = .ecdsa(size: bits == 512 ? 66 : bits / 8)
        default: return nil
        }
    }

    var digest: OpaquePointer? {
        switch bits {
        case 256: EVP_sha256()
        case 384: EVP_sha384()
        default: EVP_sha512()
        }
    }

    func code(of message: [UInt8], _ secret: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: bits / 8) { buffer, count in
            HMAC(digest, secret, Int32(secret.count), message, message.count, buffer.baseAddress, nil)
            count = bits / 8
        }
    }
}
