public import ApusCatalog
internal import ApusRuntime
public import ApusTypes

/// Deletes the objects that nothing names: abandoned puts, dropped objects after their retention, and strays.
///
/// The leader runs it. Every deletion is first decided by a transaction of the catalog that carries the leader's epoch, and only keys
/// that can never be named again are deleted, so a former leader that wakes up late does no harm.
public struct ObjectCollector: Sendable {
    public struct Options: Sendable {
        /// Longer than any put takes.
        public var intentAge: Duration = .seconds(3600)
        /// At least as long as backups of the catalog are kept; zero where the store is the catalog, whose backups hold their objects.
        public var retention: Duration
        /// Objects younger than this are not looked at by a sweep.
        public var strayAge: Duration
        /// Deletions in one round.
        public var roundLimit = 500

        public init(retention: Duration = .seconds(14 * 86_400)) {
            self.retention = retention
            strayAge = max(retention, .seconds(86_400))
        }
    }

    /// What a round did.
    public struct Round: Sendable, Hashable {
        public var deleted = 0
        /// There may be more: the round stopped at its limit.
        public var isCut = false
    }

    private let store: any ObjectStore
    private let intents: ObjectIntents
    private let options: Options
    private let log = Logger("store")

    public init(store: any ObjectStore, intents: ObjectIntents, options: Options = Options()) {
        self.store = store
        self.intents = intents
        self.options = options
    }

    /// Collects abandoned intents and dropped objects. `watermark`: the feed version that every node has applied.
    public func collect(watermark: Int64, leader: Epoch?, deadline: Instant) async throws -> Round {
        // A row that is released and an object that cannot be deleted would be left to the sweep: look whether the store is there.
        try await store.probe(deadline: deadline)
        let limits = ObjectIntents.Limits(
            intentAge: options.intentAge, retention: options.retention, watermark: watermark, count: options.roundLimit, leader: leader)
        let keys = try await intents.release(limits, deadline: deadline)
        for key in keys { try await store.delete(key, deadline: deadline) }
        if !keys.isEmpty { log.info("objects collected", ["objects": "\(keys.count)"]) }
        return Round(deleted: keys.count, isCut: keys.count >= options.roundLimit)
    }

    /// Lists the whole store and deletes what no row names: intents can be lost with a history of the catalog, and deletes with power.
    public func sweep(leader: Epoch?, deadline: Instant) async throws -> Round {
        var round = Round()
        var candidates: [ObjectKey] = []
        for try await object in store.list(deadline: deadline) where object.age > options.strayAge {
            candidates.append(object.key)
            guard candidates.count == 500 else { continue }
            round.deleted += try await deleteUnnamed(candidates, leader, deadline)
            candidates = []
            if round.deleted >= options.roundLimit {
                round.isCut = true
                break
            }
        }
        round.deleted += try await deleteUnnamed(candidates, leader, deadline)
        if round.deleted > 0 { log.notice("objects that nothing names were swept", ["objects": "\(round.deleted)"]) }
        return round
    }

    private func deleteUnnamed(_ keys: [ObjectKey], _ leader: Epoch?, _ deadline: Instant) async throws -> Int {
        guard !keys.isEmpty else { return 0 }
        let unnamed = try await intents.unnamed(among: keys, leader: leader, deadline: deadline)
        for key in unnamed { try await store.delete(key, deadline: deadline) }
        return unnamed.count
    }
}
