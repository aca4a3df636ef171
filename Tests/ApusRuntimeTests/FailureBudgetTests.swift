import ApusTypes
import Testing

@testable import ApusRuntime

@Suite("how many failures are told")
struct FailureBudgetTests {
    @Test("twenty in a second; the next one that is told says how many were not, once")
    func leftOut() {
        let budget = FailureBudget()
        func take(_ count: Int, second: Int64) -> [Int?] {
            (0..<count).map { _ in budget.take(at: Instant(nanosecondsSinceBoot: second * 1_000_000_000 + 7)) }
        }
        #expect(take(FailureBudget.most, second: 5).allSatisfy { $0 == 0 })
        #expect(take(13, second: 5).allSatisfy { $0 == nil })
        #expect(take(3, second: 6) == [13, 0, 0])
        #expect(take(FailureBudget.most, second: 6).count { $0 == nil } == 3)
        #expect(take(2, second: 90) == [3, 0], "however much later")
    }
}
