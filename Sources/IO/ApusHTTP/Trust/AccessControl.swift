internal import ApusRuntime
public import ApusTypes

/// Finds out who asks before any handler runs. Without an answer only the public paths are served.
///
/// A request that carries a credential is judged by that credential alone: a wrong key is refused even over loopback.
public struct AccessControl: Middleware {
    /// Whose key this is; nil when it is nobody's.
    public typealias Verify = @Sendable (_ key: Redacted<String>, _ deadline: Instant) async throws -> Principal?

    /// Paths that tell nothing but health, or how to authenticate, served to everybody with GET and HEAD.
    public static let publicPaths: Set<[String]> = [
        ["health"], ["health", "live"], ["health", "ready"], ["prometheus", "metrics"],
        ["healthz"], ["livez"], ["readyz"], ["qdrant", "healthz"], ["qdrant", "livez"], ["qdrant", "readyz"],
        ["auth", "config"],
    ]

    /// Served to everybody with POST: the body proves that whoever asks may, and nobody is anybody's principal there.
    public static let provedPaths: Set<[String]> = [["api", "join"]]

    private let trust: LocalTrust
    private let open: Set<[String]>
    private let verify: Verify
    private let judgesItself: @Sendable (_ path: [String]) -> Bool

    /// `open`: further public paths, of a listener that has nothing else. `judgesItself`: paths of a face with credentials of its own, which
    /// finds out itself who asks: to anything else there nobody is somebody's principal.
    public init(
        trust: LocalTrust, open: Set<[String]> = [], judgesItself: @escaping @Sendable (_ path: [String]) -> Bool = { _ in false },
        verify: @escaping Verify
    ) {
        self.trust = trust
        self.judgesItself = judgesItself
        self.open = Self.publicPaths.union(open)
        self.verify = verify
    }

    public func handle(_ request: Request, next: Handler) async throws -> Response {
        if [.get, .head].contains(request.method), open.contains(request.path) { return try await next(request) }
        if request.method == .post, Self.provedPaths.contains(request.path) { return try await next(request) }
        if judgesItself(request.path) {
            return try await Caller.$current.withValue(Caller.Facts(scope: .everything, request: request.id)) { try await next(request) }
        }
        var request = request
        let principal = try await principal(of: request)
        request.principal = principal
        let caller = Caller.Facts(scope: principal.scope, request: request.id)
        return try await Caller.$current.withValue(caller) { [request] in try await next(request) }
    }

    private func principal(of request: Request) async throws -> Principal {
        let keys = Self.keys(in: request.headers)
        if let key = keys.first {
            guard keys.dropFirst().allSatisfy({ $0 == key }), let principal = try await verify(key, request.deadline) else {
                throw ApusError(.unauthenticated, "the API key is not valid", hint: Self.howToMakeAKey)
            }
            return principal
        }
        if let refusal = try await trust.refusal(for: request) {
            throw ApusError(.unauthenticated, "a key is needed, because \(refusal)", hint: Self.howToMakeAKey)
        }
        return .local
    }

    static let howToMakeAKey = "make a key on the node with `apus key create NAME`, and send it as X-API-Key"

    /// All credentials of a request. One that is of no kind we know is one that cannot be right.
    private static func keys(in headers: Headers) -> [Redacted<String>] {
        let bearers = headers.all("Authorization").map { value in
            value.lowercased().hasPrefix("bearer ") ? String(value.dropFirst(7)).trimmed : ""
        }
        return (headers.all("X-API-Key") + bearers + headers.all("api-key") + headers.all("X-Hugr-Api-Key")).map { Redacted($0) }
    }
}

extension Request {
    /// Refuses whoever may do less than `role`, and a key for some collections unless the route says that it reaches nothing else.
    public func require(_ role: Principal.Role, over reach: Principal.Reach = .everything) throws {
        guard let principal else { throw ApusError(.unauthenticated, "a key is needed", hint: AccessControl.howToMakeAKey) }
        try principal.require(role, over: reach)
    }
}

extension String {
    fileprivate var trimmed: String {
        let start = firstIndex { $0 != " " } ?? endIndex
        let end = lastIndex { $0 != " " }.map { index(after: $0) } ?? start
        return String(self[start..<end])
    }
}
