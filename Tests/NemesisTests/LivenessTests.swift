import ApusTypes
import NemesisKit
import Testing

@Suite("how long users waited")
struct LivenessTests {
    /// A reading and a write of both collections every 100 ms from 0 to 40 s, except those that `isLost` names by time and kind.
    private func script(_ isLost: (Double, Operation.Action, String) -> Bool = { _, _, _ in false }) -> HistoryScript {
        var script = HistoryScript()
        var value = 0
        for tenth in 0..<400 {
            let now = Double(tenth) / 10
            for collection in ["c", "s"] {
                value += 1
                let put = Operation.Action.put(id: "\(collection)\(value)", value: value)
                script.add(put, now, now + 0.05, collection, isLost(now, put, collection) ? .unknown : .done)
                let search = Operation.Action.search(query: [0, 0, 0, 0], limit: 1, isExact: false)
                script.add(search, now, now + 0.05, collection, isLost(now, search, collection) ? .unknown : .done)
            }
        }
        return script
    }

    private func isWrite(_ action: Operation.Action) -> Bool { if case .put = action { true } else { false } }

    @Test("a request may take six seconds, and what the machine itself stood still besides")
    func requests() {
        var script = HistoryScript()
        script.read("a", nil, 0, 6)
        #expect(script.kinds == [])
        script.read("a", nil, 0, 6.1)
        #expect(script.kinds == [.late])
        script.history.stalls = [.init(from: HistoryScript.instant(2), until: HistoryScript.instant(2.2))]
        #expect(script.kinds == [])
    }

    @Test("a killed node: no reading of two replicas fails, one replica is back in time, and the cluster is whole again")
    func killed() {
        var good = script { at, _, collection in collection == "s" && (10..<20).contains(at) }
        good.fault(.killNode, 10, 15, whole: 22)
        #expect(good.kinds == [])
        let outage = Liveness(good.history).outage(of: good.history.episodes[0])
        #expect(outage.failedReads == 0 && outage.reads < .milliseconds(110) && outage.singleReads == .milliseconds(10_050))
        #expect(outage.whole == .seconds(7) && outage.writes < .milliseconds(110))

        var failing = script { at, action, collection in collection == "c" && at == 12 && !isWrite(action) }
        failing.fault(.killNode, 10, 15, whole: 22)
        #expect(failing.kinds == [.unavailable])
        var slow = script { at, _, collection in collection == "s" && (10..<30).contains(at) }
        slow.fault(.killNode, 10, 15, whole: 32)
        #expect(slow.kinds == [.late])
        var broken = script()
        broken.fault(.killNode, 10, 15, whole: nil)
        #expect(broken.kinds.contains(.late))
    }

    @Test("PostgreSQL away: readings go on, writes come back in time after it, nobody is down")
    func catalog() {
        var good = script { at, action, _ in isWrite(action) && (10..<22).contains(at) }
        good.fault(.freezePostgres, 10, 20, whole: 24)
        #expect(good.kinds == [])
        #expect(Liveness(good.history).outage(of: good.history.episodes[0]).writesAfter == .milliseconds(2050))
        var late = script { at, action, _ in isWrite(action) && (10..<24).contains(at) }
        late.fault(.freezePostgres, 10, 20, whole: 26)
        #expect(late.kinds == [.late])
        var never = script { at, action, _ in isWrite(action) && at >= 10 }
        never.fault(.freezePostgres, 10, 20, whole: 26)
        #expect(never.kinds == [.late])
        var silent = script()
        silent.add(.put(id: "x", value: 100_000), 12, 16.3, "c", .unknown)
        silent.fault(.freezePostgres, 10, 20, whole: 26)
        #expect(silent.kinds == [.late])
        var down = script()
        down.fault(.killPostgres, 10, 20, whole: 21, down: ["n2 by n1"])
        #expect(down.kinds == [.wrongVerdict])
    }

    @Test("another leader in six seconds")
    func leader() {
        for (led, kinds) in [(15.9, []), (16.1, [.late]), (nil, [.late])] as [(Double?, [Violation.Kind])] {
            var script = script()
            script.fault(.killLeader, 10, 20, whole: 25, led: led)
            #expect(script.kinds == kinds, "\(String(describing: led))")
        }
    }

    @Test("writes to what a single replica has are not those that were promised to go on")
    func singleWrites() {
        var singles = script { at, action, collection in collection == "s" && isWrite(action) && (10..<18).contains(at) }
        singles.fault(.killLeader, 10, 20, whole: 25, led: 12)
        #expect(singles.kinds == [])
        var both = script { at, action, _ in isWrite(action) && (10..<18).contains(at) }
        both.fault(.killLeader, 10, 20, whole: 25, led: 12)
        #expect(both.kinds == [.late])
    }

    @Test("an episode's slowest request is counted for the time that it spent in it")
    func slowest() {
        var script = script()
        script.read("a", nil, 8, 13)
        script.read("a", nil, 18, 23.5)
        script.fault(.cutPath, 10, 15, whole: 20)
        #expect(Liveness(script.history).outage(of: script.history.episodes[0]).slowest == .seconds(3))
    }

    @Test("a planned restart disturbs nobody, whatever the number of replicas; a connection that ended may be repeated once")
    func planned() {
        for collection in ["c", "s"] {
            for isWriteLost in [true, false] {
                var failing = script { at, action, place in place == collection && at == 12 && isWrite(action) == isWriteLost }
                failing.fault(.restartNode, 10, 15, whole: 16)
                #expect(failing.kinds.contains(.unavailable))
            }
        }
        var script = script()
        script.fault(.restartNode, 10, 15, whole: 16)
        #expect(script.kinds == [])
        func repeated(_ statuses: [Int]) -> [Violation.Kind] {
            var script = script
            let place = script.history.operations.firstIndex { $0.invoked == HistoryScript.instant(12) }!  // there is one each 0.1 s
            let attempt = script.history.operations[place].completion!.attempts[0]  // every operation of the script has one
            script.history.operations[place].completion?.attempts = statuses.map {
                .init(from: attempt.from, until: attempt.until, status: $0)
            }
            return script.kinds
        }
        #expect(repeated([0, 200]) == [] && repeated([0, 0, 200]) == [.unavailable] && repeated([503, 200]) == [.unavailable])
        script.search([], 12, 12.1, isComplete: false, in: "s")
        #expect(script.kinds == [.unavailable])
    }

    @Test("a node says in five seconds that its store is away")
    func store() {
        for (noticed, kinds) in [(14.9, []), (15.1, [.late]), (nil, [.late])] as [(Double?, [Violation.Kind])] {
            var script = script()
            script.fault(.unmountStore, 10, 20, whole: 25, noticed: noticed)
            #expect(script.kinds == kinds, "\(String(describing: noticed))")
        }
    }

    @Test("what fails after an episode is not its own, though it began in it; what failed in it is")
    func overlapping() {
        func found(_ ends: [Double]) -> [Violation.Kind] {
            var script = script()
            script.fault(.restartNode, 10, 15, whole: 16)
            script.add(.put(id: "x", value: 100_000), 15.9, ends.last!, "c", .unknown)  // given below
            script.history.operations[script.history.operations.count - 1].completion?.attempts = ends.map {
                .init(from: HistoryScript.instant(15.9), until: HistoryScript.instant($0), status: 503)
            }
            return script.kinds
        }
        #expect(found([16.1, 16.2]) == [])
        #expect(found([15.95, 16.2]) == [.unavailable])
        #expect(found([15.95]) == [.unavailable])
    }

    @Test("of two faults at once only the end is promised")
    func two() {
        var script = script { at, _, _ in (10..<25).contains(at) }
        script.fault(.killNode, 10, 15, whole: 27, and: .killPostgres)
        #expect(script.kinds == [])
        script.history.episodes[0].whole = nil
        #expect(script.kinds == [.late])
    }
}
