internal import ApusHTTP
internal import ApusTypes
internal import Synchronization

/// The sessions of a node that are open, so that a node that stops can end them.
public final class HugrSockets: Sendable {
    private let state = Mutex(State())

    private struct State {
        var sessions: [Int: any SocketSession] = [:]
        var count = 0
        var isDraining = false
    }

    public init() {}

    /// Ends each session: subscriptions with a message that says why, and the connection when its last query has been answered.
    public func drain() async {
        let sessions = state.withLock { state in
            state.isDraining = true
            return Array(state.sessions.values)
        }
        await withTaskGroup(of: Void.self) { group in for session in sessions { group.addTask { await session.wind() } } }
    }

    /// Nil while the node stops.
    func add(_ session: any SocketSession) -> Int? {
        state.withLock { state in
            guard !state.isDraining else { return nil }
            state.count += 1
            state.sessions[state.count] = session
            return state.count
        }
    }

    func remove(_ number: Int) { state.withLock { $0.sessions[number] = nil } }
}

/// What sessions over a WebSocket have in common: messages in JSON, and a goodbye.
protocol SocketSession: Sendable {
    var socket: any WebSocket { get }
    var operations: SocketOperations { get }
    /// False when the session is over.
    func take(_ message: WebSocketMessage) async -> Bool
}

extension SocketSession {
    /// Runs until the client goes, or the server's drain cancels the task: then what is under way says so before the connection goes.
    func run(among sockets: HugrSockets) async throws {
        guard let number = sockets.add(self) else { return await close(1001, "the node is stopping") }
        defer { sockets.remove(number) }
        var failure: (any Error)?
        do {
            while let message = try await socket.receive(), await take(message) {}
        } catch {
            failure = error
        }
        await operations.end()
        guard let failure else { return }
        if failure is CancellationError { await close(1001, "the node is stopping") }
        throw failure
    }

    func wind() async {
        await operations.wind()
        await close(1001, "the node is stopping")
    }

    /// Sends a message, also in a task that was cancelled, in which nothing could be said any more.
    func say(_ message: JSONObject) async {
        let text = JSONValue.object(message).description
        // A connection that is gone is noticed where it is read.
        await Task { [socket] in try? await socket.send(.text(text)) }.value
    }

    func close(_ code: UInt16, _ reason: String) async { await Task { [socket] in await socket.close(code: code, reason: reason) }.value }
}
