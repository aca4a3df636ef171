internal import ApusTypes
internal import Glibc

/// The options of every command that talks to a running node.
enum ClientOptions {
    static let url = Option.value("url", "URL", "The node to talk to (APUS_URL; default http://127.0.0.1:15002).")
    static let urls = Option.value(
        "url", "URL", "A node to ask; again, or with commas, for others that are asked when it does not answer (APUS_URL)."
    ).repeated
    static let keyFile = Option.value(
        "key-file", "FILE", .file([]), "A file with an API key, readable by you alone (APUS_KEY_FILE; or the key itself in APUS_KEY).")
    static let dryRun = Option.flag("dry-run", "Say what would be done, and change nothing.")

    static let all = [url, keyFile]

    static func baseURL(_ invocation: Invocation) throws(ApusError) -> String { try checked(invocation.text(url) ?? usual(invocation)) }

    static func baseURLs(_ invocation: Invocation) throws(ApusError) -> [String] {
        let texts = invocation.texts(urls).isEmpty ? [usual(invocation)] : invocation.texts(urls)
        var found: [String] = []
        for text in texts.flatMap({ $0.split(separator: ",") }) { found.append(try checked(String(text))) }
        return found
    }

    private static func usual(_ invocation: Invocation) -> String {
        invocation.environment["APUS_URL"].flatMap { $0.isEmpty ? nil : $0 } ?? "http://127.0.0.1:15002"
    }

    private static func checked(_ text: String) throws(ApusError) -> String {
        guard text.hasPrefix("http://") || text.hasPrefix("https://") else {
            throw ApusError(
                .usage, "the node's URL must begin with http:// or https://, not '\(text)'", hint: "--url http://127.0.0.1:15002")
        }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    /// Nil when none is given: a node serves its own machine's user over loopback without one.
    static func key(_ invocation: Invocation) throws(ApusError) -> Redacted<String>? {
        if let path = invocation.text(keyFile) ?? invocation.environment["APUS_KEY_FILE"] {
            let text = String(decoding: try FileContents.readPrivate(path, limit: .kibibytes(16)), as: UTF8.self)
            return Redacted(text.filter { !$0.isWhitespace })
        }
        return invocation.environment["APUS_KEY"].flatMap { $0.isEmpty ? nil : Redacted($0) }
    }
}
