public import ApusTypes

/// Work in the background that one node does for all: the leader, as long as it leads.
public struct Duty: Sendable {
    public var name: String
    public var interval: Duration
    /// Does one round. What it changes in the catalog carries `epoch`, so that a former leader changes nothing.
    public var perform: @Sendable (_ epoch: Epoch, _ deadline: Instant) async throws -> Void

    public init(
        _ name: String, every interval: Duration, perform: @escaping @Sendable (_ epoch: Epoch, _ deadline: Instant) async throws -> Void
    ) {
        self.name = name
        self.interval = interval
        self.perform = perform
    }
}
