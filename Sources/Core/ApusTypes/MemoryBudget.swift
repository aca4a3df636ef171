internal import Synchronization

/// Memory that many may take from together, such as the bodies of all requests of a process while they are worked on.
public final class MemoryBudget: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    public init(limit: ByteCount) { self.limit = limit.bytes }

    /// False when it is used up; then nothing is taken.
    public func take(_ count: Int) -> Bool {
        guard used.wrappingAdd(count, ordering: .relaxed).newValue <= limit else {
            giveBack(count)
            return false
        }
        return true
    }

    public func giveBack(_ count: Int) { used.wrappingSubtract(count, ordering: .relaxed) }
}
