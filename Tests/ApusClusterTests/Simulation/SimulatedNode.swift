import ApusMembership
import ApusTypes

@testable import ApusCatalog
@testable import ApusCluster

/// A node's process in a simulated world: its leases, its eyes, its part as a leader, and its own replicas.
final class SimulatedNode {
    let name: NodeName
    private unowned let world: SimulatedWorld
    private(set) var isUp = false
    /// Rises with each start: what an earlier life has under way means nothing.
    private(set) var life = 0
    /// Of its registration, which it may hear of long after its start; nil before.
    private(set) var incarnation: Int64?
    private var registeredAt = Instant(nanosecondsSinceBoot: 0)
    /// It is stopped until then, and does not know.
    private(set) var pausedUntil: Instant?

    private(set) var session: LeaseMachine
    private(set) var leadership: LeaseMachine
    private(set) var observation = Observation(terms: MembershipTerms())
    private var placement = PlacementMemory()
    private(set) var leadsSince: Instant?
    /// When it was started, stopped or let go on; and since when it reaches nobody.
    private var changedAt = Instant(nanosecondsSinceBoot: 0)
    private(set) var isolatedSince: Instant?
    /// When it began to serve shards that it has loaded.
    private var loaded: [ShardID: Instant] = [:]

    init(_ name: NodeName, in world: SimulatedWorld) {
        self.name = name
        self.world = world
        session = LeaseMachine(holder: "", terms: world.terms)
        leadership = session
    }

    // MARK: Life

    func start() {
        isUp = true
        life += 1
        incarnation = nil
        pausedUntil = nil
        changedAt = world.now
        isolatedSince = nil
        session = LeaseMachine(holder: "\(name)/\(life)", terms: world.terms)
        leadership = session
        observation = Observation(terms: MembershipTerms())
        placement = PlacementMemory()
        leadsSince = nil
        world.note("\(name) starts")
        join()
    }

    private func join() {
        world.askCatalog(self, patience: .seconds(2)) { [name] in
            $0.register(name)
        } then: { [unowned self] registered in
            guard let registered else { return join() }
            incarnation = registered
            registeredAt = world.now
            keep(\.session, "session \(name)")
            keep(\.leadership, "leader")
            every(.seconds(1)) { [unowned self] in look() }
            every(.seconds(1)) { [unowned self] in probePeers() }
            every(.milliseconds(500)) { [unowned self] in lead() }
            every(.milliseconds(500)) { [unowned self] in tendReplicas() }
        }
    }

    func kill() {
        guard isUp else { return }
        isUp = false
        pausedUntil = nil
        changedAt = world.now
        world.note("\(name) is killed")
        noteIsolation()
    }

    func pause(_ duration: Duration) {
        guard isUp else { return }
        pausedUntil = world.now.advanced(by: duration)
        changedAt = world.now
        world.note("\(name) is paused for \(duration)")
    }

    /// What happens while it is stopped happens afterwards.
    func whenAwake(_ body: @escaping () -> Void) {
        if let until = pausedUntil {
            guard world.now >= until else {
                let life = life
                return world.after(world.now.duration(to: until)) { [unowned self] in if self.life == life, isUp { whenAwake(body) } }
            }
            pausedUntil = nil
            changedAt = world.now
        }
        body()
    }

    private func every(_ interval: Duration, _ body: @escaping () -> Void) {
        let life = life
        world.after(interval) { [unowned self] in
            guard self.life == life, isUp else { return }
            whenAwake { [unowned self] in
                guard self.life == life, isUp else { return }
                body()
                every(interval, body)
            }
        }
    }

    // MARK: Leases

    private func keep(_ path: WritableKeyPath<SimulatedNode, LeaseMachine>, _ row: String) {
        let life = life
        // As `LeaseKeeper` does: one question at a time, each with a second to be answered.
        func again() {
            world.after(.zero) { [unowned self] in if self.life == life, isUp { whenAwake { if self.life == life { step() } } } }
        }
        func update(_ body: (inout LeaseMachine) -> Void) {
            if path == \.session { body(&session) } else { body(&leadership) }
            noteLeadership()
            again()
        }
        func step() {
            let sent = world.now
            let patience = Duration.seconds(1)
            let holder = "\(name)/\(life)"
            let machine = self[keyPath: path]
            let terms = world.terms
            switch machine.action(at: sent) {
            case .sleep(let until):
                world.after(max(.zero, sent.duration(to: until))) { [unowned self] in
                    if self.life == life, isUp { whenAwake { if self.life == life { step() } } }
                }
            case .observe:
                world.askCatalog(self, patience: patience) { [unowned world] in
                    $0.observe(row, at: world.now)
                } then: { [unowned self] found in
                    update { if let found { $0.observed(found, sent: sent, received: world.now) } else { $0.failed(sent: sent) } }
                }
            case .take(let seen):
                world.askCatalog(self, patience: patience) { [unowned world, name] catalog in
                    let epoch = catalog.take(row, holder, seen, terms, at: world.now)
                    if epoch != nil, row != "leader" { world.noteBeat(of: name) }
                    return epoch
                } then: { epoch in
                    update { if let epoch { $0.took(epoch, sent: sent) } else { $0.failed(sent: sent) } }
                }
            case .renew(let epoch):
                let report = NodeReport(probes: observation.probes).text
                world.askCatalog(self, patience: patience) { [unowned world, name] catalog in
                    let isOurs = catalog.renew(row, holder, epoch, report: report, terms, at: world.now)
                    if isOurs, row != "leader" { world.noteBeat(of: name) }
                    return isOurs
                } then: { isOurs in
                    update { if let isOurs { $0.renewed(isOurs, sent: sent) } else { $0.failed(sent: sent) } }
                }
            }
        }
        step()
    }

    private func noteLeadership() {
        let holds = leadership.held(at: world.now) != nil
        if holds, leadsSince == nil {
            leadsSince = world.now
            world.note("\(name) leads")
            // With clocks that do not jump nobody else may even believe that it leads.
            let others = world.nodes.filter { $0 !== self && $0.isUp && $0.leadership.held(at: world.now) != nil }
            if !others.isEmpty, world.catalog.offset == .zero {
                world.fail("\(name) and \(others.map(\.name.rawValue)) believe that they lead")
            }
        } else if !holds {
            leadsSince = nil
        }
    }

    // MARK: Seeing others

    private func look() {
        let sent = world.now
        world.askCatalog(self, patience: .seconds(2)) {
            $0.nodeRows()
        } then: { [unowned self] rows in
            guard let rows else { return }
            let epoch = leadership.held(at: world.now)
            observation.read(rows, by: name, leader: epoch, at: world.now)
            if let epoch { world.check(self, epoch: epoch, readSince: sent) }
        }
    }

    private func probePeers() {
        for row in observation.beginProbes(by: name) {
            world.probe(self, row) { [unowned self] in
                observation.note(.init(incarnation: row.incarnation, isReached: $0), of: row.name)
            }
        }
    }

    // MARK: Replicas

    private func lead() {
        guard let epoch = leadership.held(at: world.now) else { return }
        guard let presences = presences(epoch) else { return }
        let life = life
        world.askCatalog(self, patience: .seconds(2)) {
            ($0.feed, $0.shards)
        } then: { [unowned self] read in
            guard let (feed, shards) = read else { return }
            placement.begin(epoch)
            guard !placement.isSettled(at: feed, presences) else { return }
            let factors = [CollectionID(1): world.factor]
            let ended = placement.ended(shards, at: world.now)
            let newcomers = placement.newcomers(shards, factors, at: world.now)
            let steps = ReplicaSteps(
                shards: shards, factors: factors, nodes: presences, ended: ended, newcomers: newcomers, movesAtOnce: 4
            ).steps
            guard !steps.isEmpty else { return placement.settle(at: feed, presences) }
            world.askCatalog(self, patience: .seconds(2)) {
                $0.nodeRows()
            } then: { [unowned self] rows in
                guard let rows else { return }
                observation.read(rows, by: name, leader: epoch, at: world.now)
                guard self.presences(epoch) == presences else { return }
                world.askCatalog(self, patience: .seconds(2)) { [unowned self] in
                    world.change(steps.map(\.change), by: self, life: life, epoch: epoch, &$0)
                } then: { _ in
                }
            }
        }
    }

    private func presences(_ epoch: Epoch) -> [NodeName: ReplicaSteps.Presence]? {
        observation.presences(leader: epoch, world.graces, at: world.now)
    }

    /// What a node does with its own: it loads, serves, and drops.
    private func tendReplicas() {
        world.askCatalog(self, patience: .seconds(2)) {
            $0.shards
        } then: { [unowned self] shards in
            var changes: [ReplicaChange] = []
            for shard in shards ?? [] {
                for replica in shard.replicas where replica.node == name {
                    switch replica.state {
                    case .loading:
                        guard world.chance(0.3) else { continue }
                        loaded[shard.id] = world.now
                        changes.append(.init(shard.id, on: name, from: [.loading], to: .serving))
                    case .leaving: changes.append(.init(shard.id, on: name, from: [.leaving], to: nil))
                    case .suspended: changes.append(.init(shard.id, on: name, from: [.suspended], to: .loading))
                    case .serving, .retiring: break
                    }
                }
            }
            guard !changes.isEmpty else { return }
            world.askCatalog(self, patience: .seconds(2)) { catalog in
                for change in changes { _ = catalog.apply(change) }
            } then: { _ in
            }
        }
    }

    // MARK: The truth

    func noteIsolation() {
        let others = world.nodes.map(\.name).filter { $0 != name } + [SimulatedWorld.catalogName]
        let isIsolated = !isUp || others.allSatisfy { !world.carries($0, name) || !world.carries(name, $0) }
        isolatedSince = isIsolated ? isolatedSince ?? world.now : nil
    }

    /// A replica that was serving before its node was away is counted when the leader cannot take the node for gone any more; who does not
    /// beat, and did not start or register a moment ago, may be taken for gone.
    func serves(_ shard: ShardID) -> Bool {
        let isNew = max(changedAt, registeredAt).duration(to: world.now) < .seconds(5)
        guard isNew || world.hasBeaten(name, within: .seconds(4)) else { return false }
        return isHealthy(for: .seconds(3))
            || isHealthy(for: .zero) && loaded[shard].map { $0 > max(changedAt, world.pathsChangedAt) } ?? false
    }

    /// For so long it has run, no path has changed, no message was lost, and it reaches the catalog.
    func isHealthy(for time: Duration) -> Bool {
        let since = world.now.advanced(by: .zero - time)
        return isUp && pausedUntil == nil && world.loss == 0 && changedAt <= since && world.pathsChangedAt <= since
            && world.catalogIsReached(by: name)
    }
}
