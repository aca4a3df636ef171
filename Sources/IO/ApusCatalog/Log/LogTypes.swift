public import ApusTypes

/// A place in one shard's log: the operation it names has been applied, all before it too.
public struct LogPosition: Hashable, Sendable {
    public var incarnation: Incarnation
    /// 0 is before the first operation.
    public var sequence: Int64
    /// Of the chain up to and with this operation; `Digest.origin` at 0.
    public var digest: Digest

    public init(incarnation: Incarnation, sequence: Int64, digest: Digest) {
        self.incarnation = incarnation
        self.sequence = sequence
        self.digest = digest
    }

    /// Before the first operation of any shard.
    public static func beginning(of incarnation: Incarnation) -> LogPosition {
        LogPosition(incarnation: incarnation, sequence: 0, digest: .origin)
    }
}

extension LogPosition: WireValue {
    public func write(to writer: inout WireWriter) {
        writer.write(incarnation.system, incarnation.timeline, incarnation.restores, sequence, digest)
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        let incarnation = Incarnation(system: try reader.read(), timeline: try reader.read(), restores: try reader.read())
        self.init(incarnation: incarnation, sequence: try reader.read(), digest: try reader.read())
    }
}

/// One committed operation of a shard.
public struct LogRecord: Sendable, Hashable {
    public var shard: ShardID
    public var sequence: Int64
    public var digest: Digest
    /// The bytes that were appended, whether they rode in the row or in an object.
    public var operation: [UInt8]

    public init(shard: ShardID, sequence: Int64, digest: Digest, operation: [UInt8]) {
        self.shard = shard
        self.sequence = sequence
        self.digest = digest
        self.operation = operation
    }
}

/// What a client's request is recognised by when it comes again, on any node.
public struct OperationID: Hashable, Sendable {
    /// Credential and route, so that two clients' keys cannot meet.
    public var scope: String
    public var id: String
    /// Of the request's body: the same id with another body is `write.idempotency_conflict`.
    public var bodyDigest: Digest
    public var origin: Origin

    /// Who made the id; decides how long it is kept at least.
    public enum Origin: Int64, Sendable, Hashable {
        /// A client's `Idempotency-Key`: 24 hours.
        case client = 0
        /// A proxy's request id, or one of our own: 2 minutes.
        case proxy = 1

        /// By how the key begins: our load balancers' files say whose keys they make.
        public init(ofKey key: String) { self = key.hasPrefix(ProxyKey.prefix) ? .proxy : .client }
    }

    public init(scope: String, id: String, bodyDigest: Digest, origin: Origin = .client) {
        self.scope = scope
        self.id = id
        self.bodyDigest = bodyDigest
        self.origin = origin
    }
}

/// One operation for one shard.
public struct LogAppend: Sendable, Hashable {
    public var shard: ShardID
    public var operation: [UInt8]

    public init(shard: ShardID, operation: [UInt8]) {
        self.shard = shard
        self.operation = operation
    }
}

/// What one client request appends: all of it or nothing, whatever shards it touches.
public struct AppendRequest: Sendable {
    /// Nil: the request cannot be recognised when it comes again.
    public var operationID: OperationID?
    /// Appended in this order; several for one shard are allowed.
    public var appends: [LogAppend]
    /// Appends only if each named shard's head is exactly there, in that history; otherwise `shard.moved_on`.
    public var expectedHeads: [ShardID: LogPosition]?
    /// The epoch of a duty over these shards; `lease.stale` once `ShardLog.fence` raised a shard's epoch above it.
    public var fence: Epoch?
    /// Kept with the operation id and given to a repeat.
    public var reply: [UInt8]

    public init(
        operationID: OperationID? = nil, appends: [LogAppend], expectedHeads: [ShardID: LogPosition]? = nil, fence: Epoch? = nil,
        reply: [UInt8] = []
    ) {
        self.operationID = operationID
        self.appends = appends
        self.expectedHeads = expectedHeads
        self.fence = fence
        self.reply = reply
    }
}

/// A committed append.
public struct AppendOutcome: Sendable {
    /// For each shard the position of the request's last operation there; for a repeat the shard's head (at or after the first one's).
    public var positions: [ShardID: LogPosition]
    /// For a repeat: of the first time.
    public var reply: [UInt8]
    public var isRepeat: Bool
    /// Version of each shard's replicas at the commit: a writer that knows an older one does not know all who have to be told.
    public var replicas: [ShardID: Int64]

    public init(positions: [ShardID: LogPosition], reply: [UInt8], isRepeat: Bool, replicas: [ShardID: Int64] = [:]) {
        self.positions = positions
        self.reply = reply
        self.isRepeat = isRepeat
        self.replicas = replicas
    }
}

/// Where large operations go instead of the log's rows. ApusStore implements it.
public protocol LogObjects: Sendable {
    /// Records an intent and stores the bytes. The append that names the object deletes the intent in its transaction, and aborts when
    /// the collector was faster.
    func place(_ bytes: [UInt8], deadline: Instant) async throws -> PlacedObject
    func fetch(_ key: ObjectKey, deadline: Instant) async throws -> [UInt8]
}

/// A stored object that nothing names yet.
public struct PlacedObject: Sendable, Hashable {
    public var key: ObjectKey
    public var description: ObjectDescription

    public init(key: ObjectKey, description: ObjectDescription) {
        self.key = key
        self.description = description
    }
}
