import ApusRuntime
import ApusStore
import ApusTypes
import Glibc
import PowerLossKit
import Synchronization
import Testing

@Suite("local copies")
struct CacheTests {
    @Test("a copy has the object's bytes, and the second fetch does not ask the store")
    func copies() async throws {
        let lab = try await StoreUnderTest.make(.directory)
        let store = CountingStore(lab.store)
        let cache = try await LocalCache.open(lab.scratch.path + "/cache", of: store, capacity: .mebibytes(50), deadline: soon)
        var random = SeededRandom(seed: 1)
        for size in [0, 1, 1 << 20, 3_000_000] {
            let bytes = random.bytes(size)
            let key = try await put(bytes, in: lab.store, &random)
            for _ in 0..<2 {
                let object = try await cache.fetch(key, deadline: soon)
                #expect(Array(object.bytes) == bytes)
                #expect(object.description.digest == Digest(of: bytes))
            }
        }
        #expect(store.streams.withLock { $0 } == 4)
    }

    @Test("many who want the same object at once cost one fetch")
    func singleFlight() async throws {
        let lab = try await StoreUnderTest.make(.directory)
        let store = CountingStore(lab.store)
        let cache = try await LocalCache.open(lab.scratch.path + "/cache", of: store, capacity: .mebibytes(50), deadline: soon)
        var random = SeededRandom(seed: 2)
        let bytes = random.bytes(5_000_000)
        let key = try await put(bytes, in: lab.store, &random)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    let object = try await cache.fetch(key, deadline: soon)
                    #expect(Array(object.bytes) == bytes)
                }
            }
            try await group.waitForAll()
        }
        #expect(store.streams.withLock { $0 } == 1)
    }

    @Test("what was used longest ago goes; what is mapped stays; a cache full of mapped objects says so")
    func bound() async throws {
        let lab = try await StoreUnderTest.make(.directory)
        let cache = try await LocalCache.open(lab.scratch.path + "/cache", of: lab.store, capacity: ByteCount(3_100_000), deadline: soon)
        var random = SeededRandom(seed: 3)
        var keys: [ObjectKey] = []
        for _ in 0..<5 { keys.append(try await put(random.bytes(1_000_000), in: lab.store, &random)) }
        let held = try await cache.fetch(keys[0], deadline: soon)
        for key in keys[1...3] { _ = try await cache.fetch(key, deadline: soon) }
        let cached = Set(files(under: lab.scratch.path + "/cache").compactMap { $0.split(separator: "/").last.map(String.init) })
        #expect(cached == Set([keys[0], keys[2], keys[3]].map(\.description)))
        #expect(cache.used <= ByteCount(3_100_000))

        let alsoHeld = [try await cache.fetch(keys[2], deadline: soon), try await cache.fetch(keys[3], deadline: soon)]
        #expect(await code { _ = try await cache.fetch(keys[4], deadline: soon) } == .cacheFull)
        _ = (held, alsoHeld)
    }

    @Test("a cache that filled up works again when mappings are let go")
    func letGo() async throws {
        let lab = try await StoreUnderTest.make(.directory)
        let cache = try await LocalCache.open(lab.scratch.path + "/cache", of: lab.store, capacity: ByteCount(1_100_000), deadline: soon)
        var random = SeededRandom(seed: 4)
        let first = try await put(random.bytes(1_000_000), in: lab.store, &random)
        let second = try await put(random.bytes(1_000_000), in: lab.store, &random)
        do {
            let held = try await cache.fetch(first, deadline: soon)
            #expect(await code { _ = try await cache.fetch(second, deadline: soon) } == .cacheFull)
            #expect(held.bytes.count == 1_000_000)
        }
        #expect(try await cache.fetch(second, deadline: soon).bytes.count == 1_000_000)
    }

    @Test("copies survive a restart, are verified before their first use, and are fetched again if they were damaged")
    func restart() async throws {
        let lab = try await StoreUnderTest.make(.directory)
        let path = lab.scratch.path + "/cache"
        var random = SeededRandom(seed: 5)
        let bytes = [random.bytes(2_000_000), random.bytes(2_000_000)]
        var keys: [ObjectKey] = []
        for bytes in bytes { keys.append(try await put(bytes, in: lab.store, &random)) }
        do {
            let cache = try await LocalCache.open(path, of: lab.store, capacity: .mebibytes(50), deadline: soon)
            for key in keys { _ = try await cache.fetch(key, deadline: soon) }
        }
        try StoreUnderTest.damage(file: path + "/\(keys[0])", .flip(bit: 12_345_678))
        let store = CountingStore(lab.store)
        let cache = try await LocalCache.open(path, of: store, capacity: .mebibytes(50), deadline: soon)
        for (key, bytes) in zip(keys, bytes) {
            let object = try await cache.fetch(key, deadline: soon)
            #expect(Array(object.bytes) == bytes)
        }
        #expect(store.streams.withLock { $0 } == 1)
    }

    @Test("a damaged object is not brought here, and an unknown one leaves nothing")
    func damaged() async throws {
        let lab = try await StoreUnderTest.make(.directory)
        let path = lab.scratch.path + "/cache"
        let cache = try await LocalCache.open(path, of: lab.store, capacity: .mebibytes(50), deadline: soon)
        var random = SeededRandom(seed: 6)
        let key = try await put(random.bytes(3_000_000), in: lab.store, &random)
        try await lab.damage(key, .flip(bit: 20_000_000))
        #expect(await code { _ = try await cache.fetch(key, deadline: soon) } == .objectCorrupt)
        #expect(await code { _ = try await cache.fetch(.random(using: &random), deadline: soon) } == .objectUnknown)
        #expect(files(under: path).isEmpty)
        #expect(cache.used == ByteCount(0))
    }

    @Test("a store on a local disk is its own cache, and verifies what it maps")
    func own() async throws {
        let lab = try await StoreUnderTest.make(.directory)
        var random = SeededRandom(seed: 7)
        let bytes = random.bytes(2_500_000)
        let key = try await put(bytes, in: lab.store, &random)
        let copies = try await lab.store.copies(cachedIn: lab.scratch.path + "/cache", capacity: .mebibytes(1), deadline: soon)
        #expect(copies is OwnCopies)
        let object = try await copies.fetch(key, deadline: soon)
        #expect(Array(object.bytes) == bytes)
        object.advise(.random)
        let damaged = try await put(bytes, in: lab.store, &random)
        try await lab.damage(damaged, .flip(bit: 99))
        #expect(await code { _ = try await copies.fetch(damaged, deadline: soon) } == .objectCorrupt)
    }
}

func put(_ bytes: [UInt8], in store: any ObjectStore, _ random: inout SeededRandom) async throws -> ObjectKey {
    let key = ObjectKey.random(using: &random)
    _ = try await store.put(key, deadline: soon, .bytes(bytes))
    return key
}

/// A store that counts how often it is streamed from.
final class CountingStore: ObjectStore {
    let store: any ObjectStore
    let streams = Mutex(0)

    init(_ store: any ObjectStore) { self.store = store }

    var place: String { store.place }
    func put(_ key: ObjectKey, deadline: Instant, _ body: ObjectSource) async throws -> ObjectDescription {
        try await store.put(key, deadline: deadline, body)
    }
    func read(_ key: ObjectKey, range: Range<Int>?, deadline: Instant) async throws -> [UInt8] {
        try await store.read(key, range: range, deadline: deadline)
    }
    func stream(_ key: ObjectKey, deadline: Instant) -> AsyncThrowingStream<[UInt8], any Error> {
        streams.withLock { $0 += 1 }
        return store.stream(key, deadline: deadline)
    }
    func list(deadline: Instant) -> AsyncThrowingStream<ListedObject, any Error> { store.list(deadline: deadline) }
    func delete(_ key: ObjectKey, deadline: Instant) async throws { try await store.delete(key, deadline: deadline) }
    func probe(deadline: Instant) async throws { try await store.probe(deadline: deadline) }
}
