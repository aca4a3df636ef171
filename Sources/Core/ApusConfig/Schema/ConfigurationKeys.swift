internal import ApusTypes

/// The table of all settings, in the order of the reference.
public enum ConfigurationKeys {
    /// The sections of `apus.yml`, each with what its settings are about.
    public static let sections: [(name: String, summary: String)] = [
        ("node", "Who this node is."),
        ("listeners", "The addresses it serves on."),
        ("http", "Limits of every HTTP listener."),
        ("rpc", "Vectorizer's binary protocol."),
        ("faces", "Limits of each client protocol."),
        ("cluster", "How the nodes of a cluster reach and know each other."),
        ("catalog", "The SQL database that holds every durable fact."),
        ("store", "Where large immutable objects are kept."),
        ("auth", "Who may ask for what."),
        ("log", "What the node writes to standard error."),
        ("runtime", "Threads."),
        ("vectors", "Collections, points and their limits."),
        ("query", "GraphQL over data sources."),
        ("retention", "How long things that grow are kept."),
        ("membership", "When a node counts as suspect or down."),
        ("leases", "How long duties are granted for."),
    ]

    public static let all: [ConfigurationKey] = node + serving + cluster + storage + behaviour + vectors + query + coordination

    public static func key(_ path: String) -> ConfigurationKey? { byPath[path] }
    private static let byPath = Dictionary(uniqueKeysWithValues: all.map { ($0.path, $0) })

    private static let node: [ConfigurationKey] = [
        ConfigurationKey(
            "node.name", \.node.name, flag: .init(name: "name", placeholder: "NAME"),
            whenNull: "node- and eight random digits at the first start, then kept in the data directory",
            "The node's name, unique in its cluster.",
            reason: "Set it where people should recognise the node by it, or where the data directory does not outlive the node."),
        ConfigurationKey(
            "node.data", \.node.data, limit: .notEmpty, flag: .init(name: "data", placeholder: "DIR"),
            "The directory for everything this node keeps: the SQLite catalog, the directory store, local copies.",
            reason: "Put it on a local disk with room; with the embedded defaults it is all there is to back up."),
        ConfigurationKey(
            "node.url", \.node.url, limit: .httpURL, whenNull: "made from the first listener's address",
            "The URL under which clients and other nodes reach this node.",
            reason:
                "Set it when the node listens on 0.0.0.0 or stands behind a proxy. From this machine the node also answers without a key "
                + "under its host."
        ),
        ConfigurationKey(
            "node.rpc_address", \.node.rpcAddress, whenNull: "the host of `node.url` and the port of `cluster.address`",
            "The address under which other nodes reach this node's `cluster.address`.",
            reason: "Set it where the two differ: behind a translated address, or a host with several networks."),
        ConfigurationKey(
            "node.roles", \.node.roles, limit: ValueLimit(text: "a list with worker in it") { $0.contains(.worker) },
            "What the node does: `manager` may lead and has the leader's duties, `worker` serves data.",
            reason: "Without `manager` a node never leads: for machines that come and go. A cluster needs a manager, better two."),
    ]

    private static let serving: [ConfigurationKey] = [
        ConfigurationKey(
            "listeners", \.listeners, limit: ValueLimit(text: "a list of at least one listener") { !$0.isEmpty },
            flag: .init(name: "listen", placeholder: "HOST:PORT"),
            "The addresses the node serves on, and which faces answer on each.",
            reason: "Without credentials a listener serves only this machine's own user and root, whatever its address; others need a key."),
        ConfigurationKey(
            "http.max_connections", \.http.maxConnections, limit: .between(1, 1_000_000),
            "Open connections per listener; beyond it new ones are answered 503 and closed.",
            reason: "Each open connection costs a file descriptor and some memory."),
        ConfigurationKey(
            "http.max_path_bytes", \.http.maxPathBytes, limit: .between(.kibibytes(1), .kibibytes(64)),
            "Longest request line: method, target and version; beyond it 414.",
            reason: "Long query strings are rare; a proxy in front often allows 8 KiB."),
        ConfigurationKey(
            "http.max_header_bytes", \.http.maxHeaderBytes, limit: .between(.kibibytes(4), .mebibytes(1)),
            "Request line and header fields of a request together; beyond it 431.", reason: "Large tokens or cookies need more."),
        ConfigurationKey(
            "http.max_headers", \.http.maxHeaders, limit: .between(16, 1000),
            "Number of header fields of a request; beyond it 431.", reason: "Chains of proxies add fields."),
        ConfigurationKey(
            "http.header_timeout_seconds", \.http.headerTimeout, limit: .between(.milliseconds(100), .seconds(600)),
            "Time from the first byte of a request to the end of its header; then 408.",
            reason: "It bounds what a slow or malicious client can hold."),
        ConfigurationKey(
            "http.body_timeout_seconds", \.http.bodyTimeout, limit: .between(.milliseconds(100), .seconds(3600)),
            "Longest pause within a request body; then 408.", reason: "Raise it for clients on bad networks."),
        ConfigurationKey(
            "http.idle_timeout_seconds", \.http.idleTimeout, limit: .between(.milliseconds(100), .seconds(86_400)),
            "How long a kept-alive connection may wait for its next request.",
            reason: "Keep it above the idle timeout of a proxy in front, or the proxy may send into a closing connection."),
        ConfigurationKey(
            "http.request_timeout_seconds", \.http.requestTimeout, limit: .between(.milliseconds(100), .seconds(3600)),
            "Deadline of a request's work, counted from its header.", reason: "Work that is not done by then answers 503."),
        ConfigurationKey(
            "http.drain_timeout_seconds", \.http.drainTimeout, limit: .between(.zero, .seconds(3600)),
            "After SIGTERM, how long running requests may take to finish.",
            reason: "Keep it below the time your supervisor waits before it kills (systemd 90 s, Kubernetes 30 s)."),
        ConfigurationKey(
            "http.unready_seconds", \.http.unready, limit: .atMost(.seconds(600)),
            whenNull: "4, or 0 where all listeners are on loopback addresses",
            "After SIGTERM, how long the node at least says that it is not ready and goes on answering.",
            reason:
                "By then the balancers that `apus render` configures send it nothing new. Longer for one that looks more rarely. "
                + "`http.drain_timeout_seconds` comes after it."),
        ConfigurationKey(
            "rpc.enabled", \.rpc.isEnabled, "Whether Vectorizer's binary protocol is served, as its client package speaks it.",
            reason: "Turn it off where nobody uses it, or on a second node of one machine."),
        ConfigurationKey(
            "rpc.address", \.rpc.address,
            whenNull: "port \(Configuration.RPC.defaultPort) of the first listener's host if that is a loopback address, else of 127.0.0.1",
            "The address that it is served on.",
            reason:
                "On loopback this machine's own user and root need no key (`auth.loopback`); on any other address everybody does. It has no "
                + "TLS: put it on a private network."),
        ConfigurationKey(
            "rpc.max_connections", \.rpc.maxConnections, limit: .between(1, 1_000_000), "Open connections; beyond it new ones are closed.",
            reason: "Each open connection costs a file descriptor and some memory."),
        ConfigurationKey(
            "rpc.max_frame_bytes", \.rpc.maxFrame, limit: .between(.kibibytes(64), .mebibytes(512)),
            "Largest request or reply; beyond it an error, and for a request the end of its connection.",
            reason: "A number takes 16 bytes: 10,000 points of 384 numbers are 62 MB."),
        ConfigurationKey(
            "rpc.idle_timeout_seconds", \.rpc.idleTimeout, limit: .between(.milliseconds(100), .seconds(86_400)),
            "How long a connection may stay without a request.", reason: "Clients connect again by themselves with their next call."),
        ConfigurationKey(
            "faces.vectorizer.max_body_bytes", \.faces.vectorizer.maxBody, limit: .between(.kibibytes(1), .gibibytes(4)),
            "Largest request body of the Vectorizer face; beyond it 413.",
            reason: "A batch of 10,000 points of 384 numbers is about 40 MB of JSON."),
        ConfigurationKey(
            "faces.vectorizer.cors_origins", \.faces.vectorizer.corsOrigins,
            "Origins whose web pages may call the Vectorizer face (`https://app.example.com`).",
            reason: "Empty: no foreign page may."),
        ConfigurationKey(
            "faces.qdrant.max_body_bytes", \.faces.qdrant.maxBody, limit: .between(.kibibytes(1), .gibibytes(4)),
            "Largest request body of the Qdrant face; beyond it 413. Uploaded snapshots are not bound by it.",
            reason: "The real server's limit is 32 MiB, and its clients split what is larger."),
        ConfigurationKey(
            "faces.qdrant.max_reply_bytes", \.faces.qdrantReply, limit: .between(.kibibytes(64), .gibibytes(4)),
            "Most that the points of one reply of the Qdrant face may take: payloads, 4 bytes for each number of a vector, and 64 for each "
                + "point. Beyond it 400.",
            reason: "A short request can ask for all points. As JSON numbers take some three times as much, and a reply is held in memory."),
        ConfigurationKey(
            "faces.qdrant.cors_origins", \.faces.qdrant.corsOrigins,
            "Origins whose web pages may call the Qdrant face.", reason: "Empty: no foreign page may."),
        ConfigurationKey(
            "faces.hugr.max_body_bytes", \.faces.hugr.maxBody, limit: .between(.kibibytes(1), .gibibytes(4)),
            "Largest request body of the Hugr face; beyond it 413.",
            reason: "Operations are small; rows to be inserted are in their variables."),
        ConfigurationKey(
            "faces.hugr.cors_origins", \.faces.hugr.corsOrigins,
            "Origins whose web pages may call the Hugr face.", reason: "Empty: no foreign page may."),
        ConfigurationKey(
            "faces.hugr.admin_page", \.faces.hugrPage,
            "Whether `/admin` shows a page to ask GraphQL with.",
            reason: "The page holds no secret and asks with its user's key; turn it off where nobody is to use it."),
        ConfigurationKey(
            "faces.console.max_body_bytes", \.faces.console.maxBody, limit: .between(.kibibytes(1), .gibibytes(4)),
            "Largest request body of the console and its API; beyond it 413.", reason: "Management calls are small."),
        ConfigurationKey(
            "faces.console.cors_origins", \.faces.console.corsOrigins,
            "Origins whose web pages may call the console's API.", reason: "Empty: no foreign page may."),
    ]

    private static let cluster: [ConfigurationKey] = [
        ConfigurationKey(
            "cluster.servers", \.cluster.servers,
            "The nodes that the cluster is to have, each {id, address, grpc_port}: `apus status` says which of them are missing.",
            reason:
                "Where more than one is listed and no catalog is configured, the first hosts it and the others use it there. Nodes that are not "
                + "listed may join all the same."),
        ConfigurationKey(
            "cluster.dns_name", \.cluster.dnsName, limit: .notEmpty, whenNull: "nobody is expected by DNS",
            "A host name whose addresses are those of the nodes that the cluster is to have, as a headless service has it.",
            reason:
                "Where no catalog is configured, the node whose name ends with -0 hosts it (`vectorizer-0`), and the others look for it under "
                + "its name in this domain."),
        ConfigurationKey(
            "cluster.dns_interval_seconds", \.cluster.dnsInterval, limit: .between(.seconds(1), .seconds(3600)),
            "How often that name is looked up.", reason: "Sooner says sooner who is missing."),
        ConfigurationKey(
            "cluster.address", \.cluster.address,
            whenNull: "with a PostgreSQL catalog the host of the first listener and port \(Configuration.Peers.defaultPort), else none",
            "The address on which this node answers other nodes, and tools that speak gRPC.",
            reason: "Must be one that the other nodes reach. Health and reflection are open there; all else needs the cluster secret."),
        ConfigurationKey(
            "cluster.secret", \.cluster.secret, limit: .longSecret, whenNull: "`cluster.secret_file` is used, if set", isSecret: true,
            "What the nodes of one cluster know and nobody else: at least 16 characters.",
            reason: "Prefer `cluster.secret_file`; `openssl rand -hex 32` makes one."),
        ConfigurationKey(
            "cluster.secret_file", \.cluster.secretFile, limit: .notEmpty,
            whenNull:
                "`cluster.secret` is used, if set; else the file `cluster.secret` in `node.data`, or in a `store.directory` that is set",
            "A file that holds the cluster secret in its first line, readable by this user alone.",
            reason: "Keeps the secret out of the configuration, the environment and the process list."),
        ConfigurationKey(
            "cluster.tls_certificate", \.cluster.tlsCertificate, limit: .notEmpty, whenNull: "calls between nodes are not encrypted",
            "A PEM file with the certificate that this node shows to others, its chain behind it.",
            reason: "Give it with `cluster.tls_key` and `cluster.tls_ca` where others may listen on the network."),
        ConfigurationKey(
            "cluster.tls_key", \.cluster.tlsKey, limit: .notEmpty, whenNull: "none", "The private key of the certificate, a PEM file.",
            reason: "With `cluster.tls_certificate`."),
        ConfigurationKey(
            "cluster.tls_ca", \.cluster.tlsCA, limit: .notEmpty, whenNull: "none",
            "A PEM file with the authorities of whose certificates others must show one.", reason: "With `cluster.tls_certificate`."),
    ]

    private static let storage: [ConfigurationKey] = [
        ConfigurationKey(
            "catalog.url", \.catalog.url, whenNull: "SQLite, unless another `catalog` setting names a PostgreSQL", isSecret: true,
            "`postgresql://user:password@host:port/database` of the catalog; several hosts may be listed as libpq does.",
            reason:
                "A cluster of several nodes needs PostgreSQL. Prefer `catalog.url_file`: a URL with a password does not belong in a shared file."
        ),
        ConfigurationKey(
            "catalog.url_file", \.catalog.urlFile, limit: .notEmpty, flag: .init(name: "catalog", placeholder: "URL-FILE"),
            whenNull: "`catalog.url` is used, if set", "A file that holds the catalog's URL in its first line.",
            reason: "Keeps the password out of the configuration, the environment and the process list."),
        ConfigurationKey(
            "catalog.sqlite_path", \.catalog.sqlitePath, limit: .notEmpty, whenNull: "`catalog.sqlite` in `node.data`",
            "The file of an SQLite catalog.", reason: "Set it to keep the catalog on another disk than the objects."),
        ConfigurationKey(
            "catalog.hosted", \.catalog.isHosted,
            "Whether this node starts PostgreSQL for its cluster, from the installed binaries, and looks after it.",
            reason: "One node of a cluster may. Its disk then holds what the whole cluster must not lose: back it up."),
        ConfigurationKey(
            "catalog.address", \.catalog.address,
            whenNull: "on the node that hosts the catalog every address of the machine and port \(Configuration.Catalog.defaultPort)",
            "Where the PostgreSQL of `catalog.hosted` listens; on the other nodes, where they find it.",
            reason: "Its password is derived from the cluster secret, which all nodes must have."),
        ConfigurationKey(
            "catalog.binaries", \.catalog.binaries, limit: .notEmpty, whenNull: "looked for where distributions put them, then in PATH",
            "The directory with PostgreSQL's `initdb` and `pg_ctl`, for `catalog.hosted`.",
            reason: "Set it where several versions are installed, or elsewhere."),
        ConfigurationKey(
            "catalog.keep_running", \.catalog.keepRunning,
            "Whether the PostgreSQL of `catalog.hosted` goes on when the node stops.",
            reason: "A restart of the node is then nothing that the others notice; the next start takes it over."),
        ConfigurationKey(
            "catalog.replicas", \.catalog.replicas,
            "PostgreSQL's streaming standbys that answer reads in turn which may be a little old: today those of objects (`store.kind: catalog`).",
            reason:
                "Takes the bulk of reading from the primary. User, password, database and TLS are those of the catalog's URL, where standbys that may "
                + "be promoted are to be listed too."),
        ConfigurationKey(
            "catalog.replica_lag_seconds", \.catalog.replicaLag, limit: .between(.seconds(1), .seconds(30)),
            "How old a replica's data may be; one that is further behind answers nothing until it has caught up.",
            reason: "Counted from the last look at the primary, made four times a second, that the replica has caught up with."),
        ConfigurationKey(
            "catalog.connect_timeout_seconds", \.catalog.connectTimeout, limit: .between(.milliseconds(100), .seconds(60)),
            "Longest wait for a connection to PostgreSQL.", reason: "With several hosts each gets this long."),
        ConfigurationKey(
            "store.kind", \.store.kind,
            whenNull: "`directory` if `store.directory` is set or the catalog is SQLite, else `catalog`",
            "Where objects are kept: in a directory, or as rows of the catalog.",
            reason: "`catalog` needs no shared directory, and is meant for modest sizes."),
        ConfigurationKey(
            "store.directory", \.store.directory, limit: .notEmpty, flag: .init(name: "store", placeholder: "DIR"),
            whenNull: "`store` in `node.data`", "The directory store's directory.",
            reason: "Several nodes need one that all of them see: NFS, GlusterFS, CephFS."),
        ConfigurationKey(
            "store.catalog.max_bytes", \.store.maxCatalogBytes, limit: .atLeast(.mebibytes(1)),
            "Most bytes that objects may take in the catalog (`store.kind: catalog`); beyond it writes answer 507.",
            reason:
                "A database's backup and vacuum suffer from large tables. Status warns at half. With this kind of store operations of any "
                + "size stay in rows of the log, which this does not count: `vectors.max_unsealed_bytes` bounds those."),
        ConfigurationKey(
            "store.reserve_bytes", \.store.reserve, limit: .atLeast(ByteCount(0)),
            "Free space that is left on the store's disk; below it writes answer 507.",
            reason: "A completely full disk stops the catalog beside it."),
        ConfigurationKey(
            "store.cache_bytes", \.store.cache, limit: .atLeast(.mebibytes(64)),
            "Most bytes of copies of objects in `node.data`, where the store is not on a disk of this machine.",
            reason: "The segments of all shards that this node serves have to fit; what is not in use makes room for what is."),
    ]

    private static let behaviour: [ConfigurationKey] = [
        ConfigurationKey(
            "auth.loopback", \.auth.loopback, "Whether the node's own user and root may do everything without a key from this machine.",
            reason: "Turn it off when other programs of the same user are not trusted, or where sockets' owners cannot be told (not Linux)."
        ),
        ConfigurationKey(
            "auth.max_stale_seconds", \.auth.maxStale, limit: .between(.zero, .seconds(86_400)),
            "How long keys that were valid, and what roles may do, stay in force while the catalog is away; then protected routes answer 503.",
            reason: "Longer survives longer outages; a revoked key then also works longer on a node that is cut off."),
        ConfigurationKey(
            "log.format", \.log.format, "`text` for people, `json` for machines; `automatic` is text on a terminal, else JSON.",
            reason: "Set `text` to read a service's log without tools."),
        ConfigurationKey(
            "log.level", \.log.level, flag: .init(name: "log-level", placeholder: "LEVEL"), "The least important level that is written.",
            reason: "`debug` writes a line for every request."),
        ConfigurationKey(
            "runtime.loops", \.runtime.loops, limit: .between(0, 1024), "Event loops; 0 is one for each core.",
            reason: "Fewer leave cores to a PostgreSQL on the same machine."),
        ConfigurationKey(
            "runtime.blocking_threads", \.runtime.blockingThreads, limit: .between(1, 256),
            "Threads for file-system calls that may block.", reason: "A hung network file system blocks its threads, nothing else."),
    ]

    private static let query: [ConfigurationKey] = [
        ConfigurationKey(
            "query.anonymous", \.query.anonymous, limit: .notEmpty,
            whenNull: "nobody: a credential is needed, but for this machine's own user",
            "The role in which whoever brings no credential may ask the query service, from any machine: `readonly`, `public`, `admin`, "
                + "or another of the catalog's.",
            reason: "The node says at its start what that role may do. Other paths of the node are not concerned."),
        ConfigurationKey(
            "query.deny_by_default", \.query.deniesByDefault,
            "Whether a role may do nothing that no permission of it allows.",
            reason: "A role's own `deny_by_default` counts before it. `admin` is never denied what no rule is about."),
        ConfigurationKey(
            "query.managed_keys", \.query.managedKeys, "Whether API keys that the catalog manages (`core.api_keys`) are accepted.",
            reason: "Turn it off where keys of the configuration or tokens are all there should be."),
        ConfigurationKey(
            "query.service_key", \.query.serviceKey, limit: .longSecret, isSecret: true,
            "A key for services of the operator's own, in the header `x-hugr-secret-key`: it may ask in any role (`x-hugr-role`).",
            reason: "For a backend that knows its users itself. It is the administrator where it names no role."),
        ConfigurationKey(
            "query.auth_file", \.query.authFile, limit: .notEmpty,
            "A file with API keys and issuers of tokens, YAML or JSON as Hugr's AUTH_CONFIG_FILE; readable by this user alone.",
            reason: "`docs/query.md` says what it may hold. It is read at the start."),
        ConfigurationKey(
            "query.oidc.issuer", \.query.oidc.issuer, limit: .httpURL,
            "The URL of an OpenID Connect issuer whose tokens are accepted.",
            reason: "Its keys are found through `/.well-known/openid-configuration`, and asked for again every 5 minutes."),
        ConfigurationKey(
            "query.oidc.client_id", \.query.oidc.clientID, limit: .notEmpty, "Whom the issuer's tokens must be for (`aud` or `azp`).",
            reason: "Tokens of the same issuer for another program must not be of use here."),
        ConfigurationKey(
            "query.oidc.timeout_seconds", \.query.oidc.timeout, limit: .between(.milliseconds(100), .seconds(60)),
            "How long the issuer may take to tell its keys.", reason: "A token under a key that is not known yet waits for it."),
        ConfigurationKey(
            "query.oidc.role_claim", \.query.oidc.roleClaim, limit: .notEmpty, "The claim that names the role.",
            reason: "Dots lead into objects: `realm.role`."),
        ConfigurationKey(
            "query.oidc.user_id_claim", \.query.oidc.userIDClaim, limit: .notEmpty, "The claim that becomes `[$auth.user_id]`.",
            reason: "`email` where rules compare addresses."),
        ConfigurationKey(
            "query.oidc.user_name_claim", \.query.oidc.userNameClaim, limit: .notEmpty, "The claim that becomes `[$auth.user_name]`.",
            reason: "`preferred_username` with Keycloak."),
        ConfigurationKey(
            "query.oidc.scope_role_prefix", \.query.oidc.scopePrefix,
            "The beginning of a scope, or of one of several roles, whose rest is the role.",
            reason: "It counts where the claim names no role by itself. Empty: scopes name none."),
        ConfigurationKey(
            "query.oidc.cookie_name", \.query.oidc.cookie, limit: .notEmpty, "A cookie that may hold the token.",
            reason: "For browsers that were logged in by a program in front."),
        ConfigurationKey(
            "query.oidc.ca_file", \.query.oidc.authorities, limit: .notEmpty, whenNull: "the system's",
            "A PEM file with the authorities of the issuer's certificate.",
            reason: "For an issuer with a certificate of one's own. There is no way to accept any certificate."),
        ConfigurationKey(
            "query.sources", \.query.sources,
            "Data sources that this node serves by itself, each {name, type, path, prefix, as_module, read_only, self_defined, schema, replicas}.",
            reason:
                "For a node alone, and for trying a schema out. `type` is postgres, sqlite, duckdb, ducklake, http, vectors, redis or extension; `path` a URL or a file, in which "
                + "[$NAME] stands for a variable of the environment; `schema` files, or directories of *.graphql files."),
        ConfigurationKey(
            "query.secret_key_file", \.query.secretKeyFile, limit: .notEmpty,
            whenNull: "the cluster secret is used, if there is one; else the file `secrets.key` in `node.data`, which is made",
            "A file with the keys that secrets in the catalog are sealed under: one a line, readable by this user alone.",
            reason:
                "The first line seals, all lines open, and the file is read again every 2 seconds: so a key is exchanged without a restart."
        ),
        ConfigurationKey(
            "query.connections", \.query.connections, limit: .between(1, 1000),
            "Connections to each PostgreSQL source for writes and statements that take long.",
            reason: "The server's own limit is shared by all nodes."),
        ConfigurationKey(
            "query.readers", \.query.readers, limit: .between(1, 32),
            "Connections of each event loop to each PostgreSQL source over which short reads are pipelined.",
            reason: "More than two for each core of the server bring nothing."),
        ConfigurationKey(
            "query.max_waiting", \.query.maxWaiting, limit: .between(1, 100_000),
            "Requests of one event loop that may wait for a connection to a source; beyond it they are refused.",
            reason: "A source that is slow must not hold the memory of the node."),
        ConfigurationKey(
            "query.statement_timeout_seconds", \.query.statementTimeout, limit: .between(.milliseconds(10), .seconds(86_400)),
            "What a PostgreSQL source cancels by itself.",
            reason: "A request's own time is `http.request_timeout_seconds`; this holds when the node is gone."),
        ConfigurationKey(
            "query.max_in_flight", \.query.maxInFlight, limit: .between(1, 100_000),
            "GraphQL requests that run at the same time on this node; further ones wait, and roles take turns.",
            reason: "More keep more of a source busy."),
        ConfigurationKey(
            "query.max_shared_in_flight", \.query.sharedInFlight, limit: .between(0, 100_000),
            "The same while several roles ask: each has an equal part of them. 0: eight for each core.",
            reason: "It is what one role can delay another by. A role that asks alone has all of query.max_in_flight."),
        ConfigurationKey(
            "query.max_queued", \.query.maxQueued, limit: .between(0, 1_000_000),
            "GraphQL requests of one role that wait for their turn; beyond it 429.",
            reason: "A client that sends more than is answered must hear of it."),
        ConfigurationKey(
            "query.queue_seconds", \.query.queueTime, limit: .between(.zero, .seconds(3600)),
            "How long a request waits for its turn; then 429.",
            reason: "Longer only where clients would rather wait."),
        ConfigurationKey(
            "query.slow_seconds", \.query.slowTime, limit: .between(.milliseconds(1), .seconds(3600)),
            "Statements of data sources that take as long are what `apus query slow` lists.",
            reason: "Shorter where clients expect answers at once."),
        ConfigurationKey(
            "query.default_rows", \.query.defaultRows, limit: .between(1, 10_000_000),
            "Rows of a list that says no limit; what is cut is told in the reply's `extensions`.",
            reason: "It is what the schema says to clients."),
        ConfigurationKey(
            "query.max_rows", \.query.maxRows, limit: .between(1, 1_000_000_000),
            "Rows that one statement may tell; beyond it the request fails.", reason: "It bounds what one request can hold."),
        ConfigurationKey(
            "query.max_reply_bytes", \.query.maxReply, limit: .between(.kibibytes(4), .gibibytes(4)),
            "Largest reply; beyond it the request fails.", reason: "A reply is held in memory."),
        ConfigurationKey(
            "query.allow_link_local", \.query.allowsLinkLocal,
            "Whether sources over HTTP may be at link-local addresses and those of clouds' metadata services.",
            reason:
                "169.254.169.254 tells a machine's credentials to whoever can make it ask. Redirects and names count by their addresses."),
        ConfigurationKey(
            "query.duckdb_library", \.query.duckDBLibrary, limit: .notEmpty,
            whenNull: "libduckdb.so is looked for where the system has its libraries",
            "DuckDB's engine, a shared library, which is loaded when a source of that type is opened.",
            reason: "It is as large as the rest of the program, and no part of it."),
        ConfigurationKey(
            "query.duckdb_memory_bytes", \.query.duckDBMemory, limit: .between(.mebibytes(16), .gibibytes(4096)),
            "What the engine may take for all statements of one DuckDB source.", reason: "Its own default is most of the machine's memory."),
        ConfigurationKey(
            "query.max_depth", \.query.maxDepth, limit: .between(1, 100), "Fields below each other in one operation.",
            reason: "Each relation is a join."),
        ConfigurationKey(
            "query.max_fields", \.query.maxFields, limit: .between(1, 10_000_000), "Fields of one operation, with its fragments spread.",
            reason: "A small text can ask for a great many fields."),
        ConfigurationKey(
            "query.cache.bytes", \.query.cache.bytes, limit: .between(.mebibytes(0), .gibibytes(1024)),
            "Memory of this node for parts of replies that `@cache` says to keep.", reason: "0: nothing is kept anywhere."),
        ConfigurationKey(
            "query.cache.value_bytes", \.query.cache.valueBytes, limit: .between(.kibibytes(1), .mebibytes(64)),
            "Largest part of a reply that is kept.", reason: "A few large ones would drive out all others."),
        ConfigurationKey(
            "query.cache.ttl_seconds", \.query.cache.lifetime, limit: .between(.milliseconds(100), .seconds(7 * 86_400)),
            "How long it is kept where `@cache` does not say.",
            reason: "What is changed in a database without Apus is seen so much later."),
        ConfigurationKey(
            "query.cache.shared.kind", \.query.cache.shared.kind,
            "What nodes share such parts in: none, redis, cluster (Redis Cluster), sentinel (Redis behind Sentinels), memcached.",
            reason: "It may be away at any time; requests are then answered without it."),
        ConfigurationKey(
            "query.cache.shared.servers", \.query.cache.shared.servers,
            "Its servers, each HOST or HOST:PORT; the Sentinels for sentinel.", reason: "Any of a cluster's nodes will do."),
        ConfigurationKey(
            "query.cache.shared.master", \.query.cache.shared.master, limit: .notEmpty, "The name that Sentinels know the master by.",
            reason: "It is in their configuration: `sentinel monitor NAME …`."),
        ConfigurationKey(
            "query.cache.shared.user", \.query.cache.shared.user, "The user of Redis.", reason: "Empty: the default user."),
        ConfigurationKey(
            "query.cache.shared.password", \.query.cache.shared.password, isSecret: true, "The password of Redis.",
            reason: "Replies lie in it as they were told."),
        ConfigurationKey(
            "query.cache.shared.database", \.query.cache.shared.database, limit: .between(0, 1023),
            "The number of Redis' database.", reason: "A cluster has database 0 alone."),
    ]

    private static let vectors: [ConfigurationKey] = [
        ConfigurationKey(
            "vectors.default_shards", \.vectors.defaultShards, limit: .between(1, 256),
            "Shards of a collection that does not say.", reason: "At least the number of nodes it will be spread over."),
        ConfigurationKey(
            "vectors.default_replicas", \.vectors.defaultReplicas, limit: .between(1, 16),
            "Nodes that serve each shard of a collection that does not say.",
            reason: "2 keeps searches going when a node dies, for twice the memory. What is acknowledged is safe with 1 too."),
        ConfigurationKey(
            "vectors.default_virtual_nodes", \.vectors.defaultVirtualNodes, limit: .between(1, 1000),
            "Virtual nodes per shard of a collection that does not say.", reason: "More spread ids more evenly."),
        ConfigurationKey(
            "vectors.max_points_per_request", \.vectors.maxPointsPerRequest, limit: .between(1, 1_000_000),
            "Most points in one request.", reason: "Larger batches hold other requests up longer."),
        ConfigurationKey(
            "vectors.row_append_bytes", \.vectors.rowAppend, limit: .between(ByteCount(0), .mebibytes(16)),
            "A batch up to this size is stored in its log row; a larger one as an object that the row names.",
            reason: "Measured: rows carry 36-60 MB/s for a whole cluster, objects 170-280."),
        ConfigurationKey(
            "vectors.max_unsealed_bytes", \.vectors.maxUnsealed, limit: .atLeast(.mebibytes(1)),
            "Most bytes of a shard's log that is not sealed yet; beyond it the shard refuses writes (429) until it is.",
            reason: "What is not sealed takes memory, and time at the next start."),
        ConfigurationKey(
            "vectors.seal_points", \.vectors.sealPoints, limit: .between(16, 1_000_000),
            "Points of a shard in memory that are sealed into a segment at once; fewer are when nothing was written for 5 seconds.",
            reason: "Each search looks at all points that are not sealed; more of them seal less often."),
        ConfigurationKey(
            "vectors.scrub_interval_seconds", \.vectors.scrubInterval, limit: .between(.seconds(1), .seconds(365 * 24 * 3600)),
            "How often each segment in use is read again and compared with its checksums.",
            reason: "Bits rot on disks and in memory. What is found damaged is fetched from the store again."),
        ConfigurationKey(
            "vectors.search_memory_bytes", \.vectors.searchMemory, limit: .atLeast(ByteCount(0)),
            "Memory for copies, in huge pages, of what searches read most: 224 bytes for a point of 384 dimensions. At most a quarter of the "
                + "machine's memory, or of its control group's limit, is taken.",
            reason: "Points beyond it are searched where their files are mapped, somewhat slower."),
    ]

    private static let coordination: [ConfigurationKey] = [
        ConfigurationKey(
            "retention.object_intent_seconds", \.retention.objectIntents, limit: .between(.seconds(60), .seconds(30 * 86_400)),
            "Age at which an unfinished write's object is collected.", reason: "Longer than any upload may take."),
        ConfigurationKey(
            "retention.dropped_object_seconds", \.retention.droppedObjects, limit: .between(.seconds(60), .seconds(365 * 86_400)),
            "How long an object that nothing names any more is kept.",
            reason:
                "At least as long as the catalog's backups, or a restored catalog may name objects that are gone; and never so short that a "
                + "follower still reads them."),
        ConfigurationKey(
            "retention.deleted_collection_seconds", \.retention.deletedCollections, limit: .between(.zero, .seconds(365 * 86_400)),
            "How long a collection that was deleted can be brought back.",
            reason: "Long enough to notice a mistake; its points take space until then. 0 ends it at once."),
        ConfigurationKey(
            "membership.suspect_seconds", \.membership.suspectAfter, limit: .between(.milliseconds(100), .seconds(600)),
            "Without a heartbeat for this long a node is suspect.", reason: "A suspect node gets less traffic."),
        ConfigurationKey(
            "membership.down_seconds", \.membership.downAfter, limit: .between(.milliseconds(200), .seconds(3600)),
            "Without any sign for this long a node is down.", reason: "Sooner moves data for short absences."),
        ConfigurationKey(
            "membership.absence_grace_seconds", \.membership.absenceGrace, limit: .between(.zero, .seconds(86_400)),
            "How long after it went down without a word a node's replicas stay its own, where other nodes have replicas too. As long may a node "
                + "that sends heartbeats be reached by no other before all that it serves is placed elsewhere.",
            reason: "Longer than a restart takes; what nobody else serves is placed elsewhere at once."),
        ConfigurationKey(
            "membership.restart_window_seconds", \.membership.restartWindow, limit: .between(.zero, .seconds(7 * 86_400)),
            "The same after it said that it stops.", reason: "Longer than a planned upgrade of a machine takes."),
        ConfigurationKey(
            "membership.moves_at_once", \.membership.movesAtOnce, limit: .between(1, 1000),
            "Replicas that may be loading at a time to even the nodes out.",
            reason: "More is quicker, and takes more from searches meanwhile."),
        ConfigurationKey(
            "membership.handover_seconds", \.membership.handover, limit: .between(.zero, .seconds(3600)),
            "How long a node that is told to stop waits until others serve what only it serves.",
            reason:
                "Then nothing is missing while it is away. Keep this and `http.drain_timeout_seconds` together below the time your supervisor "
                + "waits before it kills."),
        ConfigurationKey(
            "membership.probe_seconds", \.membership.probe, limit: .between(.milliseconds(100), .seconds(60)),
            "How often a node asks others whether they answer.",
            reason: "A node is down when its heartbeats have stopped and its peers reach it no longer."),
        ConfigurationKey(
            "membership.probe_timeout_seconds", \.membership.probeTimeout, limit: .between(.milliseconds(100), .seconds(60)),
            "How long it waits for the answer.", reason: "Longer forgives slow networks, and finds frozen nodes later."),
        ConfigurationKey(
            "membership.flap_penalty_seconds", \.membership.flapPenalty, limit: .between(.zero, .seconds(3600)),
            "How long a node that has come and gone more than three times in five minutes is suspected after its last return.",
            reason: "Each return costs the others loading; one that stays away a while longer costs them once."),
        ConfigurationKey(
            "leases.length_seconds", \.leases.length, limit: .between(.milliseconds(400), .seconds(600)),
            "How long a lease is granted for.",
            reason: "A dead holder is replaced within about this time."),
        ConfigurationKey(
            "leases.renewal_seconds", \.leases.renewal, limit: .between(.milliseconds(50), .seconds(120)),
            "How often a holder renews it; a node's renewals of its session are its heartbeats.",
            reason: "At least three renewals must fit into a length."),
        ConfigurationKey(
            "leases.poll_seconds", \.leases.poll, limit: .between(.milliseconds(20), .seconds(60)),
            "How often candidates look for a free lease.",
            reason: "Sooner notices sooner, and reads more."),
        ConfigurationKey(
            "leases.holder_margin_seconds", \.leases.holderMargin, limit: .between(.milliseconds(50), .seconds(300)),
            "How long before the end of an unrenewed lease its holder stops.",
            reason: "It covers slow replies and a pause of the process."),
    ]
}
