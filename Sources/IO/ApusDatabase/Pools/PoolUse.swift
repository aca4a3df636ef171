internal import Synchronization

/// The connections of a pool, a moment ago.
public struct PoolUse: Sendable, Equatable {
    public var open = 0
    /// Of those, on which a statement runs, or which somebody has for a transaction.
    public var busy = 0
    /// Reads and transactions that wait for one.
    public var waiting = 0

    public static func + (left: PoolUse, right: PoolUse) -> PoolUse {
        PoolUse(open: left.open + right.open, busy: left.busy + right.busy, waiting: left.waiting + right.waiting)
    }

    /// Written by one loop, read by any thread.
    final class Board: Sendable {
        private let open = Atomic(0)
        private let busy = Atomic(0)
        private let waiting = Atomic(0)

        var use: PoolUse {
            PoolUse(open: open.load(ordering: .relaxed), busy: busy.load(ordering: .relaxed), waiting: waiting.load(ordering: .relaxed))
        }

        func show(_ use: PoolUse) {
            open.store(use.open, ordering: .relaxed)
            busy.store(use.busy, ordering: .relaxed)
            waiting.store(use.waiting, ordering: .relaxed)
        }
    }
}
