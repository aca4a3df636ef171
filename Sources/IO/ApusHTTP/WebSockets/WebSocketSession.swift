public import ApusTypes

/// Bounds of one WebSocket.
public struct WebSocketLimits: Sendable {
    /// Largest message after joining its fragments; a larger one closes with 1009.
    public var message: ByteCount = .mebibytes(1)
    /// A ping goes out when nothing arrived for this long.
    public var pingAfter: Duration = .seconds(20)
    /// The peer is gone when nothing arrived for this long.
    public var silence: Duration = .seconds(60)
    /// How long the peer may take to answer a close.
    public var closing: Duration = .seconds(5)

    public init() {}
}
