public import ApusTypes
internal import COpenSSL

/// A key that signatures of tokens are checked with.
///
/// What kind of key it is says which algorithms it is for, and never a token: a public key is not a secret that a token could be signed with
/// (RFC 8725, 3.1).
public struct VerificationKey: Sendable {
    enum Kind: Hashable {
        case rsa
        /// `size`: bytes of a coordinate.
        case elliptic(size: Int)
        case edwards
        case secret
    }

    let kind: Kind
    /// `kid`, where the key has one: tokens that name another are not checked with it.
    public let id: String?
    /// Where the key is for one algorithm alone.
    let algorithm: String?
    private let key: PublicKey?
    private let secret: Redacted<[UInt8]>?

    /// A secret that both sides have. Throws `config.invalid` for one that can be guessed: a token tells whether a guess is right.
    public init(secret: Redacted<String>, id: String? = nil) throws(ApusError) {
        let bytes = Array(secret.reveal().utf8)
        guard bytes.count >= 32 else {
            throw ApusError(
                .configurationInvalid, "a secret that tokens are signed with must have 32 bytes or more",
                hint: "openssl rand -hex 32 makes one")
        }
        self.secret = Redacted(bytes)
        (kind, self.id, algorithm, key) = (.secret, id, nil, nil)
    }

    /// A public key: PEM (a key or a certificate), that in base 64, or a line as SSH has it. RSA of 2048 bits or more, ECDSA over P-256, P-384
    /// or P-521, Ed25519. Throws `config.invalid`.
    public init(reading text: String, id: String? = nil) throws(ApusError) {
        var found: PublicKey?
        let text = trimmed(text)
        if text.hasPrefix("-----BEGIN ") {
            found = PublicKey(pem: text)
        } else if text.hasPrefix("ssh-") || text.hasPrefix("ecdsa-") {
            let words = text.split(separator: " ")
            found =
                words.count > 1 ? Base64.decoded(words[1]).flatMap { SSHKey.information($0) }.flatMap { PublicKey(information: $0) } : nil
        } else if let bytes = Base64.decoded(text) {
            let inner = String(decoding: bytes, as: UTF8.self)
            found = inner.hasPrefix("-----BEGIN ") ? PublicKey(pem: inner) : PublicKey(information: bytes)
        }
        guard let found, let kind = found.kind else {
            throw ApusError(
                .configurationInvalid, "the text is no public key that tokens are checked with",
                hint: "give PEM, or an SSH line: RSA of 2048 bits or more, ECDSA over P-256, P-384, P-521, or Ed25519")
        }
        (self.kind, self.id, algorithm, key, secret) = (kind, id, nil, found, nil)
    }

    /// One key of a set (RFC 7517). Nil for one that is not for signatures, or of a kind that is not known.
    public init?(webKey: JSONValue) {
        guard webKey["use"]?.asString ?? "sig" == "sig",
            webKey["key_ops"]?.asArray.map({ $0.contains("verify") }) ?? true
        else { return nil }
        func number(_ name: String) -> [UInt8]? { webKey[name]?.asString.flatMap { Base64.urlDecoded($0) } }
        let information: [UInt8]?
        switch (webKey["kty"]?.asString, webKey["crv"]?.asString) {
        case ("RSA", _):
            guard let modulus = number("n"), let exponent = number("e") else { return nil }
            information = PublicKeyInformation.rsa(modulus: modulus, exponent: exponent)
        case ("EC", let curve?):
            guard let x = number("x"), let y = number("y"), let curve = PublicKeyInformation.Curve(rawValue: curve),
                x.count == curve.size, y.count == curve.size
            else { return nil }
            information = PublicKeyInformation.elliptic(curve, point: [4] + x + y)
        case ("OKP", "Ed25519"): information = number("x").map { PublicKeyInformation.edwards($0) }
        default: return nil
        }
        guard let key = information.flatMap({ PublicKey(information: $0) }), let kind = key.kind else { return nil }
        (self.kind, id, algorithm, self.key, secret) = (kind, webKey["kid"]?.asString, webKey["alg"]?.asString, key, nil)
    }

    /// Whether `signature` is one of `message` by `algorithm`; false where the key is not for that algorithm.
    func verifies(_ message: [UInt8], _ signature: [UInt8], by algorithm: SignatureAlgorithm) -> Bool {
        guard self.algorithm ?? algorithm.name == algorithm.name else { return false }
        switch (algorithm.scheme, kind) {
        case (.hmac, .secret):
            guard let secret else { return false }
            return constantTimeEqual(algorithm.code(of: message, secret.reveal()), signature)
        case (.pkcs1, .rsa), (.pss, .rsa): return key?.verifies(message, signature, algorithm) ?? false
        case (.ecdsa(let size), .elliptic(let own)) where size == own:
            guard signature.count == 2 * size else { return false }
            let pair = DER.sequence(DER.integer(signature[..<size]), DER.integer(signature[size...]))
            return key?.verifies(message, pair, algorithm) ?? false
        case (.edwards, .edwards): return key?.verifies(message, signature, algorithm) ?? false
        default: return false
        }
    }
}

/// Without the blanks and line ends around it.
private func trimmed(_ text: String) -> String {
    var rest = text[...]
    while let first = rest.first, first.isWhitespace { rest.removeFirst() }
    while let last = rest.last, last.isWhitespace { rest.removeLast() }
    return String(rest)
}
