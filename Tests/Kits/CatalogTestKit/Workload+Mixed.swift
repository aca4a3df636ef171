public import ApusCatalog
internal import ApusDatabase
internal import ApusRuntime
public import ApusTypes
internal import Synchronization
internal import TestKit

/// What else a node does with the locks that appends take, beside `append`.
extension Workload {
    /// How often each of it was done, by its name.
    public struct Mixed: Sendable {
        /// Also the names of the lines that a process prints.
        public enum Kind: String, Sendable, Hashable, CaseIterable {
            case changes, fences, refusals, collections, sweeps
        }

        public var counts: [Kind: Int] = [:]
        /// Changes of the feed that were acknowledged.
        public var published = 0

        public init() {}

        public var lines: [String] { counts.map { "mixed \($0.key.rawValue) \($0.value)" } + ["mixed published \(published)"] }

        /// Adds what a line says, if it is one of `lines`.
        public mutating func add(line: some StringProtocol) {
            guard line.hasPrefix("mixed ") else { return }
            let fields = line.split(separator: " ")
            guard fields.count == 3, let count = Int(fields[2]) else { return }
            if let kind = Kind(rawValue: String(fields[1])) { counts[kind, default: 0] += count } else { published += count }
        }
    }

    /// `append`, and everything of `Mixed.Kind` at the same time; each of that at least three times.
    public func appendMixed(to catalog: Catalog, shards: [ShardID]) async throws -> (acknowledged: [Acknowledged], mixed: Mixed) {
        let appending = Appending()
        return try await withThrowingTaskGroup(of: (Mixed.Kind?, Round).self) { group in
            for (number, kind) in Mixed.Kind.allCases.enumerated() {
                group.addTask {
                    var random = SeededGenerator(seed: seed &+ 1000 &+ UInt64(number))
                    var sum = Round()
                    while sum.count < 3 || !appending.isOver.withLock({ $0 }) {
                        sum.add(try await round(kind, sum.count, catalog, shards, &random))
                        // Load for the appends to meet, not a flood that leaves them no time.
                        try await catalog.clock.sleep(until: catalog.clock.now.advanced(by: .milliseconds(5)), tolerance: nil)
                    }
                    return (kind, sum)
                }
            }
            group.addTask {
                defer { appending.isOver.withLock { $0 = true } }
                return (nil, Round(acknowledged: try await append(to: catalog, shards: shards)))
            }
            var acknowledged: [Acknowledged] = []
            var mixed = Mixed()
            for try await (kind, sum) in group {
                acknowledged += sum.acknowledged
                mixed.published += sum.published
                if let kind { mixed.counts[kind] = sum.count }
            }
            return (acknowledged, mixed)
        }
    }

    private final class Appending: Sendable {
        let isOver = Mutex(false)
    }

    private struct Round {
        var count = 0
        var published = 0
        var acknowledged: [Acknowledged] = []

        mutating func add(_ other: Round) {
            count += other.count
            published += other.published
            acknowledged += other.acknowledged
        }
    }

    private func round(
        _ kind: Mixed.Kind, _ number: Int, _ catalog: Catalog, _ shards: [ShardID], _ random: inout SeededGenerator
    ) async throws -> Round {
        let name = "\(process)/\(kind)/\(number)"
        switch kind {
        case .changes:
            // Two heads as appends lock them, then the feed: all of the documented order in one transaction.
            let heads = shards.shuffled(using: &random).prefix(2).sorted()
            try await catalog.transaction(deadline: deadline) { transaction in
                _ = try await transaction.run(
                    heads.map { Statement("UPDATE apus.shard_head SET epoch = epoch WHERE shard = $1", [.integer($0.value)]) })
                transaction.publish("law", key: name)
            }
            return Round(count: 1, published: 1)
        case .fences:
            let shard = shards[Int.random(in: 0..<shards.count, using: &random)]
            do {
                try await catalog.log.fence(shard, epoch: Epoch(Int64(number)), deadline: deadline)
            } catch let error as ApusError where error.code == .leaseStale {
                // Another process was there with a higher one.
            }
            return Round(count: 1)
        case .refusals:
            let id = OperationID(scope: "law", id: name, bodyDigest: Digest(of: name))
            // Nobody else knows the id, but two ids may share a lock.
            guard case .refused = try await catalog.operations.settle(id, deadline: deadline) else { return Round() }
            do {
                let late = AppendRequest(operationID: id, appends: [LogAppend(shard: shards[0], operation: Array(name.utf8))])
                _ = try await catalog.log.append(late, deadline: deadline)
                throw BrokenLaw("\(name) was appended after it was refused")
            } catch let error as ApusError where error.code == .writeAborted || error.code == .outcomeUnknown || error.isContention {
                return Round(count: 1)
            }
        case .collections: return try await collection(CollectionName(name), catalog, shards, &random)
        case .sweeps:
            // A slot of the ring of operation ids is emptied each minute, so minutes must pass; one process is enough for that.
            if process.hasSuffix("0") {
                try await catalog.transaction(deadline: deadline) { transaction in
                    _ = try await transaction.run(Statement("UPDATE apus.clock_offset SET milliseconds = milliseconds + 60000"))
                }
            }
            do {
                // As long as a node gives it: there is always more to sweep while collections come and go.
                try await catalog.retention.sweep(deadline: min(deadline, catalog.clock.now.advanced(by: .seconds(30))))
            } catch let error as ApusError where error.isContention {
                // Left to the next sweep, as a node does.
            }
            try await catalog.clock.sleep(until: catalog.clock.now.advanced(by: .milliseconds(100)), tolerance: nil)
            return Round(count: 1)
        }
    }

    /// Creates a collection, and deletes it while a request appends to it and to a shard that stays: both or neither.
    private func collection(
        _ name: CollectionName, _ catalog: Catalog, _ shards: [ShardID], _ random: inout SeededGenerator
    ) async throws -> Round {
        let created = try await catalog.collections.create(name, configuration: "{}", shardCount: 2, deadline: deadline)
        let shard = shards[Int.random(in: 0..<shards.count, using: &random)]
        let appends = (created.shards + [shard]).map { LogAppend(shard: $0, operation: Array("\(name)/\($0)".utf8)) }
        return try await withThrowingTaskGroup(of: [Acknowledged].self) { group in
            group.addTask {
                do {
                    return try await append(AppendRequest(appends: appends), to: catalog).filter { $0.shard == shard }
                } catch let error as ApusError where error.code == .shardUnknown {
                    return []
                }
            }
            try await catalog.collections.delete(name, deadline: deadline)
            return Round(count: 1, published: 2, acknowledged: try await group.next() ?? [])
        }
    }
}
