public import ApusTypes

/// Hugr's file of API keys and issuers of tokens (`AUTH_CONFIG_FILE`). Names may have dashes or underscores: its program wants one of them in
/// YAML and the other in JSON, and its documentation mixes them.
public struct AuthFile: Sendable, Hashable {
    /// Names of claims, or of headers.
    public struct Names: Sendable, Hashable {
        public var role: String?
        public var userID: String?
        public var userName: String?
    }

    public struct Key: Sendable, Hashable {
        public var name: String
        public var key: String
        public var header: String?
        public var defaultRole: String?
        public var headers = Names()
    }

    public struct Issuer: Sendable, Hashable {
        public var name: String
        /// Nil: whoever has the key.
        public var issuer: String?
        public var audience: String?
        /// Exactly one of the two.
        public var publicKey: String?
        public var secret: String?
        public var cookie: String?
        public var scopePrefix: String?
        public var claims = Names()
    }

    public var keys: [Key] = []
    public var issuers: [Issuer] = []
    public var anonymousRole: String?
    public var serviceKey: String?
    public var managedKeys: Bool?

    /// Throws `config.invalid`, naming the line.
    public init(_ text: String, path: String) throws(ApusError) {
        func complain(_ mark: YAMLMark, _ what: String) -> ApusError {
            ApusError(.configurationInvalid, "\(path):\(mark.line): \(what)", hint: "docs/query.md says what the file may hold")
        }
        let root: YAMLNode
        do throws(YAMLParser.Failure) { root = try YAMLParser().parse(Array(text.utf8)) ?? YAMLNode(.mapping([])) } catch {
            throw complain(error.mark, error.reason)
        }

        func entries(_ node: YAMLNode, _ known: [String]) throws(ApusError) -> [String: YAMLNode] {
            guard case .mapping(let entries) = node.content else {
                if node.isNull { return [:] }
                throw complain(node.mark, "must be a mapping, not \(node.kind)")
            }
            var found: [String: YAMLNode] = [:]
            for entry in entries {
                let name = entry.key.replacing("-", with: "_")
                guard known.contains(name) else { throw complain(entry.mark, "'\(entry.key)' is not known here") }
                if !entry.value.isNull { found[name] = entry.value }
            }
            return found
        }
        func string(_ node: YAMLNode?) throws(ApusError) -> String? {
            guard let node else { return nil }
            guard let text = node.scalar?.text else { throw complain(node.mark, "must be a text, not \(node.kind)") }
            return text.isEmpty ? nil : text
        }
        func flag(_ node: YAMLNode?) throws(ApusError) -> Bool? {
            guard let node else { return nil }
            guard case .bool(let value)? = node.scalar?.core else { throw complain(node.mark, "must be true or false") }
            return value
        }
        func names(_ node: YAMLNode?) throws(ApusError) -> Names {
            guard let node else { return Names() }
            let parts = try entries(node, ["role", "user_id", "user_name"])
            return Names(role: try string(parts["role"]), userID: try string(parts["user_id"]), userName: try string(parts["user_name"]))
        }
        func named(_ node: YAMLNode?) throws(ApusError) -> [YAMLEntry] {
            guard let node else { return [] }
            guard case .mapping(let entries) = node.content else {
                throw complain(node.mark, "must be a mapping of names, not \(node.kind)")
            }
            return entries
        }

        let parts = try entries(
            root,
            [
                "managed_api_keys", "anonymous", "api_keys", "jwt", "secret_key", "oidc", "redirect_login_paths", "login_url",
                "redirect_url",
            ])
        for name in ["oidc", "redirect_login_paths", "login_url", "redirect_url"] {
            guard let node = parts[name] else { continue }
            throw complain(
                node.mark,
                name == "oidc" ? "an issuer of OpenID Connect is set by query.oidc.*, not here" : "nobody is sent to a log-in here")
        }
        managedKeys = try flag(parts["managed_api_keys"])
        serviceKey = try string(parts["secret_key"])
        if let node = parts["anonymous"] {
            let anonymous = try entries(node, ["allowed", "role"])
            if try flag(anonymous["allowed"]) == true {
                anonymousRole = try string(anonymous["role"])
                if anonymousRole == nil { throw complain(node.mark, "must name the role of those who bring no credential") }
            }
        }
        for entry in try named(parts["api_keys"]) {
            let key = try entries(entry.value, ["key", "header", "default_role", "headers"])
            guard let text = try string(key["key"]), text.utf8.count >= 16 else {
                throw complain(entry.mark, "the key '\(entry.key)' must have 16 characters or more")
            }
            keys.append(
                Key(
                    name: entry.key, key: text, header: try string(key["header"])?.lowercased(),
                    defaultRole: try string(key["default_role"]), headers: try names(key["headers"])))
        }
        for entry in try named(parts["jwt"]) {
            let jwt = try entries(
                entry.value, ["issuer", "audience", "public_key", "secret", "cookie_name", "scope_role_prefix", "claims"])
            let issuer = Issuer(
                name: entry.key, issuer: try string(jwt["issuer"]), audience: try string(jwt["audience"]),
                publicKey: try string(jwt["public_key"]), secret: try string(jwt["secret"]), cookie: try string(jwt["cookie_name"]),
                scopePrefix: try string(jwt["scope_role_prefix"]), claims: try names(jwt["claims"]))
            guard (issuer.publicKey == nil) != (issuer.secret == nil) else {
                throw complain(entry.mark, "'\(entry.key)' must have a public_key or a secret, and not both")
            }
            issuers.append(issuer)
        }
    }
}
