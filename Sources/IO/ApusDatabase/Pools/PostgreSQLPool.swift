public import ApusRuntime
public import ApusTypes

/// Connections to one PostgreSQL server that requests share: on each event loop a few over which short reads are pipelined, and others that
/// one transaction, or one statement that takes long, has for itself. Nothing is shared between loops, and nothing between pools: a server
/// that is slow makes those wait who ask for its data, up to a bound, and nobody else.
///
/// Which statements take long is found out as they run. Reads that are lost with a connection, or cancelled with a neighbour, are sent again.
/// A statement that nobody waits for any more is cancelled. Connections close with the pool's last reference.
public final class PostgreSQLPool: Sendable {
    /// Of each pool.
    public struct Options: Sendable {
        /// Connections of one loop that short reads share.
        public var readers = 2
        /// Connections of the node that one user at a time has.
        public var connections = 16
        /// Requests of one loop that may wait for a connection.
        public var waiting = 512
        public var connectTime: Duration = .seconds(5)
        /// What the server cancels by itself.
        public var statementTime: Duration = .seconds(30)
        /// Of the rows that one statement tells, as the server sends them.
        public var resultSize: ByteCount = .mebibytes(256)
        public var isReadOnly = false

        public init() {}
    }

    struct Limits: Sendable {
        var readers: Int
        var exclusives: Int
        var waiting: Int
        var resultBytes: Int
        var connectTime: Duration
        /// After that without use a connection is closed.
        var idleTime: Duration = .seconds(60)
        /// How long a server may take to stop a statement.
        var cancelTime: Duration = .seconds(5)
    }

    /// Host and port of each server that the URL names; safe to show.
    public let servers: [String]
    private let name: String
    private let connections: [LoopConnections]
    private let loops: EventLoops

    /// `name` is the data source's. Nothing is opened before it is needed.
    public init(_ name: String, url: Redacted<String>, loops: EventLoops, options: Options = Options()) throws {
        let address = try PostgreSQLAddress(url)
        let wording = SourceWording(name: name)
        let pool = BlockingPool(name: "source-\(name)", threads: 2, queueLimit: 256)
        let count = loops.all.count
        let limits = Limits(
            readers: max(1, options.readers), exclusives: max(1, (options.connections + count - 1) / count), waiting: options.waiting,
            resultBytes: options.resultSize.bytes, connectTime: options.connectTime)
        let connector = SessionConnector(address: address, options: options, source: wording, pool: pool)
        servers = address.servers
        self.name = name
        self.loops = loops
        connections = loops.all.map { loop in
            LoopConnections(loop: loop, limits: limits, source: wording, cancels: pool, connector: connector)
        }
    }

    deinit { Self.close(connections, name) }

    private static func close(_ connections: [LoopConnections], _ name: String) {
        for connections in connections {
            connections.loop.soon { connections.close(SourceWording(name: name).unavailable("it is not used any more")) }
        }
    }

    public func close() { Self.close(connections, name) }

    public var use: PoolUse { connections.reduce(PoolUse()) { $0 + $1.board.use } }

    /// The connections of the calling loop, else of the next one in turn.
    private var own: LoopConnections {
        let loop = loops.any
        return connections.first { $0.loop === loop } ?? connections[0]
    }

    /// Runs one statement by itself. When the caller's task is cancelled, or at `deadline`, so is the statement.
    public func read(_ query: TextQuery, deadline: Instant) async throws -> TextResult {
        let own = own
        return try await Self.perform(PendingQuery(query, deadline: deadline, mayRepeat: true), on: own) { own.read($0) }
    }

    static func perform(
        _ query: PendingQuery, on connections: LoopConnections, _ begin: @escaping @Sendable (PendingQuery) -> Void
    ) async throws -> TextResult {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                connections.loop.soon {
                    query.wait(continuation)
                    if query.isOver { return query.finish(.failure(CancellationError())) }
                    begin(query)
                }
            }
        } onCancel: {
            connections.loop.execute {
                guard !query.isOver else { return }
                let now = BootClock.now
                query.abandon(CancellationError(), now: now)
                connections.cancelAbandoned(now)
            }
        }
    }

    /// Runs `body` in one transaction on a connection of its own, commits when it returns, and rolls back when it throws.
    public func transaction<Value: Sendable>(
        deadline: Instant, _ body: (PoolTransaction) async throws -> Value
    ) async throws -> Value {
        let own = own
        let session = try await Self.take(own, deadline)
        let transaction = PoolTransaction(session: session, connections: own, source: SourceWording(name: name), deadline: deadline)
        defer { transaction.end() }
        let value = try await body(transaction)
        try await transaction.commit()
        return value
    }

    /// Runs `body` over one state of the server's data, on a connection of its own, for statements whose rows are read in pieces: so many
    /// that they are never held at once. Each piece must come within `pieceTime`, and be taken within a minute. Half of the connections are
    /// there for it; beyond: `source.busy`.
    public func reading<Value: Sendable>(
        deadline: Instant, pieceTime: Duration, _ body: (PoolReading) async throws -> Value
    ) async throws -> Value {
        let own = own
        guard try await own.loop.run({ own.beginReading() }) else { throw SourceWording(name: name).tooManyTables }
        defer { own.loop.soon { own.endReading() } }
        let session = try await Self.take(own, deadline)
        let transaction = PoolTransaction(
            session: session, connections: own, source: SourceWording(name: name), deadline: deadline,
            begin: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        defer { transaction.end() }
        return try await body(PoolReading(transaction, pieceTime: pieceTime))
    }

    private static func take(_ connections: LoopConnections, _ deadline: Instant) async throws -> QuerySession {
        try await withCheckedThrowingContinuation { continuation in
            connections.loop.soon {
                connections.take(until: deadline, unless: { false }) { continuation.resume(with: $0) }
            }
        }
    }
}
