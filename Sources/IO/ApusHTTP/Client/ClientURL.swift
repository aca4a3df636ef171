internal import ApusTypes

/// The parts of an absolute `http` or `https` URL that a client needs.
struct ClientURL: Hashable {
    /// Connections are shared by what has the same origin.
    struct Origin: Hashable {
        var isTLS: Bool
        /// Without brackets, in lower case.
        var host: String
        var port: Int
    }

    var origin: Origin
    /// The value of `Host`.
    var authority: String
    /// Path and query, as they go into the request line.
    var target: String

    init(_ text: String) throws(ApusError) {
        func wrong(_ problem: String) -> ApusError {
            ApusError(
                .requestInvalid, "this is not a URL that can be asked: \(problem)", hint: "write http://host:port/path",
                context: ["url": text])
        }
        guard text.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else { throw wrong("it holds a character that must be percent-encoded") }
        let isTLS: Bool
        let rest: Substring
        if text.hasPrefix("http://") {
            (isTLS, rest) = (false, text.dropFirst(7))
        } else if text.hasPrefix("https://") {
            (isTLS, rest) = (true, text.dropFirst(8))
        } else {
            throw wrong("it begins with neither http:// nor https://")
        }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let name = rest[..<end]
        guard !name.contains("@") else { throw wrong("credentials belong in a header") }
        var host = name
        var port = isTLS ? 443 : 80
        // The colons of an IPv6 address are inside its brackets.
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("]") {
            let digits = name[name.index(after: colon)...]
            guard digits.utf8.allSatisfy(ASCII.isDigit), let number = Int(digits), (1...65_535).contains(number) else {
                throw wrong("its port is not a number from 1 to 65535")
            }
            port = number
            host = name[..<colon]
        }
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { throw wrong("its host is not complete") }
            host = host.dropFirst().dropLast()
        }
        guard !host.isEmpty, host.utf8.count <= 253, !host.contains(where: { "/[]\\<>\"^`{|}%".contains($0) }) else {
            throw wrong("it names no host")
        }
        origin = Origin(isTLS: isTLS, host: host.lowercased(), port: port)
        authority = String(name)
        let path = rest[end...].prefix { $0 != "#" }
        target = path.hasPrefix("/") ? String(path) : "/" + path
    }
}
