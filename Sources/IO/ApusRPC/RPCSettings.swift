public import ApusTypes

/// How a node listens to its peers and calls them. One value for both directions.
public struct RPCSettings: Sendable, Hashable {
    /// Of one request or reply. Beyond: `request.too_large`.
    public var payload: ByteCount = .mebibytes(64)
    /// On one stream. A client's further calls wait; a server starts no more, and leaves as many again waiting before it stops reading.
    public var requestsInFlight = 256
    /// Calls to one peer that wait for their turn. Beyond: `peer.busy`.
    public var callsWaiting = 1024
    /// On one stream: payloads of requests that run or wait, and separately what waits for the network. Beyond: a client's calls wait, a
    /// server starts and reads nothing more.
    public var queuedBytes: ByteCount = .mebibytes(64)
    /// Streams of a server whose clients have not proved the cluster secret yet, and as many of tools, which need not. Beyond: refused.
    public var unprovenStreams = 64
    /// Without a call a client closes the connection after this.
    public var idleTime: Duration = .seconds(60)
    /// For a connection, and for the proofs of both sides on a stream.
    public var connectTime: Duration = .seconds(5)
    /// Between attempts to connect, which begin 0.1 s apart; calls fail meanwhile.
    public var maxBackoff: Duration = .milliseconds(500)
    /// How often a connection with an open stream is tried, from both ends, and how long its answer may take.
    public var keepAliveInterval: Duration = .seconds(2)
    public var keepAliveTimeout: Duration = .seconds(2)
    /// How long a proof of the cluster secret is good for. A client opens another stream then; a server takes a tenth more.
    public var proofLifetime: Duration = .seconds(600)

    public init() {}
}

/// What protects the bytes between nodes. The cluster secret is proved either way.
public enum RPCSecurity: Sendable {
    case plaintext
    /// PEM texts. Each side shows a certificate that `ca` has signed; a server's names the host under which it is called.
    case mutualTLS(ca: String, certificate: String, key: Redacted<String>)
}
