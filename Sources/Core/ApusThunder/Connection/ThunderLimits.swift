public import ApusTypes

/// Every bound of a Thunder connection. `docs/vectorizer-rpc.md` shows them.
public struct ThunderLimits: Sendable, Hashable {
    /// A frame's body, in both directions. Beyond: an error with the request's id where its first bytes tell it, then closed.
    public var frame: ByteCount = .mebibytes(64)
    /// The same before the peer has shown a key, where one is needed.
    public var anonymousFrame: ByteCount = .kibibytes(64)
    /// Requests that are not answered yet. Beyond: the connection is not read.
    public var inFlight = 256
    /// Bytes of the requests that are not answered yet. Beyond: the connection is not read.
    public var held: ByteCount = .mebibytes(64)
    /// Bytes of replies that wait for the peer. Beyond: the connection is not read.
    public var output: ByteCount = .mebibytes(8)
    /// The same. Beyond: closed; only replies to what was begun before can lead there.
    public var mostOutput: ByteCount = .mebibytes(256)
    /// Without a new byte of a frame that has begun. Beyond: closed.
    public var frameStallTime: Duration = .seconds(30)
    /// Without a request. Beyond: closed.
    public var idleTime: Duration = .seconds(600)
    /// From the first byte to a key, where one is needed. Beyond: closed.
    public var anonymousTime: Duration = .seconds(30)

    public init() {}
}
