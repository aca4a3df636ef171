internal import ApusConfig
internal import ApusHTTP
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
        var loaded = ConfigurationLoader.load(ConfigurationSources(file: file, environment: invocation.environment, flags: flags))
        askParts(&loaded)
        return loaded
    }

    /// What the parts that are configured think of their settings.
    private static func askParts(_ loaded: inout LoadedConfiguration) {
        let faces = loaded.configuration.faces
        for (path, origins) in [
            ("faces.vectorizer.cors_origins", faces.vectorizer.corsOrigins), ("faces.console.cors_origins", faces.console.corsOrigins),
        ] {
            for problem in CORS(origins: origins).problems() { loaded.complain(about: path, problem) }
        }
        // Its sentences name no setting, so it is asked last: for what our own rules about the same settings do not see.
        guard !loaded.errors.contains(where: { $0.key?.hasPrefix("http.") == true }) else { return }
        for problem in loaded.configuration.httpLimits.problems() { loaded.complain(about: "http", problem) }
    }

    /// Looks into the files that the settings name, as a start would.
    static func checkFiles(_ loaded: inout LoadedConfiguration) {
        var configuration = loaded.configuration
        do throws(ApusError) { try readURL(&configuration) } catch { loaded.complain(about: "catalog.url_file", error.summary) }
        do throws(ApusError) { try readClusterSecret(&configuration) } catch {
            loaded.complain(about: "cluster.secret_file", error.summary)
        }
        for listener in configuration.listeners {
            for (what, path) in [("certificate", listener.tlsCertificate), ("key", listener.tlsKey)] {
                guard let path else { continue }
                do throws(ApusError) {
                    let text = String(decoding: try FileContents.read(path, limit: .mebibytes(1)), as: UTF8.self)
                    guard text.contains("-----BEGIN ") else { throw ApusError(.inputInvalid, "\(path) is no PEM file") }
                } catch { loaded.complain(about: "listeners", "'\(listener.name)' has no TLS \(what): \(error.summary)") }
            }
        }
    }

    /// Those that say where a node's catalog is, for commands that may work on it without a node.
    static var catalog: [Option] {
        [config] + settings.filter { ["node.data", "catalog.url_file"].contains($0.key.path) }.map(\.option)
    }

    /// A configuration to run with: complete, without problems, the catalog's URL read from its file. Warnings go to `warn`.
    /// `withFiles` looks into all files that it names, so that a start tells of everything at once.
    static func validated(
        _ invocation: Invocation, withFiles: Bool = false, warn: (ConfigurationProblem) -> Void
    ) throws(ApusError) -> Configuration {
        var loaded = try load(invocation)
        if withFiles { checkFiles(&loaded) }
        loaded.warnings.forEach(warn)
        var configuration = try loaded.validated()
        try readSecrets(&configuration)
        return configuration
    }

    /// Replaces the names of secret files by what they hold.
    static func readSecrets(_ configuration: inout Configuration) throws(ApusError) {
        try readURL(&configuration)
        try readClusterSecret(&configuration)
    }

    private static func readClusterSecret(_ configuration: inout Configuration) throws(ApusError) {
        guard let path = configuration.cluster.secretFile else { return }
        let text = String(decoding: try FileContents.readPrivate(path, limit: .kibibytes(64)), as: UTF8.self)
        let line = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        guard line.count >= 16 else {
            throw ApusError(
                .configurationInvalid, "\(path): the first line must be the cluster secret, at least 16 characters",
                hint: "openssl rand -hex 32 makes one; all nodes have the same")
        }
        configuration.cluster.secret = Redacted(line)
        configuration.cluster.secretFile = nil
    }

    private static func readURL(_ configuration: inout Configuration) throws(ApusError) {
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
