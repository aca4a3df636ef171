public import ApusHTTP
public import ApusQuery
internal import ApusTypes

/// Finds out who sends a request.
public struct HugrCallers: Sendable {
    private let providers: CallerProviders
    private let trust: LocalTrust

    public init(_ providers: CallerProviders, trust: LocalTrust) {
        self.providers = providers
        self.trust = trust
    }

    /// Throws `auth.required` and `auth.forbidden`.
    func caller(of request: Request) async throws -> QueryCaller {
        let headers = request.headers
        let credentials = CallerProviders.Credentials(deadline: request.deadline) { headers.all($0) }
        return try await providers.caller(of: credentials) {
            let refusal = try await trust.refusal(for: request)
            return (refusal == nil ? .local : nil, refusal?.description ?? "")
        }
    }
}
