internal import ApusGraphQL
internal import ApusHTTP
internal import ApusQuery
internal import ApusQueryPlan
internal import ApusRuntime
internal import ApusTypes

/// `/ipc`: operations whose lists come as tables of Arrow.
extension HugrFace {
    func answerParts(_ request: Request) async throws -> Response {
        let start = BootClock.now
        let asked: Result<QueryRequest, RequestProblem>
        do throws(any Error) { asked = .success(try await identified(request)) } catch let problem as RequestProblem {
            asked = .failure(problem)
        }
        var form = TableForm()
        form.zone = TimeZoneName.asked(by: request.headers) ?? form.zone
        form.metadata = { _ in [("chunk", "0")] }
        let boundary = MultipartReply.boundary()
        return Response(
            headers: ["Content-Type": "multipart/mixed; boundary=\(boundary)", "Cache-Control": "no-store"],
            body: .stream { [queries, metrics, form] output in
                let multipart = MultipartReply(boundary: boundary, output: output)
                let reply: QueryReply
                switch asked {
                case .success(let asked):
                    reply = await metrics.streaming { await queries.tell(asked, form) { try await multipart.tell($0) } }
                case .failure(let problem): reply = QueryReply(refusing: problem.message)
                }
                metrics.count(reply.outcome, start.duration(to: BootClock.now).seconds)
                try await multipart.finish(reply)
            })
    }

    /// `/ipc` as a WebSocket, or a question in the query string.
    func upgradeParts(_ request: Request) async throws -> Response {
        guard request.headers["Upgrade"] != nil else { return try await answerParts(request) }
        try request.requireOwnOrigin(or: options.origins)
        _ = try await callers.caller(of: request)
        return try .webSocket(for: request, limits: Self.socketLimits) { [self] socket in
            try await IPCSession(socket, face: self, request: request).run(among: options.sockets)
        }
    }

    static let socketLimits: WebSocketLimits = {
        var limits = WebSocketLimits()
        // Its clients do not read, nor answer pings, while their users work on what came.
        limits.silence = .seconds(600)
        return limits
    }()

    /// Rows as messages that stand alone: few and large ones, because a client that has sixteen in front of it reads no more.
    func frameForm(_ request: Request) -> TableForm {
        var form = TableForm()
        form.zone = TimeZoneName.asked(by: request.headers) ?? form.zone
        form.isFramed = true
        form.hasRowsOnly = true
        form.bytes = 2 << 20
        return form
    }

    /// A question of a WebSocket's message, by whoever opened it, if the credential still holds.
    func question(_ message: JSONValue, of request: Request, mutates: Bool = false) async throws -> QueryRequest {
        let caller = try await currentCaller(of: request)
        var asked = try QueryRequest(reading: message.serialized(), deadline: BootClock.now.advanced(by: options.requestTime))
        if !mutates { asked.mutations = .notHere }
        asked.caller = caller
        return asked
    }

    /// By what the credential is worth now, of a connection that outlives it.
    func currentCaller(of request: Request) async throws -> QueryCaller {
        var request = request
        request.deadline = BootClock.now.advanced(by: options.requestTime)
        return try await callers.caller(of: request)
    }
}
