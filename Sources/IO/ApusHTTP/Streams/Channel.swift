internal import Synchronization

/// A bounded queue from one task to another. A sender waits while what is queued costs more than the limit.
final class Channel<Element: Sendable>: Sendable {
    private let limit: Int
    private let state = Mutex(State())

    private struct State {
        private var items: [(element: Element, cost: Int)?] = []
        /// Where the items that were not taken begin.
        private var start = 0
        var cost = 0
        var end: Result<Void, any Error>?
        var receiver: OneShot<Void>?
        var sender: OneShot<Void>?
        var isEmpty: Bool { start == items.count }

        mutating func append(_ element: Element, cost: Int) {
            items.append((element, cost))
            self.cost += cost
        }

        mutating func pop() -> Element? {
            guard !isEmpty, let (element, cost) = items[start] else { return nil }
            items[start] = nil
            start += 1
            self.cost -= cost
            if isEmpty {
                items.removeAll(keepingCapacity: items.capacity <= 64)
                start = 0
            } else if start >= 64, start * 2 >= items.count {
                // As many are moved as were taken, so that each is moved once on average.
                items.removeFirst(start)
                start = 0
            }
            return element
        }
    }

    /// One element always fits, whatever it costs.
    init(limit: Int) { self.limit = limit }

    /// Queues `element` when there is room. What comes after the end is dropped.
    func send(_ element: Element, cost: Int) async throws {
        while true {
            let room: OneShot<Void>? = state.withLock { state in
                guard state.end == nil else { return nil }
                guard state.isEmpty || state.cost + cost <= limit else {
                    let room = OneShot<Void>()
                    state.sender = room
                    return room
                }
                state.append(element, cost: cost)
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
                if let element = state.pop() {
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
