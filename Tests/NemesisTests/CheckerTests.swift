import ApusTypes
import NemesisKit
import TestKit
import Testing

@Suite("the checker of histories")
struct CheckerTests {
    private func expect(_ kinds: [Violation.Kind], sourceLocation: SourceLocation = #_sourceLocation, _ make: (inout HistoryScript) -> Void)
    {
        var script = HistoryScript()
        make(&script)
        let found = Checker.violations(of: script.history)
        #expect(found.map(\.kind) == kinds, "\(found)", sourceLocation: sourceLocation)
    }

    @Test("what clients of a good cluster see is right: also writes of which nobody knows, and readings beside writes")
    func good() {
        expect([]) { script in
            script.read("a", nil, 0, 1)
            script.put("a", 1, 1, 3)
            script.read("a", nil, 1.5, 2)
            script.read("a", 1, 2.1, 2.5)
            script.read("a", 1, 4, 5)
            script.put("a", 2, 6, 7)
            script.search([("a", 2)], 8, 9)
            script.delete("a", 10, 11)
            script.search([], 12, 13)
            script.put("b", 3, 1, nil)
            script.read("b", nil, 5, 6)
            script.read("b", 3, 20, 21)
            script.read("b", 3, 22, 23)
        }
    }

    @Test("an acknowledged write that is not there is lost: by id, in a search that says that it is complete, not in one that does not")
    func lost() {
        expect([.lostWrite]) {
            $0.put("a", 1, 0, 1)
            $0.read("a", nil, 2, 3)
        }
        expect([.lostWrite]) {
            $0.put("a", 1, 0, 1)
            $0.put("b", 2, 0, 1)
            $0.search([("b", 2)], 2, 3)
        }
        expect([.lostWrite]) {
            $0.put("a", 1, 0, 1)
            $0.put("b", 2, 0, 1)
            $0.list([("a", 1), ("b", 2)], 2, 3)
            $0.list([("a", 1)], 4, 5)
        }
        expect([]) {
            $0.put("a", 1, 0, 1)
            $0.search([], 2, 3, isComplete: false)
            $0.search([], 2, 3, isStale: true)
            $0.search([], 2, 3, isExact: false)
        }
    }

    @Test("of a search with a limit only those may be missing that are farther away than the last of it")
    func nearest() {
        let script = HistoryScript()
        let values = (1...20).sorted { script.length($0) < script.length($1) }
        func found(_ taken: [Int]) -> [Violation.Kind] {
            var script = HistoryScript()
            for value in values { script.put("p\(value)", value, 0, 1) }
            script.search(taken.map { ("p\($0)", $0) }, limit: 5, 2, 3)
            return script.kinds
        }
        #expect(found(Array(values.prefix(5))) == [])
        #expect(found(Array(values.prefix(4)) + [values[5]]) == [.lostWrite])
        #expect(found(Array(values.prefix(3)) + [values[6], values[7]]) == [.lostWrite, .lostWrite, .lostWrite])
        #expect(found(Array(values.prefix(4))).count == 16)  // there were more, and it says that there were not
    }

    @Test("an earlier value after a later one was acknowledged is stale, and so is one after a later one was seen")
    func stale() {
        expect([.staleRead]) {
            $0.put("a", 1, 0, 1)
            $0.put("a", 2, 2, 3)
            $0.search([("a", 1)], 4, 5)
        }
        // The second write is not acknowledged yet, but somebody has seen it: soon everybody must.
        expect([.staleRead]) {
            $0.put("a", 1, 0, 1)
            $0.put("a", 2, 2, 7.5)
            $0.read("a", 2, 2.5, 3)
            $0.read("a", 1, 4, 4.5)
            $0.read("a", 1, 6, 6.5)
        }
        expect([.lostWrite]) {
            $0.put("a", 1, 0, nil)
            $0.read("a", 1, 3, 4)
            $0.read("a", nil, 5, 6)
            $0.read("a", nil, 7, 8)
        }
        expect([]) {
            $0.put("a", 1, 0, 1)
            $0.put("a", 2, 2, 3)
            $0.read("a", 1, 4, 5, isStale: true)
            $0.search([("a", 1)], 4, 5, isStale: true)
        }
    }

    @Test("an update is a write: what was there before it must not be shown after it")
    func updated() {
        expect([.staleRead]) {
            $0.put("a", 1, 0, 1)
            $0.add(.update(id: "a", value: 2), 2, 3, "c", .done)
            $0.read("a", 2, 4, 5)
            $0.read("a", 1, 6, 7)
        }
    }

    @Test("a second effect of a write that was repeated is an old value again")
    func twice() {
        expect([.staleRead]) {
            $0.put("a", 1, 0, 1)
            $0.put("a", 2, 2, 3)
            $0.read("a", 2, 4, 5)
            $0.read("a", 1, 6, 7)  // the repetition of the first write has come through
        }
    }

    @Test("a deleted point must not come back")
    func deleted() {
        expect([.deletedReturned]) {
            $0.put("a", 1, 0, 1)
            $0.delete("a", 2, 3)
            $0.search([("a", 1)], 4, 5)
        }
        expect([.deletedReturned]) {
            $0.put("a", 1, 0, 1)
            $0.delete("a", 2, 7.5)
            $0.read("a", nil, 2.5, 3)
            $0.read("a", 1, 4, 4.5)
            $0.read("a", 1, 6, 6.5)
        }
        expect([]) {
            $0.put("a", 1, 0, 1)
            $0.delete("a", 2, 7)
            $0.read("a", 1, 3, 4)
        }
    }

    @Test("a value that nobody wrote, that another point has, or that was not written yet is invented")
    func invented() {
        expect([.inventedValue]) {
            $0.put("a", 1, 0, 1)
            $0.search([("a", 99)], 2, 3)
        }
        expect([.inventedValue, .inventedValue]) {
            $0.put("a", 1, 0, 1)
            $0.put("b", 2, 0, 1)
            $0.search([("a", 2), ("b", 1)], 2, 3)
        }
        expect([.inventedValue]) {
            $0.read("a", 1, 0, 1)
            $0.put("a", 1, 2, 3)
        }
        expect([.inventedValue]) { $0.search([("never", 5)], 0, 1) }
        expect([.inventedValue]) {
            $0.put("a", 1, 0, 1, in: "s")
            $0.search([("a", 1)], 2, 3)
        }
    }

    @Test("a point twice, a wrong score, a wrong order and too many hits are wrong replies; a refusal is one too")
    func replies() {
        func found(_ change: (inout [Operation.Hit]) -> Void) -> [Violation.Kind] {
            var script = HistoryScript()
            for value in 1...3 { script.put("p\(value)", value, 0, 1) }
            script.search((1...3).map { ("p\($0)", $0) }, limit: 3, 2, 3)
            change(&script.history.operations[3].completion!.hits)
            return script.kinds
        }
        #expect(found { _ in } == [])
        #expect(found { $0[2] = $0[1] }.contains(.wrongReply))
        #expect(found { $0[0].score += 0.5 }.contains(.wrongReply))
        #expect(found { $0.swapAt(0, 2) } == [.wrongReply])
        #expect(found { $0.append($0[0]) }.contains(.wrongReply))
        var script = HistoryScript()
        script.add(.delete(id: "a"), 0, 1, "c", .refused)
        #expect(script.kinds == [.refused])
    }

    @Test("what a run writes down is read as the same, and judged the same")
    func lines() throws {
        var script = HistoryScript()
        script.put("a", 1, 0, 1)
        script.add(.update(id: "a", value: 2), 1.2, 1.5, "c", .done)
        script.delete("a", 2, nil)
        script.read("a", 1, 3, 4)
        script.search([("a", 1)], 5, 6, isComplete: false)
        script.fault(.killLeader, 3, 4, whole: nil, led: 3.5, noticed: 3.6, down: ["n3"])
        script.history.stalls = [.init(from: HistoryScript.instant(1), until: HistoryScript.instant(2))]
        let history = script.history
        var lines: [HistoryLine] = [.values(history.values, replicas: history.replicas)]
        for operation in history.operations {
            var begun = operation
            begun.completion = nil
            lines.append(.invoked(begun))
            if let completion = operation.completion { lines.append(.completed(number: operation.number, completion)) }
        }
        lines += history.episodes.map(HistoryLine.episode) + history.stalls.map(HistoryLine.stall)
        let read = try History(lines: lines.map { try HistoryLine(JSONValue(parsing: $0.json.serialized())) })
        #expect(read.operations == history.operations && read.episodes == history.episodes && read.stalls == history.stalls)
        #expect(Checker.violations(of: read) == Checker.violations(of: history))
        #expect(throws: ApusError.self) { try History(lines: []) }
        #expect(throws: ApusError.self) { try HistoryLine(["line": "other"]) }
    }

    /// One register per point in this process: histories of it are right, and what is changed in them is found.
    @Test("random histories of a register are right; one that lies is found", arguments: 0..<50)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var script = HistoryScript()
        var state: [String: Int] = [:]
        var (value, now) = (0, 0.0)
        var lies = 0
        for _ in 0..<200 {
            let id = "p\(Int.random(in: 0..<5, using: &random))"
            let until = now + 0.02
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1:
                value += 1
                state[id] = value
                script.put(id, value, now, until)
            case 2:
                guard state.removeValue(forKey: id) != nil else { continue }
                script.delete(id, now, until)
            case 3: script.read(id, state[id], now, until)
            default:
                let isLie = !state.isEmpty && lies < seed % 2 && Int.random(in: 0..<20, using: &random) == 0
                var shown = state
                if isLie { shown.removeValue(forKey: state.keys.sorted()[0]) }
                lies += isLie ? 1 : 0
                script.search(shown.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, now, until)
            }
            now = until + 0.01
        }
        #expect(script.kinds == Array(repeating: .lostWrite, count: lies))
    }
}
