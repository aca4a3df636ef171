internal import Synchronization

/// Counts open connections over all loops, and tells who waits when the last one has gone.
final class ConnectionCensus: Sendable {
    private let open = Atomic<Int>(0)
    private let waiter = Mutex<CheckedContinuation<Void, Never>?>(nil)

    /// False when a limit is reached; then nothing is counted.
    func enter(_ listener: Listener, _ limits: HTTPLimits) -> Bool {
        guard open.wrappingAdd(1, ordering: .relaxed).newValue <= limits.connections else {
            open.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        guard listener.connections.wrappingAdd(1, ordering: .relaxed).newValue <= limits.connectionsPerListener else {
            listener.connections.wrappingSubtract(1, ordering: .relaxed)
            leave()
            return false
        }
        return true
    }

    func leave(_ listener: Listener) {
        listener.connections.wrappingSubtract(1, ordering: .relaxed)
        leave()
    }

    private func leave() {
        guard open.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue == 0 else { return }
        waiter.withLock { $0.take() }?.resume()
    }

    var count: Int { open.load(ordering: .sequentiallyConsistent) }

    /// Returns when no connection is open. One caller at a time.
    func emptied() async {
        await withCheckedContinuation { continuation in
            waiter.withLock { $0 = continuation }
            // The last connection may have gone before the waiter was there.
            if count == 0 { waiter.withLock { $0.take() }?.resume() }
        }
    }
}
