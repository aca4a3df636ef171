internal import ApusCache
internal import ApusCatalog
internal import ApusConfig
internal import ApusQuery
internal import ApusRuntime
internal import ApusTypes

extension Configuration {
    /// What keeps parts of replies; nil where nothing is to be kept.
    func queryCache(_ catalog: ApusCatalog.Catalog, loops: EventLoops, metrics: MetricsRegistry) throws(ApusError) -> QueryCache? {
        guard query.cache.bytes.bytes > 0 else { return nil }
        var options = QueryCache.Options()
        options.limits.bytes = query.cache.bytes
        options.limits.valueBytes = query.cache.valueBytes
        options.lifetime = query.cache.lifetime
        return QueryCache(catalog: catalog, options: options, shared: try sharedCache(loops), metrics: metrics)
    }

    /// The one that nodes share; nil where there is none.
    private func sharedCache(_ loops: EventLoops) throws(ApusError) -> (any SharedCache)? {
        let port =
            switch query.cache.shared.kind {
            case .none, .redis, .cluster: 6379
            case .sentinel: 26_379
            case .memcached: 11_211
            }
        var places: [CacheServer] = []
        for server in query.cache.shared.servers {
            guard let place = CacheServer(server, defaultPort: port) else {
                throw ApusError(.configurationInvalid, "query.cache.shared.servers: '\(server)' is no HOST or HOST:PORT")
            }
            places.append(place)
        }
        guard let first = places.first else { return nil }
        let redis: RedisServers
        switch query.cache.shared.kind {
        case .none: return nil
        case .memcached: return MemcachedCache(places)
        case .redis: redis = .single(first)
        case .cluster: redis = .cluster(places)
        case .sentinel: redis = .sentinels(places, master: query.cache.shared.master)
        }
        return RedisCache(
            redis, user: query.cache.shared.user, password: query.cache.shared.password, database: query.cache.shared.database, loops: loops
        )
    }
}
