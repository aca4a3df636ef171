internal import ApusCache
internal import ApusRuntime
internal import ApusTypes

/// Keys and values of a Redis server, which the functions of `core.store` name.
final class RedisSource: DataSource {
    let name: String
    let store: RedisStore

    /// `redis://[user:password@]host[:port][/database]`, or the hosts of Sentinels with commas between them and `?sentinel=MASTER`.
    init(_ name: String, _ path: Redacted<String>, loops: EventLoops) throws(ApusError) {
        func invalid(_ what: String) -> ApusError {
            ApusError(.requestInvalid, "the path of data source \"\(name)\" \(what)", hint: "redis://[user:password@]host:6379[/database]")
        }
        let text = path.reveal()
        guard text.hasPrefix("redis://") else {
            throw invalid(text.hasPrefix("rediss://") ? "asks for TLS, which is not spoken to Redis" : "does not begin with redis://")
        }
        var rest = text.dropFirst("redis://".count)
        var master: String?
        if let mark = rest.firstIndex(of: "?") {
            for item in rest[rest.index(after: mark)...].split(separator: "&") {
                guard item.hasPrefix("sentinel=") else { throw invalid("has a parameter that is not known") }
                master = PercentEncoding.decoded(item.dropFirst("sentinel=".count))
            }
            rest = rest[..<mark]
        }
        var login: (user: String, password: Redacted<String>?) = ("", nil)
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            login = (PercentEncoding.decoded(parts[0]), parts.count > 1 ? Redacted(PercentEncoding.decoded(parts[1])) : nil)
            rest = rest[rest.index(after: at)...]
        }
        var database = 0
        if let slash = rest.firstIndex(of: "/") {
            let number = rest[rest.index(after: slash)...]
            guard number.isEmpty || Int(number) != nil else { throw invalid("names a database that is no number") }
            database = Int(number) ?? 0
            rest = rest[..<slash]
        }
        let servers = rest.split(separator: ",").compactMap { CacheServer(String($0), defaultPort: master == nil ? 6379 : 26_379) }
        guard let first = servers.first, servers.count == rest.split(separator: ",").count, master != nil || servers.count == 1 else {
            throw invalid("does not say which server; several are Sentinels, with ?sentinel=MASTER")
        }
        self.name = name
        store = RedisStore(
            master.map { .sentinels(servers, master: $0) } ?? .single(first), user: login.user, password: login.password,
            database: database,
            loops: loops)
    }

    func close() async { await store.close() }
}
