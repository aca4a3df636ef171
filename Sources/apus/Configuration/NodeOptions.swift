internal import ApusConfig
internal import ApusTypes

/// The options that say how a node is configured: one for each setting that has a flag, and `--config`.
enum NodeOptions {
    static let config = Option.value("config", short: "c", "FILE", .file(["yml", "yaml"]), "Read settings from this file (APUS_CONFIG).")

    static var all: [Option] { [config] + settings.map(\.option) }

    private static var settings: [(option: Option, key: ConfigurationKey)] {
        ConfigurationKeys.all.compactMap { key in
            guard let flag = key.flag else { return nil }
            let values: Values =
                switch key.path {
                case "node.data", "store.directory": .directory
                case "catalog.url_file": .file([])
                case "log.level": .choice(Configuration.Log.Level.allCases.map(\.rawValue))
                default: .text
                }
            let help = "\(key.summary) Also \(key.path) in the file, and \(key.variable)."
            let option = Option.value(flag.name, flag.placeholder, values, help)
            return (key.path == "listeners" ? option.repeated : option, key)
        }
    }

    /// The effective configuration of `invocation`, with everything that is wrong in it. Reads the file, and the file with the
    /// catalog's URL.
    static func load(_ invocation: Invocation) throws(ApusError) -> LoadedConfiguration {
        let file = try file(invocation)
        let flags = settings.compactMap { setting -> ConfigurationSources.Flag? in
            let texts = invocation.texts(setting.option)
            guard !texts.isEmpty else { return nil }
            return .init(name: setting.option.spelling, path: setting.key.path, text: texts.joined(separator: ","))
        }
        return ConfigurationLoader.load(ConfigurationSources(file: file, environment: invocation.environment, flags: flags))
    }

    /// A configuration to run with: complete, without problems, the catalog's URL read from its file. Warnings go to `warn`.
    static func validated(_ invocation: Invocation, warn: (ConfigurationProblem) -> Void) throws(ApusError) -> Configuration {
        let loaded = try load(invocation)
        loaded.warnings.forEach(warn)
        var configuration = try loaded.validated()
        try readSecrets(&configuration)
        return configuration
    }

    /// Replaces the names of secret files by what they hold.
    static func readSecrets(_ configuration: inout Configuration) throws(ApusError) {
        guard let path = configuration.catalog.urlFile else { return }
        let text = String(decoding: try FileContents.read(path, limit: .kibibytes(64)), as: UTF8.self)
        let line = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        guard line.hasPrefix("postgres://") || line.hasPrefix("postgresql://") else {
            throw ApusError(
                .configurationInvalid, "\(path): the first line must be the catalog's URL",
                hint: "write postgresql://user:password@host:5432/database into it, and chmod 600 it")
        }
        configuration.catalog.url = Redacted(line)
        configuration.catalog.urlFile = nil
    }

    private static func file(_ invocation: Invocation) throws(ApusError) -> ConfigurationSources.File? {
        let named = invocation.text(config) ?? invocation.environment["APUS_CONFIG"] ?? invocation.environment["VECTORIZER_CONFIG"]
        if let path = named, !path.isEmpty { return .init(path: path, bytes: try FileContents.read(path, limit: .mebibytes(2))) }
        let usual = "/etc/apus/apus.yml"
        guard FileContents.exists(usual) else { return nil }
        return .init(path: usual, bytes: try FileContents.read(usual, limit: .mebibytes(2)))
    }
}
