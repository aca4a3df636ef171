/// What may stand in a text that another program made and must not be shown: passwords in URLs, keys of our own.
enum Secrets {
    static func removed(from text: String) -> String {
        guard text.contains("://") || text.contains("apus_") || text.contains("password") else { return text }
        return text.replacing(#/(:\/\/[^\s:\/@]*):[^\s@\/]+@/#) { "\($0.1):<redacted>@" }
            .replacing(#/\bapus_[0-9a-f]{16}_[0-9a-f]+/#, with: "apus_<redacted>")
            .replacing(#/(password\s*[=:]\s*)[^\s&,;]+/#) { "\($0.1)<redacted>" }
    }
}
