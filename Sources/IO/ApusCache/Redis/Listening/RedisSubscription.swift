public import ApusTypes
internal import Synchronization

/// What one listener hears, in its order. Who takes less than comes is told so and hears no more: nothing is kept without bound. One reader.
public final class RedisSubscription: Sendable {
    public struct Message: Sendable, Hashable {
        public var channel: [UInt8]
        public var payload: [UInt8]
    }

    private struct State {
        var isBegun = false
        /// That were not taken.
        var messages: [Message] = []
        var bytes = 0
        var end: ApusError?
        var hasNews = false
        var reader: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let mostMessages: Int
    private let mostBytes: Int
    private let leave: @Sendable () -> Void

    init(messages: Int, bytes: ByteCount, leave: @escaping @Sendable () -> Void) {
        mostMessages = messages
        mostBytes = bytes.bytes
        self.leave = leave
    }

    /// The next message. Throws `source.unavailable` when there will be no more, `client.slow` when messages came faster than they were taken.
    public func next() async throws -> Message {
        try await wait { state in
            guard !state.messages.isEmpty else {
                if let end = state.end { throw end }
                return nil
            }
            let message = state.messages.removeFirst()
            state.bytes -= Self.size(message)
            return message
        }
    }

    /// Hears no more.
    public func close() { leave() }

    /// Returns when the server tells it what is published from now on.
    func begun() async throws {
        try await wait { state in
            if let end = state.end { throw end }
            return state.isBegun ? () : nil
        }
    }

    func begin() { change { $0.isBegun = true } }

    func end(_ error: ApusError) { change { $0.end = $0.end ?? error } }

    /// False when it has ended, by this message perhaps.
    func take(_ message: Message) -> Bool {
        change { state in
            guard state.end == nil else { return false }
            state.bytes += Self.size(message)
            guard state.messages.count < mostMessages, state.bytes <= mostBytes else {
                state.end = ApusError(
                    .clientSlow, "messages come faster than this client takes them: \(mostMessages) of them wait, or \(mostBytes) bytes",
                    hint: "take them faster, or subscribe to less")
                state.messages = []
                return false
            }
            state.messages.append(message)
            return true
        }
    }

    private static func size(_ message: Message) -> Int { message.channel.count + message.payload.count + 64 }

    private func change<Value: Sendable>(_ body: (inout State) -> Value) -> Value {
        let (value, reader) = state.withLock { state in
            let value = body(&state)
            state.hasNews = true
            return (value, state.reader.take())
        }
        reader?.resume()
        return value
    }

    private func wait<Value>(_ take: (inout State) throws -> Value?) async throws -> Value {
        while true {
            try Task.checkCancellation()
            let taken = try state.withLock { state in
                state.hasNews = false
                return try take(&state)
            }
            if let taken { return taken }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        if state.hasNews { return true }
                        state.reader = continuation
                        return false
                    }
                    if isReady { continuation.resume() }
                }
            } onCancel: {
                change { _ in }
            }
        }
    }
}
