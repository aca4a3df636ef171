internal import ApusTypes
internal import Synchronization

/// Memory that the bodies of all requests may take together while they are collected and worked on.
final class BodyBudget: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    init(limit: ByteCount) { self.limit = limit.bytes }

    /// False when it is used up; then nothing is taken.
    func take(_ count: Int) -> Bool {
        guard used.wrappingAdd(count, ordering: .relaxed).newValue <= limit else {
            giveBack(count)
            return false
        }
        return true
    }

    func giveBack(_ count: Int) { used.wrappingSubtract(count, ordering: .relaxed) }
}
