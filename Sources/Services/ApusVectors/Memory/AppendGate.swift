internal import Synchronization

/// Lets this node's appends to one shard through together, or one of them alone.
///
/// Only a change by filter that lost several races goes alone. Whoever is inside leaves within the deadline of its own call, which
/// bounds the wait of the others.
final class AppendGate: Sendable {
    fileprivate struct State {
        var inside = 0
        var isClosed = false
        /// Waits for the last one inside to leave.
        var closer: CheckedContinuation<Void, Never>?
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func enter() async {
        while !state.withLock({ $0.admit() }) { await untilOpened() }
    }

    func leave() {
        let closer = state.withLock { state in
            state.inside -= 1
            return state.inside == 0 ? state.closer.take() : nil
        }
        closer?.resume()
    }

    /// Returns when nobody else is inside; nobody enters until `open`.
    func close() async {
        while !state.withLock({ $0.close() }) { await untilOpened() }
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if state.inside == 0 { return true }
                state.closer = continuation
                return false
            }
            if isEmpty { continuation.resume() }
        }
    }

    func open() {
        let waiting = state.withLock { state in
            state.isClosed = false
            defer { state.waiting = [] }
            return state.waiting
        }
        waiting.forEach { $0.resume() }
    }

    private func untilOpened() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isClosed { return true }
                state.waiting.append(continuation)
                return false
            }
            if isOpen { continuation.resume() }
        }
    }
}

extension AppendGate.State {
    fileprivate mutating func admit() -> Bool {
        if isClosed { return false }
        inside += 1
        return true
    }

    fileprivate mutating func close() -> Bool {
        if isClosed { return false }
        isClosed = true
        return true
    }
}
