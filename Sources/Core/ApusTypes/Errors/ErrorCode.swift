/// A stable, dotted name of a kind of failure (`collection.unknown`). The set is open: a face or a service adds its own.
///
/// What a code means on each surface is one table, `ErrorCode.surfaces`; a code that is not in it is an internal error.
public struct ErrorCode: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }
    public init(stringLiteral value: String) { rawValue = value }
    public var description: String { rawValue }
}

extension ErrorCode {
    /// How a code appears on each surface.
    public struct Surface: Sendable {
        public var http: Int
        /// Status number of gRPC (`google.rpc.Code`).
        public var grpc: Int
        public var exit: ExitCode
        var retry: ApusError.Retry

        init(_ http: Int, _ grpc: Int, _ exit: ExitCode, retry: ApusError.Retry = .never) {
            self.http = http
            self.grpc = grpc
            self.exit = exit
            self.retry = retry
        }
    }

    /// Exit codes of the command line, after sysexits.h where it has one.
    public enum ExitCode: Int32, Sendable, CaseIterable {
        case success = 0
        /// The command ran and its answer is "no" (a check that found problems, a search that found nothing it was told to find).
        case negative = 1
        /// The command refused, because carrying on would break something; nothing was changed.
        case refused = 3
        case usage = 64
        case badInput = 65
        case noInput = 66
        case unavailable = 69
        case `internal` = 70
        case cannotCreate = 73
        case temporary = 75
        case notPermitted = 77
        case configuration = 78
    }

    public var surface: Surface { Self.surfaces[self] ?? Surface(500, 13, .internal) }
    var defaultRetry: ApusError.Retry { surface.retry }
}

extension ErrorCode {
    // Requests
    public static let requestInvalid: ErrorCode = "request.invalid"
    /// A request that is well formed and asks for what is out of its bounds.
    public static let requestUnprocessable: ErrorCode = "request.unprocessable"
    public static let requestUnparsable: ErrorCode = "request.unparsable"
    public static let requestTooLarge: ErrorCode = "request.too_large"
    public static let requestTimeout: ErrorCode = "request.timeout"
    public static let requestLineTooLong: ErrorCode = "request.line_too_long"
    public static let requestHeadTooLarge: ErrorCode = "request.head_too_large"
    public static let requestExpectation: ErrorCode = "request.expectation"
    public static let requestVersion: ErrorCode = "request.version"
    /// A message that is not what its protocol says.
    public static let protocolInvalid: ErrorCode = "protocol.invalid"
    /// A call of a client's protocol that this server does not have.
    public static let unsupported: ErrorCode = "request.unsupported"
    /// The client went away before its answer was ready.
    public static let clientGone: ErrorCode = "client.gone"
    /// The client takes what it is told more slowly than it comes.
    public static let clientSlow: ErrorCode = "client.slow"
    public static let methodUnknown: ErrorCode = "route.method_unknown"
    public static let serverBusy: ErrorCode = "server.busy"
    public static let listenerUnavailable: ErrorCode = "listener.unavailable"
    public static let tlsInvalid: ErrorCode = "tls.invalid"
    public static let upgradeRequired: ErrorCode = "request.upgrade_required"
    public static let requestMediaType: ErrorCode = "request.media_type"
    /// There is no answer of a type that the client takes.
    public static let notAcceptable: ErrorCode = "request.not_acceptable"
    public static let routeUnknown: ErrorCode = "route.unknown"
    public static let methodNotAllowed: ErrorCode = "route.method_not_allowed"
    public static let unauthenticated: ErrorCode = "auth.required"
    public static let forbidden: ErrorCode = "auth.forbidden"
    public static let keyUnknown: ErrorCode = "auth.key_unknown"
    /// What roles may do was last known too long ago to decide by.
    public static let accessStale: ErrorCode = "access.stale"
    /// A role has as many requests under way, and waiting, as it may.
    public static let roleBusy: ErrorCode = "role.busy"
    public static let idempotencyConflict: ErrorCode = "write.idempotency_conflict"
    public static let deadlineExceeded: ErrorCode = "deadline.exceeded"

    // Other servers, asked over HTTP
    public static let peerUnavailable: ErrorCode = "peer.unavailable"
    public static let peerInvalid: ErrorCode = "peer.invalid_response"

    // Other nodes, asked over RPC
    /// Nobody at a peer's address answers as a node. Nothing of the call was sent.
    public static let peerUnreachable: ErrorCode = "peer.unreachable"
    /// The connection broke under a call, which may have run.
    public static let peerDisconnected: ErrorCode = "peer.disconnected"
    /// No answer until the call's deadline. The call may have run.
    public static let peerTimeout: ErrorCode = "peer.timeout"
    /// Too many calls to one peer wait already.
    public static let peerBusy: ErrorCode = "peer.busy"
    public static let peerSecretMismatch: ErrorCode = "peer.secret_mismatch"
    public static let peerVersionMismatch: ErrorCode = "peer.version_mismatch"

    // Catalog and database
    public static let catalogUnavailable: ErrorCode = "catalog.unavailable"
    public static let catalogReadOnly: ErrorCode = "catalog.read_only"
    public static let catalogOwned: ErrorCode = "catalog.owned"
    public static let catalogIncompatible: ErrorCode = "catalog.incompatible"
    public static let catalogRewound: ErrorCode = "catalog.rewound"
    public static let catalogFull: ErrorCode = "catalog.full"
    public static let databaseRejected: ErrorCode = "database.rejected"
    public static let databaseConflict: ErrorCode = "database.conflict"
    /// A statement waited longer for a lock than its transaction allows.
    public static let databaseLockTimeout: ErrorCode = "database.lock_timeout"
    /// A statement broke a uniqueness or check constraint.
    public static let databaseConstraint: ErrorCode = "database.constraint"
    public static let outcomeUnknown: ErrorCode = "write.outcome_unknown"
    public static let leaseStale: ErrorCode = "lease.stale"
    /// Not done, and safe to send again.
    public static let writeAborted: ErrorCode = "write.aborted"
    public static let shardBusy: ErrorCode = "shard.busy"
    public static let shardUnknown: ErrorCode = "shard.unknown"
    /// The node that was asked does not serve the shard.
    public static let shardElsewhere: ErrorCode = "shard.elsewhere"
    /// No node serves the shard now.
    public static let shardUnserved: ErrorCode = "shard.unserved"
    /// Shards are missing from an answer that was to be whole.
    public static let searchIncomplete: ErrorCode = "search.incomplete"
    /// A conditional append found the shard's head elsewhere.
    public static let shardMovedOn: ErrorCode = "shard.moved_on"
    /// What follows a place in a log is in segments only.
    public static let logTruncated: ErrorCode = "log.truncated"
    /// Bytes of a shard's log that are no operation.
    public static let logCorrupt: ErrorCode = "log.corrupt"

    // Management of the query service
    /// Somebody else has changed what is served meanwhile.
    public static let schemaMovedOn: ErrorCode = "schema.moved_on"
    public static let schemaVersionUnknown: ErrorCode = "schema.version_unknown"
    /// A data source's schema that does not fit, by itself or beside the others.
    public static let schemaInvalid: ErrorCode = "schema.invalid"
    /// A node serves an older schema than the catalog's, because it cannot make the newer one.
    public static let schemaBehind: ErrorCode = "schema.behind"
    public static let sourceUnknown: ErrorCode = "source.unknown"
    /// Rows that other rows exclude: a name or a key that is taken.
    public static let definitionExists: ErrorCode = "definition.exists"
    /// Sealed under a key that this node was not given.
    public static let secretKeyUnknown: ErrorCode = "secret.key_unknown"
    public static let secretDamaged: ErrorCode = "secret.damaged"
    // Data sources of the query service
    /// It cannot be asked now.
    public static let sourceUnavailable: ErrorCode = "source.unavailable"
    /// More wait for it than may.
    public static let sourceBusy: ErrorCode = "source.busy"
    /// It does not do what it is asked.
    public static let sourceRejected: ErrorCode = "source.rejected"
    /// One of its constraints stands against a change.
    public static let sourceConstraint: ErrorCode = "source.constraint"
    /// A kind of data source that this program does not have.
    public static let sourceUnsupported: ErrorCode = "source.unsupported"

    // Store
    public static let storeUnavailable: ErrorCode = "store.unavailable"
    public static let storeFull: ErrorCode = "store.full"
    public static let storeForeign: ErrorCode = "store.foreign"
    public static let storeReadOnly: ErrorCode = "store.read_only"
    public static let objectUnknown: ErrorCode = "object.unknown"
    public static let objectCorrupt: ErrorCode = "object.corrupt"
    public static let objectTooLarge: ErrorCode = "object.too_large"
    public static let objectExists: ErrorCode = "object.exists"
    /// The object was written by a newer version.
    public static let objectUnsupported: ErrorCode = "object.unsupported"
    /// A writer's intent was collected before its commit: nothing was written, begin again with a new key.
    public static let intentLost: ErrorCode = "object.intent_lost"
    public static let cacheUnavailable: ErrorCode = "cache.unavailable"
    public static let cacheFull: ErrorCode = "cache.full"

    // Vectors
    public static let collectionUnknown: ErrorCode = "collection.unknown"
    public static let collectionExists: ErrorCode = "collection.exists"
    public static let pointUnknown: ErrorCode = "point.unknown"
    public static let aliasUnknown: ErrorCode = "alias.unknown"
    public static let snapshotUnknown: ErrorCode = "snapshot.unknown"
    /// Bytes that are no snapshot, or not a whole one.
    public static let snapshotCorrupt: ErrorCode = "snapshot.corrupt"
    public static let vectorWrongDimension: ErrorCode = "vector.wrong_dimension"
    /// A field of vectors that the collection does not have.
    public static let vectorUnknownField: ErrorCode = "vector.unknown_field"
    public static let vectorInvalid: ErrorCode = "vector.invalid"
    /// A segment's bytes are damaged, here and in the store.
    public static let segmentCorrupt: ErrorCode = "segment.corrupt"
    /// A newer Apus wrote the segment.
    public static let segmentUnsupported: ErrorCode = "segment.unsupported"
    public static let embeddingUnavailable: ErrorCode = "embedding.unavailable"
    public static let embeddingUnknown: ErrorCode = "embedding.unknown"
    /// A provider that cannot make vectors of this dimension.
    public static let embeddingWrongDimension: ErrorCode = "embedding.wrong_dimension"
    /// A model that is named but not in the cluster's store.
    public static let modelUnknown: ErrorCode = "model.unknown"
    public static let modelExists: ErrorCode = "model.exists"
    /// Collections are embedded with it.
    public static let modelInUse: ErrorCode = "model.in_use"
    /// Files that are no model of a kind that is understood, or are damaged.
    public static let modelInvalid: ErrorCode = "model.invalid"

    // Node, configuration and command line
    public static let nodeUnready: ErrorCode = "node.unready"
    public static let nodeUnknown: ErrorCode = "node.unknown"
    /// A node that wants to take part in a cluster and does not know its secret.
    public static let joinSecretMissing: ErrorCode = "join.secret_missing"
    public static let joinSecretMismatch: ErrorCode = "join.secret_mismatch"
    /// A join token that is none of this cluster's, was used, or is too old.
    public static let joinTokenInvalid: ErrorCode = "join.token_invalid"
    public static let joinTokenUsed: ErrorCode = "join.token_used"
    public static let joinTokenExpired: ErrorCode = "join.token_expired"
    /// Said by clients: nobody answers at a node's address.
    public static let nodeUnreachable: ErrorCode = "node.unreachable"
    /// A file with a secret can be read by other users.
    public static let notPrivate: ErrorCode = "secret.not_private"
    public static let nodeDraining: ErrorCode = "node.draining"
    /// No node could take a shard.
    public static let noActiveNodes: ErrorCode = "cluster.no_active_nodes"
    /// A change would leave data that no node serves.
    public static let lastCopy: ErrorCode = "node.last_copy"
    /// Without the node there would be fewer replicas than collections ask for.
    public static let nodeNeeded: ErrorCode = "node.needed"
    /// A node that is running cannot be removed.
    public static let nodeAlive: ErrorCode = "node.alive"
    /// Somebody has removed the node that is asked.
    public static let nodeRemoved: ErrorCode = "node.removed"
    /// A node that is given nothing: it leaves, or is not trusted at this moment.
    public static let nodeUnavailable: ErrorCode = "node.unavailable"
    /// The node has a replica of the shard.
    public static let shardInPlace: ErrorCode = "shard.in_place"
    /// Somebody has paused what is asked for.
    public static let rebalancePaused: ErrorCode = "rebalance.paused"
    /// As many replicas are loading as may.
    public static let rebalanceBusy: ErrorCode = "rebalance.busy"
    public static let processFailed: ErrorCode = "process.failed"
    /// A balancer's own program does not accept a file that was made for it, or could not be told of it.
    public static let balancerRefused: ErrorCode = "balancer.refused"
    public static let overloaded: ErrorCode = "node.overloaded"
    public static let configurationInvalid: ErrorCode = "config.invalid"
    /// Nodes of one cluster have different values of a setting that should be the same.
    public static let configurationDiffers: ErrorCode = "config.differs"
    public static let usage: ErrorCode = "cli.usage"
    /// A command that cannot be undone was not confirmed.
    public static let confirmationMissing: ErrorCode = "cli.not_confirmed"
    public static let inputUnreadable: ErrorCode = "input.unreadable"
    public static let inputInvalid: ErrorCode = "input.invalid"
    public static let outputUncreatable: ErrorCode = "output.uncreatable"
    public static let internalError: ErrorCode = "internal"

    /// The one table from codes to surfaces.
    public static let surfaces: [ErrorCode: Surface] = [
        .requestInvalid: Surface(400, 3, .badInput),
        .requestUnprocessable: Surface(422, 3, .badInput),
        .requestUnparsable: Surface(400, 3, .badInput),
        .requestTooLarge: Surface(413, 8, .badInput),
        .requestTimeout: Surface(408, 4, .temporary, retry: .immediately),
        .requestLineTooLong: Surface(414, 3, .badInput),
        .requestHeadTooLarge: Surface(431, 3, .badInput),
        .requestExpectation: Surface(417, 3, .badInput),
        .requestVersion: Surface(505, 12, .badInput),
        .protocolInvalid: Surface(400, 3, .badInput),
        .unsupported: Surface(501, 12, .refused),
        .clientGone: Surface(499, 1, .temporary),
        .methodUnknown: Surface(501, 12, .usage),
        .serverBusy: Surface(503, 14, .temporary, retry: .after(.seconds(1))),
        .listenerUnavailable: Surface(503, 14, .unavailable),
        .tlsInvalid: Surface(503, 9, .configuration),
        .upgradeRequired: Surface(426, 3, .badInput),
        .requestMediaType: Surface(415, 3, .badInput),
        .notAcceptable: Surface(406, 3, .badInput),
        .routeUnknown: Surface(404, 12, .usage),
        .methodNotAllowed: Surface(405, 12, .usage),
        .unauthenticated: Surface(401, 16, .notPermitted),
        .forbidden: Surface(403, 7, .notPermitted),
        .keyUnknown: Surface(404, 5, .badInput),
        .accessStale: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .roleBusy: Surface(429, 8, .temporary, retry: .after(.seconds(1))),
        .clientSlow: Surface(429, 8, .temporary),
        .idempotencyConflict: Surface(409, 6, .refused),
        .deadlineExceeded: Surface(503, 4, .temporary, retry: .after(.seconds(1))),

        .peerUnavailable: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .peerInvalid: Surface(502, 13, .unavailable),

        .peerUnreachable: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .peerDisconnected: Surface(503, 14, .unavailable, retry: .immediately),
        .peerTimeout: Surface(503, 4, .temporary, retry: .after(.seconds(1))),
        .peerBusy: Surface(503, 8, .temporary, retry: .after(.seconds(1))),
        .peerSecretMismatch: Surface(502, 16, .configuration),
        .peerVersionMismatch: Surface(502, 9, .configuration),

        .catalogUnavailable: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .catalogReadOnly: Surface(503, 9, .refused),
        .catalogOwned: Surface(503, 9, .refused),
        .catalogIncompatible: Surface(503, 9, .configuration),
        .catalogRewound: Surface(503, 10, .temporary, retry: .after(.seconds(1))),
        .catalogFull: Surface(507, 8, .unavailable, retry: .after(.seconds(30))),
        .databaseRejected: Surface(500, 13, .internal),
        .databaseConflict: Surface(503, 10, .temporary, retry: .immediately),
        .databaseLockTimeout: Surface(503, 10, .temporary, retry: .immediately),
        .databaseConstraint: Surface(409, 6, .refused),
        .outcomeUnknown: Surface(503, 2, .temporary, retry: .after(.seconds(1))),
        .leaseStale: Surface(503, 10, .temporary, retry: .immediately),
        .writeAborted: Surface(503, 10, .temporary, retry: .immediately),
        .shardUnknown: Surface(404, 5, .badInput),
        .shardMovedOn: Surface(503, 10, .temporary, retry: .immediately),
        .logCorrupt: Surface(500, 15, .internal),
        .logTruncated: Surface(503, 14, .temporary),
        .shardBusy: Surface(429, 8, .temporary, retry: .after(.seconds(2))),

        .schemaMovedOn: Surface(503, 10, .temporary, retry: .immediately),
        .schemaVersionUnknown: Surface(404, 5, .badInput),
        .schemaInvalid: Surface(400, 3, .badInput),
        .schemaBehind: Surface(503, 14, .temporary, retry: .after(.seconds(1))),
        .sourceUnknown: Surface(404, 5, .badInput),
        .definitionExists: Surface(409, 6, .refused),
        .secretKeyUnknown: Surface(500, 9, .configuration),
        .secretDamaged: Surface(500, 15, .internal),
        .sourceUnavailable: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .sourceBusy: Surface(503, 8, .temporary, retry: .after(.seconds(1))),
        .sourceRejected: Surface(400, 3, .badInput),
        .sourceConstraint: Surface(409, 6, .refused),
        .sourceUnsupported: Surface(501, 12, .refused),

        .storeUnavailable: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .storeFull: Surface(507, 8, .unavailable, retry: .after(.seconds(30))),
        .storeForeign: Surface(503, 9, .configuration),
        .storeReadOnly: Surface(503, 9, .unavailable),
        .objectUnknown: Surface(404, 5, .badInput),
        .objectCorrupt: Surface(500, 15, .internal),
        .segmentCorrupt: Surface(500, 15, .internal),
        .segmentUnsupported: Surface(500, 9, .internal),
        .objectTooLarge: Surface(413, 8, .badInput),
        .objectExists: Surface(409, 6, .refused),
        .objectUnsupported: Surface(503, 9, .configuration),
        .intentLost: Surface(503, 10, .temporary, retry: .immediately),
        .cacheFull: Surface(507, 8, .unavailable, retry: .after(.seconds(30))),

        .collectionUnknown: Surface(404, 5, .badInput),
        .collectionExists: Surface(409, 6, .refused),
        .pointUnknown: Surface(404, 5, .badInput),
        .aliasUnknown: Surface(404, 5, .badInput),
        .snapshotUnknown: Surface(404, 5, .badInput),
        .snapshotCorrupt: Surface(400, 15, .badInput),
        .vectorWrongDimension: Surface(400, 3, .badInput),
        .vectorUnknownField: Surface(400, 3, .badInput),
        .vectorInvalid: Surface(400, 3, .badInput),
        .embeddingUnavailable: Surface(501, 12, .refused),
        .embeddingUnknown: Surface(400, 3, .badInput),
        .embeddingWrongDimension: Surface(400, 3, .badInput),
        .modelUnknown: Surface(404, 5, .badInput),
        .modelExists: Surface(409, 6, .refused),
        .modelInUse: Surface(409, 9, .refused),
        .modelInvalid: Surface(400, 3, .badInput),

        .noActiveNodes: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .lastCopy: Surface(409, 9, .refused),
        .nodeAlive: Surface(409, 9, .refused),
        .nodeNeeded: Surface(409, 9, .refused),
        .nodeRemoved: Surface(503, 9, .refused),
        .nodeUnavailable: Surface(409, 9, .refused),
        .shardInPlace: Surface(409, 6, .refused),
        .rebalancePaused: Surface(409, 9, .refused),
        .rebalanceBusy: Surface(429, 8, .temporary, retry: .after(.seconds(1))),
        .joinSecretMissing: Surface(503, 16, .configuration),
        .joinSecretMismatch: Surface(503, 16, .configuration),
        .joinTokenInvalid: Surface(403, 7, .refused),
        .joinTokenUsed: Surface(403, 7, .refused),
        .joinTokenExpired: Surface(403, 7, .refused),
        .shardElsewhere: Surface(503, 14, .temporary, retry: .immediately),
        .searchIncomplete: Surface(503, 14, .temporary, retry: .after(.seconds(1))),
        .shardUnserved: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .nodeUnready: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .nodeUnknown: Surface(404, 5, .badInput),
        .nodeUnreachable: Surface(502, 14, .unavailable, retry: .after(.seconds(1))),
        .notPrivate: Surface(500, 9, .notPermitted),
        .nodeDraining: Surface(503, 14, .unavailable, retry: .after(.seconds(1))),
        .processFailed: Surface(500, 13, .unavailable),
        .balancerRefused: Surface(500, 9, .refused),
        .overloaded: Surface(429, 8, .temporary, retry: .after(.seconds(2))),
        .configurationInvalid: Surface(500, 9, .configuration),
        .configurationDiffers: Surface(500, 9, .configuration),
        .usage: Surface(400, 3, .usage),
        .confirmationMissing: Surface(400, 9, .refused),
        .inputUnreadable: Surface(400, 3, .noInput),
        .inputInvalid: Surface(400, 3, .badInput),
        .outputUncreatable: Surface(500, 13, .cannotCreate),
        .internalError: Surface(500, 13, .internal),
    ]
}
