internal import ApusGraphQL
internal import ApusHTTP
internal import ApusQuery
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// One WebSocket of `/subscribe`: the protocol `graphql-transport-ws`
/// (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md). Operations of all kinds; subscriptions run their query again and again.
///
/// The first message may carry the credential that a browser cannot put into the request: nothing is answered before it is judged.
final class TransportSession: SocketSession {
    static let subprotocol = "graphql-transport-ws"

    let socket: any WebSocket
    let operations = SocketOperations(named: 10, running: 20)
    private let face: HugrFace
    private let state: Mutex<State>
    private let initTime: Duration

    private struct State {
        /// With what the first message says.
        var request: Request
        var isInitialised = false
    }

    init(_ socket: any WebSocket, face: HugrFace, request: Request, initTime: Duration) {
        self.socket = socket
        self.face = face
        state = Mutex(State(request: request))
        self.initTime = initTime
    }

    /// Closes a connection that does not say who it is.
    func serve() async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask { [self] in
                try await run(among: face.options.sockets)
                return true
            }
            group.addTask { [self] in
                try await BootClock().sleep(until: BootClock.now.advanced(by: initTime), tolerance: nil)
                if !state.withLock({ $0.isInitialised }) { await close(4408, "Connection initialisation timeout") }
                return false
            }
            while let isOver = try await group.next() { if isOver { group.cancelAll() } }
        }
    }

    func take(_ message: WebSocketMessage) async -> Bool {
        guard case .text(let text) = message, let value = try? JSONValue(parsing: Array(text.utf8)), let kind = value["type"]?.asString
        else { return await end(4400, "a message must be a JSON object with a type") }
        switch kind {
        case "connection_init": return await initialise(value["payload"])
        case "ping":
            await say(["type": "pong"])
            return true
        case "pong": return true
        case "subscribe": return await subscribe(value)
        case "complete":
            if let id = value["id"]?.asString { operations.cancel(id) }
            return true
        default: return await end(4400, "there is no message \"\(kind)\"")
        }
    }

    private func end(_ code: UInt16, _ reason: String) async -> Bool {
        await close(code, reason)
        return false
    }

    private func initialise(_ payload: JSONValue?) async -> Bool {
        let isFirst = !state.withLock { $0.isInitialised }
        guard isFirst else { return await end(4429, "Too many initialisation requests") }
        var request = state.withLock { $0.request }
        // What a browser cannot send as fields of its request.
        for (name, value) in payload?.asObject ?? [:] { if let text = value.asString { request.headers[name] = text } }
        do {
            _ = try await face.currentCaller(of: request)
        } catch {
            return await end(4403, "Forbidden")
        }
        state.withLock { [request] state in
            state.request = request
            state.isInitialised = true
        }
        await say(["type": "connection_ack"])
        return true
    }

    private func subscribe(_ message: JSONValue) async -> Bool {
        guard let id = message["id"]?.asString, !id.isEmpty, id.utf8.count <= 128, let payload = message["payload"] else {
            return await end(4400, "an operation needs an id and a payload")
        }
        let (request, isInitialised) = state.withLock { ($0.request, $0.isInitialised) }
        guard isInitialised else { return await end(4401, "Unauthorized") }
        do {
            let asked = try await face.question(payload, of: request, mutates: true)
            try operations.begin(id, isEndless: face.queries.isSubscription(asked)) { [self] in await run(asked, id, request) }
        } catch SocketOperations.Refusal.known {
            return await end(4409, "Subscriber for \(id) already exists")
        } catch SocketOperations.Refusal.tooMany {
            await fail(id, [GraphQLError("10 operations are the limit of a connection")])
        } catch {
            await fail(id, [GraphQLError((error as? RequestProblem)?.message ?? GraphQLError.text(of: error))])
        }
        return true
    }

    private func run(_ asked: QueryRequest, _ id: String, _ request: Request) async {
        let refusal = Mutex<[GraphQLError]>([])
        do {
            try await face.queries.each(asked) { [self] run in
                var run = run
                run.caller = try await face.currentCaller(of: request)
                let start = BootClock.now
                let reply = await face.queries.answer(run)
                face.metrics.count(reply.outcome, start.duration(to: BootClock.now).seconds)
                try Task.checkCancellation()
                guard reply.outcome == .answered || reply.outcome == .failed else {
                    refusal.withLock { $0 = reply.errors }
                    throw CancellationError()
                }
                var writer = JSONWriter()
                writer.object {
                    $0.key("id")
                    $0.string(id)
                    $0.key("type")
                    $0.string("next")
                    $0.key("payload")
                    $0.raw(reply.json(tellsNull: true))
                }
                try await socket.send(.text(String(decoding: writer.bytes, as: UTF8.self)))
            }
        } catch is CancellationError {
        } catch {
            refusal.withLock { $0 = GraphQLError.all(of: error) }
        }
        operations.free(id)
        let errors = refusal.withLock { $0 }
        if Task.isCancelled, operations.isEnding {
            await fail(id, [GraphQLError("the node is stopping; subscribe again")])
        } else if !errors.isEmpty {
            await fail(id, errors)
        } else if !Task.isCancelled {
            await say(["type": "complete", "id": .string(id)])
        }
    }

    /// An operation that ends so has no `complete`.
    private func fail(_ id: String, _ errors: [GraphQLError]) async {
        var writer = JSONWriter()
        writer.array { for error in errors { error.write(to: &$0) } }
        let payload = (try? JSONValue(parsing: writer.bytes)) ?? .array([])
        await say(["id": .string(id), "type": "error", "payload": payload])
    }
}

extension HugrFace {
    func upgradeSubscriptions(_ request: Request) async throws -> Response {
        try request.requireOwnOrigin(or: options.origins)
        return try .webSocket(for: request, subprotocol: TransportSession.subprotocol, limits: Self.socketLimits) { [self] socket in
            try await TransportSession(socket, face: self, request: request, initTime: options.initTime).serve()
        }
    }
}
