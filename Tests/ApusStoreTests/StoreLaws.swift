import ApusRuntime
import ApusStore
import ApusTypes
import PowerLossKit
import Synchronization
import Testing

/// What every store keeps to, whatever it is made of.
@Suite("store laws")
struct StoreLaws {
    static let block = 1 << 20

    @Test("an object is read as it was put, whatever its size", arguments: StoreKind.allCases)
    func roundTrip(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        var random = SeededRandom(seed: 1)
        for size in [0, 1, 4095, Self.block - 1, Self.block, Self.block + 1, 5_000_000] {
            let bytes = random.bytes(size)
            for source in [ObjectSource.bytes(bytes), pieces(of: bytes, random: SeededRandom(seed: UInt64(size)))] {
                let key = ObjectKey.random(using: &random)
                let description = try await lab.store.put(key, deadline: soon, source)
                #expect(description == ObjectDescription(size: ByteCount(size), digest: Digest(of: bytes)))
                #expect(try await lab.store.read(key, range: nil, deadline: soon) == bytes)
                #expect(try await collect(lab.store.stream(key, deadline: soon)) == bytes)
            }
        }
        await lab.end()
    }

    @Test("a range gives its bytes, and one beyond the end is refused", arguments: StoreKind.allCases)
    func ranges(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        var random = SeededRandom(seed: 2)
        let bytes = random.bytes(3 * Self.block + 17)
        let key = ObjectKey.random(using: &random)
        _ = try await lab.store.put(key, deadline: soon, .bytes(bytes))
        for _ in 0..<50 {
            let ends = [Int.random(in: 0...bytes.count, using: &random), Int.random(in: 0...bytes.count, using: &random)].sorted()
            #expect(try await lab.store.read(key, range: ends[0]..<ends[1], deadline: soon) == Array(bytes[ends[0]..<ends[1]]))
        }
        #expect(await code { _ = try await lab.store.read(key, range: 0..<bytes.count + 1, deadline: soon) } == .requestInvalid)
        await lab.end()
    }

    @Test("what was never put, or was deleted, is unknown; deleting it again is not an error", arguments: StoreKind.allCases)
    func unknown(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        var random = SeededRandom(seed: 3)
        let key = ObjectKey.random(using: &random)
        #expect(await code { _ = try await lab.store.read(key, range: nil, deadline: soon) } == .objectUnknown)
        #expect(await code { _ = try await collect(lab.store.stream(key, deadline: soon)) } == .objectUnknown)
        _ = try await lab.store.put(key, deadline: soon, .bytes([1, 2, 3]))
        for _ in 0..<2 {
            try await lab.store.delete(key, deadline: soon)
            #expect(await code { _ = try await lab.store.read(key, range: nil, deadline: soon) } == .objectUnknown)
        }
        await lab.end()
    }

    @Test("a key is put once; the second put is refused and changes nothing", arguments: StoreKind.allCases)
    func once(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        var random = SeededRandom(seed: 4)
        for size in [10, 2 * Self.block] {
            let key = ObjectKey.random(using: &random)
            let first = random.bytes(size)
            _ = try await lab.store.put(key, deadline: soon, .bytes(first))
            for second in [random.bytes(10), random.bytes(2 * Self.block)] {
                #expect(await code { _ = try await lab.store.put(key, deadline: soon, .bytes(second)) } == .objectExists)
            }
            #expect(try await lab.store.read(key, range: nil, deadline: soon) == first)
        }
        await lab.end()
    }

    @Test("a put whose source fails in the middle leaves nothing", arguments: StoreKind.allCases)
    func partial(kind: StoreKind) async throws {
        struct SourceFailed: Error {}
        let lab = try await StoreUnderTest.make(kind)
        var random = SeededRandom(seed: 5)
        let piece = random.bytes(700_000)
        let key = ObjectKey.random(using: &random)
        let given = Mutex(0)
        await #expect(throws: SourceFailed.self) {
            _ = try await lab.store.put(
                key, deadline: soon,
                .chunks {
                    let count = given.withLock { count in
                        count += 1
                        return count
                    }
                    if count > 5 { throw SourceFailed() }
                    return piece
                })
        }
        #expect(await code { _ = try await lab.store.read(key, range: nil, deadline: soon) } == .objectUnknown)
        #expect(try await listed(lab.store).isEmpty)
        if kind == .directory { #expect(files(under: lab.scratch.path).map { $0.split(separator: "/").last } == ["apus-store"]) }
        await lab.end()
    }

    @Test("an object is not there before its put has returned", arguments: StoreKind.allCases)
    func atomic(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        var random = SeededRandom(seed: 6)
        let key = ObjectKey.random(using: &random)
        let piece = random.bytes(Self.block)
        let given = Mutex(0)
        _ = try await lab.store.put(
            key, deadline: soon,
            .chunks {
                #expect(await code { _ = try await lab.store.read(key, range: nil, deadline: soon) } == .objectUnknown)
                return given.withLock { count in
                    count += 1
                    return count <= 3 ? piece : nil
                }
            })
        #expect(try await lab.store.read(key, range: nil, deadline: soon).count == 3 * Self.block)
        await lab.end()
    }

    @Test("puts and reads at the same time do not disturb each other, and the list is complete", arguments: StoreKind.allCases)
    func concurrent(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        let keys = try await withThrowingTaskGroup(of: [ObjectKey].self) { group in
            for writer in 0..<8 {
                group.addTask {
                    var random = SeededRandom(seed: UInt64(100 + writer))
                    var keys: [ObjectKey] = []
                    for _ in 0..<12 {
                        let bytes = random.bytes(Int.random(in: 0...300_000, using: &random))
                        let key = ObjectKey.random(using: &random)
                        _ = try await lab.store.put(key, deadline: soon, .bytes(bytes))
                        #expect(try await lab.store.read(key, range: nil, deadline: soon) == bytes)
                        keys.append(key)
                    }
                    return keys
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(try await Set(listed(lab.store).map(\.key)) == Set(keys))
        for key in keys.prefix(40) { try await lab.store.delete(key, deadline: soon) }
        #expect(try await Set(listed(lab.store).map(\.key)) == Set(keys.dropFirst(40)))
        #expect(try await listed(lab.store).allSatisfy { $0.age >= .zero && $0.age < .seconds(60) })
        await lab.end()
    }

    @Test("a flipped bit is found by reading and by streaming, wherever it is", arguments: StoreKind.allCases)
    func flipped(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        var random = SeededRandom(seed: 7)
        // Small, so that many of the 200 bits hit what is kept beside the bytes as well.
        let bytes = random.bytes(Self.block + 300)
        let small = random.bytes(100)
        for round in 0..<200 {
            let bytes = round % 2 == 0 ? bytes : small
            let key = ObjectKey.random(using: &random)
            _ = try await lab.store.put(key, deadline: soon, .bytes(bytes))
            try await lab.damage(key, .flip(bit: random.next()))
            let streaming = await code { _ = try await collect(lab.store.stream(key, deadline: soon)) }
            #expect(streaming == .objectCorrupt || streaming == .objectUnsupported, "round \(round)")
            if kind == .directory {
                // A read checks no digest of the whole object (the catalog's row of a digest may rot alone), but all that it reads.
                let reading = await code { _ = try await lab.store.read(key, range: nil, deadline: soon) }
                #expect(reading == .objectCorrupt || reading == .objectUnsupported, "round \(round)")
            }
            try await lab.store.delete(key, deadline: soon)
        }
        await lab.end()
    }

    @Test("an object that was cut is found", arguments: StoreKind.allCases)
    func truncated(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        var random = SeededRandom(seed: 8)
        let bytes = random.bytes(2 * Self.block + 5)
        for thousandths in [0, 1, 333, 500, 999] {
            let key = ObjectKey.random(using: &random)
            _ = try await lab.store.put(key, deadline: soon, .bytes(bytes))
            try await lab.damage(key, .truncate(thousandths: thousandths))
            #expect(await code { _ = try await lab.store.read(key, range: nil, deadline: soon) } == .objectCorrupt)
            #expect(await code { _ = try await collect(lab.store.stream(key, deadline: soon)) } == .objectCorrupt)
        }
        await lab.end()
    }

    @Test("a store that works says so", arguments: StoreKind.allCases)
    func probe(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        try await lab.store.probe(deadline: soon)
        #expect(try await listed(lab.store).isEmpty)
        await lab.end()
    }
}

func collect(_ stream: AsyncThrowingStream<[UInt8], any Error>) async throws -> [UInt8] {
    try await stream.reduce(into: []) { bytes, block in
        #expect(block.count <= 1 << 20)
        bytes += block
    }
}

func listed(_ store: any ObjectStore) async throws -> [ListedObject] {
    try await store.list(deadline: soon).reduce(into: []) { $0.append($1) }
}

/// The bytes in pieces of random sizes, some of them empty.
func pieces(of bytes: [UInt8], random: SeededRandom) -> ObjectSource {
    let state = Mutex((rest: bytes[...], random: random))
    return .chunks {
        state.withLock { state in
            guard !state.rest.isEmpty else { return nil }
            let count = Int.random(in: 0...400_000, using: &state.random)
            defer { state.rest = state.rest.dropFirst(count) }
            return Array(state.rest.prefix(count))
        }
    }
}
