public import ApusRuntime
internal import ApusTokens
public import ApusTypes
internal import Synchronization

/// Finds out who asks. Providers are tried in Hugr's order, and the first credential that a request brings decides: a wrong one is refused, and
/// never taken for none.
public final class CallerProviders: Sendable {
    /// A key of the configuration.
    public struct ConfiguredKey: Sendable {
        public var name: String
        public var key: Redacted<String>
        public var header = "x-hugr-api-key"
        public var defaultRole: String
        /// Headers that say more; nil where none may.
        public var roleHeader: String?
        public var userIDHeader: String?
        public var userNameHeader: String?

        public init(_ name: String, key: Redacted<String>, defaultRole: String) {
            self.name = name
            self.key = key
            self.defaultRole = defaultRole
        }

        /// The one that other services of the operator have: it may ask in any role.
        public static func service(_ key: Redacted<String>) -> ConfiguredKey {
            var configured = ConfiguredKey("secret-key", key: key, defaultRole: QueryCaller.administrators)
            configured.header = "x-hugr-secret-key"
            configured.roleHeader = "x-hugr-role"
            configured.userIDHeader = "x-hugr-user-id"
            configured.userNameHeader = "x-hugr-user-name"
            return configured
        }
    }

    public struct Options: Sendable {
        /// Whether API keys of the catalog are accepted.
        public var managedKeys = true
        public var clusterSecret: Redacted<String>?
        public var keys: [ConfiguredKey] = []
        public var issuers: [TokenIssuer] = []
        /// Nil: a request must bring a credential.
        public var anonymousRole: String?

        public init() {}
    }

    /// What a request brings.
    public struct Credentials: Sendable {
        /// The values of a header, by its name in lower case.
        public var header: @Sendable (String) -> [String]
        public var deadline: Instant

        public init(deadline: Instant, header: @escaping @Sendable (String) -> [String]) {
            self.header = header
            self.deadline = deadline
        }

        fileprivate func first(_ name: String) -> String? { header(name).first }
    }

    /// Whose key of the nodes (`apus_…`) this is; nil when it is nobody's.
    public typealias Verify = @Sendable (_ key: Redacted<String>, _ deadline: Instant) async throws -> Principal?

    private let access: QueryAccess
    private let options: Options
    private let remote: RemoteIssuer?
    private let verify: Verify
    private let wallTime: @Sendable () -> WallTime
    private let log = Logger("audit")
    private let verified = Mutex<[Digest: Verified]>([:])

    private struct Verified {
        var identity: CallerIdentity
        var until: WallTime
        var generation: Int
    }

    public init(
        access: QueryAccess, options: Options, remote: RemoteIssuer? = nil,
        wallTime: @escaping @Sendable () -> WallTime = { BootClock().wallTime }, verify: @escaping Verify
    ) {
        self.access = access
        self.options = options
        self.remote = remote
        self.wallTime = wallTime
        self.verify = verify
    }

    /// Who asks. `local` is asked where there is no credential: somebody who needs none, or why there must be one. Throws `auth.required` with
    /// the reason in its context, and `auth.forbidden`.
    public func caller(
        of request: Credentials, local: () async throws -> (principal: Principal?, refusal: String)
    ) async throws -> QueryCaller {
        let identity: CallerIdentity
        if let proven = try await proven(by: request) {
            identity = proven
        } else if let role = options.anonymousRole {
            identity = .anonymous(as: role)
        } else {
            let (principal, refusal) = try await local()
            guard let principal else { throw Self.refused(refusal, isMissing: true) }
            identity = CallerIdentity(of: principal)
        }
        let caller = try await access.caller(identity, deadline: request.deadline)
        guard let role = request.first("x-hugr-impersonated-role") else { return caller }
        return try await impersonated(role, by: caller, request)
    }

    private func impersonated(_ role: String, by caller: QueryCaller, _ request: Credentials) async throws -> QueryCaller {
        let mayImpersonate: Bool
        if caller.identity.isOperator {
            mayImpersonate = true
        } else {
            mayImpersonate = try await access.snapshot(deadline: request.deadline).roles[caller.identity.role]?.mayImpersonate == true
        }
        guard mayImpersonate else {
            throw ApusError(.forbidden, "the role \"\(caller.identity.role)\" may not ask as somebody else")
        }
        let other = caller.identity.impersonating(
            role: role, userID: request.first("x-hugr-impersonated-user-id"), userName: request.first("x-hugr-impersonated-user-name"))
        log.info(
            "somebody asks as somebody else",
            ["role": caller.identity.role, "user": caller.identity.userID, "as_role": role, "as_user": other.userID])
        return try await access.caller(other, deadline: request.deadline)
    }

    // MARK: Credentials

    /// Nil where there is none. A token of an issuer that nobody here knows is one, too.
    private func proven(by request: Credentials) async throws -> CallerIdentity? {
        if let secret = request.first("x-hugr-secret") {
            guard let own = options.clusterSecret, Self.isSame(own, secret) else { throw Self.refused("the cluster secret is wrong") }
            return CallerIdentity(
                role: request.first("x-hugr-role") ?? QueryCaller.administrators, kind: "apiKey", provider: "cluster-internal",
                userID: "cluster-internal")
        }
        let keys = ["x-hugr-api-key", "x-api-key", "api-key"].flatMap(request.header)
        if let key = keys.first {
            guard keys.dropFirst().allSatisfy({ $0 == key }) else { throw Self.refused("the request brings several API keys") }
            return try await identity(ofKey: Redacted(key), request)
        }
        for key in options.keys where key.header != "x-hugr-api-key" {
            guard let value = request.first(key.header) else { continue }
            guard Self.isSame(key.key, value) else { throw Self.refused("the key in \(key.header) is not known") }
            return identity(of: key, request)
        }
        return try await identity(ofTokenIn: request)
    }

    private func identity(ofKey key: Redacted<String>, _ request: Credentials) async throws -> CallerIdentity {
        if key.reveal().hasPrefix("apus_"), let principal = try await verify(key, request.deadline) {
            return try Self.identity(of: principal)
        }
        if let identity = try await identity(ofManaged: key, request) { return identity }
        if let configured = options.keys.first(where: { $0.header == "x-hugr-api-key" && Self.isSame($0.key, key.reveal()) }) {
            return identity(of: configured, request)
        }
        if options.managedKeys {
            try await access.search(deadline: request.deadline)
            if let identity = try await identity(ofManaged: key, request) { return identity }
        }
        throw Self.refused("the API key is not known")
    }

    private func identity(ofManaged key: Redacted<String>, _ request: Credentials) async throws -> CallerIdentity? {
        guard options.managedKeys,
            let managed = try await access.snapshot(deadline: request.deadline).keys[ManagedKeys.digest(of: key)]
        else { return nil }
        if let problem = managed.problem(at: wallTime()) { throw Self.refused(problem) }
        return managed.identity { request.first($0.lowercased()) }
    }

    /// A key for some collections reaches nothing of this.
    private static func identity(of principal: Principal) throws -> CallerIdentity {
        try principal.require(.reader, over: .everything)
        return CallerIdentity(of: principal)
    }

    private func identity(of key: ConfiguredKey, _ request: Credentials) -> CallerIdentity {
        func told(_ header: String?) -> String? { header.flatMap { request.first($0.lowercased()) } }
        var identity = CallerIdentity(
            role: told(key.roleHeader) ?? key.defaultRole, kind: "apiKey", provider: key.name, userID: told(key.userIDHeader) ?? "api")
        identity.userName = told(key.userNameHeader) ?? told(key.userIDHeader) ?? "api"
        return identity
    }

    private func identity(ofTokenIn request: Credentials) async throws -> CallerIdentity? {
        let bearers = request.header("authorization")
        if let value = bearers.first {
            guard bearers.count == 1, value.lowercased().hasPrefix("bearer ") else {
                throw Self.refused("the Authorization header is no bearer token")
            }
            let text = String(value.dropFirst("bearer ".count).drop { $0 == " " })
            // Keys of the nodes are sent so, too.
            guard text.contains(".") else { return try await identity(ofKey: Redacted(text), request) }
            return try await identity(ofToken: text, request)
        }
        let cookies = Set(([remote?.options.cookie] + options.issuers.map(\.cookie)).compactMap(\.self))
        guard !cookies.isEmpty else { return nil }
        for header in request.header("cookie") {
            for pair in header.split(separator: ";") {
                let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
                guard parts.count == 2, cookies.contains(String(parts[0])) else { continue }
                return try await identity(ofToken: String(parts[1]), request)
            }
        }
        return nil
    }

    private func identity(ofToken text: String, _ request: Credentials) async throws -> CallerIdentity {
        let now = wallTime()
        let digest = Digest(of: text)
        if let known = verified.withLock({ $0[digest] }), known.until > now, known.generation == remote?.generation ?? 0 {
            return known.identity
        }
        guard let token = SignedToken(text) else { throw Self.refused("the token is malformed") }
        var issuers = options.issuers
        var generation = 0
        if let remote {
            let (issuer, set) = await remote.issuer(for: token, deadline: request.deadline)
            issuers.append(issuer)
            generation = set
        }
        for issuer in issuers {
            switch issuer.rules.judge(token, at: now) {
            case .foreign: continue
            case .refused(let why): throw Self.refused(why)
            case .accepted:
                guard let identity = issuer.identity(token) else { throw Self.refused("the token names no role") }
                remember(digest, identity, until: token, now, generation)
                return identity
            }
        }
        throw Self.refused("nobody whose tokens are believed has signed the token")
    }

    /// For a minute at most, and not beyond its own end.
    private func remember(_ digest: Digest, _ identity: CallerIdentity, until token: SignedToken, _ now: WallTime, _ generation: Int) {
        let end = Int64(max(0, min(token.claims["exp"]?.asDouble ?? 0, 1e12)) * 1000)
        let until = WallTime(millisecondsSinceEpoch: min(now.millisecondsSinceEpoch + 60_000, end))
        verified.withLock { verified in
            if verified.count >= 10_000 { verified.removeAll() }
            verified[digest] = Verified(identity: identity, until: until, generation: generation)
        }
    }

    private static func isSame(_ key: Redacted<String>, _ given: String) -> Bool {
        constantTimeEqual(Digest(of: key.reveal()).bytes, Digest(of: given).bytes)
    }

    private static func refused(_ reason: String, isMissing: Bool = false) -> ApusError {
        ApusError(
            .unauthenticated, isMissing ? "a credential is needed, because \(reason)" : reason,
            context: isMissing ? [:] : ["reason": reason])
    }
}
