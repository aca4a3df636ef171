internal import ApusTypes

/// The settings of a Vectorizer `config.yml`, and what becomes of each here, so that the files of its guides start as they stand.
enum VectorizerKeys {
    enum Meaning: Sendable {
        /// Sets one of our settings.
        case translated(String, @Sendable (YAMLNode) throws(ConfigurationMistake) -> YAMLNode)
        /// Makes a setting together with other keys of the file.
        case combined(VectorizerFile.Part)
        /// Known, and without effect; says why.
        case ignored(String)
    }

    static func meaning(of path: String) -> Meaning? { table[path] }
    static var paths: [String] { Array(table.keys) }

    /// The environment variables of Vectorizer. Only these: Kubernetes sets `VECTORIZER_PORT=tcp://…` in every container beside a
    /// service that is named like the guide's.
    static func apply(variable: String, text: String, from origin: ConfigurationOrigin, to loaded: inout LoadedConfiguration) {
        switch variable {
        case "VECTORIZER_DATA_DIR":
            guard let key = ConfigurationKeys.key("node.data") else { preconditionFailure("node.data is a setting") }
            loaded.set(key, key.nodeFromText(text), origin)
        case "VECTORIZER_MODE", "VECTORIZER_JWT_SECRET", "VECTORIZER_ADMIN_USERNAME", "VECTORIZER_ADMIN_PASSWORD":
            let why = variable == "VECTORIZER_MODE" ? "there is one mode" : noTokens
            loaded.problems.append(
                ConfigurationProblem(.warning, at: origin.description, "is accepted and has no effect here: \(why)"))
        default: break
        }
    }

    private static let noTokens = "access is by keys that 'apus key create' makes"
    private static let noRPC = "this version serves HTTP and the binary protocol (rpc) only"
    private static let notReplicated = "every write is in the catalog before it is acknowledged; nodes do not replicate to each other"

    private static let table: [String: Meaning] = [
        "server.host": .combined(.host),
        "server.port": .combined(.port),
        "server.max_connections": .translated("http.max_connections", same),
        "server.timeout_seconds": .translated("http.request_timeout_seconds", same),
        "server.workers": .ignored("there is one event loop per core (runtime.loops)"),
        "server.grpc_port": .ignored(noRPC),
        "server.mcp_port": .ignored(noRPC),
        "server.name": .ignored("the node's name is node.name or cluster.node_id"),
        "server.version": .ignored("the server knows its version"),
        "server.environment": .ignored("nothing depends on it"),

        "cluster.enabled": .combined(.clusterEnabled),
        "cluster.node_id": .combined(.nodeID),
        "cluster.servers": .combined(.servers),
        "cluster.discovery": .combined(.discovery),
        "cluster.timeout_ms": .ignored("each request carries its own deadline (http.request_timeout_seconds)"),
        "cluster.retry_count": .ignored("retries end with the request's deadline"),
        "cluster.dns_resolve_interval": .translated("cluster.dns_interval_seconds", same),
        "cluster.dns_grpc_port": .ignored("each node says in the catalog where others reach it"),
        "cluster.raft_node_id": .ignored("there is no consensus protocol of our own; the catalog decides"),
        "cluster.current_epoch": .ignored("epochs are counted in the catalog"),
        "cluster.memory": .ignored("vectors.max_unsealed_bytes bounds a shard's log"),

        "api.rest.max_request_size_mb": .translated("faces.vectorizer.max_body_bytes") { node throws(ConfigurationMistake) in
            let megabytes = try Int(node)
            guard (1...4096).contains(megabytes) else { throw ConfigurationMistake("must be 1 to 4096, not \(megabytes)", mark: node.mark) }
            return YAMLNode(ByteCount.mebibytes(megabytes).node.content, mark: node.mark)
        },
        "api.rest.timeout_seconds": .translated("http.request_timeout_seconds", same),
        "api.rest.enabled": .ignored("a listener's faces say what is served"),
        "api.rest.cors_enabled": .ignored("faces.vectorizer.cors_origins names the origins"),
        "api.grpc": .ignored(noRPC),
        "api.mcp": .ignored(noRPC),
        "rpc.host": .combined(.rpcHost),
        "rpc.port": .combined(.rpcPort),
        "grpc": .ignored(noRPC),

        "auth.enabled": .ignored("requests from other machines always need a key, local ones follow auth.loopback"),
        "auth.jwt_secret": .ignored(noTokens),
        "auth.jwt_expiration": .ignored(noTokens),
        "auth.api_key_length": .ignored("keys have a fixed length"),
        "auth.rate_limit_per_minute": .ignored("there is no rate limit per key"),
        "auth.rate_limit_per_hour": .ignored("there is no rate limit per key"),
        "security.tls.enabled": .combined(.tlsEnabled),
        "security.tls.cert_path": .combined(.tlsCertificate),
        "security.tls.key_path": .combined(.tlsKey),
        "security.tls.mtls_enabled": .combined(.mutualTLS),
        "security.tls.client_ca_path": .ignored("clients are known by keys, not certificates"),
        "security.rate_limiting": .ignored("there is no rate limit per key"),
        "security.audit": .ignored("the log says who changed what"),
        "security.rbac": .ignored(noTokens),
        "security.require_api_keys": .ignored("requests from other machines always need a key, local ones follow auth.loopback"),
        "security.api_key_length": .ignored("keys have a fixed length"),
        "security.api_key_prefix": .ignored("keys have a fixed prefix"),
        "security.cors": .ignored("faces.vectorizer.cors_origins names the origins"),

        "logging.level": .translated("log.level") { node throws(ConfigurationMistake) in
            let levels = ["trace": "debug", "debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error"]
            guard let level = levels[node.scalar?.text ?? ""] else {
                throw ConfigurationMistake(
                    "must be one of error, warn, info, debug, trace, not '\(node.scalar?.text ?? node.kind)'", mark: node.mark)
            }
            return YAMLNode(level.node.content, mark: node.mark)
        },
        "logging.format": .translated("log.format", same),
        "logging.log_requests": .ignored("log.level: debug writes a line for every request"),
        "logging.log_responses": .ignored("bodies are never logged"),
        "logging.log_errors": .ignored("errors are always logged"),
        "logging.correlation_id_enabled": .ignored("every request has an id"),
        "logging.outputs": .ignored("the log goes to standard error"),
        "logging.modules": .ignored("one level holds for all areas (log.level)"),
        "persistence.storage_path": .translated("node.data", same),
        "persistence.enabled": .ignored("everything is durable"),

        "replication": .ignored(notReplicated),
        "backpressure": .ignored("vectors.max_unsealed_bytes and the limits under http bound the load"),
        "storage": .ignored("the store section says where data is kept"),
        "monitoring": .ignored("metrics are always at /prometheus/metrics"),
        "collections": .ignored("a collection's settings are given when it is created; see the vectors section for defaults"),
        "performance": .ignored("sizes are measured, not configured"),
        "embedding": .ignored("each collection names its embedding provider when it is created"),
        "file_watcher": .ignored("there is no file watcher"),
        "workspace": .ignored("there is no file watcher"),
        "transmutation": .ignored("documents are not converted"),
        "normalization": .ignored("an embedding provider prepares texts in its own way"),
        "summarization": .ignored("texts are not summarised"),
        "gpu": .ignored("search runs on the processor"),
        "dashboard": .ignored("the console is a face of a listener"),
        "network": .ignored("listeners say what is served where"),
        "compression": .ignored("replies are compressed when a client asks"),
        "integrations": .ignored("clients bring their own"),
        "development": .ignored("log.level: debug shows more"),
        "maintenance": .ignored("duties run by themselves"),
        "experimental": .ignored("there are no experimental features"),
        "file_upload": .ignored("this version takes vectors, not files"),
        "hub": .ignored("there is no hub"),
    ]

    private static let same: @Sendable (YAMLNode) throws(ConfigurationMistake) -> YAMLNode = { node throws(ConfigurationMistake) in node }
}
