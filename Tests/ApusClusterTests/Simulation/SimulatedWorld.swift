import ApusMembership
import ApusPlacement
import ApusTypes
import TestKit

@testable import ApusCatalog
@testable import ApusCluster

/// Nodes, a catalog and a network in one thread, on a clock and with chances of their own: the same seed gives the same world.
///
/// The decisions are those of the product: `LeaseMachine`, `Observation` with its `MembershipMachine`, `PlacementPlan`, `ReplicaSteps`. What
/// carries messages, and what a node does with its own replicas, is simulated. A promise that is broken is kept in `broken`.
final class SimulatedWorld {
    let terms = LeaseTerms()
    let graces = ReplicaSteps.Graces(absence: .seconds(20), restart: .seconds(30))
    let factor: Int

    private(set) var now = Instant(nanosecondsSinceBoot: 1_000_000_000_000)
    var random: SeededGenerator
    private var events: [Event] = []
    private var order = 0

    var catalog: SimulatedCatalog
    private(set) var nodes: [SimulatedNode] = []
    /// Paths that carry nothing, from one to the other. The catalog is `catalogName`.
    private(set) var cuts: Set<Path> = []
    private var isCatalogAway = false
    /// Share of messages that are lost, and how long others take.
    private(set) var loss = 0.0
    private var slowest = Duration.milliseconds(40)
    /// When something last began or ended that messages suffer from.
    private(set) var pathsChangedAt = Instant(nanosecondsSinceBoot: 0)

    private(set) var broken: [String] = []
    /// What happened, for who reads a failure.
    private(set) var timeline: [String] = []
    private(set) var adds = 0
    /// When the last heartbeats of each node were committed.
    private var beats: [NodeName: [Instant]] = [:]

    static let catalogName = NodeName("catalog")

    struct Path: Hashable {
        var from: NodeName
        var to: NodeName
    }

    private struct Event {
        var at: Instant
        var order: Int
        var run: () -> Void
    }

    init(seed: UInt64, nodes count: Int, shards: Int, factor: Int) {
        random = SeededGenerator(seed: seed)
        self.factor = factor
        catalog = SimulatedCatalog()
        for number in 1...count { add(NodeName("n\(number)")) }
        let names = nodes.map(\.name)
        catalog.shards = (0..<shards).map { number in
            ShardRow(
                id: ShardID(Int64(number)), collection: CollectionID(1), number: number,
                replicas: (0..<min(factor, count)).map { .init(node: names[(number + $0) % count], state: .serving) })
        }
    }

    @discardableResult
    func add(_ name: NodeName) -> SimulatedNode {
        let node = SimulatedNode(name, in: self)
        nodes.append(node)
        node.start()
        return node
    }

    // MARK: Time and chance

    func after(_ duration: Duration, _ run: @escaping () -> Void) {
        order += 1
        let event = Event(at: now.advanced(by: duration), order: order, run: run)
        // A heap: the earliest is the first.
        events.append(event)
        var child = events.count - 1
        while child > 0, Self.precedes(events[child], events[(child - 1) / 2]) {
            events.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private static func precedes(_ left: Event, _ right: Event) -> Bool { (left.at, left.order) < (right.at, right.order) }

    private func next() -> Event? {
        guard !events.isEmpty else { return nil }
        events.swapAt(0, events.count - 1)
        let event = events.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < events.count && Self.precedes(events[child], events[least]) {
                least = child
            }
            guard least != parent else { return event }
            events.swapAt(parent, least)
            parent = least
        }
    }

    /// `until`: ends earlier when it holds, looked at each half second.
    func run(_ duration: Duration, until: (() -> Bool)? = nil) {
        let end = now.advanced(by: duration)
        var look = now
        while let first = events.first, first.at <= end, let event = next() {
            now = max(now, event.at)
            event.run()
            guard now >= look else { continue }
            look = now.advanced(by: .milliseconds(500))
            if until?() == true { return }
        }
        now = end
    }

    private func delay() -> Duration { .nanoseconds(Int64.random(in: 200_000...slowest.nanoseconds, using: &random)) }

    func chance(_ share: Double) -> Bool { Double.random(in: 0..<1, using: &random) < share }

    func note(_ text: String) { timeline.append("\(seconds) \(text)") }
    func fail(_ text: String) { broken.append("\(seconds) \(text)") }
    private var seconds: Double { Double(now.nanosecondsSinceBoot / 1_000_000 - 1_000_000) / 1000 }

    // MARK: Faults

    func cut(_ from: NodeName, _ to: NodeName) {
        cuts.insert(Path(from: from, to: to))
        note("cut \(from)→\(to)")
        changed()
    }

    func setCatalogAway(_ isAway: Bool) {
        isCatalogAway = isAway
        note("catalog \(isAway ? "away" : "back")")
        changed()
    }

    func jumpCatalogClock(_ offset: Duration) {
        catalog.offset += offset
        note("the catalog's clock jumps by \(offset)")
    }

    func disturb(loss: Double, slowest: Duration) {
        (self.loss, self.slowest) = (loss, slowest)
        note("\(loss) of the messages are lost, others take up to \(slowest)")
        changed()
    }

    /// Some fault has begun or ended.
    func changed() {
        pathsChangedAt = now
        for node in nodes { node.noteIsolation() }
    }

    /// All paths carry again, every process runs.
    func heal() {
        cuts = []
        isCatalogAway = false
        loss = 0
        slowest = .milliseconds(40)
        for node in nodes where !node.isUp { node.start() }
        note("healed")
        changed()
    }

    func catalogIsReached(by node: NodeName) -> Bool { carries(node, Self.catalogName) && carries(Self.catalogName, node) }

    func carries(_ from: NodeName, _ to: NodeName) -> Bool {
        if isCatalogAway, from == Self.catalogName || to == Self.catalogName { return false }
        return !cuts.contains(Path(from: from, to: to))
    }

    // MARK: Messages

    /// Asks the catalog; nil comes back when nobody knows what it did, after `patience` at the latest.
    func askCatalog<Reply>(
        _ node: SimulatedNode, patience: Duration, _ work: @escaping (inout SimulatedCatalog) -> Reply, then: @escaping (Reply?) -> Void
    ) {
        exchange(node, Self.catalogName, patience: patience, { [unowned self] in work(&catalog) }, then: then)
    }

    /// Asks a peer whether it is there, and is who has registered.
    func probe(_ node: SimulatedNode, _ peer: NodeRow, then: @escaping (Bool) -> Void) {
        exchange(
            node, peer.name, patience: .seconds(1),
            { [unowned self] in
                nodes.contains { $0.isUp && $0.pausedUntil == nil && $0.name == peer.name && $0.incarnation == peer.incarnation }
            },
            then: { then($0 ?? false) })
    }

    private func exchange<Reply>(
        _ node: SimulatedNode, _ to: NodeName, patience: Duration, _ work: @escaping () -> Reply, then: @escaping (Reply?) -> Void
    ) {
        let life = node.life
        var isAnswered = false
        func answer(_ reply: Reply?) {
            guard !isAnswered, node.life == life, node.isUp else { return }
            isAnswered = true
            node.whenAwake { if node.life == life { then(reply) } }
        }
        after(patience) { answer(nil) }
        guard !chance(loss) else { return }
        after(delay()) { [unowned self] in
            guard carries(node.name, to) else { return }
            let reply = work()
            guard !chance(loss) else { return }
            after(delay()) { [unowned self] in if carries(to, node.name) { answer(reply) } }
        }
    }

    // MARK: What was promised

    /// How many nodes serve a shard in truth.
    private func served(_ shard: ShardRow) -> Int {
        shard.replicas.count { replica in replica.state.answers && nodes.contains { $0.name == replica.node && $0.serves(shard.id) } }
    }

    /// The leader's changes, in the catalog. Nothing happens under an epoch that is not the lease's any more.
    func change(
        _ changes: [ReplicaChange], by leader: SimulatedNode, life: Int, epoch: Epoch, _ catalog: inout SimulatedCatalog
    ) -> [ReplicaChange]? {
        guard catalog.leases["leader"]?.epoch == epoch else { return nil }
        if let other = catalog.actors.updateValue("\(leader.name)/\(life)", forKey: epoch), other != "\(leader.name)/\(life)" {
            fail("\(leader.name) and \(other) have acted under epoch \(epoch)")
        }
        let before = Dictionary(uniqueKeysWithValues: catalog.shards.map { ($0.id, served($0)) })
        let made = changes.filter { catalog.apply($0) }
        adds += made.count { $0.from.contains(nil) }
        for change in made { note("\(leader.name): \(change.shard) \(change.node) \(change.state?.rawValue ?? "dropped")") }
        for shard in catalog.shards {
            let (was, isNow) = (before[shard.id] ?? 0, served(shard))
            if isNow < min(was, factor) { fail("shard \(shard.id) was served by \(was) and is by \(isNow)") }
        }
        return made
    }

    /// What the leader thinks of the others, compared with the truth.
    func check(_ leader: SimulatedNode, epoch: Epoch, readSince sent: Instant) {
        for node in nodes where node !== leader {
            guard let standing = leader.observation.leaderStanding(of: node.name, epoch: epoch) else { continue }
            if standing.state == .down {
                if hasBeaten(node.name, within: .seconds(4), until: sent) {
                    fail("\(leader.name) holds \(node.name) for down, whose heart beats")
                }
                if let witness = witness(of: node, besides: leader) {
                    fail("\(leader.name) holds \(node.name) for down, which \(witness.name) reaches")
                }
            } else if let since = node.isolatedSince, let term = leader.leadsSince, leader.isHealthy(for: .seconds(10)) {
                // Five seconds of silence, a heartbeat and a reading before it, and a reading and a witness' last word after it.
                if max(since, term).duration(to: now) > .seconds(10) { fail("\(leader.name) has not noticed that \(node.name) is gone") }
            }
        }
    }

    func noteBeat(of node: NodeName) { beats[node] = (beats[node] ?? []).suffix(4) + [now] }

    func hasBeaten(_ node: NodeName, within time: Duration, until: Instant = .distantFuture) -> Bool {
        beats[node]?.contains { $0 <= until && $0.duration(to: now) < time } ?? false
    }

    /// Who has reached a node for some seconds without a break, and could tell the leader.
    private func witness(of node: SimulatedNode, besides leader: SimulatedNode) -> SimulatedNode? {
        let time = Duration.seconds(5)
        guard node.isHealthy(for: time), leader.isHealthy(for: time) else { return nil }
        return nodes.first { witness in
            // Its word comes with its heartbeat.
            hasBeaten(witness.name, within: .seconds(2)) && witness !== node && witness.isHealthy(for: time)
                && carries(witness.name, node.name)
                && carries(node.name, witness.name)
                && probed(by: witness.name, among: nodes.map(\.name)).contains(node.name)
        }
    }

    /// Whether everything is as it should be after a while without faults.
    var problems: [String] {
        var problems: [String] = []
        let leaders = nodes.filter { $0.leadership.held(at: now) != nil }
        if leaders.count != 1 { problems.append("\(leaders.count) leaders") }
        for node in nodes {
            for other in nodes where node.observation.standing(of: other.name)?.state != .alive {
                problems.append(
                    "\(node.name) holds \(other.name) for \(node.observation.standing(of: other.name)?.state.rawValue ?? "nothing")")
            }
        }
        for shard in catalog.shards {
            let right = min(factor, nodes.count)
            if served(shard) != right || shard.replicas.count != right || shard.replicas.contains(where: { $0.state != .serving }) {
                problems.append("shard \(shard.id): \(shard.replicas)")
            }
        }
        let loads = nodes.map { node in catalog.shards.count { $0.replicas.contains { $0.node == node.name } } }
        let share = Double(loads.reduce(0, +)) / Double(loads.count)
        for (node, load) in zip(nodes, loads) where Double(load) > max(share.rounded(.up), 1.15 * share) || Double(load) < 0.85 * share - 1
        {
            problems.append("\(node.name) has \(load) replicas, where \(share) are its share")
        }
        return problems
    }
}

/// The rows that decisions are made from.
struct SimulatedCatalog {
    struct Lease {
        var holder: String?
        var epoch = Epoch(0)
        var renewals: Int64 = 0
        var expires = Duration.zero
        var report = ""
    }

    var leases: [String: Lease] = [:]
    var rows: [NodeName: NodeRow] = [:]
    var shards: [ShardRow] = []
    var feed: Int64 = 0
    /// Its own clock, which may jump.
    var offset = Duration.zero
    var history = "A"
    /// Who had an effect under which epoch of the leader.
    var actors: [Epoch: String] = [:]

    private func clock(_ now: Instant) -> Duration { .nanoseconds(now.nanosecondsSinceBoot) + offset }

    func observe(_ name: String, at now: Instant) -> LeaseObservation {
        let row = leases[name] ?? Lease()
        return LeaseObservation(
            holder: row.holder, epoch: row.epoch, renewals: row.renewals, isExpired: row.expires <= clock(now), history: history)
    }

    mutating func take(_ name: String, _ holder: String, _ seen: LeaseObservation, _ terms: LeaseTerms, at now: Instant) -> Epoch? {
        var row = leases[name] ?? Lease()
        guard row.epoch == seen.epoch, row.renewals == seen.renewals else { return nil }
        row.holder = holder
        row.epoch = Epoch(row.epoch.value + 1)
        row.renewals += 1
        row.expires = clock(now) + terms.length
        leases[name] = row
        return row.epoch
    }

    mutating func renew(_ name: String, _ holder: String, _ epoch: Epoch, report: String, _ terms: LeaseTerms, at now: Instant) -> Bool {
        guard var row = leases[name], row.holder == holder, row.epoch == epoch else { return false }
        row.renewals += 1
        row.expires = clock(now) + terms.length
        row.report = report
        leases[name] = row
        return true
    }

    mutating func apply(_ change: ReplicaChange) -> Bool {
        guard let index = shards.firstIndex(where: { $0.id == change.shard }) else { return false }
        let place = shards[index].replicas.firstIndex { $0.node == change.node }
        let state = place.map { shards[index].replicas[$0].state }
        guard change.from.contains(state), state != change.state else { return false }
        if let place { shards[index].replicas.remove(at: place) }
        if let state = change.state { shards[index].replicas.append(.init(node: change.node, state: state)) }
        shards[index].replicas.sort { $0.node < $1.node }
        feed += 1
        return true
    }

    mutating func register(_ name: NodeName) -> Int64 {
        let incarnation = (rows[name]?.incarnation ?? 0) + 1
        rows[name] = NodeRow(
            name: name, url: "", rpcAddress: "", roles: [.manager, .worker], status: .active, incarnation: incarnation,
            version: "", hasGeneratedName: false, metadata: "{}", registeredAt: WallTime(millisecondsSinceEpoch: 0))
        return incarnation
    }

    func nodeRows() -> [NodeRow] {
        rows.values.sorted { $0.name < $1.name }.map { row in
            var row = row
            let session = leases["session \(row.name)"]
            row.sessionEpoch = session?.epoch
            row.heartbeats = session?.renewals
            row.report = session?.report ?? ""
            return row
        }
    }
}
