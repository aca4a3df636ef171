internal import Synchronization

/// Counts open connections over all loops, and tells who waits when the last one has gone.
package final class ConnectionCount: Sendable {
    private let open = Atomic<Int>(0)
    private let waiter = Mutex<CheckedContinuation<Void, Never>?>(nil)

    package init() {}

    /// False when `limit` is reached; then nothing is counted.
    package func enter(limit: Int) -> Bool {
        guard open.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
            leave()
            return false
        }
        return true
    }

    package func leave() {
        guard open.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue == 0 else { return }
        waiter.withLock { $0.take() }?.resume()
    }

    package var count: Int { open.load(ordering: .sequentiallyConsistent) }

    /// Returns when no connection is open. One caller at a time.
    package func emptied() async {
        await withCheckedContinuation { continuation in
            waiter.withLock { $0 = continuation }
            // The last connection may have gone before the waiter was there.
            if count == 0 { waiter.withLock { $0.take() }?.resume() }
        }
    }
}
