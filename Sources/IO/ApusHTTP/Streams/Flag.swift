internal import Synchronization

/// A Boolean that several tasks set.
final class Flag: Sendable {
    private let value: Atomic<Bool>

    init(_ value: Bool) { self.value = Atomic(value) }

    var isSet: Bool { value.load(ordering: .acquiring) }

    /// Sets it and gives what it was.
    @discardableResult
    func set(_ new: Bool) -> Bool { value.exchange(new, ordering: .acquiringAndReleasing) }
}
