public import ApusTypes
internal import Synchronization

/// Collects for one request that something in its reply is older than it should be, because a node that answered had no catalog. Searches say so
/// themselves; for everything else whoever writes the reply binds one, and says it with the reply.
public final class OldAnswers: Sendable {
    /// The present request's.
    @TaskLocal public static var seen: OldAnswers?

    private let earliest = Mutex<Instant?>(nil)

    public init() {}

    /// As of when the oldest part of the reply is; nil where nothing is too old.
    public var oldest: Instant? { earliest.withLock { $0 } }

    func note(_ asOf: Instant) { earliest.withLock { $0 = $0.map { min($0, asOf) } ?? asOf } }
}
