public import ApusCache
public import ApusCatalog
internal import ApusQueryPlan
public import ApusRuntime
internal import ApusSchemas
public import ApusTypes
internal import Synchronization

extension Topic {
    /// Replies that are kept are out of date. The key is a batch, a blank, and a tag.
    public static let queryCache: Topic = "query_cache"
}

/// Parts of replies that were computed once (`@cache`), on this node and in a cache that nodes share.
///
/// They hold until their lifetime ends, or until a change in the catalog's feed names one of their tags: of each data source and collection that
/// has a part in them, and those that requests and schemas give them. `run()` must be running; until it is nothing is kept.
public final class QueryCache: Sendable {
    public struct Options: Sendable {
        public var limits = Cache.Limits()
        /// Where nobody says how long.
        public var lifetime: Duration = .seconds(60)

        public init() {}
    }

    /// Between two entries in the feed, which is everybody's.
    private static let publishInterval: Duration = .milliseconds(100)

    private let cache: Cache
    private let catalog: Catalog
    private let options: Options
    private let log = Logger("cache")
    private let stale = Mutex(StaleTags())
    private let wake: Watermark
    /// Rises with each look at the feed.
    private let heard: Watermark

    public init(
        catalog: Catalog, options: Options = Options(), shared: (any SharedCache)? = nil, metrics: MetricsRegistry = MetricsRegistry()
    ) {
        cache = Cache(options.limits, shared: shared, clock: catalog.clock)
        self.catalog = catalog
        self.options = options
        wake = Watermark(clock: catalog.clock)
        heard = Watermark(clock: catalog.clock)
        QueryCacheMetrics.watch(cache, isShared: shared != nil, in: metrics)
    }

    // MARK: Parts of replies

    /// The part of the reply that a statement tells: what is kept, else what `compute` gives.
    func part(
        _ caching: StatementCaching, key: [[UInt8]], schema: Digest, deadline: Instant,
        _ compute: () async throws -> PlanRunner.Part
    ) async throws -> PlanRunner.Part {
        let key = CacheKey([schema.bytes] + key)
        var tags: [CacheTag] { caching.tags + [Self.tag(of: key)] }
        if caching.isInvalidation { invalidate(caching.named + [Self.tag(of: key)]) }
        guard !stale.withLock({ $0.contains(any: tags) }) else { return try await compute() }
        let kept = try await cache.value(for: key, tags: tags, lifetime: caching.lifetime ?? options.lifetime, deadline: deadline) {
            let part = try await compute()
            return [part.isTruncated ? 1 : 0] + part.data
        }
        return PlanRunner.Part(data: Array(kept.dropFirst()), isTruncated: kept.first == 1)
    }

    private static func tag(of key: CacheKey) -> CacheTag { "k " + key.description }

    // MARK: Invalidating

    /// A mutation may have changed something in these sources: triggers and cascades of a database say nothing of what else they changed.
    func changed(_ statements: [StatementPlan]) {
        let changing = statements.filter(\.isMutation)
        invalidate(changing.map { StatementCaching.tag(ofSource: $0.source) } + changing.flatMap { $0.caching?.named ?? [] })
    }

    /// Points of a collection were written, or may have been. To be called before the writer is answered.
    public func changed(collection: String) { invalidate([StatementCaching.tag(ofCollection: collection)]) }

    /// From now on on this node; on others when the feed says so.
    private func invalidate(_ tags: [CacheTag]) {
        guard !tags.isEmpty else { return }
        stale.withLock { $0.add(tags) }
        wake.rise(by: 1)
    }

    /// What was kept under tags of requests and schemas, or everything, is out of date when this returns, and a moment later on other nodes.
    public func invalidate(tags: [String]?, deadline: Instant) async throws(ApusError) {
        let tags = tags.map { $0.map(StatementCaching.tag(named:)) } ?? [StaleTags.everything]
        invalidate(tags)
        while true {
            let mark = heard.value
            if !stale.withLock({ $0.contains(any: tags) }) { return }
            guard await heard.wait(for: mark + 1, until: deadline) else {
                throw ApusError(
                    .catalogUnavailable, "the other nodes could not be told that something is out of date",
                    hint: "they will be when the catalog answers again; until then they keep it as long as it was to be kept")
            }
        }
    }

    // MARK: Following

    /// Follows the feed and tells it what is out of date, until the task is cancelled.
    public func run() async throws { try await runTogether(follow, publish) }

    private func follow() async throws {
        for try await event in catalog.feed.follow(from: nil) {
            switch event {
            case .rebuild(let position, _):
                cache.begin(at: Moment(history: Digest(of: position.incarnation.description), version: position.version))
                stale.withLock { $0.lose() }
                wake.rise(by: 1)
            case .changes(let changes, let position):
                for change in changes { hear(change) }
                cache.advance(to: position.version)
            }
            heard.rise(by: 1)
        }
    }

    private func hear(_ change: Change) {
        // Whoever loads a source again may have changed what is in it.
        if change.topic == .querySchema { return cache.invalidate(nil, at: change.version) }
        guard change.topic == .queryCache, let blank = change.key.firstIndex(of: " ") else { return }
        let tag = String(change.key[change.key.index(after: blank)...])
        cache.invalidate(tag == StaleTags.everything ? nil : [tag], at: change.version)
        if let batch = UInt64(change.key[..<blank], radix: 16) { stale.withLock { $0.came(tag, of: batch) } }
    }

    private func publish() async throws {
        while true {
            try Task.checkCancellation()
            let mark = wake.value
            let batch = UInt64.random(in: .min ... .max)
            let tags = stale.withLock { $0.take(as: batch) }
            if !tags.isEmpty {
                do {
                    try await catalog.transaction(deadline: catalog.clock.now.advanced(by: .seconds(2))) { transaction in
                        for tag in tags { transaction.publish(.queryCache, key: "\(String(batch, radix: 16)) \(tag)") }
                    }
                } catch let error as ApusError {
                    log.debug("what is out of date cannot be told", ["error": error.description])
                    stale.withLock { $0.lose(batch) }
                    wake.rise(by: 1)
                }
                try await catalog.clock.sleep(until: catalog.clock.now.advanced(by: Self.publishInterval), tolerance: nil)
            }
            _ = await wake.wait(for: mark + 1, until: catalog.clock.now.advanced(by: .seconds(60)))
        }
    }

    public func close() async { await cache.close() }
}

/// What the cache did, read when somebody looks.
enum QueryCacheMetrics {
    static func watch(_ cache: Cache, isShared: Bool, in registry: MetricsRegistry) {
        let requests = registry.counter(
            "apus_query_cache_requests_total", help: "Parts of replies that were to be kept, by where they came from.", labels: ["result"])
        let bytes = registry.gauge("apus_query_cache_bytes", help: "Bytes of replies that this node keeps.").with()
        let values = registry.gauge("apus_query_cache_values", help: "Parts of replies that this node keeps.").with()
        let absent = registry.gauge(
            "apus_query_cache_shared_absent", help: "1 while the cache that nodes share does not answer; without one 0."
        ).with()
        registry.onScrape {
            let statistics = cache.statistics
            for (result, count) in [
                ("hit", statistics.hits), ("shared_hit", statistics.sharedHits), ("miss", statistics.misses), ("joined", statistics.joined),
            ] {
                let counter = requests.with(result)
                counter.increment(by: max(0, count - counter.count))
            }
            bytes.set(Double(statistics.bytes))
            values.set(Double(statistics.values))
            absent.set(isShared && cache.sharedAbsence != nil ? 1 : 0)
        }
    }
}
