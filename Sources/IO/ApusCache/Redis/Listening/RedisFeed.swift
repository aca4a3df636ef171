internal import ApusRuntime
internal import ApusTypes
internal import CHiredis
internal import CUV

/// A connection over which a server tells what is published, in the order in which it comes. hiredis reads and writes it; its asynchronous
/// half would end it at the first refusal, and knows no PING here. Loop thread only.
final class RedisFeed: @unchecked Sendable {  // all state is touched on `loop` only
    /// What the server may send before it is one whole message.
    private static let mostUnread = 16 << 20

    private let loop: EventLoop
    private let received: (RedisReply) -> Void
    private let ended: (ApusError) -> Void
    private let context: UnsafeMutablePointer<redisContext>
    private let poll = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    private var isClosed = false

    /// Connects to an address, a number. `ended` is called once, unless it is closed.
    init(
        _ address: String, port: Int, on loop: EventLoop, received: @escaping (RedisReply) -> Void, ended: @escaping (ApusError) -> Void
    ) throws(ApusError) {
        guard let context = redisConnectNonBlock(address, Int32(port)) else { throw .cacheUnavailable("no memory to connect") }
        guard context.pointee.err == 0, uv_poll_init(loop.uv, poll, context.pointee.fd) == 0 else {
            let problem = Self.problem(context)
            redisFree(context)
            poll.deallocate()
            throw .cacheUnavailable(problem)
        }
        (self.loop, self.context, self.received, self.ended) = (loop, context, received, ended)
        poll.pointee.data = Unmanaged.passRetained(self).toOpaque()  // given back when libuv has closed the handle
        watch(isWriting: true)
    }

    private static func problem(_ context: UnsafePointer<redisContext>) -> String {
        var context = context.pointee
        return context.err == 0
            ? "its socket cannot be polled"
            : withUnsafeBytes(of: &context.errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// Sends it behind those before.
    func send(_ command: RedisCommand) {
        guard !isClosed else { return }
        let status = command.withPointers { redisAppendCommandArgv(context, $0, $1, $2) }
        status == REDIS_OK ? watch(isWriting: true) : fail()
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        uv_poll_stop(poll)
        UnsafeMutableRawPointer(poll).withMemoryRebound(to: uv_handle_t.self, capacity: 1) { handle in
            uv_close(handle) { handle in
                let feed = Unmanaged<RedisFeed>.fromOpaque(handle!.pointee.data).takeRetainedValue()  // retained in init
                redisFree(feed.context)
                feed.poll.deallocate()
            }
        }
    }

    private func fail() { fail(Self.problem(context)) }

    private func fail(_ problem: String) {
        guard !isClosed else { return }
        close()
        ended(.cacheUnavailable(problem))
    }

    private func watch(isWriting: Bool) {
        let events = UV_READABLE.rawValue | (isWriting ? UV_WRITABLE.rawValue : 0)
        uv_poll_start(poll, Int32(events)) { handle, status, events in
            let feed = Unmanaged<RedisFeed>.fromOpaque(handle!.pointee.data).takeUnretainedValue()  // retained until the handle is closed
            status == 0 ? feed.ready(UInt32(events)) : feed.fail("its socket cannot be polled")
        }
    }

    private func ready(_ events: UInt32) {
        if events & UV_WRITABLE.rawValue != 0 {
            var isDone: Int32 = 0
            guard redisBufferWrite(context, &isDone) == REDIS_OK else { return fail() }
            if isDone != 0 { watch(isWriting: false) }
        }
        // One piece at a time: others have their turn on the loop.
        guard events & UV_READABLE.rawValue != 0 else { return }
        guard redisBufferRead(context) == REDIS_OK else { return fail() }
        while !isClosed {
            var reply: UnsafeMutableRawPointer?
            guard redisGetReplyFromReader(context, &reply) == REDIS_OK else { return fail() }
            guard let reply else { break }
            let value = RedisReply(reply.assumingMemoryBound(to: redisReply.self).pointee)
            freeReplyObject(reply)
            received(value)
        }
        guard !isClosed, let reader = context.pointee.reader?.pointee else { return }
        if reader.len - reader.pos > Self.mostUnread { fail("it sends a message of more than \(Self.mostUnread) bytes") }
    }
}
