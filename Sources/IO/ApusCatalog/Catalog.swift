public import ApusDatabase
internal import ApusRuntime
public import ApusTypes

/// The ordered, committed and fenced facts of a cluster: typed stores over one SQL database.
///
/// Everything lives in the schema `apus`; nothing else in the database is read or written. One `Catalog` for each process and database.
/// `run()` must be running for NOTIFY to be sent and heard; without it all works, found by polling.
public final class Catalog: Sendable {
    public struct Options: Sendable {
        /// Nothing is ever written through a read-only catalog: no migration, no heartbeat, no lease.
        public var isReadOnly = false
        /// Which Apus this is, for the message that another one gets when this one has migrated the catalog.
        public var version = "0.1"
        public var log = ShardLog.Options()

        public init() {}
    }

    public let database: any Database
    public let clock: any MonotonicClock
    public let identity: ClusterIdentity
    public let feed: ChangeFeed
    public let log: ShardLog
    public let operations: Operations
    public let leases: Leases
    public let sessions: Sessions
    public let nodes: Nodes
    public let collections: Collections
    public let attributes: CollectionAttributes
    public let snapshots: Snapshots
    public let shards: Shards
    public let segments: Segments
    public let keys: APIKeys
    public let records: Records
    public let settings: Settings
    public let retention: Retention
    public let models: Models
    public let objects: ObjectIntents
    public let definitions: QueryDefinitions
    public let served: ServedSources
    let access: CatalogAccess

    /// Migrates the schema, or checks that this program may use it as it is.
    ///
    /// Throws `catalog.incompatible` naming the version to run when a newer Apus has changed it in a way that this one does not know.
    public static func open(
        _ database: any Database, clock: any MonotonicClock, options: Options = Options(), deadline: Instant? = nil
    ) async throws -> Catalog {
        let deadline = deadline ?? clock.now.advanced(by: .seconds(30))
        let migrator = Migrator(database: database, migrations: Migration.all, version: options.version)
        try await options.isReadOnly ? migrator.check(deadline: deadline) : migrator.migrate(deadline: deadline)
        let identity = try await ClusterIdentity.load(from: database, deadline: deadline)
        let incarnation = try await Incarnation.load(from: database, deadline: deadline)
        return Catalog(database: database, clock: clock, options: options, identity: identity, incarnation: incarnation)
    }

    private init(
        database: any Database, clock: any MonotonicClock, options: Options, identity: ClusterIdentity, incarnation: Incarnation
    ) {
        self.database = database
        self.clock = clock
        self.identity = identity
        access = CatalogAccess(database: database, clock: clock, isReadOnly: options.isReadOnly, incarnation: incarnation)
        feed = ChangeFeed(access: access)
        operations = Operations(access: access)
        log = ShardLog(access: access, options: options.log)
        leases = Leases(access: access)
        sessions = Sessions(access: access)
        nodes = Nodes(access: access)
        collections = Collections(access: access)
        attributes = CollectionAttributes(access: access)
        snapshots = Snapshots(access: access)
        shards = Shards(access: access)
        segments = Segments(access: access)
        keys = APIKeys(access: access)
        records = Records(access: access)
        settings = Settings(access: access)
        retention = Retention(access: access)
        models = Models(access: access)
        objects = ObjectIntents(database: database)
        definitions = QueryDefinitions(access: access)
        served = ServedSources(access: access)
    }

    /// The history that this node saw last; renewed by every read of the feed.
    public var incarnation: Incarnation { access.incarnation }
    public var isReadOnly: Bool { access.isReadOnly }

    /// Runs `body` in one transaction, appends what it published to the feed as the last thing before COMMIT, and wakes followers.
    ///
    /// Lock order, to be kept by every body: operation ids, leases, shard heads ascending, feed (which this does). When the
    /// connection breaks during COMMIT the outcome is found out; `write.outcome_unknown` is thrown only if that is not possible either.
    public func transaction<Value: Sendable>(
        deadline: Instant, _ body: (CatalogTransaction) async throws -> Value
    ) async throws -> Value {
        try await access.transaction(deadline: deadline, body)
    }

    /// Reads in one round trip; each statement sees its own state of the catalog.
    public func read(_ statements: [Statement], deadline: Instant) async throws -> [Rows] {
        try await access.read(statements, deadline: deadline)
    }

    /// Tells all nodes that this catalog was restored from a backup: a new incarnation, so that nobody trusts what it knew.
    public func markRestored(deadline: Instant) async throws {
        try await access.transaction(deadline: deadline) { transaction in
            _ = try await transaction.run([Statement("UPDATE apus.cluster SET restores = restores + 1")])
            transaction.publish(.setting, key: "restores")
        }
        access.incarnation = try await Incarnation.load(from: database, deadline: deadline)
    }

    /// Sends and hears NOTIFY until the task is cancelled.
    public func run() async throws { try await feed.run() }
}
