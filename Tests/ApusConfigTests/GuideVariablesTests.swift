import ApusConfig
import ApusTypes
import Testing

@Suite("Environment files, and variables of other systems' guides")
struct GuideVariablesTests {
    @Test("an environment file is read as Compose reads it")
    func syntax() {
        let text = """
            # a comment
            A=1
            export B = two words   # a comment
            C='a # b'
            D="x y" # and more
            E=
            F=a=b#c
            \u{20}
            not a line
            G="open
            G2=digit\r
            """
        let file = EnvironmentFile(path: "f", bytes: Array(text.utf8))
        #expect(file.mistakes == [3, 9, 10])
        let read = Dictionary(uniqueKeysWithValues: file.entries.map { ($0.variable, $0.text) })
        #expect(read == ["A": "1", "C": "a # b", "D": "x y", "E": "", "F": "a=b#c", "G2": "digit"])
        #expect(file.entries.first { $0.variable == "D" }?.line == 5)
    }

    @Test("a later file wins over an earlier one, the process over both, and a setting's own variable over a guide's")
    func precedence() {
        let key = "LOCAL_DATASET_CACHE_DIR"
        let files = [(".env", "\(key)=/a"), ("custom.env", "\(key)=/b"), ("cluster.env", "\(key)=/c\n")]
        for count in 1...3 {
            let loaded = load(files: Array(files.prefix(count)))
            #expect(loaded.configuration.store.directory == ["/a", "/b", "/c"][count - 1] + "/apus")
            #expect(loaded.origin(of: "store.directory").description == "\(files[count - 1].0):1 (\(key))")
        }
        #expect(load("", [key: "/p"], files: files).configuration.store.directory == "/p/apus")
        #expect(load("", [key: "/p", "APUS_STORE_DIRECTORY": "/own"], files: files).configuration.store.directory == "/own")
        #expect(load("store: {directory: /file}", files: files).configuration.store.directory == "/c/apus")
        #expect(load(files: [("f", "APUS_LOG_LEVEL=debug")]).configuration.log.level == .debug)
        #expect(load(files: [("f", "nonsense")]).errors.map(\.place) == ["f:1"])
    }

    /// The guide's file, comments and all.
    private static let printed = """
        # ENABLE_CLUSTER_MODE: true | false (default false)
        # If ENABLE_CLUSTER_MODE=true and NODE_TYPE=leader it exposes the postgres ports to the host (LAN).
        ENABLE_CLUSTER_MODE=false

        # NODE_TYPE: leader | follower (default leader)
        NODE_TYPE=leader

        LOCAL_DATASET_CACHE_DIR=/opt/graphistry/data
        POSTGRES_HOST=postgres
        """

    private func graphistry(_ changes: [String: String]) -> LoadedConfiguration {
        load("", changes, files: [("cluster.env", Self.printed)])
    }

    @Test("Graphistry: one node, a leader that hosts the catalog, followers that find it")
    func roles() {
        let alone = graphistry([:])
        #expect(alone.errors.isEmpty && alone.configuration.catalogPlace == .file)
        #expect(alone.configuration.storeDirectory == "/opt/graphistry/data/apus")

        let leader = graphistry(["ENABLE_CLUSTER_MODE": "true"])
        #expect(leader.errors.isEmpty)
        #expect(leader.configuration.catalogPlace == .hosted(SocketAddress(host: "0.0.0.0", port: 5432)))
        #expect(leader.configuration.storeKind == .directory)
        #expect(leader.origin(of: "catalog.hosted").description == "cluster.env:6 (NODE_TYPE)")

        let follower = graphistry(["ENABLE_CLUSTER_MODE": "true", "NODE_TYPE": "follower", "POSTGRES_HOST": "192.168.18.13"])
        #expect(follower.errors.isEmpty)
        #expect(follower.configuration.catalogPlace == .peer(SocketAddress(host: "192.168.18.13", port: 5432)))

        let outside = graphistry([
            "ENABLE_CLUSTER_MODE": "true", "POSTGRES_HOST": "db", "POSTGRES_PASSWORD": "p@ss/word", "POSTGRES_USER": "u",
            "POSTGRES_DB": "d",
            "POSTGRES_PORT": "6543",
        ])
        #expect(outside.configuration.catalog.url?.reveal() == "postgresql://u:p%40ss%2Fword@db:6543/d")
        #expect(!outside.problems.contains { $0.description.contains("p@ss") })
    }

    @Test(
        "what cannot be meant stops with the key named",
        arguments: [
            (["NODE_TYPE": "master"], "NODE_TYPE"), (["ENABLE_CLUSTER_MODE": "yes"], "ENABLE_CLUSTER_MODE"),
            (["ENABLE_CLUSTER_MODE": "true", "NODE_TYPE": "follower"], "POSTGRES_HOST"),
        ])
    func refused(changes: [String: String], key: String) {
        #expect(graphistry(changes).errors.map(\.key) == [key])
    }

    @Test("a lone NODE_TYPE is said to have no effect, and a POSTGRES_HOST of another program has none")
    func stray() {
        #expect(load("", ["NODE_TYPE": "follower"]).warnings.map(\.key) == ["NODE_TYPE"])
        let stray = load("", ["POSTGRES_HOST": "h", "POSTGRES_PASSWORD": "p", "BIND": ":1", "CHECK": "1s", "SECRET": "no"])
        #expect(stray.configuration == Configuration() && stray.problems.isEmpty)
    }

    @Test("video translation: a primary and its standbys, which answer reads and may be promoted")
    func media() {
        let standbys = ["POSTGRES_SLAVE_HOSTS": "postgres-slave1,postgres-slave2, 10.0.0.3:5434"]
        let loaded = load("", standbys.merging(["POSTGRES_MASTER_HOST": "postgres-master", "POSTGRES_PASSWORD": "p/w"]) { $1 })
        #expect(loaded.errors.isEmpty)
        #expect(
            loaded.configuration.catalog.replicas.map(\.description) == ["postgres-slave1:5432", "postgres-slave2:5432", "10.0.0.3:5434"])
        #expect(
            loaded.configuration.catalog.url?.reveal()
                == "postgresql://postgres:p%2Fw@postgres-master:5432,postgres-slave1:5432,postgres-slave2:5432,10.0.0.3:5434/transvidio")
        #expect(loaded.origin(of: "catalog.replicas").description.contains("POSTGRES_SLAVE_HOSTS"))
        // A file's list is replaced, the node's own variable wins, and without PostgreSQL there is nothing to replicate.
        let file = "catalog: {url_file: /u, replicas: ['a:1']}"
        #expect(load(file, standbys).configuration.catalog.replicas.count == 3)
        let own = standbys.merging(["APUS_CATALOG_REPLICAS": "b:2"]) { $1 }
        #expect(load(file, own).configuration.catalog.replicas == [SocketAddress(host: "b", port: 2)])
        #expect(load("", standbys).errors.map(\.key) == ["catalog.replicas"])
        #expect(load("catalog: {url_file: /u, replicas: ['a:1', 'a:1']}").errors.map(\.key) == ["catalog.replicas"])
    }

    @Test("Hugr: a work node's variables")
    func hugr() {
        let loaded = load(
            "",
            [
                "BIND": ":15000", "CLUSTER_SECRET": "your-cluster-secret", "CLUSTER_NODE_NAME": "worker-1",
                "CLUSTER_NODE_URL": "http://worker-1:15000/ipc", "CORE_DB_PATH": "postgres://hugr:password@postgres:5432/hugr_core",
                "CHECK": "1m", "TIMEOUT": "30s",
            ])
        let made = loaded.configuration
        #expect(loaded.errors.isEmpty)
        #expect(made.listeners.map(\.address) == [SocketAddress(host: "0.0.0.0", port: 15000)])
        #expect(made.cluster.secret?.reveal() == "your-cluster-secret")
        #expect(made.node.name == "worker-1" && made.node.url == "http://worker-1:15000")
        #expect(made.catalog.url?.reveal() == "postgres://hugr:password@postgres:5432/hugr_core" && made.storeKind == .catalog)
        // Rarer than ours would only find later what is wrong.
        #expect(made.membership.probe == .seconds(1) && made.membership.probeTimeout == .seconds(1))
        #expect(load("", ["CLUSTER_NODE_NAME": "n", "CHECK": "500ms"]).configuration.membership.probe == .milliseconds(500))
        #expect(made.node.roles == [.manager, .worker])
        #expect(load("", ["CLUSTER_ROLE": "worker"]).configuration.node.roles == [.worker])
        #expect(load("", ["CLUSTER_ROLE": "management"]).configuration.node.roles == [.manager, .worker])
        #expect(load("", ["CLUSTER_ROLE": "king"]).errors.map(\.key) == ["CLUSTER_ROLE"])
        #expect(load("", ["CORE_DB_PATH": "core-db.duckdb"]).errors.map(\.key) == ["CORE_DB_PATH"])
        #expect(load("", ["CLUSTER_NODE_NAME": "n", "CHECK": "often"]).errors.map(\.key) == ["CHECK"])
    }

    @Test("Hugr: who may ask, each variable with its effect")
    func hugrAccess() {
        func made(_ variables: [String: String]) -> Configuration.Query {
            let loaded = load("", variables.merging(["CLUSTER_NODE_NAME": "n"]) { own, _ in own })
            #expect(loaded.errors.isEmpty, "\(loaded.errors)")
            return loaded.configuration.query
        }
        #expect(made([:]).anonymous == nil && made([:]).managedKeys)
        #expect(made(["ALLOWED_ANONYMOUS": "true", "ANONYMOUS_ROLE": "visitor"]).anonymous == "visitor")
        #expect(made(["ALLOWED_ANONYMOUS": "false", "ANONYMOUS_ROLE": "visitor"]).anonymous == nil)
        #expect(!made(["ALLOW_MANAGED_API_KEYS": "false"]).managedKeys && !made(["ALLOWED_MANAGED_API_KEYS": "false"]).managedKeys)
        #expect(made(["AUTH_CONFIG_FILE": "/etc/auth.yml"]).authFile == "/etc/auth.yml")
        #expect(made(["SECRET_KEY": "0123456789abcdef"]).serviceKey?.reveal() == "0123456789abcdef")
        let oidc = made([
            "OIDC_ISSUER": "https://login.example", "OIDC_CLIENT_ID": "apus", "OIDC_TIMEOUT": "7s", "OIDC_COOKIE_NAME": "c",
            "OIDC_SCOPE_ROLE_PREFIX": "x:", "OIDC_ROLE_CLAIM": "r", "OIDC_USERID_CLAIM": "i", "OIDC_USERNAME_CLAIM": "n",
        ]).oidc
        #expect(oidc.issuer == "https://login.example" && oidc.clientID == "apus" && oidc.timeout == .seconds(7) && oidc.cookie == "c")
        #expect(oidc.scopePrefix == "x:" && oidc.roleClaim == "r" && oidc.userIDClaim == "i" && oidc.userNameClaim == "n")
        func wrong(_ variables: [String: String]) -> [String?] {
            load("", variables.merging(["CLUSTER_NODE_NAME": "n"]) { own, _ in own }).errors.map(\.key)
        }
        // Theirs is the administrator, for the whole world.
        #expect(wrong(["ALLOWED_ANONYMOUS": "true"]) == ["ANONYMOUS_ROLE"])
        #expect(wrong(["OIDC_TLS_INSECURE": "true"]) == ["OIDC_TLS_INSECURE"])
        #expect(wrong(["OIDC_ISSUER": "https://login.example"]) == ["query.oidc.client_id"])
        #expect(wrong(["SECRET_KEY": "short"]) == ["query.service_key"])
    }

    @Test("Hugr: the server, each variable with its effect")
    func hugrServer() {
        func loaded(_ variables: [String: String]) -> LoadedConfiguration {
            load("", variables.merging(["CLUSTER_NODE_NAME": "n"]) { own, _ in own })
        }
        func made(_ variable: String, _ text: String) -> Configuration {
            let loaded = loaded([variable: text])
            #expect(loaded.errors.isEmpty, "\(loaded.errors)")
            return loaded.configuration
        }
        #expect(made("ADMIN_UI", "true").faces.hugrPage && !made("ADMIN_UI", "false").faces.hugrPage)
        #expect(made("CORS_ALLOWED_ORIGINS", "https://a.example, https://b.example").faces.hugr.corsOrigins.count == 2)
        #expect(made("MAX_DEPTH", "9").query.maxDepth == 9 && made("MAX_DEPTH", "0").query.maxDepth == Configuration().query.maxDepth)
        #expect(made("DEBUG", "true").log.level == .debug && made("DEBUG", "false").log.level == .info)
        #expect(made("DB_MAX_MEMORY", "2").query.duckDBMemory == .gibibytes(2))
        #expect(made("DB_PG_CONNECTION_LIMIT", "5").query.connections == 5)
        #expect(made("CLUSTER_TIMEOUT", "5s").membership == Configuration().membership)
        #expect(made("CLUSTER_TIMEOUT", "700ms").membership.probeTimeout == .milliseconds(700))
        #expect(made("CLUSTER_HEARTBEAT", "500ms").leases.renewal == .milliseconds(500))
        #expect(made("CLUSTER_POLL_INTERVAL", "200ms").leases.poll == .milliseconds(200))
        // A work node without its core database would be a cluster of its own.
        let manager = ["CLUSTER_MANAGEMENT_URL": "http://hugr-management:14000"]
        #expect(loaded(manager).errors.map(\.key) == ["CORE_DB_PATH"])
        #expect(loaded(manager.merging(["CORE_DB_PATH": "postgres://u@h/d"]) { $1 }).errors.isEmpty)
        #expect(loaded(manager.merging(["APUS_CATALOG_URL": "postgres://u@h/d"]) { $1 }).errors.isEmpty)
        #expect(loaded(["TLS_CERT_FILE": "/c.pem"]).errors.map(\.key) == ["TLS_CERT_FILE"])
        for variable in [
            "CORE_DB_READONLY", "CLUSTER_GHOST_TTL", "ADMIN_UI_FETCH_PATH", "CORS_ALLOWED_HEADERS", "CORS_ALLOWED_METHODS",
            "MAX_PARALLEL_QUERIES", "EMBEDDER_URL", "MCP_ENABLED",
        ] {
            let loaded = loaded([variable: "x"])
            #expect(loaded.errors.isEmpty && loaded.warnings.map(\.key) == [variable])
        }
    }

    @Test("Hugr: caches, each variable with its effect")
    func hugrCaches() {
        func made(_ variables: [String: String]) -> Configuration.Cache {
            let loaded = load("", variables.merging(["CLUSTER_NODE_NAME": "n"]) { own, _ in own })
            #expect(loaded.errors.isEmpty, "\(loaded.errors)")
            return loaded.configuration.query.cache
        }
        #expect(made([:]).bytes == .mebibytes(64) && made(["CACHE_L1_ENABLED": "false"]).bytes.bytes == 0)
        #expect(made(["CACHE_TTL": "5m"]).lifetime == .seconds(300) && made(["CACHE_TTL": "0"]).lifetime == .seconds(60))
        let local = made(["CACHE_L1_ENABLED": "true", "CACHE_L1_MAX_SIZE": "256", "CACHE_L1_MAX_ITEM_SIZE": "65536"])
        #expect(local.bytes == .mebibytes(256) && local.valueBytes == .kibibytes(64))
        let shared = made([
            "CACHE_L2_ENABLED": "true", "CACHE_L2_BACKEND": "redis", "CACHE_L2_ADDRESSES": "redis:6379", "CACHE_L2_DATABASE": "3",
            "CACHE_L2_USERNAME": "u", "CACHE_L2_PASSWORD": "p",
        ]).shared
        #expect(shared.kind == .redis && shared.servers == ["redis:6379"] && shared.database == 3)
        #expect(shared.user == "u" && shared.password?.reveal() == "p")
        #expect(made(["CACHE_L2_ENABLED": "true", "CACHE_L2_ADDRESSES": "a b:1,c"]).shared.kind == .cluster)
        let memcached = made(["CACHE_L2_ENABLED": "true", "CACHE_L2_BACKEND": "memcached", "CACHE_L2_ADDRESSES": "a,b"]).shared
        #expect(memcached.kind == .memcached && memcached.servers == ["a", "b"])
        #expect(made(["CACHE_L2_ENABLED": "false", "CACHE_L2_ADDRESSES": "a"]).shared.kind == .none)
        #expect(load("", ["CLUSTER_NODE_NAME": "n", "CACHE_L2_ENABLED": "true"]).errors.map(\.key) == ["CACHE_L2_ADDRESSES"])
    }
}
