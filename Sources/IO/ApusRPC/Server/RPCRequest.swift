public import ApusTypes

/// What a peer asks.
public struct RPCRequest: Sendable {
    public let method: String
    public let payload: [UInt8]
    /// When the peer stops waiting, on this machine's boot clock.
    public let deadline: Instant
    /// The node that asks, as it has proved to be of the cluster.
    public let peer: NodeName
    /// Names in both nodes' logs what the request is part of.
    public let trace: String
}

/// Answers one method. It runs on an event loop, so it must not block; its task is cancelled when the peer does not wait any more. What it
/// throws reaches the peer: an `ApusError` without its cause, anything else as `internal`.
public typealias RPCHandler = @Sendable (RPCRequest) async throws -> [UInt8]

/// What `grpc.health.v1.Health` says of a service.
public enum RPCHealth: Int, Sendable {
    case serving = 1
    case notServing = 2
}
