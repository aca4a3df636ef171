internal import ApusCatalog
internal import ApusTypes

/// How long ago each node's heartbeat counter was seen to change, counted by this node's own clock.
///
/// Only counters that stay the same in *successful* reads count as silence, so an outage of the catalog, or a jump of its clock, makes
/// nobody look dead. What it says is this node's view and is written nowhere.
struct HeartbeatWatch: Sendable {
    struct Limits: Sendable {
        var suspect: Duration = .seconds(3)
        var down: Duration = .seconds(5)
    }

    private struct Pulse {
        var count: Int64
        var epoch: Int64
        /// Silence in successful reads.
        var silence: Duration
    }

    private let limits: Limits
    private var pulses: [NodeName: Pulse] = [:]
    private var lastRead: Instant?

    init(limits: Limits = Limits()) { self.limits = limits }

    /// A successful read of all nodes.
    mutating func observe(_ nodes: [NodeRow], at now: Instant) {
        // What lies between two reads counts, but no more than between two that follow each other as planned: a failed read adds nothing.
        let elapsed = lastRead.map { min($0.duration(to: now), .seconds(2)) } ?? .zero
        lastRead = now
        var next: [NodeName: Pulse] = [:]
        for node in nodes {
            // One that never had a session did not get far: it falls silent like any other.
            let (count, epoch) = (node.heartbeats ?? 0, node.sessionEpoch?.value ?? 0)
            var pulse = pulses[node.name] ?? Pulse(count: count, epoch: epoch, silence: .zero)
            pulse.silence = pulse.count == count && pulse.epoch == epoch && pulses[node.name] != nil ? pulse.silence + elapsed : .zero
            (pulse.count, pulse.epoch) = (count, epoch)
            next[node.name] = pulse
        }
        pulses = next
    }

    /// The row's status, unless its node has fallen silent.
    func status(of node: NodeRow) -> NodeStatus {
        guard [.active, .joining, .draining].contains(node.status), let silence = pulses[node.name]?.silence else { return node.status }
        return silence >= limits.down ? .down : silence >= limits.suspect ? .suspect : node.status
    }
}
