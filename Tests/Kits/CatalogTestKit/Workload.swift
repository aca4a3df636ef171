public import ApusCatalog
internal import ApusDatabase
internal import ApusRuntime
public import ApusTypes
internal import TestKit

/// Concurrent writers with a seed, for the laws: the same code runs inside a test and inside the processes that a test starts.
public struct Workload: Sendable {
    /// Told apart from the other processes' writers by this.
    public var process: String
    public var writers: Int
    /// Of each writer.
    public var requests: Int
    public var seed: UInt64
    /// Of 1,000 requests of `append`, how many are rolled back after they wrote.
    public var abortsPerThousand = 10
    /// Of 1,000 requests of `append`, how many race with somebody who asks what became of them.
    public var settlesPerThousand = 0
    public var deadline: Instant
    /// Writers of `append` end here, even if they have requests left.
    public var stop = Instant.distantFuture

    public init(process: String, writers: Int, requests: Int, seed: UInt64, deadline: Instant) {
        self.process = process
        self.writers = writers
        self.requests = requests
        self.seed = seed
        self.deadline = deadline
    }

    /// Each writer publishes one change after another.
    public func publish(to catalog: Catalog) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    for number in 0..<requests {
                        try await catalog.transaction(deadline: deadline) { transaction in
                            transaction.publish("law", key: "\(process)/\(writer)/\(number)")
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Each writer appends one request after another, each to one to three random shards, one to three operations; gives what was
    /// acknowledged, or turned out to be done. An operation is its name, padded.
    public func append(to catalog: Catalog, shards: [ShardID]) async throws -> [Acknowledged] {
        try await withThrowingTaskGroup(of: [Acknowledged].self) { group in
            for writer in 0..<writers {
                group.addTask {
                    var random = SeededGenerator(seed: seed &+ UInt64(writer) &* 0x9E37_79B9)
                    var acknowledged: [Acknowledged] = []
                    for number in 0..<requests {
                        guard BootClock.now < stop else { break }
                        let name = "\(process)/\(writer)/\(number)"
                        let chosen = shards.shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random))
                        if Int.random(in: 0..<1000, using: &random) < abortsPerThousand {
                            try await abort(on: catalog, shards: chosen.sorted(), name: name)
                            continue
                        }
                        var appends: [LogAppend] = []
                        for shard in chosen {
                            for part in 0..<Int.random(in: 1...3, using: &random) {
                                let padding = [UInt8](repeating: 0x20, count: Int.random(in: 0...60, using: &random))
                                appends.append(LogAppend(shard: shard, operation: Array("\(name)/\(shard)/\(part)".utf8) + padding))
                            }
                        }
                        let request = AppendRequest(
                            operationID: OperationID(scope: "law", id: name, bodyDigest: Digest(of: name)), appends: appends,
                            reply: Array("reply to \(name)".utf8))
                        let isAsked = Int.random(in: 0..<1000, using: &random) < settlesPerThousand
                        acknowledged += try await isAsked ? appendAsked(request, to: catalog) : append(request, to: catalog)
                    }
                    return acknowledged
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    /// Does what an append does, and then thinks better of it.
    private func abort(on catalog: Catalog, shards: [ShardID], name: String) async throws {
        struct Abort: Error {}
        do {
            try await catalog.transaction(deadline: deadline) { transaction in
                for shard in shards {
                    _ = try await transaction.run([
                        Statement(
                            "UPDATE apus.shard_head SET seq = seq + 1, digest = sha256(digest || $2) WHERE shard = $1",
                            [.integer(shard.value), .blob(Digest(of: name).bytes)]),
                        Statement(
                            """
                            INSERT INTO apus.shard_log (shard, seq, operation, bytes, digest)
                            SELECT shard, seq, CAST($2 AS bytea), 0, digest FROM apus.shard_head WHERE shard = $1
                            """, [.integer(shard.value), .blob(Array("aborted \(name)".utf8))]),
                    ])
                }
                throw Abort()
            }
        } catch is Abort {}
    }
}

/// An operation whose append returned.
public struct Acknowledged: Sendable, Hashable {
    public var shard: ShardID
    public var operation: [UInt8]
    /// Its sequence is at most this.
    public var upTo: Int64

    public init(shard: ShardID, operation: [UInt8], upTo: Int64) {
        self.shard = shard
        self.operation = operation
        self.upTo = upTo
    }

    /// One line: shard, sequence, operation, which is text in every workload.
    public var line: String { "\(shard) \(upTo) \(String(decoding: operation, as: UTF8.self))" }

    public init?(line: some StringProtocol) {
        let fields = line.utf8.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3, let shard = Int64(String(decoding: fields[0], as: UTF8.self)),
            let upTo = Int64(String(decoding: fields[1], as: UTF8.self))
        else { return nil }
        self.init(shard: ShardID(shard), operation: Array(fields[2]), upTo: upTo)
    }
}
