import ApusRuntime
import ApusTypes
import Synchronization
import TestKit
import Testing

@testable import ApusCache

/// Caches that nodes share, in real servers.
@Suite("shared caches", .serialized)
struct SharedCacheTests {
    private let moment = Moment(history: Digest(of: "a history"), version: 1)
    private func soon(_ seconds: Int = 10) -> Instant { BootClock.now.advanced(by: .seconds(seconds)) }

    /// Two nodes' caches on one shared cache.
    private func nodes(_ make: () -> any SharedCache) -> [Cache] {
        (0..<2).map { _ in
            let cache = Cache(shared: make())
            cache.begin(at: moment)
            return cache
        }
    }

    /// Asks a node; whether it had to compute.
    private func computes(_ cache: Cache, _ name: String, lifetime: Duration = .seconds(60)) async throws -> Bool {
        let isComputed = Mutex(false)
        let value = try await cache.value(for: CacheKey([Array(name.utf8)]), tags: ["t"], lifetime: lifetime, deadline: soon()) {
            isComputed.withLock { $0 = true }
            return Array(name.utf8)
        }
        #expect(value == Array(name.utf8))
        return isComputed.withLock { $0 }
    }

    /// Keeps names until one that the first node has computed is found by the second; that one.
    @discardableResult
    private func work(_ nodes: [Cache], within seconds: Double = 20) async throws -> String {
        var name = ""
        try await eventually(within: seconds, "what one node computes the other finds") {
            name = "\(UInt64.random(in: 0 ... .max))"
            _ = try await computes(nodes[0], name)
            for _ in 0..<20 where try await nodes[1].isFound(name) { return true }
            return false
        }
        return name
    }

    private func check(_ nodes: [Cache], _ server: CacheServerProcess, restart: () async throws -> CacheServerProcess) async throws {
        try await work(nodes)
        #expect(nodes.allSatisfy { $0.sharedAbsence == nil })

        // What is invalidated is not taken from it; nor what lies there from another history.
        #expect(try await computes(nodes[0], "x"))
        try await eventually("it is kept") { try await nodes[1].isFound("x") }
        for node in nodes { node.invalidate(["t"], at: 2) }
        #expect(try await computes(nodes[1], "x"))

        // Frozen: requests go on after the patience, and later at once.
        server.freeze()
        for number in 0..<50 { #expect(try await computes(nodes[0], "frozen \(number)")) }
        #expect(nodes[0].sharedAbsence != nil)
        server.thaw()
        try await work(nodes)

        await server.kill()
        for number in 0..<50 { #expect(try await computes(nodes[0], "killed \(number)")) }
        try await eventually("its absence is known") { nodes[0].sharedAbsence != nil }
        let again = try await restart()
        try await work(nodes)
        try await eventually("it is back") { nodes[0].sharedAbsence == nil }
        for node in nodes { await node.close() }
        await again.kill()
    }

    @Test("one Redis server with a password: frozen, killed and back, no request fails")
    func redis() async throws {
        let settings = ["requirepass secret"]
        let server = try await CacheServerProcess.redis(settings)
        let nodes = nodes {
            RedisCache(.single(server.server), password: Redacted("secret"), database: 3, loops: TestLoops.shared)
        }
        try await check(nodes, server) { try await .redis(port: server.port, settings) }
    }

    @Test("memcached: frozen, killed and back, no request fails")
    func memcached() async throws {
        let server = try await CacheServerProcess.memcached()
        try await check(nodes { MemcachedCache([server.server]) }, server) { try await .memcached(port: server.port) }
    }

    @Test("lifetimes hold in the shared cache and in what is taken from it")
    func lifetimes() async throws {
        let server = try await CacheServerProcess.redis()
        let nodes = nodes { RedisCache(.single(server.server), loops: TestLoops.shared) }
        try await work(nodes)
        #expect(try await computes(nodes[0], "short", lifetime: .seconds(2)))
        let begin = BootClock.now
        try await eventually("the other node has it") { try await nodes[1].isFound("short") }
        // Found late, it is kept for what is left of its time, not for two seconds more.
        try await eventually("its time is over everywhere") { try await computes(nodes[1], "short", lifetime: .seconds(2)) }
        #expect(begin.duration(to: BootClock.now) >= .milliseconds(1_900))
        #expect(try await server.cli(["FLUSHALL"]).contains("OK"))
        try await work(nodes)
        for node in nodes { await node.close() }
    }

    @Test("a wrong password is told, and requests go on")
    func refused() async throws {
        let server = try await CacheServerProcess.redis(["requirepass secret"])
        let nodes = nodes { RedisCache(.single(server.server), password: Redacted("wrong"), loops: TestLoops.shared) }
        try await eventually("it is told") { nodes[0].sharedAbsence.map { "\($0)".contains("WRONGPASS") } ?? false }
        #expect(!"\(nodes[0].sharedAbsence!)".contains("wrong"))
        #expect(try await computes(nodes[0], "x"))
        for node in nodes { await node.close() }
    }

    @Test("behind three Sentinels the new master is used after the old one died")
    func sentinels() async throws {
        let master = try await CacheServerProcess.redis()
        let replica = try await CacheServerProcess.redis(["replicaof 127.0.0.1 \(master.port)"])
        try await eventually("it replicates") { try await replica.cli(["INFO", "replication"]).contains("master_link_status:up") }
        var sentinels: [CacheServerProcess] = []
        for _ in 0..<3 {
            sentinels.append(
                try await .redis(
                    [
                        "sentinel monitor cache 127.0.0.1 \(master.port) 2", "sentinel down-after-milliseconds cache 500",
                        "sentinel failover-timeout cache 3000",
                    ], isSentinel: true))
        }
        try await eventually(within: 30, "the Sentinels know each other") {
            try await sentinels[0].cli(["SENTINEL", "CKQUORUM", "cache"]).contains("OK 3")
        }
        let nodes = nodes { RedisCache(.sentinels(sentinels.map(\.server), master: "cache"), loops: TestLoops.shared) }
        try await work(nodes)
        await master.kill()
        #expect(try await computes(nodes[0], "meanwhile"))
        try await work(nodes, within: 60)
        #expect(try await replica.cli(["ROLE"]).contains("master"))
        for node in nodes { await node.close() }
    }

    @Test("a Redis Cluster: keys are asked of the node that has them, also after they have moved")
    func cluster() async throws {
        var servers: [CacheServerProcess] = []
        for _ in 0..<3 {
            // The bus is 10,000 above unless said: that may be beyond the last port.
            servers.append(try await .redis(["cluster-enabled yes", "cluster-port \(try freePort())", "cluster-node-timeout 2000"]))
        }
        let addresses = servers.map { "127.0.0.1:\($0.port)" }
        let made = try await servers[0].cli(["--cluster", "create"] + addresses + ["--cluster-yes"])
        #expect(made.contains("All 16384 slots covered"), "\(made)")
        let nodes = nodes { RedisCache(.cluster([servers[0].server]), loops: TestLoops.shared) }
        var names: [String] = []
        for _ in 0..<60 { names.append(try await work(nodes)) }
        for server in servers { #expect(try await server.cli(["DBSIZE"]).trimmingPrefix("(integer) ") > "0") }
        let identity = try await servers[1].cli(["CLUSTER", "MYID"]).split(separator: "\n")[0]
        let source = try await servers[0].cli(["CLUSTER", "MYID"]).split(separator: "\n")[0]
        let moved = try await servers[0].cli([
            "--cluster", "reshard", addresses[0], "--cluster-from", "\(source)", "--cluster-to", "\(identity)", "--cluster-slots", "5461",
            "--cluster-yes",
        ])
        #expect(!moved.contains("[ERR]"), "\(moved.suffix(300))")
        let third = Cache(shared: RedisCache(.cluster([servers[2].server]), loops: TestLoops.shared))
        third.begin(at: moment)
        for name in names { try await eventually("they are found where they are now") { try await third.isFound(name) } }
        for _ in 0..<30 { try await work([nodes[0], third]) }  // who knew the old place writes to the new one
        for node in nodes + [third] { await node.close() }
    }

    @Test("addresses and slots are read as they are written")
    func addresses() {
        #expect(CacheServer("redis", defaultPort: 6379) == CacheServer(host: "redis", port: 6379))
        #expect(CacheServer("10.0.0.1:7000", defaultPort: 6379) == CacheServer(host: "10.0.0.1", port: 7000))
        #expect(CacheServer("[::1]:7000", defaultPort: 6379) == CacheServer(host: "::1", port: 7000))
        #expect(CacheServer("::1", defaultPort: 6379) == CacheServer(host: "::1", port: 6379))
        #expect(
            CacheServer("redis:0", defaultPort: 6379) == nil && CacheServer("redis:x", defaultPort: 1) == nil
                && CacheServer("", defaultPort: 1) == nil)
        #expect(RedisSlots.slot(of: "123456789") == 0x31C3)  // of the specification
        #expect(RedisSlots.moved("MOVED 3999 127.0.0.1:6381") == CacheServer(host: "127.0.0.1", port: 6381))
    }
}

extension Cache {
    /// Whether a value lies in this node's cache or the shared one; nothing is computed or kept where it does not.
    fileprivate func isFound(_ name: String) async throws -> Bool {
        struct Absent: Error {}
        do {
            _ = try await value(
                for: CacheKey([Array(name.utf8)]), tags: ["t"], lifetime: .seconds(60), deadline: BootClock.now.advanced(by: .seconds(5))
            ) { throw Absent() }
            return true
        } catch is Absent { return false }
    }
}
