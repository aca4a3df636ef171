import ApusConfig
import ApusTypes
import Testing

@Suite("Vectorizer's configuration")
struct VectorizerFileTests {
    /// The guide's file of node `number`, word for word.
    private func guide(_ number: Int) -> String {
        """
        server:
          host: "0.0.0.0"
          port: 15002

        cluster:
          enabled: true
          node_id: "node-\(number)"
          discovery: "static"
          timeout_ms: 5000
          retry_count: 3
          servers:
            - id: "node-1"
              address: "192.168.1.10"
              grpc_port: 15003
            - id: "node-2"
              address: "192.168.1.11"
              grpc_port: 15003
            - id: "node-3"
              address: "192.168.1.12"
              grpc_port: 15003
        """
    }

    @Test("the guide's three files are accepted as they stand", arguments: 1...3)
    func guideFiles(number: Int) {
        let loaded = load(guide(number))
        #expect(loaded.errors.isEmpty)
        let made = loaded.configuration
        #expect(made.node.name == NodeName("node-\(number)"))
        #expect(made.listeners == [.init(name: "main", address: SocketAddress(host: "0.0.0.0", port: 15002))])
        #expect(made.node.url == "http://192.168.1.1\(number - 1):15002")
        #expect(made.node.rpcAddress == SocketAddress(host: "192.168.1.1\(number - 1)", port: 15003))
        #expect(made.node.data == "/var/lib/vectorizer/data")
        #expect(loaded.origin(of: "listeners") == .vectorizerFile(path: "apus.yml", line: 2, key: "server.host, server.port"))
        #expect(loaded.origin(of: "node.name").description == "apus.yml:7 (cluster.node_id)")
    }

    @Test("the first of the listed servers hosts the catalog, and the others find it there")
    func catalog() {
        #expect(load(guide(1)).configuration.catalogPlace == .hosted(SocketAddress(host: "192.168.1.10", port: 5432)))
        for number in 2...3 {
            let made = load(guide(number)).configuration
            #expect(made.catalogPlace == .peer(SocketAddress(host: "192.168.1.10", port: 5432)))
            #expect(made.storeKind == .catalog)
            #expect(made.cluster.address == SocketAddress(host: "0.0.0.0", port: 15003))
        }
        #expect(load(guide(1) + "\ncatalog: {url_file: /c}").configuration.catalogPlace == .url)
        #expect(load(guide(2) + "\ncatalog: {sqlite_path: /c}").configuration.catalogPlace == .file)
        let alone = load(guide(2).split(separator: "\n").map { $0.contains("enabled") ? "  enabled: false" : $0 }.joined(separator: "\n"))
        #expect(alone.configuration.catalogPlace == .file && alone.configuration.cluster.servers.isEmpty)
    }

    @Test("nodes that share one file are named as their machines are")
    func shared() {
        let file = guide(1).split(separator: "\n").filter { !$0.contains("node_id") }.joined(separator: "\n")
        let made = load(file, hostName: "node-3").configuration
        #expect(made.node.name == "node-3" && made.node.url == "http://192.168.1.12:15002")
        #expect(made.catalogPlace == .peer(SocketAddress(host: "192.168.1.10", port: 5432)))
    }

    @Test("nodes that DNS finds: number 0 hosts the catalog; other names need to be told where it is")
    func domain() {
        let file =
            "server: {host: 0.0.0.0, port: 15002}\ncluster: {enabled: true, discovery: dns, dns_name: vectorizer, dns_resolve_interval: 5}"
        let first = load(file, hostName: "vectorizer-cluster-0").configuration
        #expect(first.catalogPlace == .hosted(SocketAddress(host: "0.0.0.0", port: 5432)))
        #expect(first.cluster.dnsInterval == .seconds(5))
        #expect(
            load(file, hostName: "vectorizer-cluster-2").configuration.catalogPlace
                == .peer(SocketAddress(host: "vectorizer-cluster-0.vectorizer", port: 5432)))
        #expect(load(file, hostName: "host").errors.map(\.key) == ["cluster.dns_name"])
        #expect(load(file + "\ncatalog: {address: 'h:1'}", hostName: "host").errors.isEmpty)
    }

    @Test("what has no effect is named with the reason")
    func warnings() {
        let warnings = load(guide(1)).warnings
        #expect(
            warnings.map(\.key) == ["cluster.timeout_ms", "cluster.retry_count"])
        #expect(warnings.map(\.place).first == "apus.yml:9:3")
        #expect(warnings.allSatisfy { $0.what.contains(":") })
    }

    @Test("its environment: the data directory is honoured, ours wins, Kubernetes' VECTORIZER_PORT is not a port")
    func environment() {
        #expect(load(guide(1), ["VECTORIZER_DATA_DIR": "/d"]).configuration.node.data == "/d")
        #expect(load(guide(1), ["VECTORIZER_DATA_DIR": "/d", "APUS_NODE_DATA": "/e"]).configuration.node.data == "/e")
        let loaded = load(guide(1), ["VECTORIZER_PORT": "tcp://10.0.0.1:15002", "VECTORIZER_JWT_SECRET": "s"])
        #expect(loaded.configuration.listeners[0].address.port == 15002)
        #expect(loaded.warnings.contains { $0.place == "environment VECTORIZER_JWT_SECRET" })
        #expect(!loaded.problems.contains { $0.description.contains("'s'") })
    }

    @Test("our own sections may stand beside its own, and win")
    func mixed() {
        let loaded = load(guide(1) + "\nnode:\n  data: /mine\ncatalog:\n  url_file: /c\nlisteners: [{name: x, address: 'h:1'}]\n")
        #expect(loaded.errors.isEmpty)
        #expect(loaded.configuration.node.data == "/mine")
        #expect(loaded.configuration.catalog.urlFile == "/c")
        #expect(loaded.configuration.listeners.map(\.name) == ["x"])
    }

    @Test("other sections of its examples are accepted or translated")
    func otherSections() {
        let loaded = load(
            """
            server: {host: 127.0.0.1, port: 1, mcp_port: 1}
            rpc: {enabled: true, host: 0.0.0.0, port: 15503}
            api: {rest: {enabled: true, cors_enabled: true, max_request_size_mb: 10, timeout_seconds: 40}, grpc: {port: 15003}, mcp: {enabled: true}}
            auth: {enabled: false, jwt_secret: "", jwt_expiration: 3600, api_key_length: 32}
            security: {tls: {enabled: true, cert_path: c, key_path: k, mtls_enabled: false, client_ca_path: ""}, rate_limiting: {enabled: true}}
            logging: {level: warn, format: json, log_requests: true, correlation_id_enabled: true}
            replication: {enabled: false, role: standalone}
            backpressure: {enabled: true, upsert_queue_high_water: 256}
            storage: {mmap: {enabled: true}}
            gpu: {enabled: true}
            cluster: {enabled: false, servers: [], memory: {strict_validation: true}, node_id: null}
            """)
        #expect(loaded.errors.isEmpty)
        #expect(loaded.configuration.log.level == .warning)
        #expect(loaded.configuration.log.format == .json)
        #expect(loaded.configuration.faces.vectorizer.maxBody == .mebibytes(10))
        #expect(loaded.configuration.http.requestTimeout == .seconds(40))
        #expect(loaded.configuration.listeners[0].tlsCertificate == "c")
        #expect(loaded.configuration.listeners[0].tlsKey == "k")
        #expect(loaded.configuration.node.name == nil)
        #expect(loaded.configuration.rpc.isEnabled && loaded.configuration.rpcAddress.description == "0.0.0.0:15503")
        #expect(loaded.origin(of: "rpc.address").description.contains("rpc.host"))
    }

    @Test("the binary protocol's host and port are one address here, which our own key overrides")
    func rpc() {
        #expect(load("rpc: {enabled: false, port: 1}").configuration.rpcAddress.description == "127.0.0.1:1")
        #expect(load("rpc: {enabled: false, port: 1}").configuration.rpc.isEnabled == false)
        #expect(load("rpc: {host: '::'}").configuration.rpcAddress.description == "[::]:15503")
        #expect(load("rpc: {host: 0.0.0.0, address: '127.0.0.1:7'}").configuration.rpcAddress.description == "127.0.0.1:7")
        let clash = load("server: {host: 127.0.0.1, port: 15503}").errors
        #expect(clash.contains { $0.key == "rpc.address" }, "\(clash)")
        #expect(load("server: {host: 127.0.0.1, port: 15503}\nrpc: {enabled: false}").errors.isEmpty)
    }

    @Test(
        "mistakes in its words are errors with their place",
        arguments: [
            ("server: {prot: 1}", "apus.yml:1:10: server.prot: is no setting"),
            ("server: {port: 0}", "apus.yml:1:16: server.port: must be 1 to 65535"),
            ("server: {host: 'a b'}", "apus.yml:1:16: server.host: must be an address"),
            ("rpc: {port: 65536}", "apus.yml:1:13: rpc.port: must be 1 to 65535"),
            ("rpc: {host: 'a b'}", "apus.yml:1:13: rpc.host: must be an address"),
            ("rpc: {prot: 1}", "apus.yml:1:7: rpc.prot: is no setting"),
            ("cluster: {node_idd: a}", "apus.yml:1:11: cluster.node_idd: is no setting"),
            ("cluster: {discovery: gossip}", "apus.yml:1:22: cluster.discovery: must be static or dns"),
            ("cluster: {servers: [{id: a}]}", "apus.yml:1:21: cluster.servers: must have id, address and grpc_port"),
            ("cluster: {servers: [{id: a, address: b, grpc_prt: 1}]}", "apus.yml:1:41: cluster.servers: has no key 'grpc_prt'"),
            (
                "cluster: {servers: [{id: a, address: b, grpc_port: 1}, {id: a, address: c, grpc_port: 1}]}",
                "apus.yml:1: cluster.servers: has the id 'a' twice"
            ),
            ("cluster: {node_id: 'a b'}", "apus.yml:1:20: cluster.node_id: must be a name"),
            ("security: {tls: {mtls_enabled: true}}", "apus.yml:1:32: security.tls.mtls_enabled: must be false"),
            ("server: {port: 1}\nsecurity: {tls: {enabled: true}}", "apus.yml:1:1: security.tls: must have cert_path"),
            ("logging: {level: loud}", "apus.yml:1:18: logging.level: must be one of"),
            ("api: {rest: {max_request_size_mb: 0}}", "apus.yml:1:35: api.rest.max_request_size_mb: must be 1 to 4096"),
        ])
    func mistakes(yaml: String, message: String) {
        let errors = load(yaml).errors
        #expect(errors.count == 1)
        #expect(errors.first?.description.hasPrefix(message) == true, "\(errors)")
    }
}
