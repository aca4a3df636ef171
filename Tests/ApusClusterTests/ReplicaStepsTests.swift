import ApusMembership
import ApusPlacement
import ApusTypes
import TestKit
import Testing

@testable import ApusCatalog
@testable import ApusCluster

@Suite("the leader's steps with replicas")
struct ReplicaStepsTests {
    /// Shards and nodes as a catalog would have them: applies steps, and lets nodes do their part.
    private struct World {
        var shards: [ShardRow] = []
        var presences: [NodeName: ReplicaSteps.Presence] = [:]
        var factor = 1
        /// Rounds that a replica has been told to stop for.
        var stopped: [SeenReplica: Int] = [:]

        init(shards count: Int, nodes: Int, factor: Int) {
            self.factor = factor
            for number in 0..<nodes { presences[NodeName("n\(number)")] = .here }
            shards = (0..<count).map { number in
                ShardRow(
                    id: ShardID(Int64(number)), collection: CollectionID(1), number: number,
                    replicas: (0..<factor).map { .init(node: NodeName("n\((number + $0) % nodes)"), state: .serving) })
            }
        }

        /// One round of the leader; gives how many replicas changed.
        mutating func lead(movesAtOnce: Int = 4, isPaused: Bool = false) -> Int {
            let seen = shards.flatMap { shard in shard.replicas.map { SeenReplica(shard, $0) } }.filter {
                [.leaving, .suspended].contains($0.state)
            }
            stopped = Dictionary(uniqueKeysWithValues: seen.map { ($0, (stopped[$0] ?? 0) + 1) })
            let steps = ReplicaSteps(
                shards: shards, factors: [CollectionID(1): factor], nodes: presences, ended: Set(stopped.filter { $0.value > 4 }.keys),
                movesAtOnce: movesAtOnce, isPaused: isPaused
            ).steps
            for step in steps { apply(step.change) }
            return steps.count
        }

        /// What nodes that are there do by themselves.
        mutating func follow() -> Int {
            var changes: [ReplicaChange] = []
            for shard in shards {
                for replica in shard.replicas where !(presences[replica.node] ?? .lost).isGone {
                    let next: ReplicaState?? =
                        switch replica.state {
                        case .loading: .some(.serving)
                        case .leaving: .some(nil)
                        case .suspended: .some(.loading)
                        case .serving, .retiring: .none
                        }
                    if let next { changes.append(ReplicaChange(shard.id, on: replica.node, from: [replica.state], to: next)) }
                }
            }
            for change in changes { apply(change) }
            return changes.count
        }

        mutating func apply(_ change: ReplicaChange) {
            let index = Int(change.shard.value)
            let present = shards[index].replicas.firstIndex { $0.node == change.node }
            guard change.from.contains(present.map { shards[index].replicas[$0].state }) else { return }
            if let present { shards[index].replicas.remove(at: present) }
            if let state = change.state { shards[index].replicas.append(.init(node: change.node, state: state)) }
        }

        /// Goes on until nothing has changed for longer than a replica is waited for.
        mutating func settle() -> Bool {
            var idle = 0
            for _ in 0..<300 where idle < 8 { idle = lead() + follow() == 0 ? idle + 1 : 0 }
            return idle == 8
        }

        func served(_ shard: ShardRow) -> Int { shard.replicas.count { $0.state.answers && !(presences[$0.node] ?? .lost).isGone } }
    }

    private func expectRest(_ world: inout World) {
        let isAtRest = world.settle()
        #expect(isAtRest)
    }

    @Test("a world in order stays as it is; a fourth node gets its share, and a shard is served at every moment", arguments: [1, 2])
    func joining(factor: Int) {
        var world = World(shards: 24, nodes: 3, factor: factor)
        let idle = world.lead()
        #expect(idle == 0)
        world.presences["n9"] = .here
        var moves = 0
        for _ in 0..<100 {
            let before = world.shards
            let changed = world.lead() + world.follow()
            for (shard, was) in zip(world.shards, before) {
                #expect(world.served(shard) >= factor || world.served(was) < factor)
                moves += shard.replicas.contains { $0.node == "n9" } && !was.replicas.contains { $0.node == "n9" } ? 1 : 0
            }
            if changed == 0 { break }
        }
        #expect(moves == 24 * factor / 4)
        expectRest(&world)
        #expect(world.shards.allSatisfy { world.served($0) == factor && $0.replicas.count == factor })
    }

    @Test("of a node that is gone no write waits for long, its only replicas are placed anew at once, the others after the grace")
    func dying() {
        var world = World(shards: 12, nodes: 3, factor: 1)
        world.presences["n1"] = .awaited(isGone: true)
        _ = world.lead()
        let orphans = world.shards.filter { $0.replicas.contains { $0.node == "n1" } }
        #expect(orphans.count == 4 && orphans.allSatisfy { $0.replicas.contains { $0.node != "n1" && $0.state == .loading } })
        expectRest(&world)
        #expect(world.shards.allSatisfy { world.served($0) == 1 })

        var pair = World(shards: 12, nodes: 3, factor: 2)
        pair.presences["n1"] = .awaited(isGone: true)
        expectRest(&pair)
        #expect(pair.shards.allSatisfy { pair.served($0) >= 1 && $0.replicas.count == 2 })
        #expect(pair.shards.flatMap(\.replicas).allSatisfy { ($0.node == "n1") == ($0.state == .loading) })
        var returned = pair
        returned.presences["n1"] = .here
        expectRest(&returned)
        #expect(returned.shards.flatMap(\.replicas).allSatisfy { $0.state == .serving })
        pair.presences["n1"] = .lost
        expectRest(&pair)
        #expect(pair.shards.allSatisfy { pair.served($0) == 2 && !$0.replicas.contains { $0.node == "n1" } })
    }

    @Test("a draining node is emptied, and keeps what nobody else could serve")
    func draining() {
        var world = World(shards: 12, nodes: 3, factor: 2)
        world.presences["n0"] = .leaving
        expectRest(&world)
        #expect(world.shards.allSatisfy { world.served($0) == 2 && !$0.replicas.contains { $0.node == "n0" } })
        var alone = World(shards: 3, nodes: 1, factor: 1)
        alone.presences["n0"] = .leaving
        expectRest(&alone)
        #expect(alone.shards.allSatisfy { alone.served($0) == 1 })
    }

    @Test("a move that was asked for is carried out: the source serves until the target does")
    func retiring() {
        var world = World(shards: 3, nodes: 3, factor: 1)
        world.apply(ReplicaChange(ShardID(0), on: "n1", from: [nil], to: .loading))
        world.apply(ReplicaChange(ShardID(0), on: "n0", from: [.serving], to: .retiring))
        _ = world.lead()
        #expect(world.served(world.shards[0]) == 1 && world.shards[0].replicas.count == 2)
        _ = world.follow()
        _ = world.lead()
        #expect(Set(world.shards[0].replicas.map(\.state)) == [.serving, .leaving])
        _ = world.follow()
        #expect(world.shards[0].replicas == [.init(node: "n1", state: .serving)])
    }

    @Test("nobody stops for a replica that has served for a moment only: its node may have come back, and others not reach it yet")
    func newcomers() {
        for state in [ReplicaState.serving, .retiring] {
            let shard = ShardRow(
                id: ShardID(0), collection: CollectionID(1), number: 0,
                replicas: [.init(node: "n0", state: state), .init(node: "n1", state: .serving)])
            let nodes: [NodeName: ReplicaSteps.Presence] = ["n0": .here, "n1": .here]
            let factors = [CollectionID(1): 1]
            var memory = PlacementMemory()
            memory.begin(Epoch(1))
            func stops(after milliseconds: Int64) -> Int {
                let now = Instant(nanosecondsSinceBoot: 1).advanced(by: .milliseconds(milliseconds))
                let newcomers = memory.newcomers([shard], factors, at: now)
                let steps = ReplicaSteps(shards: [shard], factors: factors, nodes: nodes, newcomers: newcomers).steps
                if steps.isEmpty { memory.settle(at: 1, nodes) }
                return steps.count { $0.change.state == .leaving }
            }
            #expect(stops(after: 0) == 0 && !memory.isSettled(at: 1, nodes), "it is looked at again")
            #expect(stops(after: 900) == 0)
            #expect(stops(after: 1000) == 1)
            memory.begin(Epoch(2))
            #expect(stops(after: 1100) == 0, "another leader has not seen it serve")
        }
    }

    @Test("after the grace others serve the shards of a node that beats and that no other node reaches, and that is written down")
    func unreached() {
        var world = World(shards: 6, nodes: 3, factor: 1)
        var observation = Observation(terms: MembershipTerms())
        let graces = ReplicaSteps.Graces(absence: .seconds(60), restart: .seconds(30))
        var recorded: [String] = []
        func pass(_ seconds: ClosedRange<Int>, failing: [NodeName]) {
            for second in seconds {
                let now = Instant(nanosecondsSinceBoot: Int64(second) * 1_000_000_000)
                observation.note(.init(incarnation: 1, isReached: !failing.contains("n0")), of: "n1")
                observation.note(.init(incarnation: 1, isReached: true), of: "n2")
                let rows = ["n0", "n1", "n2"].map { name in
                    let found: [NodeName: ProbeResult] = [
                        "n0": .init(incarnation: 1, isReached: true), "n1": .init(incarnation: 1, isReached: !failing.contains("n2")),
                    ]
                    let report = name == "n2" ? NodeReport(probes: found).text : "{}"
                    return NodeRow(
                        name: NodeName(name), url: "", rpcAddress: "", roles: [.worker], status: .active, incarnation: 1, version: "",
                        hasGeneratedName: false, metadata: "{}", registeredAt: WallTime(millisecondsSinceEpoch: 0), sessionEpoch: Epoch(1),
                        heartbeats: Int64(second), report: report)
                }
                observation.read(rows, by: "n0", leader: Epoch(1), at: now)
                world.presences = observation.presences(leader: Epoch(1), graces, at: now) ?? [:]
                let changed = observation.unrecorded(leader: Epoch(1))
                observation.recorded(changed, leader: Epoch(1))
                recorded += changed.values.map(\.reason)
                _ = world.lead() + world.follow()
            }
        }
        func onN1() -> Int { world.shards.count { shard in shard.replicas.contains { $0.node == "n1" } } }
        pass(0...59, failing: ["n0", "n2"])
        #expect(onN1() == 2 && world.presences["n1"] == .awaited(isGone: false))
        pass(60...90, failing: ["n0", "n2"])
        #expect(onN1() == 0 && world.presences["n1"] == .leaving)
        #expect(world.shards.allSatisfy { world.served($0) == 1 })
        #expect(
            recorded == [
                "suspect, because it does not answer n0, n2",
                "unreached, and its shards are placed elsewhere, because it has not answered n0, n2 for 60 s",
            ])
        // A path that comes and goes moves nothing to and fro.
        let shards = world.shards
        for start in [91, 111] {
            pass(start...start + 9, failing: ["n0"])
            #expect(world.presences["n1"] == .awaited(isGone: false))
            #expect(recorded.last == "given nothing, because it answers n2 again, and not n0")
            pass(start + 10...start + 19, failing: ["n0", "n2"])
            #expect(world.shards == shards, "one of two reaches it, or none")
        }
        pass(131...150, failing: [])
        #expect(onN1() == 2 && world.presences["n1"] == .here, "all reach it again")
        pass(151...250, failing: ["n0"])
        #expect(onN1() == 2 && recorded.last == "back: its heartbeats go on", "one path")
    }

    @Test("while others start with the leader nothing is placed, for three seconds at most; alone it waits for nobody")
    func starting() {
        let graces = ReplicaSteps.Graces(absence: .seconds(60), restart: .seconds(30))
        var observation = Observation(terms: MembershipTerms())
        func takers(after seconds: Int, _ rows: [NodeRow]) -> [NodeName]? {
            let now = Instant(nanosecondsSinceBoot: Int64(seconds) * 1_000_000_000)
            observation.read(rows, by: "n0", leader: Epoch(1), at: now)
            return observation.presences(leader: Epoch(1), graces, at: now)?.filter { $0.value == .here }.keys.sorted()
        }
        let rows = ["n0", "n1", "n2"].map { NodeProbeTests.row($0) }
        #expect(takers(after: 0, [rows[0]]) == ["n0"] && !observation.hasNewcomers(among: [rows[0]]))
        #expect(observation.hasNewcomers(among: rows), "two that it has not read yet")
        observation = Observation(terms: MembershipTerms())
        #expect(takers(after: 10, rows) == nil && observation.hasNewcomers(among: rows))
        observation.note(.init(incarnation: 1, isReached: true), of: "n1")
        #expect(takers(after: 11, rows) == nil && observation.hasNewcomers(among: rows))
        observation.note(.init(incarnation: 1, isReached: false), of: "n2")
        #expect(takers(after: 12, rows) == ["n0", "n1"] && !observation.hasNewcomers(among: rows))
        observation = Observation(terms: MembershipTerms())
        #expect(takers(after: 20, rows) == nil && takers(after: 22, rows) == nil)
        #expect(takers(after: 23, rows) == ["n0"], "nobody asks")
    }

    @Test("nobody stops for a replica on a node that no other node reaches, or that is about to stop, however long it has served there")
    func unsteady() {
        let shard = ShardRow(
            id: ShardID(0), collection: CollectionID(1), number: 0,
            replicas: [.init(node: "n0", state: .retiring), .init(node: "n1", state: .serving)])
        var memory = PlacementMemory()
        memory.begin(Epoch(1))
        func stops(after seconds: Double, _ probes: [NodeName: Bool], stopping: String = "") -> Int {
            let now = Instant(nanosecondsSinceBoot: Int64(seconds * 1e9) + 1)
            let rows = ["n0", "n1"].map { name in
                NodeRow(
                    name: NodeName(name), url: "", rpcAddress: "", roles: [.worker], status: name == stopping ? .stopping : .active,
                    incarnation: 1, version: "",
                    hasGeneratedName: false, metadata: "{}", registeredAt: WallTime(millisecondsSinceEpoch: 0), sessionEpoch: Epoch(1),
                    heartbeats: Int64(seconds))
            }
            for (name, isReached) in probes { observation.note(.init(incarnation: 1, isReached: isReached), of: name) }
            observation.read(rows, by: "n0", leader: Epoch(1), at: now)
            let unsteady = observation.unsteady(leader: Epoch(1))
            let newcomers = memory.newcomers([shard], [CollectionID(1): 1], unsteady: unsteady, at: now)
            let nodes: [NodeName: ReplicaSteps.Presence] = ["n0": .here, "n1": .here]
            return ReplicaSteps(shards: [shard], factors: [CollectionID(1): 1], nodes: nodes, newcomers: newcomers).steps
                .count { $0.change.state == .leaving }
        }
        var observation = Observation(terms: MembershipTerms())
        #expect(stops(after: 0, [:]) == 0)
        #expect(stops(after: 2, [:]) == 0, "nobody has asked it yet")
        #expect(stops(after: 3, ["n1": false]) == 0)
        #expect(stops(after: 60, ["n1": false]) == 0, "it beats, and is not answered by")
        #expect(stops(after: 61, ["n1": true], stopping: "n1") == 0)
        #expect(stops(after: 62, ["n1": true]) == 1)
    }

    @Test("a move that leaves the load uneven is not taken back while its target has served for a moment only")
    func unevenMove() {
        var world = World(shards: 6, nodes: 3, factor: 1)
        world.apply(ReplicaChange(ShardID(0), on: "n1", from: [nil], to: .serving))
        world.apply(ReplicaChange(ShardID(0), on: "n0", from: [.serving], to: .retiring))
        let newcomer = SeenReplica(world.shards[0], .init(node: "n1", state: .serving))
        for newcomers in [[newcomer], []] as [Set<SeenReplica>] {
            let steps = ReplicaSteps(
                shards: world.shards, factors: [CollectionID(1): 1], nodes: world.presences, newcomers: newcomers, isPaused: true
            ).steps.map(\.change)
            #expect(
                steps == (newcomers.isEmpty ? [ReplicaChange(ShardID(0), on: "n0", from: [.retiring], to: .leaving)] : []), "\(steps)")
        }
    }

    @Test("a replica that retires stays where the one in its place serves on a node that is emptied, and nowhere else can go")
    func retiringForOneThatLeaves() {
        for unsteady in [false, true] {
            var world = World(shards: 1, nodes: 2, factor: 1)
            world.apply(ReplicaChange(ShardID(0), on: "n1", from: [nil], to: .serving))
            world.apply(ReplicaChange(ShardID(0), on: "n0", from: [.serving], to: .retiring))
            world.presences["n1"] = .leaving
            let steps = ReplicaSteps(
                shards: world.shards, factors: [CollectionID(1): 1], nodes: world.presences,
                newcomers: unsteady ? [SeenReplica(world.shards[0], .init(node: "n1", state: .serving))] : []
            ).steps.map(\.change)
            #expect(steps == [ReplicaChange(ShardID(0), on: "n0", from: [.retiring], to: .serving)], "\(steps)")
            expectRest(&world)
            #expect(world.shards[0].replicas == [.init(node: "n0", state: .serving)])
        }
    }

    @Test("a surplus on a node that nobody reaches is not planned again and again, but when who is reached changes")
    func settledSurplus() {
        let shard = ShardRow(
            id: ShardID(0), collection: CollectionID(1), number: 0,
            replicas: [.init(node: "n0", state: .serving), .init(node: "n1", state: .serving)])
        let nodes: [NodeName: ReplicaSteps.Presence] = ["n0": .here, "n1": .awaited(isGone: false)]
        var memory = PlacementMemory()
        memory.begin(Epoch(1))
        for (second, isSettled) in [(0, false), (2, true)] as [(Int64, Bool)] {
            let now = Instant(nanosecondsSinceBoot: second * 1_000_000_000)
            #expect(memory.newcomers([shard], [CollectionID(1): 1], unsteady: ["n1"], at: now).contains { $0.node == "n1" })
            memory.settle(at: 1, nodes, unsteady: ["n1"])
            #expect(memory.isSettled(at: 1, nodes, unsteady: ["n1"]) == isSettled)
        }
        #expect(!memory.isSettled(at: 1, nodes, unsteady: []))
    }

    @Test("a move whose target is gone for good is taken back")
    func stranded() {
        var world = World(shards: 2, nodes: 2, factor: 1)
        world.apply(ReplicaChange(ShardID(0), on: "n1", from: [nil], to: .loading))
        world.apply(ReplicaChange(ShardID(0), on: "n0", from: [.serving], to: .retiring))
        world.presences["n1"] = .lost
        expectRest(&world)
        #expect(world.shards[0].replicas == [.init(node: "n0", state: .serving)])
        #expect(world.shards[1].replicas == [.init(node: "n0", state: .serving)])
    }

    @Test("who waits to stop does not wait for the return of the node that was to take over: a third one does")
    func successorGone() {
        var world = World(shards: 3, nodes: 3, factor: 1)
        world.apply(ReplicaChange(ShardID(0), on: "n0", from: [.serving], to: .retiring))
        world.apply(ReplicaChange(ShardID(0), on: "n2", from: [nil], to: .loading))
        world.presences["n0"] = .awaited(isGone: false)
        world.presences["n2"] = .awaited(isGone: true)
        expectRest(&world)
        #expect(world.shards[0].replicas.filter { $0.state.answers } == [.init(node: "n1", state: .serving)])
        world.presences["n2"] = .here
        expectRest(&world)
        #expect(world.shards[0].replicas.count == 1)
    }

    @Test("paused, a new node is given nothing that others serve; what is begun, who leaves and what is unserved are not held up")
    func paused() {
        var world = World(shards: 12, nodes: 3, factor: 1)
        world.presences["n3"] = .here
        let begun = world.lead(movesAtOnce: 1)
        #expect(begun == 1)
        for _ in 0..<20 { _ = world.lead(isPaused: true) + world.follow() }
        #expect(world.shards.count { $0.replicas == [.init(node: "n3", state: .serving)] } == 1)
        world.presences["n0"] = .leaving
        world.presences["n1"] = .lost
        for _ in 0..<60 { _ = world.lead(isPaused: true) + world.follow() }
        #expect(world.shards.allSatisfy { world.served($0) == 1 && $0.replicas.count == 1 })
        #expect(world.shards.allSatisfy { ["n2", "n3"].contains($0.replicas[0].node) })
    }

    @Test("new shards go to whom has least, evenly, and none goes twice to a node; the reason is told", arguments: 1...3)
    func newShards(factor: Int) {
        let nodes = (0..<4).map { NodeName("n\($0)") }
        func counts(_ loads: [NodeName: Int], _ shards: ClosedRange<Int64>) -> [Int] {
            let placed = NewShards(nodes: nodes, loads: loads, factor: factor).placements(of: shards.map { ShardID($0) })
            #expect(placed.allSatisfy { Set($0.nodes).count == factor && $0.why.contains("is chosen") })
            return nodes.map { node in (loads[node] ?? 0) + placed.count { $0.nodes.contains(node) } }
        }
        let empty = counts([:], 1...12)
        #expect(empty.allSatisfy { abs($0 - 3 * factor) <= 1 }, "\(empty)")
        // The last one has joined a moment ago.
        let uneven = counts(["n0": 9, "n1": 9, "n2": 9], 100...108)
        #expect(uneven[3] >= 9 - factor && uneven[3] <= 9 + factor && uneven.reduce(0, +) == 27 + 9 * factor, "\(uneven)")
    }

    @Test("nodes come, go and drain at random: what is served stays served, and all comes to rest", arguments: 0..<100)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var world = World(shards: 20, nodes: 4, factor: 1 + seed % 3)
        for _ in 0..<30 {
            let node = NodeName("n\(Int.random(in: 0..<6, using: &random))")
            let choices: [ReplicaSteps.Presence] = [.here, .here, .awaited(isGone: false), .awaited(isGone: true), .leaving, .lost]
            world.presences[node] = choices.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 0..<4, using: &random) {
                let before = world.shards.map(world.served)
                _ = world.lead()
                for (shard, served) in zip(world.shards, before) where served > 0 { #expect(world.served(shard) > 0) }
                _ = world.follow()
                for (shard, served) in zip(world.shards, before) where served > 0 { #expect(world.served(shard) > 0) }
            }
        }
        expectRest(&world)
        let takers = world.presences.values.filter { $0 == .here }.count
        if takers > 0 { #expect(world.shards.allSatisfy { world.served($0) >= 1 }) }
    }
}
