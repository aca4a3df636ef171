internal import ApusRuntime
internal import ApusTypes
internal import CHiredis

/// Who connects to Redis.
struct RedisLogin: Sendable {
    /// Empty: the server's default user.
    var user = ""
    var password: Redacted<String>?
    var database = 0
}

/// One connection to a Redis server: hiredis, polled by an event loop. Everything belongs to the loop's thread.
///
/// It ends by itself when an answer is late: a server that is frozen keeps its connections.
final class RedisConnection: @unchecked Sendable {  // all state is touched on `loop` only
    typealias Done = @Sendable (Result<[RedisReply], ApusError>) -> Void

    let loop: EventLoop
    private let ended: @Sendable (ApusError) -> Void
    private var context: UnsafeMutablePointer<redisAsyncContext>?
    private var end: ApusError?
    /// hiredis knows this object until it is done with the connection.
    private var isKeptBy: RedisConnection?

    /// The commands of one caller, sent together.
    private final class Batch {
        let connection: RedisConnection
        var replies: [RedisReply] = []
        var timer: LoopTimers.ID?
        private let count: Int
        private var done: Done?

        init(_ connection: RedisConnection, count: Int, _ done: @escaping Done) {
            (self.connection, self.count, self.done) = (connection, count, done)
        }

        func take(_ reply: RedisReply) {
            replies.append(reply)
            if replies.count == count { finish(.success(replies)) }
        }

        func finish(_ result: Result<[RedisReply], ApusError>) {
            guard let done else { return }
            self.done = nil
            if let timer { connection.loop.timers.cancel(timer) }
            done(result)
        }
    }

    /// `ended` is called once, on the loop.
    private init(_ loop: EventLoop, _ ended: @escaping @Sendable (ApusError) -> Void) {
        self.loop = loop
        self.ended = ended
    }

    /// Connects to an address (a number, for one socket) and logs in. Throws `cache.unavailable`.
    static func open(
        _ address: String, port: Int, login: RedisLogin, on loop: EventLoop, deadline: Instant,
        ended: @escaping @Sendable (ApusError) -> Void
    ) async throws -> RedisConnection {
        let connection = RedisConnection(loop, ended)
        var commands = [RedisCommand("PING")]
        if login.database != 0 { commands.insert(RedisCommand("SELECT", "\(login.database)"), at: 0) }
        if let password = login.password?.reveal(), !password.isEmpty {
            commands.insert(login.user.isEmpty ? RedisCommand("AUTH", password) : RedisCommand("AUTH", login.user, password), at: 0)
        }
        let greeting = commands
        let replies = try await withCheckedThrowingContinuation { continuation in
            loop.soon {
                connection.connect(address, port)
                connection.send(greeting, deadline: deadline) { continuation.resume(with: $0) }
            }
        }
        if let refusal = replies.compactMap(\.error).first {
            let error = ApusError.cacheUnavailable("the server refuses: \(refusal)")
            loop.soon { connection.close(error) }
            throw error
        }
        return connection
    }

    /// The same for one answer, for code that waits.
    func ask(_ command: RedisCommand, deadline: Instant) async throws -> RedisReply {
        try await withCheckedThrowingContinuation { continuation in
            loop.soon { self.send([command], deadline: deadline) { result in continuation.resume(with: result.map { $0[0] }) } }
        }
    }

    // MARK: On the loop

    private func connect(_ address: String, _ port: Int) {
        guard let context = redisAsyncConnect(address, Int32(port)) else { return end = .cacheUnavailable("no memory to connect") }
        guard context.pointee.err == 0, apus_redis_attach(context, loop.uv) == REDIS_OK else {
            end = .cacheUnavailable(Self.problem(context))
            return redisAsyncFree(context)
        }
        context.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        redisAsyncSetDisconnectCallback(context) { context, _ in
            guard let context, let data = context.pointee.data else { return }
            let connection = Unmanaged<RedisConnection>.fromOpaque(data).takeUnretainedValue()
            connection.isGone(RedisConnection.problem(context))
        }
        self.context = context
        isKeptBy = self
    }

    private static func problem(_ context: UnsafePointer<redisAsyncContext>) -> String {
        guard context.pointee.err != 0, let text = context.pointee.errstr else { return "the connection ended" }
        return String(cString: text)
    }

    var isOpen: Bool { context != nil }

    /// Sends the commands at once and calls `done` with their answers, in order; with an error at `deadline`, and then the connection ends.
    func send(_ commands: [RedisCommand], deadline: Instant, _ done: @escaping Done) {
        guard let context else { return done(.failure(end ?? .cacheUnavailable("not connected"))) }
        let batch = Batch(self, count: commands.count, done)
        batch.timer = loop.timers.schedule(at: deadline) { [self] in close(.cacheUnavailable("the server did not answer in time")) }
        for command in commands {
            let held = Unmanaged.passRetained(batch)
            let status = command.withPointers { count, words, lengths in
                redisAsyncCommandArgv(
                    context,
                    { context, reply, held in
                        guard let held else { return }
                        let batch = Unmanaged<Batch>.fromOpaque(held).takeRetainedValue()
                        if let reply {
                            batch.take(RedisReply(reply.assumingMemoryBound(to: redisReply.self).pointee))
                        } else {
                            batch.connection.isGone(context.map { RedisConnection.problem($0) } ?? "the connection ended")
                            batch.finish(.failure(batch.connection.end ?? .cacheUnavailable("the connection ended")))
                        }
                    }, held.toOpaque(), count, words, lengths)
            }
            guard status == REDIS_OK else {  // it is ending: its callback will never be called
                held.release()
                return batch.finish(.failure(end ?? .cacheUnavailable("the connection is ending")))
            }
        }
    }

    /// Ends the connection; those who wait are told why.
    func close(_ error: ApusError) {
        guard let context else { return }
        self.context = nil
        end = error
        redisAsyncFree(context)  // calls back all that wait
        finish()
    }

    /// hiredis ends the connection, and frees the context by itself.
    private func isGone(_ problem: String) {
        guard context != nil else { return }
        context = nil
        end = .cacheUnavailable(problem)
        finish()
    }

    private func finish() {
        if let end { ended(end) }
        // Later: hiredis may be about to call back with what it knows of this object.
        loop.execute { self.isKeptBy = nil }
    }
}

extension ApusError {
    static func cacheUnavailable(_ problem: String) -> ApusError {
        ApusError(
            .cacheUnavailable, "the shared cache is away: \(problem)", hint: "requests go on without it; see cache.l2 in the configuration")
    }
}

extension RedisCommand {
    /// As hiredis takes them; valid during `body`.
    func withPointers<Value>(
        _ body: (Int32, UnsafeMutablePointer<UnsafePointer<CChar>?>, UnsafePointer<Int>) -> Value
    ) -> Value {
        let lengths = words.map(\.count)
        let bytes = words.flatMap(\.self) + [0]
        return bytes.withUnsafeBytes { bytes in
            var start = bytes.baseAddress!.assumingMemoryBound(to: CChar.self)  // one byte at least
            var pointers: [UnsafePointer<CChar>?] = []
            for length in lengths {
                pointers.append(start)
                start += length
            }
            return pointers.withUnsafeMutableBufferPointer { body(Int32(words.count), $0.baseAddress!, lengths) }  // a command has a word
        }
    }
}
