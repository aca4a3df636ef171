import ApusRuntime
import ApusStore
import ApusTypes
import Glibc
import PowerLossKit

/// What happens to a store when its file system fills up, turns read-only, goes away or hangs. Needs a mount namespace of its own.
struct MountScenarios {
    let path: String
    private static let cluster: ClusterID = "c"
    private static var soon: Instant { BootClock.now.advanced(by: .seconds(30)) }

    func full() async throws {
        try mountMemory(size: "2m")
        let store = try await newStore()
        var random = SeededRandom(seed: 1)
        let bytes = random.bytes(300_000)
        var keys: [ObjectKey] = []
        var refusal: ErrorCode?
        while refusal == nil, keys.count < 100 {
            let key = ObjectKey.random(using: &random)
            refusal = await code { _ = try await store.put(key, deadline: Self.soon, .bytes(bytes)) }
            if refusal == nil { keys.append(key) }
        }
        print("fits some:", (3...6).contains(keys.count), "then:", refusal?.rawValue ?? "-")
        print("streamed:", await outcome { _ = try await store.put(.random(using: &random), deadline: Self.soon, chunks(of: bytes)) })
        print("nothing half visible:", try await listed(store) == Set(keys), "temporary files:", try temporaryFiles())
        for key in keys where try await store.read(key, range: nil, deadline: Self.soon) != bytes { print("damaged \(key)") }
        print("probe:", await outcome { try await store.probe(deadline: Self.soon) })
        print("delete:", await outcome { try await store.delete(keys.removeLast(), deadline: Self.soon) })
        let again = ObjectKey.random(using: &random)
        print("put after delete:", await outcome { _ = try await store.put(again, deadline: Self.soon, .bytes(bytes)) })
        keys.append(again)
        print("all there:", try await listed(store) == Set(keys))

        let careful = try await DirectoryStore.open(
            path, cluster: Self.cluster, expecting: "s", options: .init(reserve: .mebibytes(1)), deadline: Self.soon)
        print("reserve:", await outcome { _ = try await careful.put(.random(using: &random), deadline: Self.soon, .bytes([1])) })
        print("reserve, probe:", await outcome { try await careful.probe(deadline: Self.soon) })
        print("reserve, delete:", await outcome { for key in keys { try await careful.delete(key, deadline: Self.soon) } })
        print("reserve, put:", await outcome { _ = try await careful.put(.random(using: &random), deadline: Self.soon, .bytes([1])) })
    }

    func readOnly() async throws {
        try mountMemory(size: "4m")
        let store = try await newStore()
        var random = SeededRandom(seed: 2)
        let key = ObjectKey.random(using: &random)
        _ = try await store.put(key, deadline: Self.soon, .bytes([1, 2, 3]))
        try check(mount(nil, path, nil, UInt(MS_REMOUNT | MS_RDONLY), nil))
        print("put:", await outcome { _ = try await store.put(.random(using: &random), deadline: Self.soon, .bytes([1])) })
        print("probe:", await outcome { try await store.probe(deadline: Self.soon) })
        print("delete:", await outcome { try await store.delete(key, deadline: Self.soon) })
        print("read:", try await store.read(key, range: nil, deadline: Self.soon), "list:", try await listed(store) == [key])
        let reopened = await outcome { _ = try await DirectoryStore.open(path, cluster: Self.cluster, expecting: "s", deadline: Self.soon) }
        print("open:", reopened)
        try check(mount(nil, path, nil, UInt(MS_REMOUNT), nil))
        print("writable again:", await outcome { _ = try await store.put(.random(using: &random), deadline: Self.soon, .bytes([1])) })
    }

    func away() async throws {
        try mountMemory(size: "4m")
        let store = try await newStore()
        var random = SeededRandom(seed: 3)
        let key = ObjectKey.random(using: &random)
        _ = try await store.put(key, deadline: Self.soon, .bytes([1, 2, 3]))
        try check(mount("away", path + "-elsewhere", "none", UInt(MS_MOVE), nil, from: path))
        print("put:", await outcome { _ = try await store.put(.random(using: &random), deadline: Self.soon, .bytes([1])) })
        print("read:", await outcome { _ = try await store.read(key, range: nil, deadline: Self.soon) })
        print("probe:", await outcome { try await store.probe(deadline: Self.soon) })
        print("list:", await outcome { _ = try await listed(store) })
        print(
            "open:", await outcome { _ = try await DirectoryStore.open(path, cluster: Self.cluster, expecting: "s", deadline: Self.soon) })
        print("bare mount point:", try entries(path))

        try mountMemory(size: "4m")
        _ = try await DirectoryStore.initialise(path, cluster: "other", store: "t", deadline: Self.soon)
        print("foreign put:", await outcome { _ = try await store.put(.random(using: &random), deadline: Self.soon, .bytes([1])) })
        print("foreign open:", await outcome { _ = try await DirectoryStore.open(path, cluster: Self.cluster, deadline: Self.soon) })
        print("foreign mount:", try entries(path))
        try check(umount(path))
        try check(mount("back", path, "none", UInt(MS_MOVE), nil, from: path + "-elsewhere"))
        print("back:", try await store.read(key, range: nil, deadline: Self.soon))
    }

    func hung() async throws {
        try mountMemory(size: "4m")
        let store = try await newStore()
        var random = SeededRandom(seed: 4)
        let key = ObjectKey.random(using: &random)
        _ = try await store.put(key, deadline: Self.soon, .bytes([1, 2, 3]))

        // A FUSE file system whose server never answers: every call on it waits, as on a dead NFS server.
        let server = open("/dev/fuse", O_RDWR | O_CLOEXEC)
        try check(server)
        try check(mount("hung", path, "fuse", 0, "fd=\(server),rootmode=40000,user_id=0,group_id=0"))
        let before = BootClock.now
        print("probe:", await outcome { try await store.probe(deadline: Self.soon) })
        print("in less than 5 s:", before.duration(to: BootClock.now) < .seconds(5))
        let briefly = BootClock.now.advanced(by: .milliseconds(500))
        let codes = await withTaskGroup(of: String.self) { group in
            for _ in 0..<30 { group.addTask { await outcome { _ = try await store.read(key, range: nil, deadline: briefly) } } }
            return await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        print("30 reads:", codes.sorted())
        print("threads taken are bounded:", try entries("/proc/self/task").count < 30)
        let other = path + "-other"
        _ = try await DirectoryStore.initialise(other, cluster: Self.cluster, store: "o", deadline: Self.soon)
        print(
            "another store works:",
            await outcome {
                _ = try await DirectoryStore.open(other, cluster: Self.cluster, deadline: Self.soon).probe(deadline: Self.soon)
            })

        try check(umount2(path, Int32(MNT_DETACH)))
        close(server)
        print("healed:", try await store.read(key, range: nil, deadline: Self.soon))
        print("probe:", await outcome { try await store.probe(deadline: Self.soon) })
    }

    // MARK: Pieces

    private func newStore() async throws -> DirectoryStore {
        _ = try await DirectoryStore.initialise(path, cluster: Self.cluster, store: "s", deadline: Self.soon)
        return try await DirectoryStore.open(
            path, cluster: Self.cluster, expecting: "s", options: .init(reserve: ByteCount(0)), deadline: Self.soon)
    }

    private func mountMemory(size: String) throws { try check(mount("lab", path, "tmpfs", 0, "size=\(size)")) }

    private func temporaryFiles() throws -> Int {
        func count(_ directory: String) throws -> Int {
            try entries(directory).reduce(0) { sum, name in
                var about = stat()
                lstat(directory + "/" + name, &about)
                let isDirectory = about.st_mode & S_IFMT == S_IFDIR
                return sum + (isDirectory ? try count(directory + "/" + name) : name.hasPrefix(".tmp") ? 1 : 0)
            }
        }
        return try count(path)
    }

    private func entries(_ directory: String) throws -> [String] {
        guard let stream = opendir(directory) else { throw ApusError(.inputUnreadable, "cannot list \(directory)") }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }

    private func listed(_ store: DirectoryStore) async throws -> Set<ObjectKey> {
        try await store.list(deadline: Self.soon).reduce(into: []) { $0.insert($1.key) }
    }

    private func chunks(of bytes: [UInt8]) -> ObjectSource {
        let rest = Rest(bytes)
        return .chunks { await rest.next() }
    }

    private func code(_ body: () async throws -> Void) async -> ErrorCode? {
        do {
            try await body()
            return nil
        } catch { return (error as? ApusError)?.code ?? ErrorCode(rawValue: "\(error)") }
    }

    private func outcome(_ body: () async throws -> Void) async -> String { await code(body)?.rawValue ?? "ok" }

    @discardableResult
    private func check(_ result: Int32) throws -> Int32 {
        if result < 0 { throw ApusError(.internalError, "the scenario cannot be set up: \(String(cString: strerror(errno)))") }
        return result
    }

    private func mount(_ source: String?, _ target: String, _ kind: String?, _ flags: UInt, _ data: String?, from: String? = nil) -> Int32 {
        if from != nil { mkdir(target, 0o755) }
        return Glibc.mount(from ?? source, target, kind, flags, data)
    }
}

private actor Rest {
    private var bytes: ArraySlice<UInt8>
    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    func next() -> [UInt8]? {
        guard !bytes.isEmpty else { return nil }
        defer { bytes = bytes.dropFirst(50_000) }
        return Array(bytes.prefix(50_000))
    }
}
