import ApusRuntime
import ApusTypes
import Synchronization
import TestKit
import Testing

@testable import ApusCache

@Suite("a cache in process")
struct CacheTests {
    private let moment = Moment(history: Digest(of: "a history"), version: 1)
    private let key = CacheKey([Array("a question".utf8)])

    private func cache(_ limits: Cache.Limits = Cache.Limits()) -> Cache {
        let cache = Cache(limits)
        cache.begin(at: moment)
        return cache
    }

    private func get(_ cache: Cache, _ number: Int, tags: [String] = [], lifetime: Duration = .seconds(60)) async throws -> Int {
        let bytes = try await cache.value(
            for: CacheKey([[UInt8(truncatingIfNeeded: number)]]), tags: tags, lifetime: lifetime, deadline: soon()
        ) {
            [UInt8](repeating: 7, count: number)
        }
        return bytes.count
    }

    private func soon(_ seconds: Int = 10) -> Instant { BootClock.now.advanced(by: .seconds(seconds)) }

    @Test("keys tell their parts apart")
    func keys() {
        #expect(CacheKey([[1, 2], [3]]) != CacheKey([[1], [2, 3]]) && CacheKey([[1], []]) != CacheKey([[1]]))
        #expect(CacheKey([[1, 2], [3]]) == CacheKey([[1, 2], [3]]))
    }

    @Test("nothing is kept before the feed was read, nor what is too large, nor longer than its lifetime")
    func limits() async throws {
        let unread = Cache()
        for _ in 0..<2 { _ = try await get(unread, 1) }
        #expect(unread.statistics.misses == 2 && unread.statistics.values == 0)

        var limits = Cache.Limits()
        limits.valueBytes = ByteCount(100)
        limits.bytes = ByteCount(8 * 2_000)
        let small = cache(limits)
        for _ in 0..<2 { _ = try await get(small, 101) }
        #expect(small.statistics.misses == 2 && small.statistics.values == 0)
        for number in 0..<100 { _ = try await get(small, number) }
        #expect(small.statistics.bytes <= 16_000 && small.statistics.values > 10)

        let short = cache()
        _ = try await get(short, 5, lifetime: .milliseconds(20))
        try await eventually("its time is over") {
            _ = try await get(short, 5, lifetime: .milliseconds(20))
            return short.statistics.misses == 2
        }
    }

    @Test(
        "a tag is invalidated for what was computed before; the feed of another history, or from a later place on, invalidates everything")
    func invalidation() async throws {
        let cache = cache()
        func misses(_ what: () -> Void) async throws -> Int {
            let before = cache.statistics.misses
            what()
            _ = try await get(cache, 1, tags: ["a", "b"])
            return cache.statistics.misses - before
        }
        #expect(try await misses {} == 1)
        #expect(try await misses {} == 0)
        #expect(try await misses { cache.invalidate(["c"], at: 2) } == 0)
        #expect(try await misses { cache.advance(to: 3) } == 0)
        #expect(try await misses { cache.invalidate(["b"], at: 4) } == 1)
        #expect(try await misses {} == 0)
        #expect(try await misses { cache.invalidate(nil, at: 5) } == 1)
        #expect(try await misses { cache.begin(at: Moment(history: moment.history, version: 5)) } == 0)
        #expect(try await misses { cache.begin(at: Moment(history: moment.history, version: 9)) } == 1)
        #expect(try await misses { cache.begin(at: Moment(history: Digest(of: "another"), version: 9)) } == 1)
    }

    @Test("of many who ask at once one computes; its error is theirs; when its own time is over another one computes")
    func singleFlight() async throws {
        let cache = cache()
        let gate = Gate()
        let computed = Mutex(0)
        func ask(_ count: Int, _ compute: @escaping @Sendable () async throws -> [UInt8]) async -> [Result<[UInt8], any Error>] {
            await withTaskGroup(of: Result<[UInt8], any Error>.self) { group in
                for _ in 0..<count {
                    group.addTask { [cache, key] in
                        do {
                            return .success(try await cache.value(for: key, tags: [], lifetime: .seconds(60), deadline: soon(), compute))
                        } catch {
                            return .failure(error)
                        }
                    }
                }
                try? await eventually("all but one wait") { cache.statistics.joined >= count - 1 }
                gate.open()
                return await group.reduce(into: []) { $0.append($1) }
            }
        }
        let failures = await ask(20) {
            computed.withLock { $0 += 1 }
            await gate.wait()
            throw ApusError(.databaseRejected, "no such column")
        }
        #expect(computed.withLock { $0 } == 1)
        #expect(failures.allSatisfy { if case .failure(let error as ApusError) = $0 { error.code == .databaseRejected } else { false } })

        gate.close()
        computed.withLock { $0 = 0 }
        let joined = cache.statistics.joined
        let values = await ask(20) {
            let isFirst = computed.withLock {
                $0 += 1; return $0 == 1
            }
            if isFirst {
                while cache.statistics.joined < joined + 19 { try await BootClock().sleep(for: .milliseconds(1)) }
                throw ApusError(.deadlineExceeded, "its own time")
            }
            return [42]
        }
        #expect(values.count { (try? $0.get()) == [42] } == 19 && computed.withLock { $0 } == 2)
        #expect(try await cache.value(for: key, tags: [], lifetime: .seconds(1), deadline: soon()) { [0] } == [42])
    }

    @Test("who waits for another one's computation is answered at its own deadline, and when it is cancelled")
    func patience() async throws {
        let (cache, gate) = (cache(), Gate())
        let first = Task { [cache, key] in
            try await cache.value(for: key, tags: [], lifetime: .seconds(60), deadline: soon()) {
                await gate.wait()
                return [1]
            }
        }
        try await eventually("it is computed") { gate.isAwaited }
        await #expect(throws: ApusError.self) {
            try await cache.value(for: key, tags: [], lifetime: .seconds(60), deadline: BootClock.now.advanced(by: .milliseconds(20))) {
                [2]
            }
        }
        let second = Task { [cache, key] in try await cache.value(for: key, tags: [], lifetime: .seconds(60), deadline: soon()) { [3] } }
        try await eventually("it waits") { cache.statistics.joined == 2 }
        second.cancel()
        await #expect(throws: CancellationError.self) { try await second.value }
        gate.open()
        #expect(try await first.value == [1])
    }
}

/// Lets nobody through until it is opened.
private final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiters: [CheckedContinuation<Void, Never>])>((false, []))

    var isAwaited: Bool { state.withLock { !$0.waiters.isEmpty } }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiters = state.withLock { state in
            defer { state = (true, []) }
            return state.waiters
        }
        waiters.forEach { $0.resume() }
    }

    func close() { state.withLock { $0.isOpen = false } }
}
