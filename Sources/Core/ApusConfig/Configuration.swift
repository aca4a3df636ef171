public import ApusTypes

/// Everything a node can be told. The default of each setting is the value it has here; `ConfigurationKeys` says, for each, its path in
/// `apus.yml`, its unit, its limits, and why one would change it.
public struct Configuration: Sendable, Equatable {
    public var node = Node()
    public var listeners = [Listener(name: "main", address: SocketAddress(host: "127.0.0.1", port: 15002))]
    public var http = HTTP()
    public var rpc = RPC()
    public var faces = Faces()
    public var cluster = Peers()
    public var catalog = Catalog()
    public var store = Store()
    public var auth = Auth()
    public var log = Log()
    public var runtime = Runtime()
    public var vectors = Vectors()
    public var query = Query()
    public var retention = Retention()
    public var membership = Membership()
    public var leases = Leases()

    public init() {}

    public struct Node: Sendable, Equatable {
        /// Nil: made up at the first start, then kept in the data directory.
        public var name: NodeName?
        public var data = "apus-data"
        /// Nil: made from the first listener.
        public var url: String?
        /// Nil: not announced.
        public var rpcAddress: SocketAddress?

        /// What it does: a manager may lead, a worker serves data.
        public enum Role: String, Sendable, Hashable, CaseIterable { case manager, worker }

        public var roles = Role.allCases
    }

    /// One address that the node listens on.
    public struct Listener: Sendable, Hashable {
        public enum Face: String, Sendable, Hashable, CaseIterable {
            case vectorizer, qdrant, hugr, console
            /// Health and metrics for whoever reaches the listener, without a credential; on a listener of its own.
            case service

            /// Of a listener that does not say.
            public static let standard: [Face] = [.vectorizer, .qdrant, .hugr, .console]
        }

        public var name: String
        public var address: SocketAddress
        public var faces: [Face]
        /// Both or neither: the certificate chain and the private key, PEM files.
        public var tlsCertificate: String?
        public var tlsKey: String?

        public init(
            name: String, address: SocketAddress, faces: [Face] = Face.standard, tlsCertificate: String? = nil, tlsKey: String? = nil
        ) {
            self.name = name
            self.address = address
            self.faces = faces
            self.tlsCertificate = tlsCertificate
            self.tlsKey = tlsKey
        }
    }

    /// Limits of every HTTP listener.
    public struct HTTP: Sendable, Equatable {
        public var maxConnections = 10_000
        public var maxPathBytes = ByteCount.kibibytes(8)
        public var maxHeaderBytes = ByteCount.kibibytes(32)
        public var maxHeaders = 100
        public var headerTimeout: Duration = .seconds(10)
        public var bodyTimeout: Duration = .seconds(30)
        public var idleTimeout: Duration = .seconds(75)
        public var requestTimeout: Duration = .seconds(30)
        public var drainTimeout: Duration = .seconds(20)
        /// Nil: as long as the balancers that are rendered need, where there can be one.
        public var unready: Duration?
    }

    /// The listener of Vectorizer's binary protocol.
    public struct RPC: Sendable, Equatable {
        public var isEnabled = true
        /// Nil: `Configuration.rpcAddress`.
        public var address: SocketAddress?
        public var maxConnections = 1000
        public var maxFrame = ByteCount.mebibytes(64)
        public var idleTimeout: Duration = .seconds(600)

        public static let defaultPort = 15503
    }

    public struct Faces: Sendable, Equatable {
        public var vectorizer = Face(maxBody: .mebibytes(64))
        public var qdrant = Face(maxBody: .mebibytes(32))
        /// Points of one reply.
        public var qdrantReply = ByteCount.mebibytes(64)
        public var hugr = Face(maxBody: .mebibytes(8))
        public var hugrPage = true
        public var console = Face(maxBody: .mebibytes(1))
    }

    /// Limits of one face.
    public struct Face: Sendable, Equatable {
        public var maxBody: ByteCount
        public var corsOrigins: [String] = []
    }

    /// A node that the cluster is to have, as a Vectorizer file lists it.
    public struct Server: Sendable, Hashable {
        public var id: String
        /// A host name or address.
        public var address: String
        /// On which it answers other nodes.
        public var port: Int

        public init(id: String, address: String, port: Int) {
            self.id = id
            self.address = address
            self.port = port
        }
    }

    /// How the nodes of a cluster reach and know each other.
    public struct Peers: Sendable, Equatable {
        public var servers: [Server] = []
        public var dnsName: String?
        public var dnsInterval: Duration = .seconds(30)
        /// Nil: on a PostgreSQL catalog the first listener's host and `defaultPort`, else none.
        public var address: SocketAddress?
        public var secret: Redacted<String>?
        public var secretFile: String?
        public var tlsCertificate: String?
        public var tlsKey: String?
        public var tlsCA: String?

        public static let defaultPort = 15003
    }

    public struct Catalog: Sendable, Equatable {
        /// Nil: SQLite.
        public var url: Redacted<String>?
        public var urlFile: String?
        /// Nil: `catalog.sqlite` in the data directory.
        public var sqlitePath: String?
        public var connectTimeout: Duration = .seconds(5)
        public var isHosted = false
        /// Where the PostgreSQL that a node hosts listens.
        public var address: SocketAddress?
        /// Nil: looked for.
        public var binaries: String?
        public var keepRunning = false
        /// Streaming standbys that answer reads.
        public var replicas: [SocketAddress] = []
        public var replicaLag: Duration = .seconds(2)

        /// Where a hosted catalog listens unless told otherwise: PostgreSQL's own port.
        public static let defaultPort = 5432
    }

    public struct Store: Sendable, Equatable {
        public enum Kind: String, Sendable, CaseIterable { case directory, catalog }

        /// Nil: `Configuration.storeKind`.
        public var kind: Kind?
        /// Nil: `store` in the data directory.
        public var directory: String?
        public var maxCatalogBytes = ByteCount(50_000_000_000)
        public var reserve = ByteCount.gibibytes(1)
        public var cache = ByteCount.gibibytes(64)
    }

    public struct Auth: Sendable, Equatable {
        public var loopback = true
        public var maxStale: Duration = .seconds(300)
    }

    public struct Log: Sendable, Equatable {
        public enum Format: String, Sendable, CaseIterable { case automatic, text, json }
        public enum Level: String, Sendable, CaseIterable { case debug, info, notice, warning, error }

        public var format = Format.automatic
        public var level = Level.info
    }

    public struct Runtime: Sendable, Equatable {
        /// 0: one per core.
        public var loops = 0
        public var blockingThreads = 8
    }

    public struct Vectors: Sendable, Equatable {
        public var defaultShards = 1
        public var defaultReplicas = 1
        public var defaultVirtualNodes = 100
        public var maxPointsPerRequest = 10_000
        public var rowAppend = ByteCount.kibibytes(64)
        public var maxUnsealed = ByteCount.gibibytes(2)
        public var sealPoints = 4096
        public var scrubInterval: Duration = .seconds(24 * 3600)
        public var searchMemory: ByteCount = .gibibytes(1)
    }

    public struct Query: Sendable, Equatable {
        /// The role of those who bring no credential; nil: nobody may.
        public var anonymous: String?
        public var managedKeys = true
        public var deniesByDefault = false
        public var authFile: String?
        /// Of the operator's other services.
        public var serviceKey: Redacted<String>?
        public var oidc = OIDC()
        public var sources: [QuerySource] = []
        /// Where the keys are that secrets in the catalog are sealed under.
        public var secretKeyFile: String?
        public var maxDepth = 20
        public var maxFields = 20_000
        public var defaultRows = 2000
        public var maxRows = 1_000_000
        public var maxReply = ByteCount.mebibytes(64)
        public var allowsLinkLocal = false
        /// Of DuckDB's engine; nil: found by its name.
        public var duckDBLibrary: String?
        /// Of each DuckDB source.
        public var duckDBMemory = ByteCount.gibibytes(1)
        /// Of each source.
        public var connections = 16
        public var readers = 2
        public var maxWaiting = 512
        public var statementTimeout: Duration = .seconds(30)
        public var maxInFlight = 64
        /// 0: eight for each core.
        public var sharedInFlight = 0
        /// Requests of one role.
        public var maxQueued = 256
        public var queueTime: Duration = .seconds(5)
        /// What takes as long is in the list of slow statements.
        public var slowTime: Duration = .seconds(1)
        public var cache = Cache()
    }

    /// Replies that are kept.
    public struct Cache: Sendable, Equatable {
        public var bytes = ByteCount.mebibytes(64)
        public var valueBytes = ByteCount.mebibytes(1)
        public var lifetime: Duration = .seconds(60)
        public var shared = Shared()

        public enum SharedKind: String, Sendable, CaseIterable {
            case none, redis, cluster, sentinel, memcached
        }

        /// What nodes share.
        public struct Shared: Sendable, Equatable {
            public var kind = SharedKind.none
            public var servers: [String] = []
            public var master = "mymaster"
            public var user = ""
            public var password: Redacted<String>?
            public var database = 0
        }
    }

    /// An issuer of tokens.
    public struct OIDC: Sendable, Equatable {
        public var issuer: String?
        public var clientID: String?
        public var timeout: Duration = .seconds(5)
        public var roleClaim = "x-hugr-role"
        public var userIDClaim = "sub"
        public var userNameClaim = "name"
        public var scopePrefix = "hugr:"
        public var cookie: String?
        public var authorities: String?

        public init() {}
    }

    /// A data source of the query service.
    public struct QuerySource: Sendable, Hashable {
        public var name: String
        public var type: String
        public var path: String
        public var prefix: String
        public var isModule: Bool
        public var isReadOnly: Bool
        public var isSelfDescribed: Bool
        /// Files of its schema, and directories of such files.
        public var schema: [String]
        public var replicas: [String]
    }

    public struct Retention: Sendable, Equatable {
        public var objectIntents: Duration = .seconds(3600)
        public var droppedObjects: Duration = .seconds(7 * 24 * 3600)
        public var deletedCollections: Duration = .seconds(24 * 3600)
    }

    public struct Membership: Sendable, Equatable {
        public var suspectAfter: Duration = .seconds(3)
        public var downAfter: Duration = .seconds(5)
        public var absenceGrace: Duration = .seconds(60)
        public var restartWindow: Duration = .seconds(300)
        public var movesAtOnce = 4
        public var handover: Duration = .seconds(30)
        public var probe: Duration = .seconds(1)
        public var probeTimeout: Duration = .seconds(1)
        public var flapPenalty: Duration = .seconds(60)
    }

    public struct Leases: Sendable, Equatable {
        public var length: Duration = .seconds(4)
        public var renewal: Duration = .seconds(1)
        public var poll: Duration = .milliseconds(500)
        public var holderMargin: Duration = .milliseconds(1500)
    }
}

extension Configuration {
    /// Where the catalog is, by everything that is configured.
    public enum CatalogPlace: Sendable, Hashable {
        /// SQLite.
        case file
        /// A server that others look after.
        case url
        /// This node starts PostgreSQL, which listens there.
        case hosted(SocketAddress)
        /// Another node hosts it there.
        case peer(SocketAddress)
    }

    /// Without any catalog of its own choice, a cluster whose servers are listed has its catalog on the first of them; one whose nodes are
    /// found by DNS, and numbered as a StatefulSet's are, on the node with number 0.
    public var catalogPlace: CatalogPlace {
        if catalog.isHosted {
            return .hosted(catalog.address ?? SocketAddress(host: "0.0.0.0", port: Catalog.defaultPort))
        }
        if catalog.url != nil || catalog.urlFile != nil { return .url }
        if let address = catalog.address { return .peer(address) }
        guard catalog.sqlitePath == nil else { return .file }
        if cluster.servers.count > 1, let first = cluster.servers.first {
            let address = SocketAddress(host: first.address, port: Catalog.defaultPort)
            return first.id == node.name?.rawValue ? .hosted(address) : .peer(address)
        }
        guard let domain = cluster.dnsName, let (base, number) = numberedName else { return .file }
        return number == 0
            ? .hosted(SocketAddress(host: "0.0.0.0", port: Catalog.defaultPort))
            : .peer(SocketAddress(host: "\(base)-0.\(domain)", port: Catalog.defaultPort))
    }

    /// Whether the catalog is in this node's own directory, as a file or as the PostgreSQL that it hosts.
    public var keepsCatalog: Bool {
        switch catalogPlace {
        case .file, .hosted: true
        case .url, .peer: false
        }
    }

    /// `vectorizer-2` → `vectorizer` and 2.
    var numberedName: (base: Substring, number: Int)? {
        guard let name = node.name?.rawValue, let dash = name.lastIndex(of: "-"), let number = Int(name[name.index(after: dash)...]),
            number >= 0
        else { return nil }
        return (name[..<dash], number)
    }

    /// Where the binary protocol is served: to this machine alone unless told otherwise, so that nobody needs a key.
    public var rpcAddress: SocketAddress {
        if let address = rpc.address { return address }
        let first = listeners.first?.address
        return SocketAddress(host: first.flatMap { $0.isLoopback ? $0.host : nil } ?? "127.0.0.1", port: RPC.defaultPort)
    }

    /// A cluster that was given no shared directory keeps its objects in its catalog.
    public var storeKind: Store.Kind {
        store.kind ?? (store.directory == nil && catalogPlace != .file ? .catalog : .directory)
    }

    /// `node.data` joined with `name`.
    private func inData(_ name: String) -> String { node.data.hasSuffix("/") ? node.data + name : node.data + "/" + name }

    /// The SQLite catalog's file; unused when the catalog is PostgreSQL.
    public var sqlitePath: String { catalog.sqlitePath ?? inData("catalog.sqlite") }
    /// The directory store's directory; unused when the store is the catalog.
    public var storeDirectory: String { store.directory ?? inData("store") }
}
