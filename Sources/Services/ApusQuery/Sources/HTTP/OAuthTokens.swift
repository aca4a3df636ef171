internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes

/// The access token of one source: asked for once, and again shortly before it ends.
actor OAuthTokens {
    private let grant: OAuthGrant
    private var token: (value: Redacted<String>, end: Instant)?
    private var isAsking = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ grant: OAuthGrant) { self.grant = grant }

    /// `exchange` sends the form and tells the reply's JSON.
    func current(_ exchange: (_ form: String, OAuthGrant) async throws -> JSONValue) async throws -> Redacted<String> {
        while isAsking { await withCheckedContinuation { waiting.append($0) } }
        if let token, BootClock.now < token.end { return token.value }
        isAsking = true
        defer {
            isAsking = false
            for one in waiting { one.resume() }
            waiting = []
        }
        let reply = try await exchange(grant.form, grant)
        guard let value = reply["access_token"]?.asString, !value.isEmpty else {
            throw ApusError(.sourceUnavailable, "the token server's reply has no access_token")
        }
        let seconds = reply["expires_in"]?.asDouble ?? reply["expires_in"]?.asString.flatMap(Double.init) ?? 300
        // A little earlier than it ends: the request that it goes with takes time.
        let token = (value: Redacted(value), end: BootClock.now.advanced(by: .seconds(max(1, min(seconds * 0.9, seconds - 10, 86_400)))))
        self.token = token
        return token.value
    }

    /// What the server does not accept any more is not used again.
    func forget(_ used: Redacted<String>) { if token?.value.reveal() == used.reveal() { token = nil } }
}
