internal import ApusTypes

/// An absolute URL of HTTP in the parts that a client puts together and compares.
struct WebAddress: Sendable, Hashable {
    /// `https://host:port`, in lower case.
    var origin: String
    /// Begins with a slash, and does not end with one unless it is all.
    var path: String
    /// Without the question mark; empty for none.
    var query: String

    var isTLS: Bool { origin.hasPrefix("https://") }
    var text: String { origin + path + (query.isEmpty ? "" : "?" + query) }

    init?(_ text: String) {
        guard let scheme = ["http://", "https://"].first(where: { text.lowercased().hasPrefix($0) }) else { return nil }
        let rest = text.dropFirst(scheme.count).prefix { $0 != "#" }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard end > rest.startIndex else { return nil }
        origin = scheme + rest[..<end].lowercased()
        let target = rest[end...]
        let mark = target.firstIndex(of: "?") ?? target.endIndex
        path = target[..<mark].isEmpty ? "/" : String(target[..<mark])
        query = mark == target.endIndex ? "" : String(target[target.index(after: mark)...])
    }

    /// Where a reference of a reply's `Location` leads (RFC 3986, 5.2); nil for what is no URL of HTTP.
    func following(_ reference: String) -> WebAddress? {
        if reference.contains("://") { return WebAddress(reference) }
        if reference.hasPrefix("//") { return WebAddress((isTLS ? "https:" : "http:") + reference) }
        if reference.hasPrefix("/") { return WebAddress(origin + reference) }
        if reference.hasPrefix("?") { return WebAddress(origin + path + reference) }
        return WebAddress(origin + path[...(path.lastIndex(of: "/") ?? path.startIndex)] + reference).map(\.plain)
    }

    /// Without `.` and `..` (RFC 3986, 5.2.4).
    private var plain: WebAddress {
        var parts: [Substring] = []
        let all = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        for part in all where part != "." { if part == ".." { _ = parts.popLast() } else { parts.append(part) } }
        if all.last == "." || all.last == ".." { parts.append("") }
        var address = self
        address.path = "/" + parts.joined(separator: "/")
        return address
    }

    /// A path of the server below this one's own.
    func below(_ inner: String) -> WebAddress {
        var address = self
        let base = path.hasSuffix("/") ? String(path.dropLast()) : path
        address.path = base + (inner.hasPrefix("/") ? inner : "/" + inner)
        return address
    }
}
