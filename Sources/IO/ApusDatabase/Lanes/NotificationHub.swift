internal import Synchronization

/// Hands notifications to the streams that asked for their channel.
final class NotificationHub: Sendable {
    /// Wake-ups that one slow listener may leave unread; the oldest are dropped, since the next says the same.
    static let buffered = 256

    private struct Subscriber {
        var channels: Set<String>
        var continuation: AsyncStream<Notification>.Continuation
    }

    private let state = Mutex((nextID: 0, subscribers: [Int: Subscriber]()))

    func stream(on channels: [String]) -> AsyncStream<Notification> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Notification.self, bufferingPolicy: .bufferingNewest(Self.buffered))
        let id = state.withLock { state in
            state.nextID += 1
            state.subscribers[state.nextID] = Subscriber(channels: Set(channels), continuation: continuation)
            return state.nextID
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.subscribers[id] = nil } }
        return stream
    }

    func publish(_ notification: Notification) {
        let listeners = state.withLock { $0.subscribers.values.filter { $0.channels.contains(notification.channel) } }
        for listener in listeners { listener.continuation.yield(notification) }
    }

    /// Ends every stream.
    func finish() {
        let ended = state.withLock { state in
            let all = state.subscribers.values
            state.subscribers = [:]
            return all
        }
        for subscriber in ended { subscriber.continuation.finish() }
    }
}
