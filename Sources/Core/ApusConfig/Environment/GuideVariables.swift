internal import ApusTypes

/// The environment variables of other systems' deployment guides that concern nodes, catalog and store, and what becomes of each here.
///
/// Short names (`BIND`, `CHECK`, `POSTGRES_HOST`) may be any program's. They count where a variable that only such a guide has stands beside
/// them.
struct GuideVariables {
    private let environment: EnvironmentVariables

    init(_ environment: EnvironmentVariables) { self.environment = environment }

    func apply(to loaded: inout LoadedConfiguration) {
        for (variable, value) in environment.sorted where variable.hasPrefix("VECTORIZER_") {
            VectorizerKeys.apply(variable: variable, text: value.text, from: value.origin, to: &loaded)
        }
        applyGraphistry(&loaded)
        applyHugr(&loaded)
        applyMedia(&loaded)
    }

    /// What shows only when everything has been read.
    func finish(_ loaded: inout LoadedConfiguration) {
        guard let manager = environment["CLUSTER_MANAGEMENT_URL"], environment["CORE_DB_PATH"] == nil,
            !loaded.origins.keys.contains(where: { $0.hasPrefix("catalog.") })
        else { return }
        // Alone the node would answer, and from nothing.
        complain("CORE_DB_PATH", manager, "must be set with CLUSTER_MANAGEMENT_URL: nodes find each other in the core database", &loaded)
    }

    // MARK: Graphistry: leader and followers

    private func applyGraphistry(_ loaded: inout LoadedConfiguration) {
        // In a folder of its own: what lies there is another system's.
        if let directory = environment["LOCAL_DATASET_CACHE_DIR"] {
            set("store.directory", (directory.text.hasSuffix("/") ? directory.text : directory.text + "/") + "apus", directory, &loaded)
        }
        let type = environment["NODE_TYPE"]
        if let type, !["leader", "follower"].contains(type.text) {
            return complain("NODE_TYPE", type, "must be leader or follower, not '\(type.text)'", &loaded)
        }
        guard let mode = environment["ENABLE_CLUSTER_MODE"] else {
            if let type {
                warn("NODE_TYPE", type, "has no effect without ENABLE_CLUSTER_MODE=true", &loaded)
            }
            return
        }
        guard ["true", "false"].contains(mode.text) else {
            return complain("ENABLE_CLUSTER_MODE", mode, "must be true or false, not '\(mode.text)'", &loaded)
        }
        guard mode.text == "true" else { return }
        let host = environment["POSTGRES_HOST"]
        let isInternal = host == nil || host?.text == Self.internalHost
        let origin = host ?? mode
        if type?.text == "follower" {
            guard !isInternal else {
                return complain(
                    "POSTGRES_HOST", origin,
                    "must name the host of the leader on a follower; '\(Self.internalHost)', its default, is the leader's own database",
                    &loaded)
            }
            if environment["POSTGRES_PASSWORD"] != nil { return setURL(origin, &loaded) }
            set("catalog.address", postgreSQLAddress, origin, &loaded)
        } else if isInternal {
            set("catalog.hosted", "true", type ?? mode, &loaded)
        } else {
            setURL(origin, &loaded)
        }
    }

    /// What Graphistry calls the database that the leader brings along.
    private static let internalHost = "postgres"

    private var postgreSQLAddress: String { address(host: "POSTGRES_HOST", port: "POSTGRES_PORT") }

    private func address(host: String, port: String) -> String {
        SocketAddress(
            host: environment[host]?.text ?? "", port: environment[port].flatMap { Int($0.text) } ?? Configuration.Catalog.defaultPort
        ).description
    }

    private func setURL(_ origin: EnvironmentVariables.Value, _ loaded: inout LoadedConfiguration) {
        setURL(of: postgreSQLAddress, database: "postgres", origin, &loaded)
    }

    private func setURL(
        of addresses: String, database: String, _ origin: EnvironmentVariables.Value, _ loaded: inout LoadedConfiguration
    ) {
        let user = Self.escaped(environment["POSTGRES_USER"]?.text ?? "postgres")
        let password = environment["POSTGRES_PASSWORD"].map { ":" + Self.escaped($0.text) } ?? ""
        let database = Self.escaped(environment["POSTGRES_DB"]?.text ?? database)
        set("catalog.url", "postgresql://\(user)\(password)@\(addresses)/\(database)", origin, &loaded)
    }

    /// For a part of a URL (RFC 3986: unreserved characters stand for themselves).
    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain =
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || [45, 46, 95, 126].contains(byte)
            if isPlain { return String(UnicodeScalar(byte)) }
            let digits = String(byte, radix: 16, uppercase: true)
            return "%" + (digits.count == 1 ? "0" : "") + digits
        }.joined()
    }

    // MARK: Hugr: management and work nodes

    private func applyHugr(_ loaded: inout LoadedConfiguration) {
        let marks = ["CLUSTER_SECRET", "CLUSTER_NODE_NAME", "CLUSTER_NODE_URL", "CLUSTER_MANAGEMENT_URL", "CLUSTER_ROLE", "CORE_DB_PATH"]
        guard marks.contains(where: { environment[$0] != nil }) else { return }
        if let bind = environment["BIND"] {
            // `:15000` is every address of the machine.
            func everyAddress(_ text: String) -> String { text.hasPrefix(":") ? "0.0.0.0" + text : text }
            var listeners = everyAddress(bind.text)
            if let service = environment["SERVICE_BIND"] { listeners += ",\(everyAddress(service.text))=service" }
            set("listeners", listeners, bind, &loaded)
        }
        applyHugrAccess(&loaded)
        applyHugrCache(&loaded)
        applyHugrServer(&loaded)
        // The management process of one generation reads the shorter name.
        if let secret = environment["CLUSTER_SECRET"] ?? environment["SECRET"] { set("cluster.secret", secret.text, secret, &loaded) }
        if let name = environment["CLUSTER_NODE_NAME"] { set("node.name", name.text, name, &loaded) }
        // A work node of the other generation (CLUSTER_MANAGEMENT_URL) may lead here: the more can, the fewer losses stop what the leader does.
        if let role = environment["CLUSTER_ROLE"] {
            switch role.text {
            case "management": break
            case "worker": set("node.roles", "worker", role, &loaded)
            default: complain("CLUSTER_ROLE", role, "must be management or worker, not '\(role.text)'", &loaded)
            }
        }
        if let url = environment["CLUSTER_NODE_URL"] {
            set("node.url", url.text.hasSuffix("/ipc") ? String(url.text.dropLast(4)) : url.text, url, &loaded)
        }
        if let path = environment["CORE_DB_PATH"] {
            if path.text.hasPrefix("postgres://") || path.text.hasPrefix("postgresql://") {
                set("catalog.url", path.text, path, &loaded)
            } else {
                complain("CORE_DB_PATH", path, "must be a postgres:// URL: nodes of a cluster have their catalog in PostgreSQL", &loaded)
            }
        }
        for (variable, setting) in [
            ("CHECK", "membership.probe_seconds"), ("TIMEOUT", "membership.probe_timeout_seconds"),
            ("CLUSTER_TIMEOUT", "membership.probe_timeout_seconds"), ("CLUSTER_HEARTBEAT", "leases.renewal_seconds"),
            ("CLUSTER_POLL_INTERVAL", "leases.poll_seconds"),
        ] {
            guard let value = environment[variable] else { continue }
            setAtMost(setting, value, variable, &loaded)
        }
    }

    private func applyHugrServer(_ loaded: inout LoadedConfiguration) {
        for (variable, setting) in [("ADMIN_UI", "faces.hugr.admin_page"), ("CORS_ALLOWED_ORIGINS", "faces.hugr.cors_origins")] {
            guard let value = environment[variable], !value.text.isEmpty else { continue }
            set(setting, value.text.split { $0 == "," || $0 == " " }.joined(separator: ","), value, &loaded)
        }
        if let depth = environment["MAX_DEPTH"], depth.text != "0" { set("query.max_depth", depth.text, depth, &loaded) }
        if let debug = environment["DEBUG"], debug.text == "true" { set("log.level", "debug", debug, &loaded) }
        if let memory = environment["DB_MAX_MEMORY"], !["", "0"].contains(memory.text) {
            // In GB.
            set("query.duckdb_memory_bytes", memory.text + " GiB", memory, &loaded)
        }
        if let limit = environment["DB_PG_CONNECTION_LIMIT"], limit.text != "0" { set("query.connections", limit.text, limit, &loaded) }
        // A client that was told to speak TLS must not be answered without.
        for variable in ["TLS_CERT_FILE", "TLS_KEY_FILE"] {
            guard let value = environment[variable], !value.text.isEmpty else { continue }
            complain(variable, value, "is not possible: the load balancer speaks TLS (apus render nginx --help)", &loaded)
        }
        for (variable, why) in [
            ("CORE_DB_READONLY", "nodes of a cluster write into their catalog"),
            ("CLUSTER_GHOST_TTL", "a node that is away stays known until apus node remove"),
            ("ADMIN_UI_FETCH_PATH", "the page asks at /query"),
            ("CORS_ALLOWED_HEADERS", "what clients of this API send is allowed"),
            ("CORS_ALLOWED_METHODS", "those that this API has are allowed"),
            ("MAX_PARALLEL_QUERIES", "query.max_in_flight bounds what runs"),
            ("EMBEDDER_URL", "models are here: apus model add"),
            ("MCP_ENABLED", "that protocol is not spoken here"),
        ] {
            guard let value = environment[variable], !["", "0", "false"].contains(value.text) else { continue }
            warn(variable, value, "has no effect: " + why, &loaded)
        }
    }

    /// Without a role that is named there is none here: theirs is the administrator, for the whole world.
    private func setAnonymous(_ allowed: EnvironmentVariables.Value, _ loaded: inout LoadedConfiguration) {
        guard let role = environment["ANONYMOUS_ROLE"] else {
            return complain(
                "ANONYMOUS_ROLE", allowed, "must be set with ALLOWED_ANONYMOUS=true: readonly, or another role", &loaded)
        }
        set("query.anonymous", role.text, role, &loaded)
    }

    private func applyHugrAccess(_ loaded: inout LoadedConfiguration) {
        if let allowed = environment["ALLOWED_ANONYMOUS"], allowed.text == "true" { setAnonymous(allowed, &loaded) }
        // The documentation and the program spell it differently.
        for variable in ["ALLOW_MANAGED_API_KEYS", "ALLOWED_MANAGED_API_KEYS"] {
            if let managed = environment[variable] { set("query.managed_keys", managed.text, managed, &loaded) }
        }
        for (variable, setting) in [
            ("AUTH_CONFIG_FILE", "query.auth_file"), ("SECRET_KEY", "query.service_key"), ("OIDC_ISSUER", "query.oidc.issuer"),
            ("OIDC_CLIENT_ID", "query.oidc.client_id"), ("OIDC_TIMEOUT", "query.oidc.timeout_seconds"),
            ("OIDC_CLIENT_TIMEOUT", "query.oidc.timeout_seconds"), ("OIDC_COOKIE_NAME", "query.oidc.cookie_name"),
            ("OIDC_SCOPE_ROLE_PREFIX", "query.oidc.scope_role_prefix"), ("OIDC_ROLE_CLAIM", "query.oidc.role_claim"),
            ("OIDC_USERID_CLAIM", "query.oidc.user_id_claim"), ("OIDC_USERNAME_CLAIM", "query.oidc.user_name_claim"),
        ] {
            if let value = environment[variable] { set(setting, value.text, value, &loaded) }
        }
        if let insecure = environment["OIDC_TLS_INSECURE"], insecure.text == "true" {
            complain("OIDC_TLS_INSECURE", insecure, "is not possible; name the issuer's authority: query.oidc.ca_file", &loaded)
        }
        for variable in ["OIDC_CLIENT_SECRET", "OIDC_SCOPES", "OIDC_REDIRECT_URL"] {
            guard let value = environment[variable] else { continue }
            warn(variable, value, "has no effect: tokens are accepted here, and nobody is sent to a log-in", &loaded)
        }
    }

    private func applyHugrCache(_ loaded: inout LoadedConfiguration) {
        // Theirs is for ever where nobody says; here it is the default.
        if let lifetime = environment["CACHE_TTL"], !["", "0", "0s"].contains(lifetime.text) {
            set("query.cache.ttl_seconds", lifetime.text, lifetime, &loaded)
        }
        let isShared = environment["CACHE_L2_ENABLED"]?.text == "true"
        if let enabled = environment["CACHE_L1_ENABLED"], enabled.text == "false", !isShared {
            set("query.cache.bytes", "0", enabled, &loaded)
        } else if let size = environment["CACHE_L1_MAX_SIZE"], size.text != "0" {
            // In MB.
            set("query.cache.bytes", size.text + " MiB", size, &loaded)
        }
        if let size = environment["CACHE_L1_MAX_ITEM_SIZE"] { set("query.cache.value_bytes", size.text, size, &loaded) }
        for variable in ["CACHE_L1_SHARDS", "CACHE_L1_CLEAN_TIME", "CACHE_L1_EVICTION_TIME"] {
            if let value = environment[variable] { warn(variable, value, "has no effect: what is kept ends with its own time", &loaded) }
        }
        guard isShared, let enabled = environment["CACHE_L2_ENABLED"] else { return }
        guard let addresses = environment["CACHE_L2_ADDRESSES"] else {
            return complain("CACHE_L2_ADDRESSES", enabled, "must name the servers with CACHE_L2_ENABLED=true", &loaded)
        }
        let servers = addresses.text.split { $0 == "," || $0 == " " }.map(String.init)
        set("query.cache.shared.servers", servers.joined(separator: ","), addresses, &loaded)
        let backend = environment["CACHE_L2_BACKEND"] ?? enabled
        switch environment["CACHE_L2_BACKEND"]?.text ?? "redis" {
        // Several are a Redis Cluster there.
        case "redis": set("query.cache.shared.kind", servers.count > 1 ? "cluster" : "redis", backend, &loaded)
        case "memcached": set("query.cache.shared.kind", "memcached", backend, &loaded)
        default: complain("CACHE_L2_BACKEND", backend, "must be redis or memcached, not '\(backend.text)'", &loaded)
        }
        for (variable, setting) in [("DATABASE", "database"), ("USERNAME", "user"), ("PASSWORD", "password")] {
            if let value = environment["CACHE_L2_" + variable] { set("query.cache.shared.\(setting)", value.text, value, &loaded) }
        }
    }

    // MARK: Video translation: a primary and its standbys

    private func applyMedia(_ loaded: inout LoadedConfiguration) {
        // Standbys have PostgreSQL's own port there.
        let standbys = (environment["POSTGRES_SLAVE_HOSTS"]?.text ?? "").split(separator: ",").map(trimmed).map {
            SocketAddress($0) == nil ? SocketAddress(host: $0, port: Configuration.Catalog.defaultPort).description : $0
        }
        if let hosts = environment["POSTGRES_SLAVE_HOSTS"] {
            set("catalog.replicas", standbys.joined(separator: ","), hosts, &loaded)
        }
        if let host = environment["POSTGRES_MASTER_HOST"] {
            let primary = address(host: "POSTGRES_MASTER_HOST", port: "POSTGRES_MASTER_PORT")
            // Any of them may be the primary after a failover.
            setURL(of: ([primary] + standbys).joined(separator: ","), database: "transvidio", host, &loaded)
        }
    }

    // MARK: Common

    /// An interval that is longer than ours would only find what is wrong later.
    private func setAtMost(
        _ path: String, _ value: EnvironmentVariables.Value, _ variable: String, _ loaded: inout LoadedConfiguration
    ) {
        guard let key = ConfigurationKeys.key(path) else { preconditionFailure("\(path) is a setting") }
        do throws(ConfigurationMistake) {
            let asked = try Duration(key.nodeFromText(value.text))
            guard try asked < Duration(key.get(Configuration())) else { return }
            set(path, value.text, value, &loaded)
        } catch {
            complain(variable, value, error.what, &loaded)
        }
    }

    private func set(_ path: String, _ text: String, _ value: EnvironmentVariables.Value, _ loaded: inout LoadedConfiguration) {
        guard let key = ConfigurationKeys.key(path) else { preconditionFailure("\(path) is a setting") }
        loaded.set(key, key.nodeFromText(text), value.origin)
    }

    private func complain(
        _ variable: String, _ value: EnvironmentVariables.Value, _ what: String, _ loaded: inout LoadedConfiguration
    ) {
        loaded.problems.append(ConfigurationProblem(at: value.origin.description, key: variable, what))
    }

    private func warn(_ variable: String, _ value: EnvironmentVariables.Value, _ what: String, _ loaded: inout LoadedConfiguration) {
        loaded.problems.append(ConfigurationProblem(.warning, at: value.origin.description, key: variable, what))
    }
}
