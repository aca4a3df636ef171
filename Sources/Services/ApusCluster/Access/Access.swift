public import ApusCatalog
internal import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Who the holders of API keys are. The catalog knows; this remembers for a second, so that a request costs no round trip.
///
/// A key that is revoked through this node ends at once, through another within a second. While the catalog is away a key that it
/// confirmed before stays in force for `maxStale` (`auth.max_stale`), then requests with it answer 503: nobody knows better.
public final class Access: Sendable {
    private let keys: APIKeys
    private let clock: any MonotonicClock
    private let maxStale: Duration
    private let confirmed = Mutex<[Digest: Confirmation]>([:])

    private struct Confirmation {
        var id: String
        var principal: Principal
        var at: Instant
        /// When the catalog was last asked in vain.
        var triedAt: Instant?
    }

    private static let fresh: Duration = .seconds(1)
    /// What the catalog gets to answer when an older answer is at hand.
    private static let patience: Duration = .milliseconds(500)
    /// More keys than this are not remembered, only looked up.
    private static let mostRemembered = 10_000

    public init(keys: APIKeys, clock: any MonotonicClock, maxStale: Duration) {
        self.keys = keys
        self.clock = clock
        self.maxStale = maxStale
    }

    /// Whose key `secret` is, nil when it is nobody's. Throws `catalog.unavailable` when that cannot be known.
    public func verify(_ secret: Redacted<String>, deadline: Instant) async throws -> Principal? {
        let digest = Digest(of: secret.reveal())  // what is remembered must not be usable as a key
        let known = confirmed.withLock { $0[digest] }
        // Counted from before the question was sent.
        let now = clock.now
        let isUsable = known.map { $0.at.duration(to: now) < maxStale } ?? false
        if let known, isUsable, max(known.at, known.triedAt ?? known.at).duration(to: now) < Self.fresh { return known.principal }
        do {
            let patience = isUsable ? min(deadline, now.advanced(by: Self.patience)) : deadline
            guard let key = try await keys.verify(secret, deadline: patience) else {
                confirmed.withLock { _ = $0.removeValue(forKey: digest) }
                return nil
            }
            let confirmation = Confirmation(
                id: key.id, principal: Principal(id: key.id, role: key.role.principalRole, scope: key.scope), at: now)
            confirmed.withLock { confirmed in
                if confirmed.count >= Self.mostRemembered { confirmed = confirmed.filter { $0.value.at.duration(to: now) < Self.fresh } }
                if confirmed.count < Self.mostRemembered { confirmed[digest] = confirmation }
            }
            return confirmation.principal
        } catch let error as ApusError where error.code.surface.http == 503 {
            guard let known, isUsable else { throw error }
            confirmed.withLock { $0[digest]?.triedAt = now }
            return known.principal
        }
    }

    public func create(
        name: String, role: APIKeyRole, scope: CollectionScope = .everything, deadline: Instant
    ) async throws -> (key: APIKey, secret: Redacted<String>) {
        guard !name.isEmpty, name.utf8.count <= 200, !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            throw ApusError(.requestInvalid, "a key's name has 1 to 200 bytes and no control characters", context: ["field": "name"])
        }
        return try await keys.create(name: name, role: role, scope: scope, deadline: deadline)
    }

    public func list(deadline: Instant) async throws -> [APIKey] { try await keys.list(deadline: deadline) }

    /// False if there is no such key in force.
    public func revoke(id: String, deadline: Instant) async throws -> Bool {
        let wasThere = try await keys.revoke(id: id, deadline: deadline)
        confirmed.withLock { confirmed in confirmed = confirmed.filter { $0.value.id != id } }
        return wasThere
    }
}

extension APIKeyRole {
    var principalRole: Principal.Role {
        switch self {
        case .administrator: .administrator
        case .writer: .writer
        case .reader: .reader
        }
    }
}
