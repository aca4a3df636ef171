import ApusTypes
import Testing

@testable import ApusMembership

@Suite("who lives")
struct MembershipMachineTests {
    /// Some nodes that beat once a second, and the machine of the first, which reads once a second.
    private struct Script {
        var machine = MembershipMachine()
        var now = Instant(nanosecondsSinceBoot: 0)
        var beats: [NodeName: Int64] = [:]
        var silent: Set<NodeName> = []
        var left: Set<NodeName> = []
        /// How often each has registered again, and for which life of a node others still ask where that is another.
        var lives: [NodeName: Int64] = [:]
        var asked: [NodeName: Int64] = [:]
        /// Pairs that cannot reach each other, in that direction.
        var cuts: Set<[NodeName]> = []
        /// Whether anybody probes.
        var asks = true
        let names: [NodeName]

        init(_ count: Int) { names = (1...count).map { NodeName("n\($0)") } }

        mutating func pass(seconds: Int, reading: Bool = true) {
            for _ in 0..<seconds {
                now = now.advanced(by: .seconds(1))
                for name in names where !silent.contains(name) { beats[name, default: 0] += 1 }
                guard reading else { continue }
                let sightings = names.map { name in
                    NodeSighting(
                        name: name, incarnation: lives[name] ?? 1, epoch: 1, heartbeats: beats[name] ?? 0, takesPart: !left.contains(name),
                        probes: probes(of: name))
                }
                machine.observe(sightings, reader: names[0], own: probes(of: names[0]), at: now)
            }
        }

        private func probes(of name: NodeName) -> [NodeName: ProbeResult] {
            guard asks else { return [:] }
            return Dictionary(
                uniqueKeysWithValues: probed(by: name, among: names, doubt: doubt).map {
                    let isReached = !cuts.contains([name, $0]) && !cuts.contains(["any", $0])
                    return ($0, ProbeResult(incarnation: asked[$0] ?? lives[$0] ?? 1, isReached: isReached))
                })
        }

        private var doubt: Set<NodeName> { Set(names.filter { machine.standing(of: $0)?.isInDoubt ?? false }) }

        /// Cuts all paths between those and the others.
        mutating func cut(off part: [NodeName]) {
            for inside in part {
                for outside in names where !part.contains(outside) { cuts.formUnion([[inside, outside], [outside, inside]]) }
            }
        }

        func state(_ name: NodeName) -> NodeStanding.State? { machine.standing(of: name)?.state }
        func unreached(_ name: NodeName) -> Duration? { machine.standing(of: name)?.unreachedTime }
        func isUnreached(_ name: NodeName) -> Bool { machine.standing(of: name)?.isUnreached ?? false }
        func isAcquainted(_ name: NodeName) -> Bool { machine.standing(of: name)?.isAcquainted ?? false }
    }

    @Test("a node that is killed is suspect after three seconds and down after five")
    func killed() {
        var script = Script(3)
        script.pass(seconds: 10)
        #expect(script.names.allSatisfy { script.state($0) == .alive })
        script.silent = ["n2"]
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 1)
        #expect(script.state("n2") == .suspect)  // its peers cannot reach it
        script.pass(seconds: 3)
        #expect(script.state("n2") == .suspect)
        script.pass(seconds: 2)
        #expect(script.state("n2") == .down && script.state("n3") == .alive)
        script.silent = []
        script.cuts = []
        script.pass(seconds: 1)
        #expect(script.state("n2") == .alive)
    }

    @Test("a node that registers again is trusted while its session begins, and does not count as having come back twice")
    func registering() {
        var script = Script(3)
        script.pass(seconds: 10)
        for life in 2...4 as ClosedRange<Int64> {
            script.silent = ["n2"]
            script.cuts = [["any", "n2"]]
            script.pass(seconds: 8)
            #expect(script.state("n2") == .down)
            script.lives["n2"] = life
            script.cuts = []
            for _ in 0..<5 {
                script.pass(seconds: 1)
                #expect(script.state("n2") == .alive)
            }
            script.silent = []
            script.pass(seconds: 3)
            #expect(script.state("n2") == .alive && script.machine.standing(of: "n2")?.isFlapping == false)
        }
        // One that dies before its first heartbeat is found by its peers, and is down as any other.
        script.lives["n3"] = 9
        script.silent = ["n3"]
        script.pass(seconds: 1)
        script.cuts = [["any", "n3"]]
        script.pass(seconds: 1)
        #expect(script.state("n3") == .suspect)
        script.pass(seconds: 4)
        #expect(script.state("n3") == .down)
        // One that its peers reach and that never has a session is suspect in time.
        script.lives["n3"] = 10
        script.cuts = []
        script.pass(seconds: 7)
        #expect(script.state("n3") == .alive)
        script.pass(seconds: 2)
        #expect(script.state("n3") == .suspect)
    }

    @Test("a node cut off from the catalog that its peers reach is never down, one that only its peers lose is neither")
    func oneSignal() {
        var script = Script(3)
        script.pass(seconds: 3)
        script.silent = ["n2"]
        script.pass(seconds: 60)
        #expect(script.state("n2") == .suspect && script.machine.standing(of: "n2")?.answers == ["n1", "n3"])
        script.silent = []
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 60)
        #expect(script.state("n2") == .suspect && script.machine.standing(of: "n2")?.silence == .zero)
    }

    @Test(
        "a node that beats and that nobody reaches is unreached after the grace, whoever cannot tell any more; before, one answer ends it")
    func unreached() {
        var script = Script(3)
        script.pass(seconds: 3)
        #expect(script.unreached("n2") == .zero)
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 59)
        #expect(script.state("n2") == .suspect && script.unreached("n2") == .seconds(59) && !script.isUnreached("n2"))
        script.cuts = [["n3", "n2"]]
        script.pass(seconds: 1)
        #expect(script.state("n2") == .alive && script.unreached("n2") == .zero)
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 57)
        // Reads that fail add nothing.
        script.pass(seconds: 100, reading: false)
        script.pass(seconds: 1)
        #expect(script.unreached("n2") == .seconds(59) && !script.isUnreached("n2"))
        // Of the two that say so one dies.
        script.pass(seconds: 1)
        script.silent = ["n3"]
        script.pass(seconds: 10)
        #expect(script.state("n3") == .suspect && script.unreached("n2") == .seconds(62) && script.isUnreached("n2"))
    }

    @Test("one that was unreached is given something when all who ask reach it, not while its paths come and go")
    func comingAndGoing() {
        var script = Script(3)
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 70)
        for _ in 0..<20 {
            script.cuts = [["n3", "n2"]]
            script.pass(seconds: 30)
            #expect(!script.isUnreached("n2") && script.machine.standing(of: "n2")?.wasUnreached == true)
            script.cuts = [["any", "n2"]]
            script.silent = ["n2"]
            script.pass(seconds: 4)
            script.silent = []
            script.pass(seconds: 1)
            #expect(script.isUnreached("n2"))
        }
        // Who reaches nobody is no witness.
        script.cuts = [["n3", "n1"], ["n3", "n2"]]
        script.pass(seconds: 1)
        #expect(script.machine.standing(of: "n2")?.wasUnreached == false)
    }

    @Test("without a grace a node is unreached when it would be suspect for its silence, not before all have asked")
    func graceless() {
        var terms = MembershipTerms()
        terms.unreachedGrace = .zero
        var script = Script(3)
        script.machine = MembershipMachine(terms: terms)
        script.pass(seconds: 10)
        #expect(script.names.allSatisfy { !script.isUnreached($0) })
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 2)
        #expect(!script.isUnreached("n2"))
        script.pass(seconds: 1)
        #expect(script.isUnreached("n2") && !script.isUnreached("n3"))
    }

    @Test("who is silent is not unreached, a life leaves nothing to the next, and who reaches nobody is no witness of it")
    func witnesses() {
        var script = Script(3)
        script.pass(seconds: 3)
        script.silent = ["n2"]
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 100)
        #expect(script.state("n2") == .down && script.unreached("n2") == .zero)
        script.silent = []
        script.pass(seconds: 30)
        #expect(script.unreached("n2") == .seconds(30))
        script.lives["n2"] = 2
        script.pass(seconds: 1)
        #expect(script.unreached("n2") == .seconds(1))

        var other = Script(3)
        other.pass(seconds: 3)
        other.cuts = [["n2", "n1"], ["n2", "n3"], ["n3", "n1"]]
        other.pass(seconds: 600)
        #expect(other.unreached("n1") == .zero, "of those that fail to reach it one reaches nobody")
    }

    @Test("one peer alone that fails to reach a node makes nobody unreached, also where there is no other peer")
    func onePath() {
        for count in [2, 3] {
            var script = Script(count)
            script.pass(seconds: 3)
            script.cuts = [["n1", "n2"]]
            script.silent = count == 3 ? ["n3"] : []
            script.pass(seconds: 600)
            #expect(script.unreached("n2") == .zero && script.state("n2") != .down)
        }
    }

    @Test("a node is reached when a peer says so, in each life anew; where nobody asks it for long, that is taken for granted")
    func acquaintance() {
        var script = Script(3)
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 100)
        #expect(!script.isAcquainted("n2") && script.isAcquainted("n1") && script.isAcquainted("n3"))
        script.cuts = [["n3", "n2"]]
        script.pass(seconds: 1)
        #expect(script.isAcquainted("n2"))
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 10)
        #expect(script.isAcquainted("n2"), "it was")
        script.lives["n2"] = 2
        script.pass(seconds: 1)
        #expect(!script.isAcquainted("n2"))

        script.asks = false
        script.lives["n2"] = 3
        script.pass(seconds: 9)
        #expect(!script.isAcquainted("n2") && script.state("n2") == .alive)
        script.pass(seconds: 2)
        #expect(script.isAcquainted("n2"))
    }

    @Test("what was found out about a process says nothing of the next one under its name")
    func lives() {
        var script = Script(3)
        script.pass(seconds: 3)
        script.asked["n2"] = 1
        script.lives["n2"] = 2
        script.pass(seconds: 5)
        #expect(script.state("n2") == .alive && !script.isAcquainted("n2"), "the one before was reached")
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 2)
        #expect(script.state("n2") == .alive && script.unreached("n2") == .zero, "or was not")
        script.asked = [:]
        script.pass(seconds: 1)
        #expect(script.state("n2") == .suspect && !script.isAcquainted("n2"))
        script.cuts = []
        script.pass(seconds: 1)
        #expect(script.state("n2") == .alive && script.isAcquainted("n2"))
    }

    @Test("one path cut one way makes nobody suspect, and is seen for what it is")
    func asymmetric() {
        var script = Script(3)
        script.cuts = [["n1", "n2"]]
        script.pass(seconds: 60)
        #expect(script.names.allSatisfy { script.state($0) == .alive })
        #expect(script.machine.standing(of: "n2")?.isAsymmetric == true)
        #expect(script.machine.standing(of: "n2")?.failures == ["n1"] && script.machine.standing(of: "n2")?.answers == ["n3"])
    }

    @Test("reads that fail count for nobody's silence, and a silent node's word counts for nothing")
    func outages() {
        var script = Script(3)
        script.pass(seconds: 3)
        script.pass(seconds: 600, reading: false)
        script.silent = ["n2"]
        script.pass(seconds: 1)
        #expect(script.names.allSatisfy { script.state($0) == .alive })
        // n3 dies too, and had said last that it cannot reach n2.
        script.cuts = [["n3", "n2"], ["any", "n3"]]
        script.pass(seconds: 1)
        script.silent = ["n2", "n3"]
        script.pass(seconds: 20)
        #expect(script.state("n2") == .suspect && script.state("n3") == .down)
    }

    @Test("of two nodes the one that reads is the other's witness; one that has left is not thought of")
    func pair() {
        var script = Script(2)
        script.pass(seconds: 3)
        script.silent = ["n2"]
        script.pass(seconds: 10)
        #expect(script.state("n2") == .suspect)
        script.cuts = [["n1", "n2"]]
        script.pass(seconds: 1)
        #expect(script.state("n2") == .down)
        script.left = ["n2"]
        script.pass(seconds: 1)
        #expect(script.state("n2") == nil)
    }

    @Test("a node that comes and goes is suspected for a while after its last return, once")
    func flapping() {
        var script = Script(3)
        var changes = 0
        var was = false
        func look() {
            let isFlapping = script.machine.standing(of: "n2")?.isFlapping ?? false
            if isFlapping != was { changes += 1 }
            was = isFlapping
        }
        for _ in 0..<8 {
            script.silent = ["n2"]
            for _ in 0..<4 {
                script.pass(seconds: 1)
                look()
            }
            script.silent = []
            for _ in 0..<3 {
                script.pass(seconds: 1)
                look()
            }
        }
        #expect(was && changes == 1 && script.state("n2") == .suspect)
        script.pass(seconds: 61)
        look()
        #expect(!was && script.state("n2") == .alive)
    }

    @Test("random cuts, deaths and outages: who reaches a living witness is never down, who reaches nobody is", arguments: 0..<200)
    func random(seed: Int) {
        var random = SeededRandom(state: UInt64(seed) &* 77 &+ 1)
        var script = Script(3 + seed % 5)
        script.pass(seconds: 3)
        for _ in 0..<20 {
            script.cuts = []
            script.silent = []
            for from in script.names {
                for to in script.names where from != to && random.next() % 5 == 0 { script.cuts.insert([from, to]) }
            }
            for name in script.names.dropFirst() where random.next() % 4 == 0 { script.silent.insert(name) }
            script.pass(seconds: 8)
            for name in script.names.dropFirst() {
                let reached = script.names.contains { witness in
                    witness != name && !script.silent.contains(witness) && !script.cuts.contains([witness, name])
                }
                let isDown = script.state(name) == .down
                #expect(isDown == (script.silent.contains(name) && !reached), "\(name) in \(script.cuts) silent \(script.silent)")
            }
        }
    }

    private struct SeededRandom: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
    }

    @Test("of two racks that are cut from each other nobody is unreached, and nobody's state comes and goes", arguments: 1...5)
    func racks(size: Int) {
        var script = Script(6)
        script.pass(seconds: 3)
        script.cut(off: Array(script.names.prefix(size)))
        script.pass(seconds: 5)
        // The smaller part is suspect; of two halves neither is.
        let states = (1...6).map { number -> NodeStanding.State in (number <= size ? size : 6 - size) < 3 ? .suspect : .alive }
        for _ in 0..<90 {
            script.pass(seconds: 1)
            #expect(script.names.map(script.state) == states)
        }
        // Alone in its rack it is unreached.
        let alone = size == 1 ? "n1" : size == 5 ? "n6" : nil as NodeName?
        for name in script.names { #expect(script.isUnreached(name) == (name == alone), "\(name)") }
    }

    @Test("who did not reach a node is gone: it is trusted again; a machine that judges anew knows who was unreached, and nothing else")
    func witnessesGone() {
        var script = Script(3)
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 80)
        #expect(script.isUnreached("n2"))
        script.machine = script.machine.successor(at: script.now)
        #expect(script.state("n2") == nil)
        script.cuts = [["n1", "n2"]]
        script.pass(seconds: 5)
        #expect(script.state("n2") == .alive && script.machine.standing(of: "n2")?.wasUnreached == true)
        script.cuts = [["any", "n2"]]
        script.pass(seconds: 5)
        #expect(script.isUnreached("n2"))
        // The reader is n1, and does not ask any more either.
        script.left = ["n3"]
        script.asks = false
        script.pass(seconds: 9)
        #expect(script.machine.standing(of: "n2")?.wasUnreached == true)
        script.pass(seconds: 2)
        #expect(script.state("n2") == .alive && script.machine.standing(of: "n2")?.wasUnreached == false)
    }

    @Test("each node is probed by as many others")
    func fairness() {
        let names = (0..<10).map { NodeName("n\($0)") }
        let all = names.flatMap { probed(by: $0, among: names) }
        #expect(Dictionary(grouping: all, by: { $0 }).values.allSatisfy { $0.count == 3 })
        #expect(probed(by: "n1", among: ["n1"]) == [] && probed(by: "n1", among: ["n1", "n2"]) == ["n2"])
        #expect(probed(by: "n1", among: names, doubt: ["n1", "n9", "n3", "gone"]) == ["n2", "n3", "n4", "n9"])
    }
}
