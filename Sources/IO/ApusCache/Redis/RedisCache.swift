public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// A shared cache in Redis: one server, one behind Sentinels, or a Redis Cluster.
///
/// Each event loop has connections of its own, which are sought in the background: a request takes what is open, or goes on without.
public final class RedisCache: SharedCache {
    /// How long a write may take: it is the server that is judged by it, nobody waits.
    private static let writePatience = Duration.seconds(1)

    private let loops: EventLoops
    private let lanes: [RedisLane]
    private let absences: Absences

    public init(_ servers: RedisServers, user: String = "", password: Redacted<String>? = nil, database: Int = 0, loops: EventLoops) {
        let absences = Absences()
        let finder = RedisFinder(servers, RedisLogin(user: user, password: password, database: database))
        self.loops = loops
        self.absences = absences
        lanes = loops.all.map { loop in RedisLane(loop, finder, absences) }
        // The first request need not find out that nothing is connected yet.
        for lane in lanes { lane.loop.soon { lane.begin() } }
    }

    public var absence: ApusError? { absences.any }

    public func value(named name: String, deadline: Instant) async -> (bytes: [UInt8], lifetime: Duration)? {
        let lane = lane
        return await withCheckedContinuation { continuation in
            lane.loop.soon { lane.read(name, deadline: deadline, isFirst: true) { continuation.resume(returning: $0) } }
        }
    }

    public func keep(_ bytes: [UInt8], named name: String, for lifetime: Duration) {
        let lane = lane
        lane.loop.soon { lane.write(name, bytes, for: lifetime, deadline: BootClock.now.advanced(by: Self.writePatience)) }
    }

    public func close() async {
        for lane in lanes {
            await withCheckedContinuation { continuation in
                lane.loop.soon {
                    lane.close()
                    continuation.resume()
                }
            }
        }
    }

    private var lane: RedisLane {
        let loop = loops.any
        return lanes.first { $0.loop === loop } ?? lanes[0]
    }
}

/// Which servers are away, and why.
final class Absences: Sendable {
    private let state = Mutex<[String: ApusError]>([:])
    private let log = Logger("cache")

    var any: ApusError? { state.withLock { $0.min { $0.key < $1.key }?.value } }

    func report(_ error: ApusError?, of place: String) {
        let was = state.withLock { state in
            defer { state[place] = error }
            return state[place]
        }
        // Once when it begins and once when it ends.
        if let error, was == nil {
            log.warning("the shared cache is away; requests go on without it", ["cache": place, "error": "\(error)"])
        }
        if error == nil, was != nil { log.info("the shared cache is back", ["cache": place]) }
    }
}

/// One loop's way to the servers. Loop thread only.
private final class RedisLane: @unchecked Sendable {  // all state is touched on `loop` only
    /// What may be on its way to the servers: what comes then is not kept.
    private static let mostUnsent = 8 << 20

    let loop: EventLoop
    private let finder: RedisFinder
    private let absences: Absences
    /// By server; the one without a name is that which the finder finds.
    private var links: [CacheServer?: RedisLink] = [:]
    private var masters: [CacheServer?] = []
    private var isAskingForSlots = false
    private var unsent = 0

    init(_ loop: EventLoop, _ finder: RedisFinder, _ absences: Absences) {
        (self.loop, self.finder, self.absences) = (loop, finder, absences)
    }

    func begin() { _ = link(nil).open }

    private func link(_ server: CacheServer?) -> RedisLink {
        if let link = links[server] { return link }
        let (finder, loop, absences) = (finder, loop, absences)
        let place = (server?.description ?? finder.description) + " (loop \(loop.index))"
        let link = RedisLink(loop: loop, report: { absences.report($0, of: place) }) { deadline, ended in
            if let server { return try await finder.connect(to: server, on: loop, deadline: deadline, ended: ended) }
            return try await finder.find(on: loop, deadline: deadline, ended: ended)
        }
        links[server] = link
        return link
    }

    /// The connection to ask for a key: of a cluster that of its master once that is known.
    private func connection(for name: String) -> RedisConnection? {
        guard finder.isCluster else { return link(nil).open }
        guard !masters.isEmpty else {
            learnSlots()
            return nil
        }
        return masters[RedisSlots.slot(of: name)].flatMap { link($0).open }
    }

    private func learnSlots() {
        guard !isAskingForSlots, let connection = link(nil).open else { return }
        isAskingForSlots = true
        connection.send([RedisCommand("CLUSTER", "SLOTS")], deadline: BootClock.now.advanced(by: .seconds(1))) { [self] result in
            isAskingForSlots = false
            guard case .success(let replies) = result else { return }
            masters = RedisSlots.masters(replies[0], answeredBy: finder.first)
        }
    }

    /// Follows a key that has moved to another node; true once.
    private func follow(_ replies: [RedisReply], _ name: String) -> Bool {
        guard finder.isCluster, let error = replies.first?.error else { return false }
        learnSlots()
        guard let server = RedisSlots.moved(error), !masters.isEmpty else { return false }
        masters[RedisSlots.slot(of: name)] = server
        return true
    }

    func read(
        _ name: String, deadline: Instant, isFirst: Bool, _ done: @escaping @Sendable ((bytes: [UInt8], lifetime: Duration)?) -> Void
    ) {
        guard let connection = connection(for: name) else { return done(nil) }
        connection.send([RedisCommand("GET", name), RedisCommand("PTTL", name)], deadline: deadline) { [self] result in
            guard case .success(let replies) = result else { return done(nil) }
            if follow(replies, name), isFirst { return read(name, deadline: deadline, isFirst: false, done) }
            guard case .bytes(let bytes) = replies[0], let left = replies[1].integer, left > 0 else { return done(nil) }
            done((bytes, .milliseconds(left)))
        }
    }

    func write(_ name: String, _ bytes: [UInt8], for lifetime: Duration, deadline: Instant, isFirst: Bool = true) {
        guard unsent + bytes.count <= Self.mostUnsent, let connection = connection(for: name) else { return }
        unsent += bytes.count
        connection.send([.set(name, bytes, for: lifetime)], deadline: deadline) { [self] result in
            unsent -= bytes.count
            guard case .success(let replies) = result, let error = replies[0].error else { return }
            if follow(replies, name) {
                if isFirst { write(name, bytes, for: lifetime, deadline: deadline, isFirst: false) }
            } else if error.hasPrefix("READONLY") {
                connection.close(.cacheUnavailable("it is no master any more"))  // and the master is sought
            }
        }
    }

    func close() { links.values.forEach { $0.close() } }
}

/// Finds the server to connect to, and connects.
struct RedisFinder: Sendable, CustomStringConvertible {
    private let servers: RedisServers
    private let login: RedisLogin
    private let pool = BlockingPool(name: "dns", threads: 1, queueLimit: 64)

    init(_ servers: RedisServers, _ login: RedisLogin) { (self.servers, self.login) = (servers, login) }

    typealias Ended = @Sendable (ApusError) -> Void

    private var all: [CacheServer] {
        switch servers {
        case .single(let server): [server]
        case .sentinels(let all, _), .cluster(let all): all
        }
    }

    var isCluster: Bool { if case .cluster = servers { true } else { false } }
    var first: CacheServer { all[0] }
    var description: String { "redis " + all.map(\.description).joined(separator: ",") }

    /// The first that answers, of several; the one that Sentinels name.
    func find(on loop: EventLoop, deadline: Instant, ended: @escaping Ended) async throws -> RedisConnection {
        var problem: any Error = ApusError.cacheUnavailable("no server is named")
        // Each gets its share of the time: the first may be frozen.
        let begin = BootClock.now
        for (index, server) in all.enumerated() {
            let share = begin.advanced(by: begin.duration(to: deadline) * (index + 1) / all.count)
            do {
                guard case .sentinels(_, let master) = servers else {
                    return try await connect(to: server, on: loop, deadline: share, ended: ended)
                }
                let named = try await askSentinel(server, for: master, on: loop, deadline: share)
                let connection = try await connect(to: named, on: loop, deadline: deadline, ended: ended)
                // An old master that has come back calls itself one until the Sentinels tell it; then this connection ends.
                guard try await connection.ask(RedisCommand("ROLE"), deadline: deadline).list.first?.text == "master" else {
                    let error = ApusError.cacheUnavailable("\(named) is no master")
                    loop.soon { connection.close(error) }
                    throw error
                }
                return connection
            } catch {
                problem = error
            }
        }
        throw problem
    }

    /// Where the server is now, for a connection of another kind.
    func places(on loop: EventLoop, deadline: Instant) async throws -> [(address: String, port: Int)] {
        var server = all[0]
        if case .sentinels(let sentinels, let master) = servers { server = try await named(master, by: sentinels, on: loop, deadline) }
        return try await pool.run(deadline: deadline) { [server] in try HostNames.addresses(of: server.host) }.map { ($0, server.port) }
    }

    private func named(_ master: String, by sentinels: [CacheServer], on loop: EventLoop, _ deadline: Instant) async throws -> CacheServer {
        var problem: any Error = ApusError.cacheUnavailable("no Sentinel is named")
        let begin = BootClock.now
        for (index, sentinel) in sentinels.enumerated() {
            let share = begin.advanced(by: begin.duration(to: deadline) * (index + 1) / sentinels.count)
            do { return try await askSentinel(sentinel, for: master, on: loop, deadline: share) } catch { problem = error }
        }
        throw problem
    }

    private func askSentinel(_ sentinel: CacheServer, for master: String, on loop: EventLoop, deadline: Instant) async throws -> CacheServer
    {
        let connection = try await connect(to: sentinel, with: RedisLogin(), on: loop, deadline: deadline, ended: { _ in })
        defer { loop.soon { connection.close(.cacheUnavailable("it was asked")) } }
        let reply = try await connection.ask(RedisCommand("SENTINEL", "get-master-addr-by-name", master), deadline: deadline)
        guard reply.list.count == 2, let host = reply.list[0].text, let port = reply.list[1].text.flatMap({ Int($0) }) else {
            throw ApusError.cacheUnavailable("the Sentinel at \(sentinel) knows no master \(master)")
        }
        return CacheServer(host: host, port: port)
    }

    func connect(to server: CacheServer, on loop: EventLoop, deadline: Instant, ended: @escaping Ended) async throws -> RedisConnection {
        try await connect(to: server, with: login, on: loop, deadline: deadline, ended: ended)
    }

    private func connect(
        to server: CacheServer, with login: RedisLogin, on loop: EventLoop, deadline: Instant, ended: @escaping Ended
    ) async throws -> RedisConnection {
        let addresses = try await pool.run(deadline: deadline) { try HostNames.addresses(of: server.host) }
        var problem: any Error = ApusError.cacheUnavailable("\(server.host) has no address")
        for address in addresses {
            do {
                return try await RedisConnection.open(address, port: server.port, login: login, on: loop, deadline: deadline, ended: ended)
            } catch {
                problem = error
            }
        }
        throw problem
    }
}
