public import ApusRuntime
internal import ApusTokens
public import ApusTypes
internal import Synchronization

/// An issuer that tells its keys over HTTP (OpenID Connect Discovery 1.0; RFC 7517).
///
/// Keys are asked for beside requests: at the start, then from time to time. A token under a key that is not known has them asked for once
/// more, at most every ten seconds, and waits for that a moment; no other request waits for the issuer. While the issuer is away its keys stay
/// in force for an hour. `run()` must be running.
public final class RemoteIssuer: Sendable {
    public struct Options: Sendable {
        /// As the issuer writes itself, without a slash at its end.
        public var issuer: String
        /// Whose tokens are for us.
        public var clientID: String
        public var timeout: Duration = .seconds(5)
        public var claims = TokenIssuer.Claims()
        public var scopePrefix = "hugr:"
        public var cookie: String?

        public init(issuer: String, clientID: String) {
            self.issuer = issuer
            self.clientID = clientID
        }
    }

    /// Gets a document of the issuer's; anything but 200 is an error.
    public typealias Fetch = @Sendable (_ url: String, _ deadline: Instant) async throws -> [UInt8]

    private static let interval: Duration = .seconds(300)
    private static let pauseOfFailure: Duration = .seconds(10)
    private static let inForce: Duration = .seconds(3600)

    public let options: Options
    private let fetch: Fetch
    private let clock: any MonotonicClock
    private let log = Logger("access")
    /// Raised to have keys asked for, and when they were.
    private let wanted: Watermark
    private let answered: Watermark
    private let state = Mutex(State())

    private struct State {
        var keys: [VerificationKey] = []
        var at: Instant?
        var askedFor: Instant?
        var isAway = false
        /// Rises with each set of keys.
        var generation = 0
    }

    public init(_ options: Options, clock: any MonotonicClock = BootClock(), fetch: @escaping Fetch) {
        self.options = options
        self.fetch = fetch
        self.clock = clock
        wanted = Watermark(clock: clock)
        answered = Watermark(clock: clock)
    }

    var generation: Int { state.withLock { $0.generation } }

    public func run() async {
        while !Task.isCancelled {
            let mark = wanted.value
            var pause = Self.interval
            do {
                let keys = try await keys(deadline: clock.now.advanced(by: options.timeout))
                let wasAway = state.withLock { state in
                    defer { state.isAway = false }
                    state.keys = keys
                    state.at = clock.now
                    state.generation += 1
                    return state.isAway
                }
                if wasAway { log.notice("the issuer of tokens tells its keys again", ["issuer": options.issuer]) }
            } catch {
                guard !Task.isCancelled else { return }
                pause = Self.pauseOfFailure
                if !state.withLock({ state in
                    defer { state.isAway = true }
                    return state.isAway
                }) {
                    log.warning(
                        "the issuer of tokens does not tell its keys",
                        ["issuer": options.issuer, "error": (error as? ApusError)?.summary ?? "\(error)"])
                }
            }
            answered.rise(to: mark + 1)
            _ = await wanted.wait(for: mark + 1, until: clock.now.advanced(by: pause))
        }
    }

    private func keys(deadline: Instant) async throws -> [VerificationKey] {
        let document = try JSONValue(parsing: await fetch(options.issuer + "/.well-known/openid-configuration", deadline))
        guard document["issuer"]?.asString.map(Self.plain) == Self.plain(options.issuer), let url = document["jwks_uri"]?.asString else {
            throw ApusError(.peerInvalid, "its configuration names another issuer, or no keys")
        }
        guard url.hasPrefix("https://") || !options.issuer.hasPrefix("https://") else {
            throw ApusError(.peerInvalid, "its configuration has its keys fetched without TLS")
        }
        let keys = try JSONValue(parsing: await fetch(url, deadline))["keys"]?.asArray ?? []
        return keys.prefix(100).compactMap { VerificationKey(webKey: $0) }
    }

    private static func plain(_ url: String) -> String { url.hasSuffix("/") ? String(url.dropLast()) : url }

    /// The issuer with the keys that are in force, and which set of them that is. `token` may be under a new one.
    func issuer(for token: SignedToken, deadline: Instant) async -> (issuer: TokenIssuer, generation: Int) {
        // Both spellings are one issuer, and the rules compare to the letter.
        let named = token.claims["iss"]?.asString ?? ""
        let isOurs = Self.plain(named) == Self.plain(options.issuer)
        let now = clock.now
        let mark: Int64? = state.withLock { state in
            let isKnown = !state.keys.isEmpty && (token.keyID == nil || state.keys.contains { $0.id == nil || $0.id == token.keyID })
            guard isOurs, !isKnown, state.askedFor.map({ $0.duration(to: now) >= Self.pauseOfFailure }) ?? true else { return nil }
            state.askedFor = now
            return wanted.value
        }
        if let mark {
            wanted.rise(to: mark + 1)
            _ = await answered.wait(for: mark + 2, until: min(deadline, now.advanced(by: options.timeout)))
            // A key that was there was worth the question.
            state.withLock { state in
                if state.keys.contains(where: { $0.id == nil || $0.id == token.keyID }) { state.askedFor = nil }
            }
        }
        let (keys, generation) = state.withLock { state in
            let isInForce = state.at.map { $0.duration(to: now) < Self.inForce } ?? false
            return (isInForce ? state.keys : [], state.generation)
        }
        var issuer = TokenIssuer(
            "oidc", kind: "oidc", rules: TokenRules(keys: keys, issuer: isOurs ? named : options.issuer, audiences: [options.clientID]))
        issuer.claims = options.claims
        issuer.scopePrefix = options.scopePrefix
        issuer.cookie = options.cookie
        return (issuer, generation)
    }
}
