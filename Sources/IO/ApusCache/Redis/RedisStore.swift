public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Keys and values in Redis for people, whose answers count: who asks waits for a connection, and hears what is wrong.
///
/// Each event loop has one connection, over which calls follow each other. Errors: `source.unavailable` where the server does not answer,
/// `source.rejected` where it refuses, `write.outcome_unknown` where a change may have been made.
public final class RedisStore: Sendable {
    public struct Options: Sendable {
        /// What one call may take.
        public var patience = Duration.seconds(5)
        /// Keys that one call may list.
        public var keys = 10_000

        public init() {}
    }

    private let finder: RedisFinder
    private let listener: RedisListener
    private let loops: EventLoops
    public let database: Int
    private let options: Options
    /// By the numbers of their loops; nil once closed.
    private let connections = Mutex<[Int: Open]?>([:])
    private let opened = Atomic(0)

    private struct Open {
        var number: Int
        var connection: RedisConnection
    }

    /// One server, or one behind Sentinels.
    public init(
        _ servers: RedisServers, user: String, password: Redacted<String>?, database: Int, loops: EventLoops, options: Options = Options()
    ) {
        let login = RedisLogin(user: user, password: password, database: database)
        finder = RedisFinder(servers, login)
        listener = RedisListener(finder, login, on: loops.first)
        self.database = database
        self.loops = loops
        self.options = options
    }

    public func close() async {
        await listener.close()
        let open = connections.withLock { connections in
            defer { connections = nil }
            return connections ?? [:]
        }
        for one in open.values {
            await withCheckedContinuation { continuation in
                one.connection.loop.soon {
                    one.connection.close(.cacheUnavailable("it was closed"))
                    continuation.resume()
                }
            }
        }
    }

    // MARK: Calls

    public func value(of key: String, deadline: Instant) async throws -> [UInt8]? {
        switch try await ask(RedisCommand("GET", key), isChange: false, deadline: deadline) {
        case .bytes(let bytes): bytes
        default: nil
        }
    }

    /// The keys that fit a glob pattern, in order. The server is asked in pieces, and serves others meanwhile.
    public func keys(like pattern: String, deadline: Instant) async throws -> [String] {
        var keys: Set<String> = []
        var cursor = "0"
        repeat {
            let reply = try await ask(RedisCommand("SCAN", cursor, "MATCH", pattern, "COUNT", "1000"), isChange: false, deadline: deadline)
            guard reply.list.count == 2, let next = reply.list[0].text else { throw Self.refused("SCAN", "an answer of another form") }
            cursor = next
            keys.formUnion(reply.list[1].list.compactMap(\.text))
            guard keys.count <= options.keys else {
                throw ApusError(
                    .sourceRejected, "more than \(options.keys) keys are like \"\(pattern)\"", hint: "ask with a pattern that says more")
            }
        } while cursor != "0"
        return keys.sorted()
    }

    /// `lifetime` in seconds; nil for ever.
    public func set(_ key: String, to value: String, for lifetime: Int64?, deadline: Instant) async throws {
        let command = lifetime.map { RedisCommand("SET", key, value, "EX", "\($0)") } ?? RedisCommand("SET", key, value)
        _ = try await ask(command, isChange: true, deadline: deadline)
    }

    /// Whether it was there.
    public func delete(_ key: String, deadline: Instant) async throws -> Bool {
        try await number(RedisCommand("DEL", key), deadline) > 0
    }

    /// The number that it is then.
    public func increment(_ key: String, deadline: Instant) async throws -> Int64 {
        try await number(RedisCommand("INCR", key), deadline)
    }

    /// Whether it is there.
    public func expire(_ key: String, after lifetime: Int64, deadline: Instant) async throws -> Bool {
        try await number(RedisCommand("EXPIRE", key, "\(lifetime)"), deadline) > 0
    }

    /// How many heard it.
    public func publish(_ message: String, to channel: String, deadline: Instant) async throws -> Int64 {
        try await number(RedisCommand("PUBLISH", channel, message), deadline)
    }

    // MARK: What is published

    /// What is published from now on. All who listen on this node share one connection.
    public func listen(to topic: RedisTopic, deadline: Instant) async throws -> RedisSubscription {
        try await listener.listen(to: topic, deadline: min(deadline, BootClock.now.advanced(by: options.patience)))
    }

    /// Of which events of keys the server tells, as `notify-keyspace-events` of its configuration; nil where it does not say.
    public func keyEvents(deadline: Instant) async throws -> String? {
        do {
            let reply = try await ask(RedisCommand("CONFIG", "GET", "notify-keyspace-events"), isChange: false, deadline: deadline)
            return reply.list.dropFirst().first?.text
        } catch let error as ApusError where error.code == .sourceRejected {
            return nil
        }
    }

    /// Has the server tell of these events, for all its clients.
    public func setKeyEvents(_ flags: String, deadline: Instant) async throws {
        _ = try await ask(RedisCommand("CONFIG", "SET", "notify-keyspace-events", flags), isChange: true, deadline: deadline)
    }

    private func number(_ command: RedisCommand, _ deadline: Instant) async throws -> Int64 {
        guard let number = try await ask(command, isChange: true, deadline: deadline).integer else {
            throw Self.refused("the call", "an answer of another form")
        }
        return number
    }

    // MARK: Asking

    private func ask(_ command: RedisCommand, isChange: Bool, deadline: Instant) async throws -> RedisReply {
        let deadline = min(deadline, BootClock.now.advanced(by: options.patience))
        let name = String(decoding: command.words[0], as: UTF8.self)
        let open: Open
        do {
            open = try await self.connection(deadline: deadline)
        } catch let error as ApusError where error.code == .cacheUnavailable {
            throw ApusError(.sourceUnavailable, "\(finder) does not answer: \(error.summary)", cause: error)
        }
        let reply: RedisReply
        do {
            reply = try await open.connection.ask(command, deadline: deadline)
        } catch let error as ApusError {
            forget(open.number)
            guard isChange else { throw ApusError(.sourceUnavailable, "\(finder) did not answer \(name): \(error.summary)", cause: error) }
            throw ApusError(
                .outcomeUnknown, "\(finder) did not answer \(name), and may have done it: \(error.summary)", hint: "look what is there",
                cause: error)
        }
        guard let problem = reply.error else { return reply }
        // No master any more: the next call finds the one that is.
        if problem.hasPrefix("READONLY") || problem.hasPrefix("LOADING") {
            open.connection.loop.soon { open.connection.close(.cacheUnavailable(problem)) }
            throw ApusError(.sourceUnavailable, "\(finder) takes no \(name) now: \(problem)")
        }
        throw Self.refused(name, problem)
    }

    private static func refused(_ what: String, _ why: String) -> ApusError {
        ApusError(.sourceRejected, "Redis refuses \(what): \(why)")
    }

    private func connection(deadline: Instant) async throws -> Open {
        let loop = loops.any
        if let known = connections.withLock({ $0?[loop.index] }) { return known }
        let number = opened.add(1, ordering: .relaxed).newValue
        let found = Open(
            number: number, connection: try await finder.find(on: loop, deadline: deadline) { [weak self] _ in self?.forget(number) })
        // Somebody may have connected meanwhile, or closed it all.
        let kept = connections.withLock { connections in
            if connections != nil, connections?[loop.index] == nil { connections?[loop.index] = found }
            return connections?[loop.index]
        }
        if kept?.number != number { loop.soon { found.connection.close(.cacheUnavailable("it was closed")) } }
        return kept ?? found
    }

    private func forget(_ number: Int) { connections.withLock { $0 = $0?.filter { $0.value.number != number } } }
}
