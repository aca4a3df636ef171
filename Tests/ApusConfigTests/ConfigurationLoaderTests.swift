import ApusConfig
import ApusTypes
import Testing

/// Loads a file and an environment.
func load(
    _ yaml: String = "", _ environment: [String: String] = [:], files: [(String, String)] = [], flags: [(String, String, String)] = [],
    hostName: String? = nil
) -> LoadedConfiguration {
    ConfigurationLoader.load(
        ConfigurationSources(
            file: .init(path: "apus.yml", bytes: Array(yaml.utf8)),
            environmentFiles: files.map { EnvironmentFile(path: $0.0, bytes: Array($0.1.utf8)) }, environment: environment,
            flags: flags.map { .init(name: $0.0, path: $0.1, text: $0.2) }, hostName: hostName))
}

@Suite("Configuration loader")
struct ConfigurationLoaderTests {
    @Test("nothing given is the defaults, without a problem")
    func defaults() {
        let loaded = load()
        #expect(loaded.configuration == Configuration())
        #expect(loaded.problems.isEmpty)
        #expect(loaded.origin(of: "log.level") == .builtIn)
    }

    @Test("flags win over the environment, the environment over the file, the file over defaults; each origin is told")
    func precedence() {
        let yaml = "log:\n  level: error\nnode:\n  name: from-file\n  data: file-data\n"
        var loaded = load(yaml)
        #expect(loaded.configuration.node.data == "file-data")
        #expect(loaded.origin(of: "node.data") == .file(path: "apus.yml", line: 5))
        loaded = load(yaml, ["APUS_NODE_DATA": "variable-data"])
        #expect(loaded.configuration.node.data == "variable-data")
        #expect(loaded.origin(of: "node.data") == .environment(variable: "APUS_NODE_DATA"))
        loaded = load(yaml, ["APUS_NODE_DATA": "variable-data"], flags: [("--data", "node.data", "flag-data")])
        #expect(loaded.configuration.node.data == "flag-data")
        #expect(loaded.origin(of: "node.data") == .flag("--data"))
        #expect(loaded.configuration.node.name == "from-file")
        #expect(loaded.configuration.log.level == .error)
        #expect(loaded.origin(of: "node.url") == .builtIn)
    }

    @Test("a mistake inside a list does not hide those behind it")
    func insideLists() {
        let loaded = load(
            """
            listeners:
              - name: first
                address: 127.0.0.1:70000
                faces: [consle]
              - name: second
                adress: 127.0.0.1:2
            cluster:
              servers:
                - {id: a, address: b, grpc_port: 0}
                - {id: b, adress: c, grpc_port: 1}
                - id: c
            """)
        let found = loaded.errors.map(\.description)
        let expected = [
            "apus.yml:3:14: listeners: must be HOST:PORT",
            "apus.yml:4:13: listeners: must be one of vectorizer, qdrant, hugr, console, service, not 'consle'",
            "apus.yml:6:5: listeners: has no key 'adress'; did you mean 'address'?",
            "apus.yml:9:38: cluster.servers: must be 1 to 65535, not 0",
            "apus.yml:10:15: cluster.servers: has no key 'adress' in a server; did you mean 'address'?",
            "apus.yml:11:7: cluster.servers: must have id, address and grpc_port in each server",
        ]
        #expect(found.count == expected.count, "\(found)")
        for (found, expected) in zip(found, expected) { #expect(found.hasPrefix(expected), "\(found)") }
    }

    @Test("six mistakes are six findings, each with its place and what would be right")
    func allAtOnce() {
        let loaded = load(
            """
            log:
              levle: debug
              format: yaml
            leases:
              length_seconds: 4
              renewal_seconds: 1.4
              holder_margin_seconds: 1
              poll_seconds: 0
            vectors:
              default_shards: many
            stroe: 1
            """)
        let found = loaded.errors.map(\.description)
        #expect(found.count == 6)
        #expect(found.contains("apus.yml:2:3: log.levle: is no setting; did you mean 'log.level'?"))
        #expect(found.contains { $0.hasPrefix("apus.yml:3:11: log.format: must be one of automatic, text, json, not 'yaml'") })
        #expect(found.contains("apus.yml:8:17: leases.poll_seconds: must be 0.02 to 60, not 0"))
        #expect(found.contains("apus.yml:10:19: vectors.default_shards: must be a whole number, not 'many'"))
        #expect(found.contains { $0.hasPrefix("apus.yml:11:1: stroe: is no setting; did you mean 'store'?") })
        #expect(found.contains { $0.hasPrefix("apus.yml:5: leases.length_seconds: must be at least three renewals (4.2 s)") })
        #expect(throws: ApusError.self) { try loaded.validated() }
    }

    @Test("an invalid configuration is exit code 78 and lists every problem")
    func exitCode() {
        do throws(ApusError) {
            _ = try load("a: 1\nb: 2\n").validated()
            Issue.record("was accepted")
        } catch {
            #expect(error.code.surface.exit.rawValue == 78)
            #expect(
                error.summary.contains("2 problems") && error.summary.contains("apus.yml:1:1") && error.summary.contains("apus.yml:2:1"))
        }
    }

    @Test("the right name in the wrong section is recognised")
    func wrongSection() {
        #expect(load("node:\n  default_shards: 3\n").errors.first?.what.contains("vectors.default_shards") == true)
    }

    @Test("a broken file is one problem with its place")
    func brokenFile() {
        #expect(load("log: [\n").errors.map(\.place) == ["apus.yml:2:1"])
        #expect(load("- a\n").errors.first?.what.contains("mapping") == true)
        #expect(load("log: 3\n").errors.map(\.description) == ["apus.yml:1:6: log: must be a mapping of settings, not an integer"])
        #expect(load("log:\n").problems.isEmpty)
    }

    @Test(
        "durations and sizes carry a unit or none",
        arguments: [
            ("4", Duration.seconds(4)), ("0.5", .milliseconds(500)), ("250ms", .milliseconds(250)), ("0.5m", .seconds(30)),
            ("1.5s", .milliseconds(1500)),
        ])
    func durations(text: String, expected: Duration) {
        let loaded = load("catalog:\n  connect_timeout_seconds: \(text)\n")
        #expect(loaded.problems.isEmpty)
        #expect(loaded.configuration.catalog.connectTimeout == expected)
    }

    @Test(arguments: [
        ("1048576", 1 << 20), ("1 MiB", 1 << 20), ("1MiB", 1 << 20), ("0.5 GiB", 1 << 29), ("50 GB", 50_000_000_000), ("64 kB", 64_000),
    ])
    func sizes(text: String, expected: Int) {
        let loaded = load("vectors:\n  max_unsealed_bytes: \(text)\n")
        #expect(loaded.errors.isEmpty == (expected >= 1 << 20))
        if expected >= 1 << 20 { #expect(loaded.configuration.vectors.maxUnsealed == ByteCount(expected)) }
    }

    @Test(arguments: ["-1", "1e3", "1 s", "", "ms", "1.", ".5", "1.0000000001", "99999999999999999999", "9223372036854775807d", "0x10"])
    func wrongDurations(text: String) {
        #expect(load("catalog:\n  connect_timeout_seconds: '\(text)'\n").errors.count == 1)
    }

    @Test("listeners are read from the file, the environment and flags")
    func listeners() {
        let yaml = "listeners:\n  - {name: a, address: '[::1]:1', faces: [console]}\n  - address: 0.0.0.0:2\n"
        #expect(
            load(yaml).configuration.listeners == [
                .init(name: "a", address: SocketAddress(host: "::1", port: 1), faces: [.console]),
                .init(name: "0.0.0.0:2", address: SocketAddress(host: "0.0.0.0", port: 2)),
            ])
        let text = "127.0.0.1:1, localhost:2=console+vectorizer"
        let expected: [Configuration.Listener] = [
            .init(name: "127.0.0.1:1", address: SocketAddress(host: "127.0.0.1", port: 1)),
            .init(name: "localhost:2", address: SocketAddress(host: "localhost", port: 2), faces: [.console, .vectorizer]),
        ]
        #expect(load("", ["APUS_LISTENERS": text]).configuration.listeners == expected)
        #expect(load(flags: [("--listen", "listeners", text)]).configuration.listeners == expected)
    }

    @Test(
        "a listener that cannot be is refused where it stands",
        arguments: [
            ("- {address: here}", "3:15"), ("- {name: a}", "3:5"), ("- {address: a:1, face: [console]}", "3:20"),
            ("- {address: a:1, faces: [hugger]}", "3:28"),
            // It asks for no credential.
            ("- {address: a:1, faces: [service, console]}", "3:5"),
            ("- {address: a:1, tls_key: k}", "3:5"), ("[]", "3:3"), ("- {address: a:65536}", "3:15"),
            ("- {address: a:1, faces: []}", "3:5"),
        ])
    func wrongListeners(text: String, place: String) {
        #expect(load("# one\nlisteners:\n  \(text)\n").errors.map(\.place) == ["apus.yml:\(place)"])
    }

    @Test("secrets are read from the file and the environment, and never shown")
    func secrets() throws {
        let loaded = load("", ["APUS_CATALOG_URL": "postgresql://u:hunter2@h/d"])
        #expect(loaded.configuration.catalog.url?.reveal() == "postgresql://u:hunter2@h/d")
        let key = try #require(ConfigurationKeys.key("catalog.url"))
        #expect(key.flag == nil)
        let shown = key.value(in: loaded.configuration) + key.shown(in: loaded.configuration) + loaded.configuration.yaml() + "\(loaded)"
        #expect(!shown.contains("hunter2"))
        #expect(loaded.configuration.yaml().contains("<redacted>"))
        let short = load("cluster: {secret: hunter2}\nquery: {service_key: hunter2}\n").errors.map(\.description)
        #expect(short.count == 2 && !"\(short)".contains("hunter2"), "\(short)")
    }

    @Test("no setting with a secret has a flag, and every flag names a setting")
    func flagsAreNotSecret() {
        for key in ConfigurationKeys.all where key.isSecret { #expect(key.flag == nil) }
        #expect(Set(ConfigurationKeys.all.map(\.variable)).count == ConfigurationKeys.all.count)
        #expect(Set(ConfigurationKeys.all.compactMap(\.flag?.name)).count == ConfigurationKeys.all.compactMap(\.flag).count)
    }

    @Test("a misspelt variable is a warning with the nearest name; foreign ones are left alone")
    func variables() {
        #expect(load("", ["APUS_LOG_LEVLE": "debug"]).warnings.first?.what.contains("APUS_LOG_LEVEL") == true)
        #expect(load("", ["APUS_SERVICE_HOST": "10.0.0.1", "APUS_PORT_80_TCP": "tcp://x", "HOME": "/", "APUS_URL": "u"]).problems.isEmpty)
        #expect(load("", ["APUS_LOG_LEVEL": "loud"]).errors.first?.place == "environment APUS_LOG_LEVEL")
    }

    @Test("a value of the default file is accepted as the default")
    func annotatedFile() {
        let loaded = load(ConfigurationReference.annotatedFile)
        #expect(loaded.problems.isEmpty)
        #expect(loaded.configuration == Configuration())
        #expect(loaded.origins.count == ConfigurationKeys.all.count)
    }
}
