internal import ApusConfig
internal import ApusDatabase
internal import ApusHTTP
internal import ApusTypes
internal import Glibc

/// The options that say how a node is configured: one for each setting that has a flag, and `--config`.
enum NodeOptions {
    static let config = Option.value("config", short: "c", "FILE", .file(["yml", "yaml"]), "Read settings from this file (APUS_CONFIG).")

    static let environmentFile = Option.value(
        "env-file", "FILE", .file(["env"]),
        "Read environment variables from this file; a later file wins over an earlier one, and the process's own environment over both."
    ).repeated

    static var all: [Option] { [config, environmentFile] + settings.map(\.option) }

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
        var loaded = ConfigurationLoader.load(
            ConfigurationSources(
                file: file, environmentFiles: try environmentFiles(invocation), environment: invocation.environment, flags: flags,
                hostName: hostName))
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
        do throws(ApusError) { _ = try ClusterSecret.read(configuration) } catch {
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
        [config, environmentFile] + settings.filter { ["node.data", "catalog.url_file"].contains($0.key.path) }.map(\.option)
    }

    /// A configuration to run with: complete, without problems, the catalog's URL read from its file. Warnings go to `warn`.
    /// `withFiles` looks into all files that it names, so that a start tells of everything at once. `mayLackSecret`: without the cluster's secret
    /// the catalog of a node has no URL here.
    static func validated(
        _ invocation: Invocation, withFiles: Bool = false, mayLackSecret: Bool = false, warn: (ConfigurationProblem) -> Void
    ) throws(ApusError) -> Configuration {
        var loaded = try load(invocation)
        if withFiles { checkFiles(&loaded) }
        loaded.warnings.forEach(warn)
        var configuration = try loaded.validated()
        do throws(ApusError) {
            try readSecrets(&configuration, mayMakeSecret: withFiles)
        } catch {
            // The node that hosts the catalog leaves the secret in the store that both were given, and may start later.
            let mayComeLater = withFiles && configuration.store.directory != nil
            guard error.code == .joinSecretMissing, mayLackSecret || mayComeLater else { throw error }
        }
        return configuration
    }

    /// Replaces the names of secret files by what they hold, and where the catalog is by how to reach it.
    static func readSecrets(_ configuration: inout Configuration, mayMakeSecret: Bool = false) throws(ApusError) {
        try readURL(&configuration)
        let place = configuration.catalogPlace
        configuration.store.kind = configuration.storeKind
        configuration.cluster.secret = try ClusterSecret.read(configuration)
        if mayMakeSecret, configuration.cluster.secret == nil { configuration.cluster.secret = try ClusterSecret.make(for: configuration) }
        configuration.cluster.secretFile = nil
        switch place {
        case .file, .url: break
        case .hosted(let address):
            configuration.catalog.isHosted = true
            configuration.catalog.address = address
            configuration.catalog.url = HostedPostgreSQL.localURL(try hosting(configuration, at: address))
        case .peer(let address):
            guard let secret = configuration.cluster.secret else { throw ClusterSecret.missing(catalog: address) }
            configuration.catalog.address = address
            configuration.catalog.url = Redacted(
                "postgresql://\(HostedPostgreSQL.role):\(ClusterSecret.catalogPassword(secret).reveal())@\(address)/\(HostedPostgreSQL.role)"
            )
        }
    }

    /// How the PostgreSQL of a node that hosts the catalog is set up.
    static func hosting(_ configuration: Configuration, at address: SocketAddress) throws(ApusError) -> HostedPostgreSQL.Options {
        guard let secret = configuration.cluster.secret else { throw ClusterSecret.missing(catalog: address) }
        return HostedPostgreSQL.Options(
            directory: FileContents.absolute(configuration.node.data) + "/postgresql", host: address.host, port: address.port,
            password: ClusterSecret.catalogPassword(secret), binaries: configuration.catalog.binaries)
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
        // user:password@host
        let authority = line.drop { $0 != "/" }.drop { $0 == "/" }
        if let at = authority.firstIndex(of: "@"), authority[..<at].contains(":") { try FileContents.requirePrivate(path) }
        configuration.catalog.url = Redacted(line)
        configuration.catalog.urlFile = nil
    }

    private static func file(_ invocation: Invocation) throws(ApusError) -> ConfigurationSources.File? {
        let named = invocation.text(config) ?? invocation.environment["APUS_CONFIG"] ?? invocation.environment["VECTORIZER_CONFIG"]
        if let path = named, !path.isEmpty { return .init(path: path, bytes: try FileContents.read(path, limit: .mebibytes(2))) }
        // What `apus join` leaves in a node's directory.
        if let data = settings.first(where: { $0.key.path == "node.data" }).flatMap({ invocation.texts($0.option).last }) {
            let path = data + "/apus.yml"
            if FileContents.exists(path) { return .init(path: path, bytes: try FileContents.read(path, limit: .mebibytes(2))) }
        }
        let usual = "/etc/apus/apus.yml"
        guard FileContents.exists(usual) else { return nil }
        return .init(path: usual, bytes: try FileContents.read(usual, limit: .mebibytes(2)))
    }

    /// Those that are named; without any, Graphistry's, in a folder that is laid out like its release. Later ones win.
    private static func environmentFiles(_ invocation: Invocation) throws(ApusError) -> [EnvironmentFile] {
        var paths = invocation.texts(environmentFile)
        if paths.isEmpty, FileContents.exists("data/config/cluster.env") {
            paths = [".env", "data/config/custom.env", "data/config/telemetry.env", "data/config/cluster.env"].filter(FileContents.exists)
        }
        var files: [EnvironmentFile] = []
        for path in paths { files.append(EnvironmentFile(path: path, bytes: try FileContents.read(path, limit: .mebibytes(1)))) }
        return files
    }

    private static var hostName: String? {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return nil }
        let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}
