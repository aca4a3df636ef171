internal import ApusRuntime
public import ApusTypes

public typealias Handler = @Sendable (Request) async throws -> Response

/// Runs around handlers: authentication, limits, metrics. The first added is the outermost.
public protocol Middleware: Sendable {
    func handle(_ request: Request, next: Handler) async throws -> Response
}

/// Routes of one listener. A path is literal segments and `{name}` parameters (one segment each); a literal beats a parameter.
/// HEAD is answered by GET's route without its body; OPTIONS, unless it has a route, and 405 name the methods that exist.
public struct Router: Sendable {
    private var root = Node()
    private var middleware: [any Middleware] = []
    private var errorBody: @Sendable (ApusError, Request) -> Response = Router.defaultErrorResponse
    /// Whether failures are logged. Not where every request fails because the node starts, which says so itself.
    public var tellsFailures = true

    public init() {}

    /// Adds a route; two routes of one method and path are a programming error.
    public mutating func on(_ method: Method, _ path: String, _ handler: @escaping Handler) {
        var segments = path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        if path.count > 1, path.hasSuffix("/") { segments.append("") }  // another path than the one without
        root.add(method, segments[...], names: [], handler)
    }

    /// All routes, by path and method, with their parameters as `{name}`.
    public var routes: [(method: Method, path: String)] {
        root.routes(below: "").sorted { ($0.path, $0.method.rawValue) < ($1.path, $1.method.rawValue) }
    }

    public mutating func use(_ middleware: any Middleware) { self.middleware.append(middleware) }

    /// How this listener's faces write errors; each client has a shape of its own.
    public mutating func errors(_ body: @escaping @Sendable (ApusError, Request) -> Response) { errorBody = body }

    /// Answers the request: never throws, errors become replies.
    public func respond(to request: Request) async -> Response {
        await chain(middleware[...], request) { request in
            let (handler, parameters) = try root.find(request)
            var request = request
            request.parameters = parameters
            return try await handler(request)
        }
    }

    /// What answers `error`: the face's body, and the fields that HTTP wants beside it.
    func response(to error: ApusError, _ request: Request) -> Response {
        var response = errorBody(error, request)
        log(error, request)
        if case .after(let delay) = error.retry, response.status >= 400 {
            response.headers["Retry-After"] = String(max(1, Int(delay.seconds.rounded(.up))))
        }
        if response.status == 401, response.headers["WWW-Authenticate"] == nil { response.headers["WWW-Authenticate"] = "Bearer" }
        if error.code == .methodNotAllowed { response.headers["Allow"] = error.context["allow"] }
        return response
    }

    /// A client is told what it can act on; what only the operator can is here, under the same request id.
    private func log(_ error: ApusError, _ request: Request) {
        func metadata() -> [String: String] {
            var metadata = error.context
            metadata["request"] = request.id
            metadata["method"] = request.method.rawValue
            metadata["path"] = request.rawPath
            metadata["error"] = "\(error)"
            if let cause = error.cause { metadata["cause"] = "\(cause)" }
            return metadata
        }
        Self.log.failure("a request failed", status: toldStatus(of: error), metadata())
    }

    /// 0: it is nobody's to act on.
    func toldStatus(of error: ApusError) -> Int { tellsFailures ? error.code.surface.http : 0 }

    private static let log = Logger("http")

    /// A middleware sees the errors of what it surrounds as the replies that they become, so that what it adds is on them too.
    private func chain(_ rest: ArraySlice<any Middleware>, _ request: Request, _ last: @escaping Handler) async -> Response {
        do {
            guard let first = rest.first else { return try await last(request) }
            return try await first.handle(request) { await chain(rest.dropFirst(), $0, last) }
        } catch let error as ApusError {
            return response(to: error, request)
        } catch is CancellationError where Task.isCancelled {
            // The client has left, and nobody reads this; or the server has drained as long as it could.
            return response(to: ApusError(.nodeDraining, "the request was not finished before the server stopped"), request)
        } catch {
            return response(to: ApusError(.internalError, "the request failed for a reason of the server's own", cause: error), request)
        }
    }
}

extension Router {
    private struct Node: Sendable {
        var literals: [String: Node] = [:]
        var parameter: [Node] = []  // at most one; an array because a struct cannot hold itself
        var routes: [Method: (names: [String], handler: Handler)] = [:]

        mutating func add(_ method: Method, _ path: ArraySlice<String>, names: [String], _ handler: @escaping Handler) {
            guard let first = path.first else {
                precondition(routes[method] == nil, "two routes for \(method.rawValue)")
                routes[method] = (names, handler)
                return
            }
            if first.hasPrefix("{"), first.hasSuffix("}") {
                if parameter.isEmpty { parameter.append(Node()) }
                parameter[0].add(method, path.dropFirst(), names: names + [String(first.dropFirst().dropLast())], handler)
            } else {
                literals[first, default: Node()].add(method, path.dropFirst(), names: names, handler)
            }
        }

        func routes(below prefix: String) -> [(method: Method, path: String)] {
            var found: [(method: Method, path: String)] = routes.map { method, route in
                // Other routes through the same place may call a parameter otherwise.
                var names = route.names[...]
                let parts = prefix.split(separator: "/", omittingEmptySubsequences: false).map {
                    $0 == "{}" ? "{\(names.removeFirst())}" : $0
                }
                return (method, prefix.isEmpty ? "/" : parts.joined(separator: "/"))
            }
            for (name, node) in literals { found += node.routes(below: prefix + "/" + name) }
            for node in parameter { found += node.routes(below: prefix + "/{}") }
            return found
        }

        func find(_ request: Request) throws -> (Handler, [String: String]) {
            var allowed: Set<Method> = []
            if let found = find(request.path[...], request.method, values: [], &allowed) { return found }
            if request.method == .options, request.path == ["*"] { allowed = Set(Method.allCases) }
            guard !allowed.isEmpty else {
                throw ApusError(.routeUnknown, "there is nothing at \(request.rawPath)")
            }
            allowed.insert(.options)
            if allowed.contains(.get) { allowed.insert(.head) }
            let methods = allowed.map(\.rawValue).sorted().joined(separator: ", ")
            if request.method == .options { return ({ _ in Response(status: 204, headers: ["Allow": methods]) }, [:]) }
            throw ApusError(
                .methodNotAllowed, "\(request.method.rawValue) is not possible here", hint: "possible: \(methods)",
                context: ["allow": methods])
        }

        private func find(
            _ path: ArraySlice<String>, _ method: Method, values: [String], _ allowed: inout Set<Method>
        ) -> (Handler, [String: String])? {
            guard let first = path.first else {
                guard let route = routes[method] ?? (method == .head ? routes[.get] : nil) else {
                    allowed.formUnion(routes.keys)
                    return nil
                }
                return (route.handler, values.isEmpty ? [:] : Dictionary(zip(route.names, values), uniquingKeysWith: { $1 }))
            }
            if let literal = literals[first], let found = literal.find(path.dropFirst(), method, values: values, &allowed) { return found }
            guard !first.isEmpty, let next = parameter.first else { return nil }
            return next.find(path.dropFirst(), method, values: values + [first], &allowed)
        }
    }

    /// `{"error": {"code", "message", "hint", "request_id"}}` with the code's status.
    public static func defaultErrorResponse(_ error: ApusError, _ request: Request) -> Response {
        var writer = JSONWriter()
        writer.object {
            $0.key("error")
            $0.object {
                $0.member("code", error.code.rawValue)
                $0.member("message", error.summary)
                if let hint = error.hint { $0.member("hint", hint) }
                $0.member("request_id", request.id)
            }
        }
        return .json(writer.bytes, status: error.code.surface.http)
    }
}
