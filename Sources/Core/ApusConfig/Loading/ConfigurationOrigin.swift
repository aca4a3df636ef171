/// Where an effective value comes from.
public enum ConfigurationOrigin: Sendable, Hashable, CustomStringConvertible {
    case builtIn
    case file(path: String, line: Int)
    /// A key of a Vectorizer file that was translated.
    case vectorizerFile(path: String, line: Int, key: String)
    case environment(variable: String)
    case environmentFile(path: String, line: Int, variable: String)
    /// The machine's name, where many nodes share one file.
    case hostName
    case flag(String)

    public var description: String {
        switch self {
        case .builtIn: "default"
        case .file(let path, let line): "\(path):\(line)"
        case .vectorizerFile(let path, let line, let key): "\(path):\(line) (\(key))"
        case .environment(let variable): "environment \(variable)"
        case .environmentFile(let path, let line, let variable): "\(path):\(line) (\(variable))"
        case .hostName: "the machine's name"
        case .flag(let flag): "flag \(flag)"
        }
    }
}

/// One thing that is wrong, or worth knowing, with the place to look at.
public struct ConfigurationProblem: Sendable, Hashable, CustomStringConvertible {
    public enum Severity: String, Sendable, Hashable { case error, warning }

    public var severity: Severity
    /// `apus.yml:3:5`, `environment APUS_LOG_LEVEL`, `flag --listen`.
    public var place: String
    /// The setting, as it was written.
    public var key: String?
    /// What is wrong and what would be right.
    public var what: String

    public init(_ severity: Severity = .error, at place: String, key: String? = nil, _ what: String) {
        self.severity = severity
        self.place = place
        self.key = key
        self.what = what
    }

    public var description: String {
        // A variable is its own place.
        guard let key, !place.hasSuffix(" " + key) else { return "\(place): \(what)" }
        return "\(place): \(key): \(what)"
    }
}
