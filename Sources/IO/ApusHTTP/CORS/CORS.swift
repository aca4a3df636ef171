internal import ApusTypes

/// Lets pages of other origins use a listener (Fetch standard, section 3.2). Without it a browser keeps the answers from them.
///
/// Add it before authentication: a preflight carries no credentials.
public struct CORS: Middleware, Hashable {
    /// `https://host[:port]` as browsers send them, or `*` for any.
    public var origins: [String]
    public var methods: [Method]
    /// Request headers that pages may set beside the safe ones.
    public var headers: [String]
    /// Response headers that pages may read beside the safe ones.
    public var exposedHeaders: [String]
    /// Whether cookies and `Authorization` from a browser's store are sent along. Never with `*`.
    public var allowsCredentials: Bool
    /// How long a browser may remember a preflight's answer.
    public var maxAge: Duration

    public init(
        origins: [String], methods: [Method] = [.get, .head, .post, .put, .patch, .delete],
        headers: [String] = ["Authorization", "Content-Type", "X-API-Key", "Idempotency-Key", "X-Request-Id"],
        exposedHeaders: [String] = ["X-Request-Id", "Retry-After"], allowsCredentials: Bool = false, maxAge: Duration = .seconds(600)
    ) {
        self.origins = origins
        self.methods = methods
        self.headers = headers
        self.exposedHeaders = exposedHeaders
        self.allowsCredentials = allowsCredentials
        self.maxAge = maxAge
    }

    /// What is wrong with these settings, in sentences for the operator.
    public func problems() -> [String] {
        var problems: [String] = []
        if allowsCredentials, origins.contains("*") {
            problems.append("credentials cannot be allowed to every origin: name the origins instead of '*'")
        }
        for origin in origins where origin != "*" {
            let isHTTP = origin.hasPrefix("http://") || origin.hasPrefix("https://")
            let host = origin.drop { $0 != "/" }.dropFirst(2)
            if !isHTTP || host.isEmpty || host.contains("/") || origin != origin.lowercased() {
                problems.append("'\(origin)' is no origin: write https://host or https://host:port, in lower case and without a path")
            }
        }
        return problems
    }

    public func handle(_ request: Request, next: Handler) async throws -> Response {
        guard let origin = request.headers["Origin"] else { return varied(try await next(request)) }
        let isAllowed = origins.contains("*") || origins.contains(origin)
        if request.method == .options, let wanted = request.headers["Access-Control-Request-Method"] {
            guard isAllowed else {
                throw ApusError(
                    .forbidden, "pages of this origin may not use this server",
                    hint: "add the origin to the face's list: faces.vectorizer.cors_origins, faces.console.cors_origins")
            }
            return varied(preflight(origin, wanted))
        }
        var response = varied(try await next(request))
        guard isAllowed else { return response }
        allow(origin, &response)
        if !exposedHeaders.isEmpty { response.headers["Access-Control-Expose-Headers"] = exposedHeaders.joined(separator: ", ") }
        return response
    }

    private func preflight(_ origin: String, _ wanted: String) -> Response {
        var response = Response(status: 204)
        allow(origin, &response)
        response.headers["Access-Control-Allow-Methods"] = methods.map(\.rawValue).joined(separator: ", ")
        if !headers.isEmpty { response.headers["Access-Control-Allow-Headers"] = headers.joined(separator: ", ") }
        response.headers["Access-Control-Max-Age"] = String(maxAge.milliseconds / 1000)
        return response
    }

    private func allow(_ origin: String, _ response: inout Response) {
        response.headers["Access-Control-Allow-Origin"] = allowsCredentials || !origins.contains("*") ? origin : "*"
        if allowsCredentials { response.headers["Access-Control-Allow-Credentials"] = "true" }
    }

    /// A cache must not give one origin's answer to another.
    private func varied(_ response: Response) -> Response {
        var response = response
        if origins != ["*"] { response.vary(by: "Origin") }
        return response
    }
}

extension Response {
    /// Adds `field` to `Vary`, unless it is there.
    mutating func vary(by field: String) {
        let present = HeaderList.elements(of: headers.all("Vary"))
        guard !present.contains(where: { $0 == "*" || $0.lowercased() == field.lowercased() }) else { return }
        headers["Vary"] = (present + [field]).joined(separator: ", ")
    }
}
