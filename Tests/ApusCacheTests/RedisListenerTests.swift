import ApusRuntime
import ApusTypes
import TestKit
import Testing

@testable import ApusCache

/// What a real server publishes.
@Suite("listening to Redis", .serialized)
struct RedisListenerTests {
    private func soon(_ seconds: Int = 10) -> Instant { BootClock.now.advanced(by: .seconds(seconds)) }

    private func store(_ server: CacheServerProcess, password: String? = nil, user: String = "") -> RedisStore {
        RedisStore(.single(server.server), user: user, password: password.map { Redacted($0) }, database: 0, loops: TestLoops.shared)
    }

    private func text(_ subscription: RedisSubscription) async throws -> [String] {
        let message = try await subscription.next()
        return [message.channel, message.payload].map { String(decoding: $0, as: UTF8.self) }
    }

    /// The server's connections that listen.
    private func connections(_ server: CacheServerProcess) async throws -> Int {
        try await server.cli(["CLIENT", "LIST", "TYPE", "pubsub"]).split(separator: "\n").count { $0.contains("addr=") }
    }

    private func end(of subscription: RedisSubscription) async throws -> ApusError {
        do {
            while true { _ = try await subscription.next() }
        } catch let error as ApusError { return error }
    }

    @Test("all who listen share one connection, which goes with the last of them; each hears all of its own, in order")
    func shared() async throws {
        let server = try await CacheServerProcess.redis()
        let store = store(server)
        let names = (0..<20).map { "c\($0 % 4)" }
        var open: [RedisSubscription] = []
        for name in names { open.append(try await store.listen(to: RedisTopic(name), deadline: soon())) }
        let pattern = try await store.listen(to: RedisTopic("c[12]", isPattern: true), deadline: soon())
        #expect(try await connections(server) == 1)
        // Both ends of what they can say: not text, and long.
        for number in 0..<30 { #expect(try await store.publish("m\(number)", to: "c\(number % 4)", deadline: soon()) >= 1) }
        for (name, subscription) in zip(names, open) {
            for number in 0..<30 where "c\(number % 4)" == name { #expect(try await text(subscription) == [name, "m\(number)"]) }
        }
        for number in 0..<30 where (1...2).contains(number % 4) { #expect(try await text(pattern) == ["c\(number % 4)", "m\(number)"]) }
        for subscription in open { subscription.close() }
        try await eventually("the channels are left") { try await store.publish("x", to: "c3", deadline: soon()) == 0 }
        #expect(try await connections(server) == 1, "the pattern is still listened to")
        pattern.close()
        try await eventually("the connection is gone") { try await connections(server) == 0 }
        // And from the beginning.
        let again = try await store.listen(to: RedisTopic("c0"), deadline: soon())
        _ = try await store.publish("again", to: "c0", deadline: soon())
        #expect(try await text(again) == ["c0", "again"])
        await store.close()
        let closed = try await end(of: again)
        #expect(closed.code == .sourceUnavailable && closed.summary.contains("changed or unloaded"))
    }

    @Test("a server that is killed or frozen ends what is listened to with the reason, and who subscribes again hears again")
    func away() async throws {
        var server = try await CacheServerProcess.redis()
        let store = store(server)
        let first = try await store.listen(to: RedisTopic("c"), deadline: soon())
        _ = try await store.publish("last", to: "c", deadline: soon())
        try await eventually("it is there") { try await store.publish("x", to: "nobody", deadline: soon()) == 0 }
        await server.kill()
        #expect(try await text(first) == ["c", "last"], "what came before is heard")
        let killed = try await end(of: first)
        #expect(killed.code == .sourceUnavailable && killed.summary.contains("subscribe again"), "\(killed)")
        let refused = await #expect(throws: ApusError.self) { _ = try await store.listen(to: RedisTopic("c"), deadline: soon()) }
        #expect(refused?.code == .sourceUnavailable, "\(String(describing: refused))")
        server = try await CacheServerProcess.redis(port: server.port)
        let second = try await store.listen(to: RedisTopic("c"), deadline: soon())
        server.freeze()
        let frozen = try await end(of: second)
        #expect(frozen.code == .sourceUnavailable && frozen.summary.contains("did not answer in time"), "\(frozen)")
        server.thaw()
        let third = try await store.listen(to: RedisTopic("c"), deadline: soon())
        _ = try await store.publish("again", to: "c", deadline: soon())
        #expect(try await text(third) == ["c", "again"])
        await store.close()
    }

    @Test("a topic that the server refuses is refused to who asked for it, and others go on; so is a wrong password")
    func refused() async throws {
        let server = try await CacheServerProcess.redis([
            "user default on >secret ~* &* +@all", "user clerk on >word ~* resetchannels &open:* +@all",
        ])
        let store = store(server, password: "word", user: "clerk")
        let open = try await store.listen(to: RedisTopic("open:1"), deadline: soon())
        let closed = await #expect(throws: ApusError.self) { _ = try await store.listen(to: RedisTopic("closed"), deadline: soon()) }
        #expect(closed?.code == .sourceRejected && closed?.summary.contains("NOPERM") == true, "\(String(describing: closed))")
        _ = try await store.publish("still", to: "open:1", deadline: soon())
        #expect(try await text(open) == ["open:1", "still"])
        await store.close()
        let stranger = self.store(server, password: "wrong", user: "clerk")
        let wrong = await #expect(throws: ApusError.self) { _ = try await stranger.listen(to: RedisTopic("open:1"), deadline: soon()) }
        #expect(wrong?.summary.contains("WRONGPASS") == true, "\(String(describing: wrong))")
        await stranger.close()
    }

    @Test("who takes less than comes is told so and holds up nobody; what waits is bounded")
    func slow() async throws {
        let server = try await CacheServerProcess.redis()
        let store = store(server)
        let slow = try await store.listen(to: RedisTopic("c"), deadline: soon())
        let quick = try await store.listen(to: RedisTopic("c"), deadline: soon())
        for number in 0..<1_000 {
            _ = try await store.publish("\(number)", to: "c", deadline: soon())
            #expect(try await text(quick) == ["c", "\(number)"])
        }
        let end = try await end(of: slow)
        #expect(end.code == .clientSlow && end.summary.contains("256 of them"), "\(end)")
        let large = try await store.listen(to: RedisTopic("large"), deadline: soon())
        let piece = String(repeating: "x", count: 600_000)
        for _ in 0..<2 { _ = try await store.publish(piece, to: "large", deadline: soon()) }
        try await eventually("it is too much") { try await store.publish("", to: "large", deadline: soon()) == 0 }
        #expect(try await self.end(of: large).code == .clientSlow)
        await store.close()
    }

    @Test("who is cancelled while waiting ends, and so does one who is one too many")
    func bounds() async throws {
        let server = try await CacheServerProcess.redis()
        let finder = RedisFinder(.single(server.server), RedisLogin())
        var options = RedisListener.Options()
        options.listeners = 2
        let listener = RedisListener(finder, RedisLogin(), on: TestLoops.shared.first, options: options)
        let first = try await listener.listen(to: RedisTopic("a"), deadline: soon())
        let second = try await listener.listen(to: RedisTopic("b"), deadline: soon())
        let third = await #expect(throws: ApusError.self) { _ = try await listener.listen(to: RedisTopic("a"), deadline: soon()) }
        #expect(third?.code == .sourceBusy)
        let waiting = Task { try await second.next() }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { _ = try await waiting.value }
        second.close()
        try await eventually("there is room") {
            do {
                try await listener.listen(to: RedisTopic("a"), deadline: soon()).close()
                return true
            } catch { return false }
        }
        first.close()
        await listener.close()
    }
}
