public import ApusCatalog
public import ApusTypes

/// A replica of one shard's log, as a node would keep it: follows by inclusive reads, and starts anew when told to.
public struct LogFollower: Sendable {
    public let shard: ShardID
    public private(set) var position: LogPosition
    public private(set) var operations: [[UInt8]] = []
    public private(set) var rebuilds = 0
    private let incarnation: Incarnation

    public init(shard: ShardID, incarnation: Incarnation) {
        self.shard = shard
        self.incarnation = incarnation
        position = .beginning(of: incarnation)
    }

    /// Reads up to the end. Checks that numbers have no gaps and that every digest is its predecessor's successor.
    ///
    /// `deadline` is asked for each page: a log may be of any length, and what must not hang is one read.
    public mutating func catchUp(
        with log: ShardLog, limit: ByteCount = .mebibytes(1), deadline: @autoclosure () -> Instant
    ) async throws {
        while true {
            let records: [LogRecord]
            do {
                records = try await log.read(shard, from: position, limit: limit, deadline: deadline())
            } catch let error as ApusError where error.code == .catalogRewound {
                rebuilds += 1
                position = .beginning(of: incarnation)
                operations = []
                continue
            }
            guard !records.isEmpty else { return }
            for record in records {
                guard record.sequence == position.sequence + 1 else {
                    throw BrokenLaw("shard \(shard): operation \(record.sequence) follows \(position.sequence)")
                }
                guard record.digest == position.digest.chained(with: Digest(of: record.operation)) else {
                    throw BrokenLaw("shard \(shard): the digest of operation \(record.sequence) is not its predecessor's successor")
                }
                position = LogPosition(incarnation: incarnation, sequence: record.sequence, digest: record.digest)
                operations.append(record.operation)
            }
        }
    }
}

/// What a law found.
public struct BrokenLaw: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
