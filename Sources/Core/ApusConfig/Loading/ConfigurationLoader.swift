public import ApusTypes

/// What a configuration is made from. Flags win over the environment, the process's environment over environment files and a later one over
/// an earlier, those over the file, the file over defaults.
public struct ConfigurationSources: Sendable {
    public struct File: Sendable {
        /// As the user named it; shown in messages.
        public var path: String
        public var bytes: [UInt8]

        public init(path: String, bytes: [UInt8]) {
            self.path = path
            self.bytes = bytes
        }
    }

    public struct Flag: Sendable {
        /// `--listen`
        public var name: String
        /// The path of the setting it sets.
        public var path: String
        public var text: String

        public init(name: String, path: String, text: String) {
            self.name = name
            self.path = path
            self.text = text
        }
    }

    public var file: File?
    public var environmentFiles: [EnvironmentFile]
    public var environment: [String: String]
    public var flags: [Flag]
    /// What the machine is called: the node's name where many nodes share one file.
    public var hostName: String?

    public init(
        file: File? = nil, environmentFiles: [EnvironmentFile] = [], environment: [String: String] = [:], flags: [Flag] = [],
        hostName: String? = nil
    ) {
        self.file = file
        self.environmentFiles = environmentFiles
        self.environment = environment
        self.flags = flags
        self.hostName = hostName
    }
}

/// An effective configuration, with the origin of every value and with everything that was wrong.
public struct LoadedConfiguration: Sendable {
    public internal(set) var configuration = Configuration()
    /// By path; a path that is absent has its default.
    public internal(set) var origins: [String: ConfigurationOrigin] = [:]
    public internal(set) var problems: [ConfigurationProblem] = []

    public var errors: [ConfigurationProblem] { problems.filter { $0.severity == .error } }
    public var warnings: [ConfigurationProblem] { problems.filter { $0.severity == .warning } }

    public func origin(of path: String) -> ConfigurationOrigin { origins[path] ?? .builtIn }

    /// Notes what others than the loader know about a setting: whether its file is there, what the part that it configures thinks of it.
    public mutating func complain(about path: String, _ what: String) {
        problems.append(ConfigurationProblem(at: origin(of: path).description, key: path, what))
    }

    /// The configuration, or `config.invalid` listing every error.
    public func validated() throws(ApusError) -> Configuration {
        guard !errors.isEmpty else { return configuration }
        let count = errors.count == 1 ? "1 problem" : "\(errors.count) problems"
        throw ApusError(
            .configurationInvalid, "the configuration has \(count):\n" + errors.map { "  \($0)" }.joined(separator: "\n"),
            hint: "'apus config reference' describes every key; 'apus config check' checks again")
    }
}

/// Makes an effective configuration. Pure: files and the environment are given to it. Never stops at the first problem.
public enum ConfigurationLoader {
    public static func load(_ sources: ConfigurationSources) -> LoadedConfiguration {
        var loaded = LoadedConfiguration()
        if let file = sources.file { loaded.apply(file, hostName: sources.hostName) }
        let environment = EnvironmentVariables(sources, problems: &loaded.problems)
        loaded.apply(environment)
        for flag in sources.flags { loaded.apply(flag) }
        GuideVariables(environment).finish(&loaded)
        loaded.nameNode(after: sources.hostName)
        for conflict in loaded.configuration.problems() {
            // Complain where the reader can change something: at a value that was given, else at the setting itself.
            let path = ([conflict.path] + conflict.others).first { loaded.origins[$0] != nil } ?? conflict.path
            let note = path == conflict.path ? "" : " (see \(path))"
            loaded.problems.append(
                ConfigurationProblem(at: loaded.origin(of: path).description, key: conflict.path, conflict.what + note))
        }
        return loaded
    }
}

extension LoadedConfiguration {
    /// Sets one key from a node; a value that is not accepted is a problem at its place.
    mutating func set(_ key: ConfigurationKey, _ node: YAMLNode, _ origin: ConfigurationOrigin, as written: String? = nil) {
        do throws(ConfigurationMistake) {
            try key.set(node, &configuration)
            origins[key.path] = origin
        } catch {
            for mistake in error.all {
                var place = origin.description
                if case .file(let path, let line) = origin { place = "\(path):\(mistake.mark?.line ?? line):\(mistake.mark?.column ?? 1)" }
                problems.append(ConfigurationProblem(at: place, key: written ?? key.path, mistake.what))
            }
        }
    }

    fileprivate mutating func apply(_ file: ConfigurationSources.File, hostName: String?) {
        do throws(YAMLParser.Failure) {
            guard let root = try YAMLParser().parse(file.bytes), !root.isNull else { return }
            guard case .mapping(let entries) = root.content else {
                problems.append(ConfigurationProblem(at: "\(file.path):1:1", "must be a mapping of sections, not \(root.kind)"))
                return
            }
            var reader = ConfigurationFileReader(path: file.path, root: root, loaded: self, hostName: hostName)
            for entry in entries { reader.read(entry, under: "") }
            reader.finish()
            self = reader.loaded
        } catch {
            problems.append(ConfigurationProblem(at: "\(file.path):\(error.mark.line):\(error.mark.column)", error.reason))
        }
    }

    fileprivate mutating func apply(_ environment: EnvironmentVariables) {
        GuideVariables(environment).apply(to: &self)
        let keys = Dictionary(uniqueKeysWithValues: ConfigurationKeys.all.map { ($0.variable, $0) })
        for (variable, value) in environment.sorted {
            if let key = keys[variable] {
                set(key, key.nodeFromText(value.text), value.origin)
            } else if variable.hasPrefix("APUS_"), !Self.isOther(variable) {
                // A warning only: other programs may use the prefix, as Kubernetes does for a service of that name.
                let near = nearest(to: variable, among: keys.keys.sorted()).map { "did you mean '\($0)'?" } ?? "it is ignored"
                problems.append(ConfigurationProblem(.warning, at: value.origin.description, "is no setting; \(near)"))
            }
        }
    }

    /// A node of a cluster whose file is the same on all machines is named as its machine is.
    fileprivate mutating func nameNode(after hostName: String?) {
        let cluster = configuration.cluster
        guard configuration.node.name == nil, !cluster.servers.isEmpty || cluster.dnsName != nil, let hostName,
            let key = ConfigurationKeys.key("node.name")
        else { return }
        set(key, .string(hostName), .hostName)
    }

    /// Variables that the command line reads itself, and those that Kubernetes makes for a service named `apus`.
    private static func isOther(_ variable: String) -> Bool {
        ["APUS_CONFIG", "APUS_URL", "APUS_KEY", "APUS_KEY_FILE"].contains(variable)
            || variable.hasPrefix("APUS_SERVICE_") || variable.hasPrefix("APUS_PORT")
    }

    fileprivate mutating func apply(_ flag: ConfigurationSources.Flag) {
        guard let key = ConfigurationKeys.key(flag.path) else { preconditionFailure("the flag \(flag.name) sets no setting") }
        set(key, key.nodeFromText(flag.text), .flag(flag.name))
    }
}
