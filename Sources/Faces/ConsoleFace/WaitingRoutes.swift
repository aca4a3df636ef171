public import ApusHTTP
public import ApusRuntime
internal import ApusTypes

extension ConsoleFace {
    /// What a node answers before it has a catalog: its health, and to all else why it cannot answer yet.
    public static func waiting(health: Health) -> Router {
        var router = Router()
        router.tellsFailures = false
        router.use(WaitingNode(health: health))
        router.on(.get, "/health/live") { _ in .json(JSONValue.object(["status": "live"]).serialized()) }
        for path in ["/health", "/health/ready"] {
            router.on(.get, path) { _ in
                var writer = JSONWriter()
                writer.object {
                    $0.member("status", "waiting")
                    write(health.readiness().problems, to: &$0)
                }
                return .json(writer.bytes, status: 503)
            }
        }
        return router
    }
}

/// Lets questions about health through.
private struct WaitingNode: Middleware {
    let health: Health

    func handle(_ request: Request, next: Handler) async throws -> Response {
        if request.path.first == "health" { return try await next(request) }
        let problem = health.readiness().problems.first
        throw ApusError(
            problem?.code ?? .nodeUnready, problem?.summary ?? "the node is starting", hint: problem?.hint, retry: .after(.seconds(1)))
    }
}
