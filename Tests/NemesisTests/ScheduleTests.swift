import NemesisKit
import Testing

@Suite("the plan of faults")
struct ScheduleTests {
    @Test("the same seed gives the same plan, another one another; every kind comes, and never two of one domain at once")
    func plan() {
        func plan(_ seed: UInt64) -> [[PlannedFault]] {
            var schedule = Schedule(seed: seed, nodes: 3, kinds: FaultKind.allCases)
            return (0..<200).map { _ in schedule.next() }
        }
        #expect(plan(1) == plan(1) && plan(1) != plan(2))
        let episodes = plan(3)
        let faults = episodes.flatMap(\.self)
        for kind in FaultKind.allCases { #expect(faults.count { $0.kind == kind } >= 5, "\(kind)") }
        for episode in episodes {
            #expect((1...2).contains(episode.count))
            #expect(Set(episode.map(\.kind.domain)).count == episode.count)
            if episode.count > 1 { #expect(!episode.contains { $0.kind.domain == .everything }) }
            for fault in episode { #expect(fault.node != fault.other && (0..<3).contains(fault.node) && (0..<3).contains(fault.other)) }
        }
        // Within as many episodes as there are kinds all have come.
        #expect(Set(episodes.prefix(FaultKind.allCases.count).flatMap { $0.map(\.kind) }).count == FaultKind.allCases.count)
    }
}
