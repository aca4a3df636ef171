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
    }

    /// One address that the node listens on.
    public struct Listener: Sendable, Hashable {
        public enum Face: String, Sendable, Hashable, CaseIterable { case vectorizer, qdrant, console }

        public var name: String
        public var address: SocketAddress
        public var faces: [Face]
        /// Both or neither: the certificate chain and the private key, PEM files.
        public var tlsCertificate: String?
        public var tlsKey: String?

        public init(
            name: String, address: SocketAddress, faces: [Face] = Face.allCases, tlsCertificate: String? = nil, tlsKey: String? = nil
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
    }

    /// The listener of Vectorizer's binary protocol.
    public struct RPC: Sendable, Equatable {
        public var isEnabled = true
        public var address = SocketAddress(host: "127.0.0.1", port: 15503)
        public var maxConnections = 1000
        public var maxFrame = ByteCount.mebibytes(64)
        public var idleTimeout: Duration = .seconds(600)
    }

    public struct Faces: Sendable, Equatable {
        public var vectorizer = Face(maxBody: .mebibytes(64))
        public var qdrant = Face(maxBody: .mebibytes(32))
        public var console = Face(maxBody: .mebibytes(1))
    }

    /// Limits of one face.
    public struct Face: Sendable, Equatable {
        public var maxBody: ByteCount
        public var corsOrigins: [String] = []
    }

    /// How the nodes of a cluster reach and know each other.
    public struct Peers: Sendable, Equatable {
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
    }

    public struct Store: Sendable, Equatable {
        public enum Kind: String, Sendable, CaseIterable { case directory, catalog }

        public var kind = Kind.directory
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

    public struct Retention: Sendable, Equatable {
        public var objectIntents: Duration = .seconds(3600)
        public var droppedObjects: Duration = .seconds(7 * 24 * 3600)
    }

    public struct Membership: Sendable, Equatable {
        public var suspectAfter: Duration = .seconds(3)
        public var downAfter: Duration = .seconds(5)
        public var absenceGrace: Duration = .seconds(60)
        public var restartWindow: Duration = .seconds(300)
        public var movesAtOnce = 4
    }

    public struct Leases: Sendable, Equatable {
        public var length: Duration = .seconds(4)
        public var renewal: Duration = .seconds(1)
        public var poll: Duration = .milliseconds(500)
        public var holderMargin: Duration = .milliseconds(1500)
    }
}

extension Configuration {
    /// `node.data` joined with `name`.
    private func inData(_ name: String) -> String { node.data.hasSuffix("/") ? node.data + name : node.data + "/" + name }

    /// The SQLite catalog's file; unused when the catalog is PostgreSQL.
    public var sqlitePath: String { catalog.sqlitePath ?? inData("catalog.sqlite") }
    /// The directory store's directory; unused when the store is the catalog.
    public var storeDirectory: String { store.directory ?? inData("store") }
}
