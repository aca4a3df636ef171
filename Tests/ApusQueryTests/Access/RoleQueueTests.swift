import ApusTypes
import Testing

@testable import ApusQuery

@Suite("turns of roles")
struct RoleQueueTests {
    /// Expectations take no value that changes.
    private final class Queues {
        private var queues: RoleQueues
        private var now = Instant(nanosecondsSinceBoot: 0)
        init(places: Int, mostWaiting: Int, shared: Int = .max) {
            queues = RoleQueues(places: places, mostWaiting: mostWaiting, shared: shared)
        }
        func pass(_ time: Duration) { now = now.advanced(by: time) }
        var waiting: Int { queues.waiting }
        func arrive(_ id: UInt64, role: String, limit: Int?) -> RoleQueues.Arrival { queues.arrive(id, role: role, limit: limit, at: now) }
        func leave(role: String) -> [UInt64] { queues.leave(role: role, at: now) }
        func give(up id: UInt64, role: String) -> Bool { queues.give(up: id, role: role) }
    }

    @Test("one that has a thousand waiting delays another's by one place at most")
    func turns() {
        let queues = Queues(places: 2, mostWaiting: 2000)
        for id in 1...1000 { _ = queues.arrive(UInt64(id), role: "greedy", limit: nil) }
        #expect(queues.arrive(5001, role: "modest", limit: nil) == .waits)
        #expect(queues.arrive(5002, role: "modest", limit: nil) == .waits)
        // It has a turn after the one that stood before it, and every other one from then on.
        #expect(queues.leave(role: "greedy") == [3])
        #expect(queues.leave(role: "greedy") == [5001])
        #expect(queues.leave(role: "greedy") == [4])
        #expect(queues.leave(role: "modest") == [5002])
        #expect(queues.leave(role: "greedy") == [5])
    }

    @Test("a role's own limit holds while there are places, and leaves them to others")
    func limits() {
        let queues = Queues(places: 3, mostWaiting: 1)
        #expect(queues.arrive(1, role: "a", limit: 1) == .runs)
        #expect(queues.arrive(2, role: "a", limit: 1) == .waits)
        #expect(queues.arrive(3, role: "a", limit: 1) == .refused)
        #expect(queues.arrive(4, role: "b", limit: nil) == .runs)
        #expect(queues.arrive(5, role: "b", limit: nil) == .runs)
        #expect(queues.arrive(6, role: "b", limit: nil) == .waits)
        // A place becomes free, and a may not have it.
        #expect(queues.leave(role: "b") == [6])
        #expect(queues.leave(role: "a") == [2])
        #expect(queues.leave(role: "a") == [])
        #expect(queues.leave(role: "b") == [])
        #expect(queues.leave(role: "b") == [])
        #expect(queues.arrive(7, role: "a", limit: 1) == .runs)
    }

    @Test("while others ask a role has its part of the shared places, and all places when they have been silent for a second")
    func shared() {
        let queues = Queues(places: 8, mostWaiting: 100, shared: 4)
        for id in 1...10 { _ = queues.arrive(UInt64(id), role: "greedy", limit: nil) }
        #expect(queues.waiting == 2, "alone it has all places")
        #expect(queues.arrive(101, role: "modest", limit: nil) == .waits, "there is none left for the moment")
        // It is let in before any other of the greedy one's, which now has more than its part.
        #expect(queues.leave(role: "greedy") == [101])
        for _ in 0..<5 { #expect(queues.leave(role: "greedy") == []) }
        #expect(queues.leave(role: "greedy") == [9])
        #expect(queues.arrive(102, role: "modest", limit: nil) == .runs)
        #expect(queues.arrive(103, role: "modest", limit: nil) == .waits)
        #expect(queues.leave(role: "modest") == [103])
        #expect(queues.leave(role: "modest") == [])
        #expect(queues.leave(role: "modest") == [])
        for id in 11...20 { _ = queues.arrive(UInt64(id), role: "greedy", limit: nil) }
        #expect(queues.waiting == 11, "the other one asked a moment ago")
        queues.pass(.seconds(1))
        #expect(queues.leave(role: "greedy") == [10, 11, 12, 13, 14, 15, 16])
    }

    @Test("whoever gives up is let in no more, and nobody behind it waits for it")
    func giveUp() {
        let queues = Queues(places: 1, mostWaiting: 10)
        #expect(queues.arrive(1, role: "a", limit: nil) == .runs)
        #expect(queues.arrive(2, role: "a", limit: nil) == .waits)
        #expect(queues.arrive(3, role: "b", limit: nil) == .waits)
        #expect(queues.give(up: 2, role: "a"))
        #expect(!queues.give(up: 2, role: "a"))
        #expect(queues.leave(role: "a") == [3])
        #expect(!queues.give(up: 3, role: "b"))
        #expect(queues.leave(role: "b") == [])
        #expect(queues.waiting == 0)
    }

    @Test("in any order no more run than may, nobody is forgotten, and all are let in at last")
    func random() {
        var generator = SplitMix(state: 7)
        for _ in 0..<200 {
            let places = Int.random(in: 1...4, using: &generator)
            let limits: [String: Int?] = ["a": 1, "b": 2, "c": nil]
            let queues = Queues(places: places, mostWaiting: 5)
            var running: [UInt64: String] = [:]
            var waiting: [UInt64: String] = [:]
            func check() {
                #expect(running.count <= places)
                for (role, limit) in limits {
                    #expect(running.values.filter { $0 == role }.count <= limit ?? .max)
                    // A place is not left empty while somebody who may have it waits.
                    let isAtLimit = running.values.filter { $0 == role }.count >= limit ?? .max
                    #expect(running.count == places || isAtLimit || !waiting.values.contains(role))
                }
            }
            for id in 1...60 as ClosedRange<UInt64> {
                let role = ["a", "b", "c"].randomElement(using: &generator) ?? "a"
                switch Int.random(in: 0...3, using: &generator) {
                case 0 where !running.isEmpty:
                    let (done, role) = running.sorted { $0.key < $1.key }[0]
                    running[done] = nil
                    for next in queues.leave(role: role) { running[next] = waiting.removeValue(forKey: next) }
                case 1 where !waiting.isEmpty:
                    let (tired, role) = waiting.sorted { $0.key < $1.key }[0]
                    #expect(queues.give(up: tired, role: role))
                    waiting[tired] = nil
                default:
                    switch queues.arrive(id, role: role, limit: limits[role] ?? nil) {
                    case .runs: running[id] = role
                    case .waits: waiting[id] = role
                    case .refused: #expect(waiting.values.filter { $0 == role }.count == 5)
                    }
                }
                check()
            }
            while let (done, role) = running.min(by: { $0.key < $1.key }) {
                running[done] = nil
                for next in queues.leave(role: role) { running[next] = waiting.removeValue(forKey: next) }
                check()
            }
            #expect(waiting.isEmpty)
        }
    }

    /// Sebastiano Vigna's SplitMix64, 2015.
    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
            return value ^ (value >> 31)
        }
    }
}
