internal import ApusSockets
internal import Synchronization

/// Counts open connections over all loops, of the server and of each listener.
final class ConnectionCensus: Sendable {
    private let open = ConnectionCount()

    /// False when a limit is reached; then nothing is counted.
    func enter(_ listener: Listener, _ limits: HTTPLimits) -> Bool {
        guard open.enter(limit: limits.connections) else { return false }
        guard listener.connections.wrappingAdd(1, ordering: .relaxed).newValue <= limits.connectionsPerListener else {
            listener.connections.wrappingSubtract(1, ordering: .relaxed)
            open.leave()
            return false
        }
        return true
    }

    func leave(_ listener: Listener) {
        listener.connections.wrappingSubtract(1, ordering: .relaxed)
        open.leave()
    }

    var count: Int { open.count }

    func emptied() async { await open.emptied() }
}
