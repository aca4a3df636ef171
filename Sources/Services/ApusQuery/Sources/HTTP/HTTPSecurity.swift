internal import ApusTypes

/// What a server over HTTP wants to know of who asks, in the words of OpenAPI.
enum HTTPSecurity: Sendable {
    case key(name: String, place: Place, value: Redacted<String>)
    case basic(user: String, password: Redacted<String>)
    case bearer(Redacted<String>)
    case oauth(OAuthGrant)

    enum Place: String, Sendable {
        case header, query, cookie
    }

    /// `scheme`: of the specification, which the JSON may leave the form of the security to.
    init?(_ json: JSONValue, scheme: JSONValue? = nil, source: String) throws(ApusError) {
        func text(_ name: String, _ specified: String? = nil) -> String? {
            (json[name]?.asString).flatMap { $0.isEmpty ? nil : $0 } ?? scheme?[specified ?? name]?.asString
        }
        func needed(_ name: String) throws(ApusError) -> String {
            guard let value = text(name) else {
                throw ApusError(
                    .requestInvalid, "the x-hugr-security of data source \"\(source)\" lacks \"\(name)\", which its type needs",
                    context: ["field": name])
            }
            return value
        }
        switch text("type") {
        case nil: return nil
        case "apiKey":
            guard let place = Place(rawValue: text("in") ?? "header") else { throw Self.unknown("in", text("in"), source) }
            self = .key(name: try needed("name"), place: place, value: Redacted(try needed("api_key")))
        case "http":
            switch text("scheme")?.lowercased() {
            case "basic": self = .basic(user: try needed("username"), password: Redacted(try needed("password")))
            case "bearer": self = .bearer(Redacted(try needed(json["token"] == nil ? "api_key" : "token")))
            default: throw Self.unknown("scheme", text("scheme"), source)
            }
        case "oauth2":
            guard let grant = try OAuthGrant(json, flows: json["flows"] ?? scheme?["flows"], source: source) else {
                throw Self.unknown("flow_name", text("flow_name"), source)
            }
            self = .oauth(grant)
        default: throw Self.unknown("type", text("type"), source)
        }
    }

    private static func unknown(_ field: String, _ value: String?, _ source: String) -> ApusError {
        ApusError(
            .requestInvalid,
            "the x-hugr-security of data source \"\(source)\" has the \(field) \"\(value ?? "")\", which Apus does not have",
            hint:
                "type apiKey (in header, query or cookie), http (scheme basic or bearer), oauth2 (flow_name client_credentials or password)",
            context: ["field": field])
    }
}

/// How a token is asked for (RFC 6749, 4.3 and 4.4).
struct OAuthGrant: Sendable {
    /// Absolute, or a path of the source's own server.
    var tokenURL: String
    var clientID: String
    var clientSecret: Redacted<String>
    /// Of the password grant.
    var user: (name: String, password: Redacted<String>)?
    var scopes: [String]

    /// Nil for a flow that cannot be gone without a person.
    init?(_ json: JSONValue, flows: JSONValue?, source: String) throws(ApusError) {
        let user = json["username"]?.asString
        let isPassword = json["flow_name"]?.asString.map { $0 == "password" } ?? (flows?["clientCredentials"] == nil && user != nil)
        guard ["client_credentials", "password", nil].contains(json["flow_name"]?.asString) else { return nil }
        let flow = isPassword ? flows?["password"] : flows?["clientCredentials"] ?? flows?["client_credentials"]
        func needed(_ name: String, _ value: String?) throws(ApusError) -> String {
            guard let value, !value.isEmpty else {
                throw ApusError(
                    .requestInvalid, "the x-hugr-security of data source \"\(source)\" lacks \"\(name)\", which OAuth 2 needs",
                    context: ["field": name])
            }
            return value
        }
        tokenURL = try needed("flows.\(isPassword ? "password" : "clientCredentials").tokenUrl", flow?["tokenUrl"]?.asString)
        clientID = isPassword ? json["client_id"]?.asString ?? "" : try needed("client_id", json["client_id"]?.asString)
        clientSecret = Redacted(
            isPassword ? json["client_secret"]?.asString ?? "" : try needed("client_secret", json["client_secret"]?.asString))
        if isPassword { self.user = (try needed("username", user), Redacted(try needed("password", json["password"]?.asString))) }
        scopes = flow?["scopes"]?.asObject?.map(\.key) ?? flow?["scopes"]?.asArray?.compactMap(\.asString) ?? []
    }

    /// The body of the request for a token.
    var form: String {
        var items: [(name: String, value: String)] = [("grant_type", user == nil ? "client_credentials" : "password")]
        if let user { items += [("username", user.name), ("password", user.password.reveal())] }
        if !scopes.isEmpty { items.append(("scope", scopes.joined(separator: " "))) }
        return PercentEncoding.query(items)
    }
}
