internal import Synchronization

/// A bounded queue from one task to another. A sender waits while what is queued costs more than the limit.
final class Channel<Element: Sendable>: Sendable {
    private let limit: Int
    private let state = Mutex(State())

    private struct State {
        var items: [(element: Element, cost: Int)] = []
        var cost = 0
        var end: Result<Void, any Error>?
        var receiver: OneShot<Void>?
        var sender: OneShot<Void>?
    }

    /// One element always fits, whatever it costs.
    init(limit: Int) { self.limit = limit }

    /// Queues `element` when there is room. What comes after the end is dropped.
    func send(_ element: Element, cost: Int) async throws {
        while true {
            let room: OneShot<Void>? = state.withLock { state in
                guard state.end == nil else { return nil }
                guard state.items.isEmpty || state.cost + cost <= limit else {
                    let room = OneShot<Void>()
                    state.sender = room
                    return room
                }
                state.items.append((element, cost))
                state.cost += cost
                state.receiver.take()?.resolve()
                return nil
            }
            guard let room else { return }
            try await room.value()
        }
    }

    /// The next element; nil, or the error it was ended with, once all are taken.
    func receive() async throws -> Element? {
        while true {
            let arrival = OneShot<Void>()
            let ready: Result<Element?, any Error>? = state.withLock { state in
                if !state.items.isEmpty {
                    let (element, cost) = state.items.removeFirst()
                    state.cost -= cost
                    state.sender.take()?.resolve()
                    return .success(element)
                }
                if let end = state.end { return end.map { nil } }
                state.receiver = arrival
                return nil
            }
            if let ready { return try ready.get() }
            try await arrival.value()
        }
    }

    /// Nothing more comes. The first end counts.
    func finish(_ end: Result<Void, any Error> = .success(())) {
        state.withLock { state in
            if state.end == nil { state.end = end }
            state.receiver.take()?.resolve()
            state.sender.take()?.resolve()
        }
    }
}
