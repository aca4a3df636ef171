/// A connection's bytes after an upgrade: what the client sends after its request head, and what is sent back as it is.
/// Reading is bounded (what is not read stays in the socket) and writing waits until the client takes. One reader, one writer.
public protocol ByteStream: Sendable {
    /// The next bytes, nil when the client has closed its side. Throws when the connection broke or the server drains to its end.
    func read() async throws -> [UInt8]?
    /// Returns when the system has taken all of `bytes`; throws when the connection is gone or stalled.
    func write(_ bytes: [UInt8]) async throws
}
