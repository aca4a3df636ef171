internal import ApusCatalog
public import ApusMembership
internal import ApusRuntime
public import ApusTypes

/// Where a machine that joins finds what the cluster shares.
public struct JoinTerms: Sendable {
    /// Of the cluster whose nodes may hand it on.
    public var secret: Redacted<String>
    /// Of a catalog that one of the nodes hosts, as others reach it: `192.168.1.10:5432`.
    public var catalogAddress: String?
    /// Of a catalog that others look after.
    public var catalogURL: Redacted<String>?
    /// Nil: objects are in the catalog.
    public var storeDirectory: String?

    public init(
        secret: Redacted<String>, catalogAddress: String? = nil, catalogURL: Redacted<String>? = nil, storeDirectory: String? = nil
    ) {
        self.secret = secret
        self.catalogAddress = catalogAddress
        self.catalogURL = catalogURL
        self.storeDirectory = storeDirectory
    }
}

extension Cluster {
    private static let usedPrefix = "join token "
    /// How long a token may be good for.
    public static let longestTokenLife: Duration = .seconds(7 * 24 * 3600)

    /// A new token for one machine. Throws `join.secret_missing` on a node without a cluster secret.
    public func joinToken(life: Duration, deadline: Instant) async throws -> JoinToken {
        let terms = try joinTerms()
        let now = try await catalog.settings.now(deadline: deadline)
        let rows = try await catalog.nodes.list(deadline: deadline)
        let others = rows.filter { $0.name != identity.name && $0.status != .left }.map(\.url)
        var generator = SystemRandomNumberGenerator()
        let expires = WallTime(millisecondsSinceEpoch: now.millisecondsSinceEpoch + life.nanoseconds / 1_000_000)
        return JoinToken(secret: terms.secret, expires: expires, nodes: [url] + others.prefix(4), using: &generator)
    }

    /// The sealed answer to a machine that wants to join. A trial tells who the nodes are, and leaves the token as it was; else it tells
    /// everything, to one machine: the same request may be asked again.
    ///
    /// Throws `join.token_invalid`, `join.token_expired` or `join.token_used`.
    public func welcome(_ request: JoinRequest, deadline: Instant) async throws -> [UInt8] {
        let terms = try joinTerms()
        let key = JoinToken.key(terms.secret, id: request.id, expires: request.expires)
        guard request.isProved(by: key) else {
            throw ApusError(.joinTokenInvalid, "the token is none of this cluster's", hint: "make one with 'apus node token'")
        }
        guard try await catalog.settings.now(deadline: deadline) < request.expires else {
            throw ApusError(.joinTokenExpired, "the token was good until \(request.expires)", hint: "make another with 'apus node token'")
        }
        var reply: JSONObject = [
            "cluster": .string(catalog.identity.id),
            "catalog_address": terms.catalogAddress.map(JSONValue.string) ?? .null,
            "nodes": .array(
                try await nodes(deadline: deadline).filter { $0.status != .left }.map {
                    [
                        "name": .string($0.name.rawValue), "url": .string($0.url), "rpc_address": .string($0.rpcAddress),
                        "status": .string($0.status.rawValue),
                    ]
                }),
        ]
        if !request.isTrial {
            try await catalog.settings.forget(prefix: Self.usedPrefix, age: Self.longestTokenLife, deadline: deadline)
            let user = try await catalog.settings.claim(Self.usedPrefix + request.id, request.nonce, deadline: deadline)
            guard user == request.nonce else {
                throw ApusError(.joinTokenUsed, "the token was used by another machine", hint: "make another with 'apus node token'")
            }
            log.notice("a machine was told how to join", ["token": request.id])
            reply["secret"] = .string(terms.secret.reveal())
            reply["catalog_url"] = terms.catalogURL.map { .string($0.reveal()) } ?? .null
            reply["store_directory"] = terms.storeDirectory.map(JSONValue.string) ?? .null
        }
        return request.replyKey(key).seal(Array(JSONValue.object(reply).description.utf8))
    }

    private func joinTerms() throws(ApusError) -> JoinTerms {
        guard let terms = options.join else {
            throw ApusError(
                .joinSecretMissing, "this node has no cluster secret, so nobody can join it",
                hint: "a cluster of several nodes has its catalog in PostgreSQL: set catalog.hosted, or catalog.url_file")
        }
        return terms
    }
}
