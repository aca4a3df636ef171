import ApusRuntime
import ApusTypes
import Synchronization
import Testing

@testable import ApusQuery

@Suite("the gate in front of operations")
struct RoleGateTests {
    private static var later: Instant { BootClock.now.advanced(by: .seconds(30)) }

    private final class Running: Sendable {
        private let counts = Mutex<[String: Int]>([:])
        func add(_ count: Int, to role: String) -> [String: Int] {
            counts.withLock { counts in
                counts[role, default: 0] += count
                return counts
            }
        }
    }

    @Test("no more run than may, of all and of each role, and all have their turn")
    func crowd() async throws {
        let gate = RoleGate(places: 4, mostWaiting: 1000, patience: .seconds(60))
        let running = Running()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<300 {
                let (role, limit) = [("a", 1), ("b", 3), ("c", nil)][number % 3] as (String, Int?)
                group.addTask {
                    try await gate.enter(role: role, limit: limit, deadline: Self.later)
                    let now = running.add(1, to: role)
                    #expect(now.values.reduce(0, +) <= 4)
                    #expect(now[role] ?? 0 <= limit ?? .max)
                    await Task.yield()
                    _ = running.add(-1, to: role)
                    gate.leave(role: role)
                }
            }
            try await group.waitForAll()
        }
        #expect(running.add(0, to: "a").values.allSatisfy { $0 == 0 })
    }

    @Test("who waits in vain, or goes away, leaves no place behind")
    func vain() async throws {
        let gate = RoleGate(places: 1, mostWaiting: 1, patience: .milliseconds(20))
        try await gate.enter(role: "a", limit: nil, deadline: Self.later)
        let busy = try await #require(throws: ApusError.self) { try await gate.enter(role: "b", limit: nil, deadline: Self.later) }
        #expect(busy.code == .roleBusy && busy.code.surface.http == 429)
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await gate.enter(role: "b", limit: nil, deadline: Self.later) }
            group.cancelAll()
            await #expect(throws: ApusError.self) { try await group.next() }
        }
        gate.leave(role: "a")
        // The place is there for the next one.
        try await gate.enter(role: "b", limit: nil, deadline: Self.later)
        gate.leave(role: "b")
    }
}
