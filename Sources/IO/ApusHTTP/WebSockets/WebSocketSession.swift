internal import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Bounds of one WebSocket.
public struct WebSocketLimits: Sendable, Hashable {
    /// Largest message after joining its fragments; a larger one closes with 1009. As much waits for a slow handler at most.
    public var message: ByteCount = .mebibytes(1)
    /// A ping goes out when nothing arrived for this long.
    public var pingAfter: Duration = .seconds(20)
    /// The peer is gone when nothing arrived for this long.
    public var silence: Duration = .seconds(60)
    /// How long the peer may take to answer a close, and the handler to notice that the peer has closed.
    public var closing: Duration = .seconds(5)

    public init() {}
}

/// One WebSocket over a connection that has been upgraded.
///
/// A task of its own reads: pings are answered and a close is noticed whatever the handler does, until a whole message's worth waits
/// for the handler; then nothing more is read, and the peer is slowed down.
public final class WebSocketSession: WebSocket {
    private let stream: any ByteStream
    private let side: WebSocketSide
    private let limits: WebSocketLimits
    private let clock = BootClock()
    private let inbox: Channel<WebSocketMessage>
    private let writing = Turn()
    private let state = Mutex(State())

    private struct State {
        var isCloseSent = false
        /// Since when the reading task waits for the peer; nil while it waits for the handler.
        var listeningSince: Instant?
        var lastPing: Instant?
    }

    private init(_ stream: any ByteStream, side: WebSocketSide, limits: WebSocketLimits) {
        self.stream = stream
        self.side = side
        self.limits = limits
        inbox = Channel(limit: limits.message.bytes)
    }

    /// Runs `handler` on the server's side of `stream`, until it returns or the peer has gone, with the closing handshake.
    /// Throws what the handler throws.
    public static func serve(
        _ stream: any ByteStream, limits: WebSocketLimits = WebSocketLimits(),
        _ handler: @escaping @Sendable (any WebSocket) async throws -> Void
    ) async throws {
        try await WebSocketSession(stream, side: .server, limits: limits).run(handler)
    }

    /// The same on the client's side, after its handshake.
    static func connect(
        _ stream: any ByteStream, limits: WebSocketLimits = WebSocketLimits(),
        _ handler: @escaping @Sendable (any WebSocket) async throws -> Void
    ) async throws {
        try await WebSocketSession(stream, side: .client, limits: limits).run(handler)
    }

    // MARK: WebSocket

    public func receive() async throws -> WebSocketMessage? { try await inbox.receive() }

    public func send(_ message: WebSocketMessage) async throws {
        switch message {
        case .text(let text): try await write(.text, text.utf8)
        case .binary(let bytes): try await write(.binary, bytes)
        }
    }

    public func close(code: UInt16, reason: String) async {
        do {
            try await writing.run {
                guard !state.withLock({ $0.isCloseSent }) else { return }
                try await transmit(.close, WebSocketClose(code: code, reason: reason).payload)
            }
        } catch {
            // The connection is gone, which closes it as well as a frame would; readers learn it from the stream.
            inbox.finish(.failure(error))
        }
    }

    private func write(_ opcode: WebSocketOpcode, _ payload: some Collection<UInt8> & Sendable) async throws {
        try await writing.run {
            guard !state.withLock({ $0.isCloseSent }) else { throw ApusError(.clientGone, "the WebSocket is closed") }
            try await transmit(opcode, payload)
        }
    }

    /// Writes one frame. The caller has the turn.
    private func transmit(_ opcode: WebSocketOpcode, _ payload: some Collection<UInt8>) async throws {
        if opcode == .close { state.withLock { $0.isCloseSent = true } }
        var random = SystemRandomNumberGenerator()
        let mask = side == .client ? (0..<4).map { _ in UInt8.random(in: .min ... .max, using: &random) } : nil
        try await stream.write(serializedWebSocketFrame(opcode, payload, mask: mask))
    }

    // MARK: Running

    private enum Part { case handler((any Error)?), reading, listening, limit }

    private func run(_ handler: @escaping @Sendable (any WebSocket) async throws -> Void) async throws {
        let failure: (any Error)? = await withTaskGroup(of: Part.self) { group in
            group.addTask { [self] in
                do {
                    try await handler(self)
                    await close(code: WebSocketClose.normal, reason: "")
                    return .handler(nil)
                } catch {
                    await close(code: WebSocketClose.internalError, reason: "")
                    return .handler(error)
                }
            }
            group.addTask { [self] in
                await read()
                return .reading
            }
            group.addTask { [self] in
                await keepAlive()
                return .listening
            }
            var failure: (any Error)?
            var ended = 0
            loop: while let part = await group.next() {
                switch part {
                case .handler(let error):
                    failure = error
                    ended += 1
                case .reading: ended += 1
                case .listening, .limit: break loop
                }
                if ended == 2 { break }
                group.addTask { [clock, limits] in
                    // Cancelled when the other part ends in time, which is as good an end.
                    _ = try? await clock.sleep(until: clock.now.advanced(by: limits.closing), tolerance: nil)
                    return .limit
                }
            }
            group.cancelAll()
            while let part = await group.next() {
                if case .handler(let error) = part, !(error is CancellationError) { failure = error }
            }
            return failure
        }
        if let failure { throw failure }
    }

    /// What a message takes in memory beside its bytes, so that empty ones are bounded too.
    static let messageCost = 64

    /// Reads until the peer closes, breaks the rules, or the connection ends.
    private func read() async {
        var reader = WebSocketReader(side: side, limit: limits.message)
        do {
            while let bytes = try await listen() {
                reader.feed(bytes)
                while let event = try reader.next() {
                    switch event {
                    case .message(.text(let text)): try await inbox.send(.text(text), cost: text.utf8.count + Self.messageCost)
                    case .message(.binary(let bytes)): try await inbox.send(.binary(bytes), cost: bytes.count + Self.messageCost)
                    case .ping(let payload): try await write(.pong, payload)
                    case .pong: break
                    case .close(let received):
                        await close(code: received.code, reason: "")
                        inbox.finish()
                        return
                    }
                }
            }
            inbox.finish(.failure(ApusError(.clientGone, "the connection ended without a close")))
        } catch let broken as WebSocketClose {
            await close(code: broken.code, reason: broken.reason)
            inbox.finish(.failure(ApusError(.requestUnparsable, "the WebSocket was closed with \(broken.code): \(broken.reason)")))
        } catch {
            inbox.finish(.failure(error))
        }
    }

    private func listen() async throws -> [UInt8]? {
        state.withLock { $0.listeningSince = clock.now }
        defer { state.withLock { $0.listeningSince = nil } }
        return try await stream.read()
    }

    /// Pings a silent peer; returns when it stays silent.
    private func keepAlive() async {
        do {
            while true {
                let now = clock.now
                let (since, ping) = state.withLock { ($0.listeningSince, $0.lastPing) }
                var next = now.advanced(by: limits.pingAfter)
                if let since {
                    let end = since.advanced(by: limits.silence)
                    guard now < end else { return }
                    let due = max(since, ping ?? since).advanced(by: limits.pingAfter)
                    if due <= now {
                        state.withLock { $0.lastPing = now }
                        try await write(.ping, [])
                    } else {
                        next = due
                    }
                    next = min(next, end)
                }
                try await clock.sleep(until: next, tolerance: nil)
            }
        } catch {
            // Cancelled, or a ping could not be written: then the reading task learns the same from the stream and ends the session.
            inbox.finish(.failure(error))
        }
    }
}
