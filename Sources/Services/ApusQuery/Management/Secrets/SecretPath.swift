internal import ApusTypes

/// The path of a data source in two parts: what may be shown, and what stands for passwords in it.
///
/// A password of a URL, parameters of its query that are known to be secret, and `password=` among keywords are secret. A placeholder
/// (`[$NAME]`) is none: it names a variable of the node.
struct SecretPath {
    var shown: String
    /// Nil where the path holds none.
    var secret: Redacted<String>?

    /// Splits a path as somebody wrote it.
    init(_ path: String) {
        guard let scheme = path.firstRange(of: "://") else {
            self.init(keywords: path)
            return
        }
        var secrets = JSONObject()
        let (front, rest) = (path[..<scheme.upperBound], path[scheme.upperBound...])
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        var authority = rest[..<end]
        if let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") {
            let password = authority[authority.index(after: colon)..<at]
            if Self.isSecret(password) {
                secrets["password"] = .string(String(password))
                authority = authority[..<colon] + authority[at...]
            }
        }
        var shown = String(front + authority)
        let tail = rest[end...]
        if let mark = tail.firstIndex(of: "?") {
            let parameters = tail[tail.index(after: mark)...].split(separator: "&", omittingEmptySubsequences: false)
            let isHidden = { (parameter: Substring) in
                let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return parts.count == 2 && Self.secretParameters.contains(parts[0].lowercased()) && Self.isSecret(parts[1])
            }
            let (hidden, open) = (parameters.filter(isHidden), parameters.filter { !isHidden($0) })
            if !hidden.isEmpty { secrets["query"] = .string(hidden.joined(separator: "&")) }
            shown += tail[..<mark] + (open.isEmpty ? "" : "?" + open.joined(separator: "&"))
        } else {
            shown += tail
        }
        self.init(shown: shown, secret: secrets.isEmpty ? nil : Redacted(JSONValue.object(secrets).description))
    }

    init(shown: String, secret: Redacted<String>?) {
        self.shown = shown
        self.secret = secret
    }

    /// libpq's other form: `host=… password=…`.
    private init(keywords path: String) {
        let words = path.split(separator: " ")
        let hidden = words.filter { $0.lowercased().hasPrefix("password=") && Self.isSecret($0.dropFirst("password=".count)) }
        guard !hidden.isEmpty else {
            self.init(shown: path, secret: nil)
            return
        }
        self.init(
            shown: words.filter { !hidden.contains($0) }.joined(separator: " "),
            secret: Redacted(JSONValue.object(["keywords": .string(hidden.joined(separator: " "))]).description))
    }

    /// With the secret in its place again.
    var whole: Redacted<String> {
        guard let text = secret?.reveal(), let secrets = try? JSONValue(parsing: Array(text.utf8)) else { return Redacted(shown) }
        if let keywords = secrets["keywords"]?.asString { return Redacted(shown + " " + keywords) }
        var path = shown
        if let password = secrets["password"]?.asString, let place = passwordPlace {
            path.replaceSubrange(place..<place, with: ":" + password)
        }
        if let query = secrets["query"]?.asString {
            let end = path.firstIndex(of: "#") ?? path.endIndex
            path.insert(contentsOf: (path.contains("?") ? "&" : "?") + query, at: end)
        }
        return Redacted(path)
    }

    private var passwordPlace: String.Index? {
        guard let scheme = shown.firstRange(of: "://") else { return nil }
        let rest = shown[scheme.upperBound...]
        return rest[..<(rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex)].lastIndex(of: "@")
    }

    /// The server and the user at it. A secret is kept for another path only where these are the same: nobody else must be sent it.
    var target: String {
        guard let scheme = shown.firstRange(of: "://") else {
            return shown.split(separator: " ").filter {
                ["host=", "hostaddr=", "port=", "user="].contains { [word = $0] in word.hasPrefix($0) }
            }
            .joined(separator: " ")
        }
        let rest = shown[scheme.upperBound...]
        return String(shown[..<scheme.upperBound] + rest[..<(rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex)])
    }

    private static func isSecret(_ value: Substring) -> Bool { !value.isEmpty && !(value.hasPrefix("[$") && value.hasSuffix("]")) }

    private static let secretParameters: Set = [
        "password", "passwd", "pass", "pwd", "secret", "client_secret", "token", "auth_token", "access_token", "api_key", "apikey",
        "sslpassword", "secret_key", "access_key", "session_token", "x-hugr-security",
    ]
}

extension String {
    fileprivate func firstRange(of text: String) -> Range<Index>? { ranges(of: text).first }
}
