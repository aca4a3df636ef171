internal import ApusGraphQL
internal import ApusHTTP
internal import ApusQuery
internal import ApusQueryPlan
internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import Synchronization

/// One WebSocket of `/ipc`: a query at a time whose rows come as binary messages, each a whole stream of Arrow; and subscriptions beside it.
///
/// Every query ends with `complete`, one that failed or was cancelled with `error` before it: a reader that hears nothing takes what it has for
/// all there is. So does one whose connection ends, and before the server ends a connection it says what it ends.
final class IPCSession: SocketSession {
    let socket: any WebSocket
    /// A query and sixteen subscriptions.
    let operations = SocketOperations(named: 17, running: 64)
    private let face: HugrFace
    private let request: Request

    init(_ socket: any WebSocket, face: HugrFace, request: Request) {
        self.socket = socket
        self.face = face
        self.request = request
    }

    // MARK: Messages

    func take(_ message: WebSocketMessage) async -> Bool {
        guard case .text(let text) = message, let value = try? JSONValue(parsing: Array(text.utf8)), let kind = value["type"]?.asString
        else {
            await say(["type": "error", "error": "a message must be a JSON object with a type"])
            return true
        }
        switch kind {
        case "query", "query_object": await query(value, isObject: kind == "query_object")
        case "cancel": operations.cancel(Self.query)
        case "subscribe": await subscribe(value)
        case "unsubscribe": if let id = value["subscription_id"]?.asString { operations.cancel(Self.subscription(id)) }
        default: await say(["type": "error", "error": .string("there is no message \"\(kind)\"")])
        }
        return true
    }

    /// Names of operations.
    private static let query = "query"
    private static func subscription(_ id: String) -> String { "subscription " + id }

    /// What a client is told of an operation that is not begun, or failed.
    private static func text(of error: any Error) -> String {
        switch error {
        case let problem as RequestProblem: problem.message
        case SocketOperations.Refusal.known: "another query or subscription of this name is already active"
        case SocketOperations.Refusal.tooMany: "too many operations of this connection are under way"
        default: GraphQLError.text(of: error)
        }
    }

    // MARK: Queries

    private func query(_ message: JSONValue, isObject: Bool) async {
        do {
            let asked = try await face.question(isObject ? Self.objectQuery(message) : message, of: request)
            try operations.begin(Self.query) { [self] in await run(asked) }
        } catch {
            await fail(Self.text(of: error))
        }
    }

    private func fail(_ why: String) async {
        await say(["type": "error", "error": .string(why)])
        await say(["type": "complete"])
    }

    private func run(_ asked: QueryRequest) async {
        let start = BootClock.now
        var form = face.frameForm(request)
        form.mostParts = 1
        let reply = await face.metrics.streaming { [form] in
            await face.queries.tell(asked, form) { [socket] part in
                if case .piece(let bytes) = part { try await socket.send(.binary(bytes)) }
            }
        }
        let isCancelled = Task.isCancelled
        operations.free(Self.query)
        face.metrics.count(reply.outcome, start.duration(to: BootClock.now).seconds)
        if isCancelled {
            await fail(operations.isEnding ? "the node is stopping; ask again" : "stream cancelled: context canceled")
        } else if reply.outcome != .answered {
            await fail(reply.errors.map(\.message).joined(separator: "; "))
        } else {
            await say(["type": "complete"])
        }
    }

    /// The query for fields of a data object, which is named by its path or by its type.
    private static func objectQuery(_ message: JSONValue) throws -> JSONValue {
        func isName(_ name: String) -> Bool { !name.isEmpty && name.utf8.allSatisfy { $0 == 0x5f || isalnum(Int32($0)) != 0 } }
        guard let object = message["data_object"]?.asString, let fields = message["selected_fields"]?.asArray?.map({ $0.asString ?? "" }),
            !fields.isEmpty
        else { throw RequestProblem("\"data_object\" and \"selected_fields\" are needed") }
        let path = object.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard path.allSatisfy(isName), fields.allSatisfy(isName) else { throw RequestProblem("\"\(object)\" or its fields are no names") }
        var variables = message["variables"]?.asObject ?? [:]
        // What the reference takes as arguments of the list.
        var arguments: [String] = []
        for name in ["limit", "offset"] {
            guard let value = variables[name] else { continue }
            guard let number = value.asInteger else { throw RequestProblem("\"\(name)\" must be a whole number") }
            arguments.append("\(name): \(number)")
        }
        variables = JSONObject(variables.filter { $0.key != "limit" && $0.key != "offset" })
        let list = arguments.isEmpty ? "" : "(\(arguments.joined(separator: ", ")))"
        var text = "\(path.last ?? "")\(list) { \(fields.joined(separator: " ")) }"
        for module in path.dropLast().reversed() { text = "\(module) { \(text) }" }
        return .object(["query": .string("{ \(text) }"), "variables": .object(variables)])
    }

    // MARK: Subscriptions

    private func subscribe(_ message: JSONValue) async {
        guard let id = message["subscription_id"]?.asString, !id.isEmpty, id.utf8.count <= 128 else {
            return await say(["type": "error", "error": "\"subscription_id\" is needed"])
        }
        do {
            let asked = try await face.question(message, of: request)
            try operations.begin(Self.subscription(id), isEndless: true) { [self] in await run(asked, as: id) }
        } catch {
            await end(id, Self.text(of: error))
        }
    }

    private func end(_ id: String, _ error: String?) async {
        if let error { await say(["type": "subscription_error", "subscription_id": .string(id), "error": .string(error)]) }
        await say(["type": "subscription_complete", "subscription_id": .string(id)])
    }

    private func run(_ asked: QueryRequest, as id: String) async {
        var failure: String?
        do {
            try await face.queries.repeating(asked) { [self] tick in try await tell(tick, as: id) }
        } catch {
            failure = Self.text(of: error)
        }
        operations.free(Self.subscription(id))
        if Task.isCancelled { failure = operations.isEnding ? "the node is stopping; subscribe again" : nil }
        await end(id, failure)
    }

    /// One run of a subscription's query: each leaf has frames of its own.
    private func tell(_ asked: QueryRequest, as id: String) async throws {
        var asked = asked
        asked.caller = try await face.currentCaller(of: request)
        var form = face.frameForm(request)
        // That of a query's result within it; of what happens, its own.
        let outer = asked.event == nil ? 1 : 0
        form.metadata = { [("subscription_id", id), ("path", $0.dropFirst(outer).joined(separator: "."))] }
        let path = Mutex("")
        let reply = await face.queries.tell(asked, form) { [self] part in
            switch part {
            case .table(let keys, _): path.withLock { $0 = keys.dropFirst(outer).joined(separator: ".") }
            case .piece(let bytes): try await socket.send(.binary(bytes))
            case .json: break
            case .end: try await partComplete(id, path.withLock { $0 })
            }
        }
        if reply.outcome != .answered { throw GraphQLErrors(reply.errors) }
    }

    private func partComplete(_ id: String, _ path: String) async throws {
        let message: JSONObject = ["type": "part_complete", "subscription_id": .string(id), "path": .string(path)]
        try await socket.send(.text(JSONValue.object(message).description))
    }
}
