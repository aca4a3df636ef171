import ApusTypes
import Synchronization
import TestKit

@testable import ApusRPC
@testable import ApusRuntime

/// A stream that a test reads message by message.
final class RawStream: GRPCStreamOwner {
    let stream: GRPCStream
    private let state = Mutex(State())

    private struct State {
        var messages: [[UInt8]] = []
        var status: Int32?
        var reason = ""
    }

    init(_ stream: GRPCStream) {
        self.stream = stream
        stream.begin(self)
    }

    func received(_ message: UnsafeRawBufferPointer?) { if let message { state.withLock { $0.messages.append(Array(message)) } } }
    func sent(_ count: Int) {}
    func ended(_ status: Int32, _ reason: String) { state.withLock { ($0.status, $0.reason) = (status, reason) } }

    var reason: String { state.withLock { $0.reason } }

    /// The next message; nil if the call has ended.
    func next() async throws -> [UInt8]? {
        stream.receive()
        try await eventually("a message or the end") { state.withLock { !$0.messages.isEmpty || $0.status != nil } }
        return state.withLock { $0.messages.isEmpty ? nil : $0.messages.removeFirst() }
    }

    /// What the call ended with; messages before that are passed over.
    func status() async throws -> Int32? {
        while try await next() != nil {}
        return state.withLock { $0.status }
    }
}

/// A client that speaks frames by itself, and reads only when it is told to.
struct RawPeer {
    let raw: RawStream
    private let channel: GRPCChannel

    /// Proves the secret of `identity`.
    init(_ address: String, _ identity: RPCIdentity) async throws {
        try self.init(address)
        let (proof, _, expected) = try Handshake(identity).proof(try await next()[0])
        send(proof)
        try Handshake.check(try await next()[0], expected: expected)
    }

    /// Proves nothing.
    init(_ address: String) throws {
        channel = try GRPCChannel(address: address, security: .plaintext, settings: RPCSettings())
        raw = RawStream(channel.open(GRPCStream.exchange))
    }

    func send(_ frame: Frame) { raw.stream.send(frame.encoded(at: BootClock.now)) }

    func next() async throws -> [Frame] {
        guard let message = try await raw.next() else { throw TestKitError("the call has ended: \(raw.reason)") }
        return try message.withUnsafeBytes { try Frame.decode($0, at: BootClock.now) }
    }

    /// How many replies came when `count` have.
    func replies(_ count: Int) async throws -> Int {
        var found = 0
        while found < count { found += try await next().count { if case .reply = $0 { true } else { false } } }
        return found
    }

    func close() {
        raw.stream.cancel()
        withExtendedLifetime(channel) {}
    }
}
