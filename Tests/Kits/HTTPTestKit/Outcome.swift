internal import Synchronization

/// What a handler found out, for the test to wait for.
public final class Outcome: Sendable {
    private let state = Mutex<(text: String?, waiters: [CheckedContinuation<String, Never>])>((nil, []))

    public init() {}

    /// Only the first one counts.
    public func set(_ text: String) {
        let waiters = state.withLock { state -> [CheckedContinuation<String, Never>] in
            guard state.text == nil else { return [] }
            state.text = text
            defer { state.waiters = [] }
            return state.waiters
        }
        waiters.forEach { $0.resume(returning: text) }
    }

    public func value() async -> String {
        await withCheckedContinuation { continuation in
            let text = state.withLock { state in
                if state.text == nil { state.waiters.append(continuation) }
                return state.text
            }
            if let text { continuation.resume(returning: text) }
        }
    }
}
