internal import ApusConfig
internal import ApusHTTP
internal import ApusQuery
internal import ApusRuntime
internal import ApusTokens
internal import ApusTypes

extension Configuration {
    var accessOptions: QueryAccess.Options {
        var options = QueryAccess.Options()
        options.maxStale = auth.maxStale
        options.deniesByDefault = query.deniesByDefault
        return options
    }

    /// Whose credentials the query service takes: what is set, and what its file says.
    func callerOptions() throws(ApusError) -> CallerProviders.Options {
        var options = CallerProviders.Options()
        options.managedKeys = query.managedKeys
        options.clusterSecret = cluster.secret
        options.anonymousRole = query.anonymous
        if let path = query.authFile {
            let text = String(decoding: try FileContents.readPrivate(path, limit: .mebibytes(1)), as: UTF8.self)
            let file = try AuthFile(text, path: path)
            options.keys = file.keys.map(CallerProviders.ConfiguredKey.init)
            for issuer in file.issuers { options.issuers.append(try TokenIssuer(issuer)) }
            if let key = file.serviceKey { options.keys.append(.service(Redacted(key))) }
            options.anonymousRole = file.anonymousRole ?? options.anonymousRole
            options.managedKeys = file.managedKeys ?? options.managedKeys
        }
        if let key = query.serviceKey { options.keys.append(.service(key)) }
        return options
    }

    /// The issuer that tells its keys over HTTP; nil where there is none.
    func remoteIssuer(loops: EventLoops) -> RemoteIssuer? {
        guard let issuer = query.oidc.issuer, let clientID = query.oidc.clientID else { return nil }
        var options = RemoteIssuer.Options(issuer: issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer, clientID: clientID)
        options.timeout = query.oidc.timeout
        options.claims.role = query.oidc.roleClaim
        options.claims.userID = query.oidc.userIDClaim
        options.claims.userName = query.oidc.userNameClaim
        options.scopePrefix = query.oidc.scopePrefix
        options.cookie = query.oidc.cookie
        let client = HTTPClient(loops: loops, authorities: query.oidc.authorities)
        return RemoteIssuer(options) { url, deadline in
            let response = try await client.send(ClientRequest(.get, url, headers: ["Accept": "application/json"], deadline: deadline))
            let body = try await response.collect(limit: .mebibytes(1))
            guard response.status == 200 else {
                throw ApusError(.peerInvalid, "it answered \(response.status)", context: ["url": url])
            }
            return body
        }
    }
}

extension CallerProviders.ConfiguredKey {
    fileprivate init(_ key: AuthFile.Key) {
        self.init(key.name, key: Redacted(key.key), defaultRole: key.defaultRole ?? "public")
        header = key.header ?? header
        roleHeader = key.headers.role
        userIDHeader = key.headers.userID
        userNameHeader = key.headers.userName
    }
}

extension TokenIssuer {
    fileprivate init(_ issuer: AuthFile.Issuer) throws(ApusError) {
        let key =
            if let text = issuer.publicKey { try VerificationKey(reading: text) } else {
                try VerificationKey(secret: Redacted(issuer.secret ?? ""))
            }
        self.init(
            issuer.name, rules: TokenRules(keys: [key], issuer: issuer.issuer, audiences: [issuer.audience].compactMap(\.self)))
        claims.role = issuer.claims.role ?? claims.role
        claims.userID = issuer.claims.userID ?? claims.userID
        claims.userName = issuer.claims.userName ?? claims.userName
        scopePrefix = issuer.scopePrefix ?? scopePrefix
        cookie = issuer.cookie
    }
}
