public import ApusTypes

/// A JSON Web Token (RFC 7519) in its compact form, of which nothing is proven yet.
public struct SignedToken: Sendable {
    /// Larger ones are none: headers have a limit too.
    static let mostBytes = 16 << 10

    /// Open: one that is not known verifies nothing.
    let algorithm: String
    public let keyID: String?
    public let claims: JSONObject
    let signed: [UInt8]
    let signature: [UInt8]

    /// Nil for what is no token: three parts in base 64, the first two objects of JSON. One with parts that must be understood (`crit`) is none
    /// either, because none is.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.mostBytes else { return nil }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = Base64.urlDecoded(parts[2]), let algorithm = header["alg"]?.asString, header["crit"] == nil
        else { return nil }
        self.algorithm = algorithm
        keyID = header["kid"]?.asString
        self.claims = claims
        self.signature = signature
        signed = Array(text.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
    }

    private static func object(_ part: Substring) -> JSONObject? {
        guard let bytes = Base64.urlDecoded(part) else { return nil }
        return (try? JSONValue(parsing: bytes, maxDepth: 16))?.asObject  // whatever is wrong with it, it is no token
    }
}

/// Whose tokens are believed, and which.
public struct TokenRules: Sendable {
    public var keys: [VerificationKey]
    /// `iss` must be this; nil where the key alone says who made a token.
    public var issuer: String?
    /// `aud` must name one of these, or `azp` be one; empty where it does not matter.
    public var audiences: [String]
    /// How far the clocks of whoever made a token, and of this machine, may be apart.
    public var leeway: Duration = .seconds(30)

    public init(keys: [VerificationKey], issuer: String? = nil, audiences: [String] = []) {
        self.keys = keys
        self.issuer = issuer
        self.audiences = audiences
    }

    public enum Verdict: Sendable, Hashable {
        case accepted
        /// Made by somebody else, or with a key that is not among these.
        case foreign
        /// Theirs, and not valid: why, in words that may be told.
        case refused(String)
    }

    public func judge(_ token: SignedToken, at now: WallTime) -> Verdict {
        if let issuer, token.claims["iss"]?.asString != issuer { return .foreign }
        guard let algorithm = SignatureAlgorithm(token.algorithm) else { return .foreign }
        let isSigned = keys.contains { key in
            if let id = key.id, let named = token.keyID, id != named { return false }
            return key.verifies(token.signed, token.signature, by: algorithm)
        }
        guard isSigned else { return .foreign }
        let seconds = Double(now.millisecondsSinceEpoch) / 1000
        // A token without an end would be a key that nobody can take back.
        guard let end = token.claims["exp"]?.asDouble else { return .refused("the token does not say when it expires") }
        guard seconds < end + leeway.seconds else { return .refused("the token has expired") }
        if let value = token.claims["nbf"] {
            guard let begin = value.asDouble, seconds >= begin - leeway.seconds else { return .refused("the token is not valid yet") }
        }
        if !audiences.isEmpty {
            let named = token.claims["aud"]?.asArray?.compactMap(\.asString) ?? [token.claims["aud"]?.asString].compactMap(\.self)
            let isMeant = (named + [token.claims["azp"]?.asString].compactMap(\.self)).contains { audiences.contains($0) }
            guard isMeant else { return .refused("the token is for somebody else") }
        }
        return .accepted
    }
}
