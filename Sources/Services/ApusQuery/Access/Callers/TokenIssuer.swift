public import ApusTokens
public import ApusTypes

/// Somebody whose tokens are believed, and how their claims are read.
public struct TokenIssuer: Sendable {
    /// Names of claims; dots lead into objects.
    public struct Claims: Sendable, Hashable {
        public var role = "x-hugr-role"
        public var userID = "sub"
        public var userName = "name"

        public init() {}
    }

    public var name: String
    /// `jwt`, or `oidc`.
    public var kind: String
    public var rules: TokenRules
    public var claims = Claims()
    /// Of a scope that names the role where the claim does not.
    public var scopePrefix = "hugr:"
    /// Of the cookie that may hold the token; nil where none may.
    public var cookie: String?

    public init(_ name: String, kind: String = "jwt", rules: TokenRules) {
        self.name = name
        self.kind = kind
        self.rules = rules
    }

    /// Whoever a token that was accepted is about; nil where it names no role.
    func identity(_ token: SignedToken) -> CallerIdentity? {
        guard let role = role(token.claims) else { return nil }
        let id = Self.text(Self.claim(self.claims.userID, token.claims)) ?? "unknown"
        var identity = CallerIdentity(role: role, kind: kind, provider: name, userID: id)
        identity.userName = Self.text(Self.claim(self.claims.userName, token.claims)) ?? id
        identity.claims = token.claims
        return identity
    }

    /// The claim itself; of a list, and of scopes, the first that has the prefix.
    private func role(_ claims: JSONObject) -> String? {
        func prefixed(_ names: [String]) -> String? {
            guard !scopePrefix.isEmpty else { return nil }
            return names.first { $0.hasPrefix(scopePrefix) }.map { String($0.dropFirst(scopePrefix.count)) }
        }
        switch Self.claim(self.claims.role, claims) {
        case .string(let role)? where !role.isEmpty: return role
        case .array(let roles)?:
            if let role = prefixed(roles.compactMap(\.asString)) { return role }
        default: break
        }
        if let list = (claims["scopes"] ?? claims["scope"])?.asArray { return prefixed(list.compactMap(\.asString)) }
        return (claims["scope"] ?? claims["scopes"])?.asString.flatMap { prefixed($0.split(separator: " ").map(String.init)) }
    }

    /// A claim of that very name, else one inside another.
    private static func claim(_ name: String, _ claims: JSONObject) -> JSONValue? {
        if let value = claims[name] { return value }
        guard let dot = name.firstIndex(of: ".") else { return nil }
        return claims[String(name[..<dot])]?.asObject.flatMap { claim(String(name[name.index(after: dot)...]), $0) }
    }

    private static func text(_ value: JSONValue?) -> String? {
        switch value {
        case .string(let text)?: text
        case .integer, .unsigned: value?.description
        default: nil
        }
    }
}
