import ApusRuntime
import ApusStore
import ApusTypes
import Glibc
import PowerLossKit
import Testing

@Suite("directory store")
struct DirectoryStoreTests {
    @Test("a directory is made a store once, and only an empty one is")
    func initialise() async throws {
        let scratch = Scratch()
        let path = scratch.path + "/store"
        #expect(await code { _ = try await DirectoryStore.open(path, cluster: "c", deadline: soon) } == .storeUnavailable)
        mkdirs(path)
        #expect(await code { _ = try await DirectoryStore.open(path, cluster: "c", deadline: soon) } == .storeUnavailable)
        #expect(files(under: path).isEmpty)
        mkdirs(path + "/lost+found")
        let identity = try await DirectoryStore.initialise(path, cluster: "c", store: "s", deadline: soon)
        #expect(identity == StoreIdentity(cluster: "c", store: "s"))
        #expect(await code { _ = try await DirectoryStore.initialise(path, cluster: "c", store: "t", deadline: soon) } == .storeForeign)
        let store = try await DirectoryStore.open(path, cluster: "c", expecting: "s", deadline: soon)
        #expect(store.identity == identity)
        #expect(store.isLocal)

        let other = scratch.path + "/full"
        mkdirs(other)
        mkdirs(other + "/something")
        #expect(await code { _ = try await DirectoryStore.initialise(other, cluster: "c", store: "s", deadline: soon) } == .storeForeign)
        #expect(await code { _ = try await DirectoryStore.open(other, cluster: "c", deadline: soon) } == .storeForeign)
    }

    @Test("another cluster's store, and another store of this cluster, are refused")
    func foreign() async throws {
        let scratch = Scratch()
        let path = scratch.path + "/store"
        _ = try await DirectoryStore.initialise(path, cluster: "c", store: "s", deadline: soon)
        #expect(await code { _ = try await DirectoryStore.open(path, cluster: "d", deadline: soon) } == .storeForeign)
        #expect(await code { _ = try await DirectoryStore.open(path, cluster: "c", expecting: "t", deadline: soon) } == .storeForeign)
    }

    @Test("an identity file that was damaged or cut anywhere is refused")
    func damagedIdentity() async throws {
        let scratch = Scratch()
        let path = scratch.path + "/store"
        _ = try await DirectoryStore.initialise(path, cluster: "0123abcd", store: "4567cdef", deadline: soon)
        let file = path + "/apus-store"
        let bits = UInt64(
            files(under: path).map { name in
                var about = stat()
                stat(name, &about)
                return about.st_size
            }[0] * 8)
        var random = SeededRandom(seed: 1)
        for _ in 0..<100 {
            let bit = UInt64.random(in: 0..<bits, using: &random)
            try StoreUnderTest.damage(file: file, .flip(bit: bit))
            // The last bit that may differ is that of the final line's end.
            let found = await code { _ = try await DirectoryStore.open(path, cluster: "0123abcd", expecting: "4567cdef", deadline: soon) }
            if bit < bits - 8 { #expect(found == .storeForeign, "bit \(bit)") }
            try StoreUnderTest.damage(file: file, .flip(bit: bit))
        }
        try StoreUnderTest.damage(file: file, .truncate(thousandths: 700))
        #expect(await code { _ = try await DirectoryStore.open(path, cluster: "0123abcd", deadline: soon) } == .storeForeign)
    }

    @Test("the file of an object is what docs/store-format.md says")
    func format() async throws {
        let lab = try await StoreUnderTest.make(.directory)
        let key = try #require(ObjectKey("0123456789abcdef0011223344556677"))
        _ = try await lab.store.put(key, deadline: soon, .bytes(Array("apus".utf8)))
        let path = lab.scratch.path + "/store/objects/0/1/0123456789abcdef0011223344556677"
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1000)
        let count = read(descriptor, &bytes, 1000)
        #expect(count == 4 + 8 + 80)
        #expect(
            hexadecimal(bytes[..<count])
                == "61707573" + "c211bdb2445ff125" + "0000100000000000" + "0400000000000000" + "efcdab8967452301" + "7766554433221100"
                + Digest(of: "apus").description + "61e953cd140cdda4" + hexadecimal("APUSOBJ1".utf8))
    }

    @Test("leftovers of puts that died go when they are old, those of others later; what may still be written stays")
    func leftovers() async throws {
        let scratch = Scratch()
        let path = scratch.path + "/store"
        _ = try await DirectoryStore.initialise(path, cluster: "c", store: "s", deadline: soon)
        for directory in ["/objects", "/objects/a", "/objects/a/b"] { mkdirs(path + directory) }
        let ages: [(name: String, seconds: Int, stays: Bool)] = [
            (".tmp.n1.1", 10, true), (".tmp.n1.2", 700, false), (".tmp.n2.3", 700, true), (".tmp.n2.4", 90_000, false),
        ]
        for (name, seconds, _) in ages {
            let file = path + "/objects/a/b/" + name
            close(open(file, O_CREAT | O_WRONLY, 0o600))
            let then = timespec(tv_sec: time(nil) - seconds, tv_nsec: 0)
            #expect(utimensat(AT_FDCWD, file, [then, then], 0) == 0)
        }
        try await DirectoryStore.open(path, cluster: "c", options: .init(writer: "n1"), deadline: soon).removeLeftovers(deadline: soon)
        let left = files(under: path + "/objects").map { String($0.split(separator: "/").last ?? "") }
        #expect(Set(left) == Set(ages.filter(\.stays).map(\.name)))
    }

    @Test("a put that is cancelled leaves nothing")
    func cancelled() async throws {
        let lab = try await StoreUnderTest.make(.directory)
        let key = ObjectKey(high: 1, low: 2)
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        let put = Task {
            try await lab.store.put(
                key, deadline: soon,
                .chunks {
                    start.yield()
                    try await Task.sleep(for: .seconds(60))  // ends when the task is cancelled
                    return nil
                })
        }
        for await _ in started { break }
        put.cancel()
        await #expect(throws: CancellationError.self) { _ = try await put.value }
        #expect(files(under: lab.scratch.path).count == 1, "only the identity")
    }
}

@Suite("catalog store")
struct CatalogStoreTests {
    @Test("the limit is kept: beyond it the store is full, and deleting makes room", arguments: StoreKind.databases)
    func limit(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        let database = try #require(lab.database)
        let store = CatalogStore(database: database, maxBytes: ByteCount(3_000_000))
        var random = SeededRandom(seed: 1)
        let first = try await put(random.bytes(900_000), in: store, &random)
        _ = try await put(random.bytes(2_000_000), in: store, &random)
        #expect(await code { _ = try await put(random.bytes(900_000), in: store, &random) } == .storeFull)
        #expect(await code { _ = try await put(random.bytes(5_000_000), in: store, &random) } == .storeFull)
        #expect(try await listed(store).count == 2)
        try await store.delete(first, deadline: soon)
        _ = try await put(random.bytes(900_000), in: store, &random)
        #expect(try await store.used(deadline: soon) == ByteCount(2_900_000))
        await lab.end()
    }

    @Test("a large object that is collected while it is written is not finished", arguments: StoreKind.databases)
    func overtaken(kind: StoreKind) async throws {
        let lab = try await StoreUnderTest.make(kind)
        var random = SeededRandom(seed: 2)
        let key = ObjectKey.random(using: &random)
        let bytes = random.bytes(1_500_000)
        let pieces = Pieces(4)
        let outcome = await code {
            _ = try await lab.store.put(
                key, deadline: soon,
                .chunks {
                    guard let number = await pieces.next() else { return nil }
                    if number == 2 { try await lab.store.delete(key, deadline: soon) }
                    return bytes
                })
        }
        #expect(outcome == .intentLost)
        #expect(try await listed(lab.store).isEmpty)
        await lab.end()
    }
}

private actor Pieces {
    private var left: Range<Int>
    init(_ count: Int) { left = 0..<count }

    func next() -> Int? { left.popFirst() }
}
