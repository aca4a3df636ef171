internal import ApusTypes

/// Where a source over HTTP is and how it is asked, as its path says: the URL of a server, with Hugr's parameters
/// `x-hugr-security` (JSON), `x-hugr-server`, `x-hugr-spec-path` and `x-hugr-spec-url`. Other parameters go with each request.
struct HTTPAddress: Sendable {
    enum Specification: Sendable, Hashable {
        case file(String)
        case url(String)
    }

    /// Nil where the specification says it.
    var server: WebAddress?
    var parameters: [(name: String, value: String)] = []
    var specification: Specification?
    var security: HTTPSecurity?

    /// `facts`: what its specification says where the path does not.
    init(_ path: Redacted<String>, source: String, facts: HTTPFacts? = nil) throws(ApusError) {
        func invalid(_ what: String) -> ApusError {
            ApusError(.requestInvalid, "the path of data source \"\(source)\" \(what)", hint: "write https://host/base?x-hugr-security=…")
        }
        let text = path.reveal()
        let mark = text.firstIndex(of: "?") ?? text.endIndex
        var place = String(text[..<mark])
        var server: String?
        for item in text[mark...].dropFirst().split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { PercentEncoding.decoded($0) }
            let value = parts.count > 1 ? parts[1] : ""
            switch parts[0] {
            case "x-hugr-security":
                guard let json = try? JSONValue(parsing: Array(Self.unquoted(value).utf8)), json.asObject != nil else {
                    throw invalid("has an x-hugr-security that is no JSON object; percent-encode it")
                }
                let name = json["schema_name"]?.asString
                let scheme = name.flatMap { facts?.schemes[$0] }
                guard name == nil || facts == nil || scheme != nil || json["type"] != nil else {
                    throw invalid("names the security \"\(name ?? "")\", which its specification does not have")
                }
                security = try HTTPSecurity(json, scheme: scheme, source: source)
            case "x-hugr-server": server = Self.unquoted(value)
            case "x-hugr-spec-path": specification = .file(Self.unquoted(value))
            case "x-hugr-spec-url": specification = .url(Self.unquoted(value))
            default: parameters.append((parts[0], value))
            }
        }
        if place.isEmpty {
            // The specification says where the server is.
        } else if !place.contains("://") || place.hasPrefix("file://") {
            specification = .file(place.hasPrefix("file://") ? String(place.dropFirst(7)) : place)
            place = ""
        } else if let at = place.lastIndex(of: "@"), let scheme = place.ranges(of: "://").first, scheme.upperBound < at {
            let user = place[scheme.upperBound..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            security = .basic(
                user: PercentEncoding.decoded(user[0]), password: Redacted(user.count > 1 ? PercentEncoding.decoded(user[1]) : ""))
            place.removeSubrange(scheme.upperBound...at)
        }
        var url = server ?? place
        if url.isEmpty { url = facts?.server ?? "" }
        guard !url.isEmpty else { return }
        guard let address = WebAddress(url) else { throw invalid("is no URL of HTTP") }
        self.server = address
    }

    private static func unquoted(_ text: String) -> String {
        text.count > 1 && text.hasPrefix("\"") && text.hasSuffix("\"") ? String(text.dropFirst().dropLast()) : text
    }
}
