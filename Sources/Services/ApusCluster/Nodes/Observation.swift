internal import ApusCatalog
internal import ApusMembership
internal import ApusTypes
internal import Synchronization

/// What this node knows of the others: the catalog's rows as it read them last, its own probes, and what follows from both.
struct Observation: Sendable {
    /// By name, as of the last reading.
    private(set) var rows: [NodeRow] = []
    private(set) var probes: [NodeName: ProbeResult] = [:]
    private var machine: MembershipMachine
    /// The leader's own machine, which starts anew with each term of office, and that term.
    private(set) var leading: (machine: MembershipMachine, epoch: Epoch, since: Instant)?
    /// What the leader has written down of each node in this term; one that it has not written of is alive.
    private var recorded: [NodeName: NodeStanding] = [:]
    /// When the leader first saw that a node had left.
    private(set) var leftSince: [NodeName: Instant] = [:]

    init(terms: MembershipTerms) { machine = MembershipMachine(terms: terms) }

    /// The rows of a successful reading; `leader`: the term of office, if this node leads.
    mutating func read(_ rows: [NodeRow], by reader: NodeName, leader: Epoch?, at now: Instant) {
        self.rows = rows
        let lives = Dictionary(rows.map { ($0.name, $0.incarnation) }, uniquingKeysWith: { first, _ in first })
        let sightings = rows.map { row in
            NodeSighting(
                name: row.name, incarnation: row.incarnation, epoch: row.sessionEpoch?.value ?? 0, heartbeats: row.heartbeats ?? 0,
                takesPart: row.status != .left,
                probes: NodeReport(row.report, lives: lives).probes)
        }
        machine.observe(sightings, reader: reader, own: probes, at: now)
        guard let leader else {
            (leading, leftSince) = (nil, [:])
            return
        }
        if leading?.epoch != leader { (leading, leftSince, recorded) = ((machine.successor(at: now), leader, now), [:], [:]) }
        leading?.machine.observe(sightings, reader: reader, own: probes, at: now)
        leftSince = Dictionary(
            rows.filter { $0.status == .left }.map { ($0.name, leftSince[$0.name] ?? now) }, uniquingKeysWith: { first, _ in first })
    }

    mutating func note(_ result: ProbeResult, of node: NodeName) { probes[node] = result }

    /// Whom `node` asks next whether they answer. What it found out about others is forgotten.
    mutating func beginProbes(by node: NodeName) -> [NodeRow] {
        let peers = rows.filter { $0.status != .left && $0.name != node }
        let doubt = Set(peers.map(\.name).filter { machine.standing(of: $0)?.isInDoubt ?? false })
        let asked = probed(by: node, among: peers.map(\.name), doubt: doubt)
        probes = probes.filter { asked.contains($0.key) }
        return peers.filter { asked.contains($0.name) }
    }

    func standing(of node: NodeName) -> NodeStanding? { machine.standing(of: node) }

    /// As the leader judges; nil where this node does not lead under that epoch.
    func leaderStanding(of node: NodeName, epoch: Epoch) -> NodeStanding? {
        leading?.epoch == epoch ? leading?.machine.standing(of: node) : nil
    }

    /// What the leader thinks of nodes otherwise than it has written down; nothing where this node does not lead under that epoch.
    func unrecorded(leader epoch: Epoch) -> [NodeName: NodeStanding] {
        var changed: [NodeName: NodeStanding] = [:]
        for row in rows {
            guard let standing = leaderStanding(of: row.name, epoch: epoch), !standing.isToldBy(recorded[row.name]) else { continue }
            changed[row.name] = standing
        }
        return changed
    }

    mutating func recorded(_ standings: [NodeName: NodeStanding], leader epoch: Epoch) {
        guard leading?.epoch == epoch else { return }
        recorded.merge(standings) { $1 }
    }

    func row(_ node: NodeName) -> NodeRow? { rows.first { $0.name == node } }

    /// The row's status, unless its node seems to be gone.
    func status(of row: NodeRow) -> NodeStatus {
        guard row.status != .left, let standing = standing(of: row.name) else { return row.status }
        switch standing.state {
        case .alive: return row.status == .active && !standing.isAcquainted ? .joining : row.status
        case .suspect: return .suspect
        case .down: return .down
        }
    }
}

/// What a node says with each heartbeat.
struct NodeReport: Sendable, Hashable {
    /// Of those whom it probes.
    var probes: [NodeName: ProbeResult] = [:]

    init(probes: [NodeName: ProbeResult]) { self.probes = probes }

    /// What is no report says nothing. A node of a version before this one does not say of which life of a node it speaks: of `lives`, those
    /// that the reader knows.
    init(_ text: String, lives: [NodeName: Int64] = [:]) {
        guard let value = try? JSONValue(parsing: Array(text.utf8)), let members = value["probes"]?.asObject else { return }
        let asked = value["incarnations"]?.asObject
        for (name, value) in members {
            let node = NodeName(name)
            guard let isReached = value.asBool, let life = asked == nil ? lives[node] : asked?[name]?.asInteger else { continue }
            probes[node] = ProbeResult(incarnation: life, isReached: isReached)
        }
    }

    var text: String {
        let sorted = probes.sorted { $0.key < $1.key }.map { ($0.key.rawValue, $0.value) }
        return JSONValue.object([
            "probes": .object(JSONObject(sorted.map { ($0, .bool($1.isReached)) })),
            "incarnations": .object(JSONObject(sorted.map { ($0, .integer($1.incarnation)) })),
        ]).description
    }
}

/// An observation that the node's tasks share.
final class ObservationBook: Sendable {
    private let observation: Mutex<Observation>

    init(terms: MembershipTerms) { observation = Mutex(Observation(terms: terms)) }

    func withLock<Value: Sendable>(_ body: (inout sending Observation) -> sending Value) -> Value { observation.withLock(body) }
}
