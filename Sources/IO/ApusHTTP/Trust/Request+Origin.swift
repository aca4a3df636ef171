public import ApusTypes

extension Request {
    /// Refuses pages of other origins (403). A browser lets any page open a WebSocket to any server, and asks nobody: what keeps replies from
    /// foreign pages does not keep sockets from them (RFC 6455, section 10.2).
    ///
    /// The host alone is compared: a proxy in front may speak TLS where this server does not.
    public func requireOwnOrigin(or allowed: [String]) throws {
        let host = headers["Host"]?.lowercased()
        for origin in headers.all("Origin").map({ $0.lowercased() }) where !allowed.contains("*") && !allowed.contains(origin) {
            let own = origin.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).last.map(String.init)
            guard let host, own == host, origin.hasPrefix("http://") || origin.hasPrefix("https://") else {
                throw ApusError(
                    .forbidden, "pages of this origin may not use this server", hint: "add the origin to the face's list of CORS origins")
            }
        }
    }
}
