public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Values that were computed once: in process (L1), and in a cache that nodes share (L2) where there is one.
///
/// A value that is asked for by many at once is computed once (single flight). Whether one still holds is decided by the change feed
/// (`Invalidations`) and its lifetime, never by what a shared cache says; that one can be away, and no request fails for it or waits longer than
/// `Limits.sharedPatience`.
public final class Cache: Sendable {
    public struct Limits: Sendable, Hashable {
        /// Of all that is kept in process, and of one value, there or in the shared cache.
        public var bytes: ByteCount = .mebibytes(64)
        public var valueBytes: ByteCount = .mebibytes(1)
        /// How long a request waits for the shared cache.
        public var sharedPatience: Duration = .milliseconds(50)
        public init() {}
    }

    /// Counts since the start.
    public struct Statistics: Sendable, Hashable {
        public var hits = 0
        public var sharedHits = 0
        public var misses = 0
        /// Requests that waited for another one's computation.
        public var joined = 0
        /// Now.
        public var bytes = 0
        public var values = 0
    }

    private static let stripeCount = 8

    private let limits: Limits
    private let shared: (any SharedCache)?
    private let clock: any MonotonicClock
    private let invalidations = Mutex(Invalidations())
    private let stripes: [Stripe]

    private typealias Call = AbandonableCall<CacheEntry?>

    private enum Answer {
        case hit([UInt8])
        case compute
        case lead(CacheTable.Flight)
        case wait(Call)
    }

    private final class Stripe: Sendable {
        struct State {
            var table: CacheTable
            /// Those who wait for a flight.
            var waiters: [UInt64: [Call]] = [:]
            var statistics = Statistics()

            mutating func answer(_ key: CacheKey, _ tags: () -> [CacheTag], at time: Instant, _ invalidations: Invalidations) -> Answer {
                switch table.lookUp(key, tags(), at: time, invalidations) {
                case .hit(let entry):
                    statistics.hits += 1
                    return .hit(entry.value)
                case .lead(let flight):
                    if flight == nil { statistics.misses += 1 }
                    return flight.map { .lead($0) } ?? .compute
                case .join(let flight):
                    statistics.joined += 1
                    let call = Call()
                    waiters[flight.id, default: []].append(call)
                    return .wait(call)
                }
            }
        }
        let state: Mutex<State>
        init(bytes: Int) { state = Mutex(State(table: CacheTable(bytes: bytes))) }
    }

    public init(_ limits: Limits = Limits(), shared: (any SharedCache)? = nil, clock: any MonotonicClock = BootClock()) {
        self.limits = limits
        self.shared = shared
        self.clock = clock
        stripes = (0..<Self.stripeCount).map { _ in Stripe(bytes: limits.bytes.bytes / Self.stripeCount) }
    }

    public var statistics: Statistics {
        stripes.reduce(into: Statistics()) { sum, stripe in
            stripe.state.withLock { state in
                sum.hits += state.statistics.hits
                sum.sharedHits += state.statistics.sharedHits
                sum.misses += state.statistics.misses
                sum.joined += state.statistics.joined
                sum.bytes += state.table.bytes
                sum.values += state.table.count
            }
        }
    }

    /// Why the shared cache is not used; nil while it is, or where there is none.
    public var sharedAbsence: ApusError? { shared?.absence }

    // MARK: The change feed

    /// The feed is read from here. Until this is called nothing is kept; after it nothing from before is.
    public func begin(at moment: Moment) { invalidations.withLock { $0.begin(at: moment) } }

    /// All changes up to this version have been told.
    public func advance(to version: Int64) { invalidations.withLock { $0.advance(to: version) } }

    /// A change of this version names tags; nil: everything. Values that were computed before it are not given to those who ask from now on.
    public func invalidate(_ tags: [CacheTag]?, at version: Int64) {
        invalidations.withLock { invalidations in
            guard let tags else { return invalidations.invalidate(nil, at: version) }
            for tag in tags { invalidations.invalidate(tag, at: version) }
        }
    }

    // MARK: Values

    /// What is kept under `key`, else what `compute` gives, which is kept for `lifetime`. All who ask for a key must give the same tags.
    ///
    /// Throws what `compute` throws (of another one's computation too: it is the same question), or `deadline.exceeded`.
    public func value(
        for key: CacheKey, tags: @autoclosure () -> [CacheTag], lifetime: Duration, deadline: Instant, _ compute: () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        let stripe = stripes[Int(key.digest.bytes[31]) % stripes.count]
        while true {
            let now = clock.now
            let invalidations = invalidations.withLock(\.self)
            switch stripe.state.withLock({ $0.answer(key, tags, at: now, invalidations) }) {
            case .hit(let value): return value
            case .compute: return try await compute()
            case .lead(let flight): return try await lead(flight, key, tags(), lifetime, stripe, compute)
            case .wait(let call):
                // Nil: it was given up by its own caller, so this one asks anew.
                if let entry = try await wait(for: call, deadline) { return entry.value }
            }
        }
    }

    private func lead(
        _ flight: CacheTable.Flight, _ key: CacheKey, _ tags: [CacheTag], _ lifetime: Duration, _ stripe: Stripe,
        _ compute: () async throws -> [UInt8]
    ) async throws -> [UInt8] {
        if let entry = await sharedEntry(key, tags, lifetime) {
            stripe.state.withLock { $0.statistics.sharedHits += 1 }
            land(flight, of: key, stripe, .success(entry))
            return entry.value
        }
        stripe.state.withLock { $0.statistics.misses += 1 }
        do {
            let value = try await compute()
            let entry = CacheEntry(value: value, tags: tags, moment: flight.moment, expires: clock.now.advanced(by: lifetime))
            land(flight, of: key, stripe, .success(entry))
            if let shared, value.count <= limits.valueBytes.bytes {
                shared.keep(SharedEntry(moment: flight.moment, tags: tags, value: value).wireBytes, named: key.name, for: lifetime)
            }
            return value
        } catch {
            land(flight, of: key, stripe, .failure(error))
            throw error
        }
    }

    private func sharedEntry(_ key: CacheKey, _ tags: [CacheTag], _ lifetime: Duration) async -> CacheEntry? {
        guard let shared,
            let found = await shared.value(named: key.name, deadline: clock.now.advanced(by: limits.sharedPatience)),
            let entry = try? SharedEntry(wireBytes: found.bytes),  // of another build, or damaged: as good as nothing
            invalidations.withLock({ $0.holds(entry.moment, tags) })
        else { return nil }
        return CacheEntry(
            value: entry.value, tags: tags, moment: entry.moment, expires: clock.now.advanced(by: min(found.lifetime, lifetime)))
    }

    private func land(_ flight: CacheTable.Flight, of key: CacheKey, _ stripe: Stripe, _ result: Result<CacheEntry, any Error>) {
        let invalidations = invalidations.withLock(\.self)
        let entry = try? result.get()
        let isKept = entry.map { $0.value.count <= limits.valueBytes.bytes } ?? false
        let waiters = stripe.state.withLock { state in
            state.table.land(flight, of: key, with: isKept ? entry : nil, invalidations)
            return state.waiters.removeValue(forKey: flight.id) ?? []
        }
        for waiter in waiters {
            switch result {
            case .success(let entry): waiter.finish(.success(entry))
            case .failure(let error) where Self.isOfCaller(error): waiter.finish(.success(nil))
            case .failure(let error): waiter.finish(.failure(error))
            }
        }
    }

    /// Whether a computation ended for a reason of its caller's: others may have more time.
    private static func isOfCaller(_ error: any Error) -> Bool {
        if error is CancellationError { return true }
        return [.deadlineExceeded, .clientGone].contains((error as? ApusError)?.code)
    }

    private func wait(for call: Call, _ deadline: Instant) async throws -> CacheEntry? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard call.begin(continuation) else { return }
                let timer = Deadlines.shared.schedule(at: deadline) {
                    call.finish(.failure(ApusError(.deadlineExceeded, "a value that another request computes did not come in time")))
                }
                if let timer { call.onFinish(timer) }
            }
        } onCancel: {
            call.finish(.failure(CancellationError()))
        }
    }

    public func close() async { await shared?.close() }
}
