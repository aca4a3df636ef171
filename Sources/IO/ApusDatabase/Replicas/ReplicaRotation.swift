public import ApusTypes

/// Which replica answers the next read, and why the others do not.
///
/// How far a replica is behind is told by this node's own clock: it has everything up to the latest of the primary's places that it has
/// reached, and is as old as the look that found that place. Servers' clocks are not compared, and a primary that writes nothing makes nobody
/// late.
struct ReplicaRotation: Sendable {
    let limit: Duration
    private var replicas: [Replica]
    private var turn = 0
    private var primary: ReadToken?
    /// Places of the primary, with the moments at which it was asked; the oldest are forgotten.
    private var trail: [(asked: Instant, lsn: Int64)] = []

    private struct Replica {
        var sighting: ServerSighting?
        /// Why it was not seen.
        var failure: ApusError? = ApusError(.catalogUnavailable, "the replica was not asked yet")
        /// As it was told last.
        var wasUsable = false
    }

    static let trailLength = 128

    init(count: Int, limit: Duration) {
        self.limit = limit
        replicas = Array(repeating: Replica(), count: count)
    }

    // MARK: What was seen

    /// `asked` is before the question was sent.
    mutating func sawPrimary(_ place: ReadToken, asked: Instant) {
        if primary?.system != place.system || primary?.timeline != place.timeline { trail = [] }
        if trail.count == Self.trailLength { trail.removeFirst() }
        primary = place
        trail.append((asked, place.lsn))
    }

    mutating func saw(_ replica: Int, _ sighting: ServerSighting) {
        replicas[replica].sighting = sighting
        replicas[replica].failure = nil
    }

    mutating func failed(_ replica: Int, _ error: ApusError) {
        replicas[replica].sighting = nil
        replicas[replica].failure = error
    }

    // MARK: What follows

    /// The next in turn that may answer; nil: the primary does.
    mutating func next(seeing token: ReadToken?, besides tried: Set<Int>, at now: Instant) -> Int? {
        for step in replicas.indices {
            let index = (turn + step) % replicas.count
            guard !tried.contains(index), standing(of: index, at: now).isUsable else { continue }
            if let token, let place = replicas[index].sighting?.place, !token.isCovered(by: place) { continue }
            turn = index + 1
            return index
        }
        return nil
    }

    /// How the replica stands, if it answers now and did not when this was asked last, or the other way round.
    mutating func change(of replica: Int, at now: Instant) -> ReplicaStanding? {
        let standing = standing(of: replica, at: now)
        defer { replicas[replica].wasUsable = standing.isUsable }
        return standing.isUsable == replicas[replica].wasUsable ? nil : standing
    }

    func standing(of replica: Int, at now: Instant) -> ReplicaStanding {
        if let failure = replicas[replica].failure { return .silent(failure) }
        guard let sighting = replicas[replica].sighting, let primary else { return .primaryUnknown }
        guard sighting.isStandby else { return .promoted }
        guard sighting.place.system == primary.system, sighting.place.timeline == primary.timeline else { return .otherHistory }
        let lag = trail.last { $0.lsn <= sighting.place.lsn }.map { $0.asked.duration(to: now) }
        guard let lag, lag <= limit else { return .behind(lag) }
        return .usable(lag)
    }
}

/// How a replica of the catalog stands.
public enum ReplicaStanding: Sendable {
    /// It answers reads; its data is this old at most.
    case usable(Duration)
    /// Its data is older than is allowed; nil: so old that nothing is left to tell by.
    case behind(Duration?)
    /// It is a standby no more.
    case promoted
    /// It follows another server than the one that takes writes, or has not followed that over its promotion yet.
    case otherHistory
    case silent(ApusError)
    /// The primary was not seen yet, so nobody knows how old the replica is.
    case primaryUnknown

    public var isUsable: Bool { if case .usable = self { true } else { false } }

    /// How old its data is at most; nil while that cannot be told.
    public var lag: Duration? {
        switch self {
        case .usable(let lag): lag
        case .behind(let lag): lag
        case .promoted, .otherHistory, .silent, .primaryUnknown: nil
        }
    }
}
