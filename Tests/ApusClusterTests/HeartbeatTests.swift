import ApusMembership
import ApusTypes
import Testing

@testable import ApusCatalog
@testable import ApusCluster

@Suite("heartbeats")
struct HeartbeatTests {
    func node(_ beats: Int64?, epoch: Int64 = 1, status: NodeStatus = .active) -> NodeRow {
        NodeRow(
            name: "a", url: "", rpcAddress: "", roles: [.worker], status: status, incarnation: 1, version: "", hasGeneratedName: false,
            metadata: "{}",
            registeredAt: WallTime(millisecondsSinceEpoch: 0), sessionEpoch: beats == nil ? nil : Epoch(epoch), heartbeats: beats)
    }

    func at(_ seconds: Double) -> Instant { Instant(nanosecondsSinceBoot: Int64(seconds * 1e9)) }

    /// Where nobody probes.
    private var unasked: MembershipTerms {
        var terms = MembershipTerms()
        terms.acquaintance = .zero
        return terms
    }

    /// Reads the row once in each second of `seconds`, and gives its status after each.
    func statuses(_ observation: inout Observation, _ row: NodeRow, _ seconds: ClosedRange<Int>) -> [NodeStatus] {
        seconds.map { second in
            observation.read([row], by: "me", leader: nil, at: at(Double(second)))
            return observation.status(of: row)
        }
    }

    @Test("a counter that stands still makes a node suspect after 3 s and down after 5 s; one beat takes it back")
    func silence() {
        var observation = Observation(terms: unasked)
        // One that was never heard of may have registered a moment ago, and has longer.
        #expect(statuses(&observation, node(6), 0...0) == [.active])
        #expect(statuses(&observation, node(7), 1...7) == [.active, .active, .active, .suspect, .suspect, .down, .down])
        #expect(statuses(&observation, node(8), 8...8) == [.active])
        // A new session counts as a beat, even if its counter says the same.
        #expect(statuses(&observation, node(8), 9...15).last == .down)
        #expect(statuses(&observation, node(8, epoch: 2), 16...16) == [.active])
    }

    @Test("time without successful reads makes nobody silent")
    func outage() {
        var observation = Observation(terms: unasked)
        #expect(statuses(&observation, node(7), 0...0) + statuses(&observation, node(7), 100...100) == [.active, .active])
    }

    @Test("a row that never gets a session falls silent too; one that left is what it says")
    func others() {
        var observation = Observation(terms: unasked)
        #expect(statuses(&observation, node(nil), 0...2).last == .active)
        #expect(statuses(&observation, node(nil), 3...9).last == .down)
        #expect(statuses(&observation, node(7, status: .left), 10...20).last == .left)
    }

    @Test("what a node's heartbeat tells is read again; what is no report says nothing")
    func reports() {
        let probes: [NodeName: ProbeResult] = [
            "n2": .init(incarnation: 7, isReached: true), "n 3": .init(incarnation: 1, isReached: false),
        ]
        #expect(NodeReport(NodeReport(probes: probes).text, lives: ["n2": 9]).probes == probes)
        // As the version before wrote it.
        let old = NodeReport(#"{"probes":{"n2":true,"n3":false}}"#, lives: ["n2": 9]).probes
        #expect(old == ["n2": .init(incarnation: 9, isReached: true)])
        for text in ["", "{}", "[1]", "{\"probes\": 3}", "\u{0}"] { #expect(NodeReport(text).probes == [:]) }
    }

    @Test("a leader's judgement starts anew with each term of office")
    func terms() {
        var observation = Observation(terms: unasked)
        for second in 0...10 { observation.read([node(7)], by: "me", leader: nil, at: at(Double(second))) }
        observation.read([node(7)], by: "me", leader: Epoch(1), at: at(11))
        #expect(observation.status(of: node(7)) == .down)
        #expect(observation.leaderStanding(of: "a", epoch: Epoch(1))?.state == .alive)
        #expect(observation.leaderStanding(of: "a", epoch: Epoch(2)) == nil)
    }
}
