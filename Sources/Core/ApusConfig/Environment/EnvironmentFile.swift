/// The lines of an environment file, as Compose reads them: `KEY=VALUE`, `export KEY=VALUE`, comments, quotes.
///
/// Nothing is substituted: a `$` stands for itself.
public struct EnvironmentFile: Sendable {
    public struct Entry: Sendable, Hashable {
        public var variable: String
        public var text: String
        public var line: Int
    }

    /// As the user named it; shown in messages.
    public var path: String
    /// The last entry of a variable wins.
    public var entries: [Entry] = []
    /// Lines that are none of these.
    public var mistakes: [Int] = []

    public init(path: String, bytes: [UInt8]) {
        self.path = path
        // Every line end counts, so that numbers are an editor's.
        let lines = String(decoding: bytes, as: UTF8.self).split(omittingEmptySubsequences: false) { ["\n", "\r\n", "\r"].contains($0) }
        for (index, line) in lines.enumerated() {
            var rest = trimmed(line)[...]
            if rest.isEmpty || rest.hasPrefix("#") { continue }
            if rest.hasPrefix("export ") { rest = trimmed(rest.dropFirst(7))[...] }
            let variable = rest.prefix { $0 == "_" || $0.isASCII && ($0.isLetter || $0.isNumber) }
            rest = rest.dropFirst(variable.count)
            guard !variable.isEmpty, rest.first == "=", let text = Self.value(trimmed(rest.dropFirst())) else {
                mistakes.append(index + 1)
                continue
            }
            entries.append(Entry(variable: String(variable), text: text, line: index + 1))
        }
    }

    /// Without its quotes, or the comment behind it; nil for a quote that does not end.
    private static func value(_ text: String) -> String? {
        guard let quote = text.first, quote == "\"" || quote == "'" else {
            guard let comment = text.firstRange(of: " #") else { return text }
            return trimmed(text[..<comment.lowerBound])
        }
        let inner = text.dropFirst()
        guard let end = inner.firstIndex(of: quote) else { return nil }
        let behind = trimmed(inner[inner.index(after: end)...])
        return behind.isEmpty || behind.hasPrefix("#") ? String(inner[..<end]) : nil
    }
}
