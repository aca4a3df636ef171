internal import ApusRuntime
public import ApusTypes
internal import CMemcached
internal import Glibc
internal import Synchronization

/// A shared cache in one or several memcached servers, through libmemcached, whose calls block: they have threads of their own.
public final class MemcachedCache: SharedCache {
    private static let shortestPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(2)
    /// memcached takes what is more than this for a date.
    private static let longestLifetime = Duration.seconds(30 * 24 * 3600)

    private let servers: [CacheServer]
    private let patience: Duration
    private let pool = BlockingPool(name: "memcached", threads: 4, queueLimit: 256)
    private let absences = Absences()
    private let state = Mutex(State())

    private struct State {
        /// Connections that nobody uses.
        var idle: [Client] = []
        var pause = shortestPause
        /// While the servers are away nobody asks them before this.
        var askedAgainAt: Instant?
        var isClosed = false
    }

    /// One thread's connections at a time.
    private final class Client: @unchecked Sendable {  // taken out of `idle` by its one user
        let handle: UnsafeMutablePointer<memcached_st>

        init?(_ servers: [CacheServer], patience: Duration) {
            guard let handle = memcached_create(nil) else { return nil }
            self.handle = handle
            let milliseconds = UInt64(max(1, patience.milliseconds))
            for (behavior, value) in [
                (MEMCACHED_BEHAVIOR_TCP_NODELAY, 1), (MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, milliseconds),
                (MEMCACHED_BEHAVIOR_POLL_TIMEOUT, milliseconds), (MEMCACHED_BEHAVIOR_SND_TIMEOUT, milliseconds * 1000),
                (MEMCACHED_BEHAVIOR_RCV_TIMEOUT, milliseconds * 1000), (MEMCACHED_BEHAVIOR_NO_BLOCK, 1),
            ] { memcached_behavior_set(handle, behavior, value) }
            for server in servers { memcached_server_add(handle, server.host, in_port_t(server.port)) }
        }

        deinit { memcached_free(handle) }
    }

    /// `patience` is how long the servers may take for one thing.
    public init(_ servers: [CacheServer], patience: Duration = .milliseconds(50)) {
        self.servers = servers
        self.patience = patience
    }

    public var absence: ApusError? { absences.any }

    public func value(named name: String, deadline: Instant) async -> (bytes: [UInt8], lifetime: Duration)? {
        guard mayAsk else { return nil }
        let found: [UInt8]?? = try? await pool.run(deadline: deadline) { [self] in  // late, or too many wait: as good as nothing
            use { client in
                var (length, flags, status) = (0, UInt32(0), MEMCACHED_SUCCESS)
                let bytes = memcached_get(client.handle, name, name.utf8.count, &length, &flags, &status)
                defer { free(bytes) }
                guard status == MEMCACHED_SUCCESS else { return (nil, status) }
                return (Array(UnsafeRawBufferPointer(start: bytes, count: length)), status)
            }
        }
        // It does not tell for how long a value stays: the first eight bytes do.
        guard let bytes = found ?? nil, bytes.count >= 8 else { return nil }
        let expires = bytes.withUnsafeBytes { Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) }
        let left = Duration.milliseconds(expires - BootClock().wallTime.millisecondsSinceEpoch)
        return left > .zero ? (Array(bytes.dropFirst(8)), left) : nil
    }

    public func keep(_ bytes: [UInt8], named name: String, for lifetime: Duration) {
        guard mayAsk, pool.waiting < 64 else { return }
        let lifetime = min(lifetime, Self.longestLifetime)
        let expires = BootClock().wallTime.millisecondsSinceEpoch + lifetime.milliseconds
        let value = withUnsafeBytes(of: expires.littleEndian, Array.init) + bytes
        Task {
            try? await pool.run { [self] in  // nobody waits for it
                _ = use { client -> (Void?, memcached_return_t) in
                    let seconds = max(1, (lifetime.milliseconds + 999) / 1000)
                    let status = value.map(CChar.init(bitPattern:)).withUnsafeBufferPointer {
                        memcached_set(client.handle, name, name.utf8.count, $0.baseAddress, $0.count, time_t(seconds), 0)
                    }
                    return ((), status)
                }
            }
        }
    }

    public func close() async {
        state.withLock { state in
            state.isClosed = true
            state.idle = []
        }
    }

    /// False while the servers are away, but for one who finds out whether they are back.
    private var mayAsk: Bool {
        state.withLock { state in
            guard !state.isClosed else { return false }
            guard let again = state.askedAgainAt else { return true }
            guard BootClock.now >= again else { return false }
            state.askedAgainAt = BootClock.now.advanced(by: state.pause)
            return true
        }
    }

    /// Blocks. What the servers did not answer is judged here.
    private func use<Value>(_ body: (Client) -> (Value?, memcached_return_t)) -> Value? {
        guard let client = state.withLock({ $0.idle.popLast() }) ?? Client(servers, patience: patience) else { return nil }
        let (value, status) = body(client)
        let isWell = [MEMCACHED_SUCCESS, MEMCACHED_NOTFOUND, MEMCACHED_STORED, MEMCACHED_NOTSTORED, MEMCACHED_E2BIG, MEMCACHED_BUFFERED]
            .contains(status)
        state.withLock { state in
            if isWell {
                (state.pause, state.askedAgainAt) = (Self.shortestPause, nil)
                if !state.isClosed { state.idle.append(client) }
            } else {
                state.askedAgainAt = BootClock.now.advanced(by: state.pause)
                state.pause = min(state.pause * 2, Self.longestPause)
            }
        }
        absences.report(
            isWell ? nil : .cacheUnavailable(String(cString: memcached_strerror(client.handle, status))),
            of: "memcached " + servers.map(\.description).joined(separator: ","))
        return value
    }
}
