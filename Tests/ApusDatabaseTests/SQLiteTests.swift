import ApusDatabase
import ApusRuntime
import ApusTypes
import Glibc
import Synchronization
import TestKit
import Testing

@Suite("SQLite")
struct SQLiteTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/catalog.db" }

    init() throws { directory = try TemporaryDirectory() }

    @Test("a second owner is refused by name while another process holds the file, and let in once that was killed")
    func secondOwnerIsRefused() async throws {
        try await use(try await SQLiteDatabase.open(path: path)) { (_: any Database) async throws in
            // The other way round: another program's lock on the same file is refused by ours.
            let other = try await flock("--nonblock")
            #expect(await other.wait() == .status(1))
            let second = await error { _ = try await SQLiteDatabase.open(path: path) }
            #expect(second?.code == .catalogOwned)
            #expect(second?.summary.contains("process \(getpid()) on ") == true)
        }
        let holder = try await flock("--wait=60")
        try await eventually("the other process holds the file") { await error { try await openAndClose() }?.code == .catalogOwned }
        #expect(await error { _ = try await SQLiteDatabase.open(path: path, mode: .readOnly) }?.code == .catalogOwned)
        holder.send(signal: SIGKILL)
        _ = await holder.wait()
        try await openAndClose()
    }

    /// A class that throws from its initialiser when all its properties are set is deinitialised, too.
    @Test("a refused second owner closes its own descriptor once, and nobody else's")
    func refusalClosesOnce() async throws {
        try await use(try await SQLiteDatabase.open(path: path)) { (_: any Database) async throws in
            let churn = Churn()
            let pool = BlockingPool(name: "descriptors", threads: 4, queueLimit: 4)
            let lost = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        try await pool.run { churn.run() }
                    }
                }
                for _ in 0..<500 {
                    #expect(await error { _ = try await SQLiteDatabase.open(path: path) }?.code == .catalogOwned)
                }
                churn.isDone.store(true, ordering: .relaxed)
                return try await group.reduce(0, +)
            }
            #expect(lost == 0)
        }
    }

    private final class Churn: Sendable {
        let isDone = Atomic(false)

        /// Opens and closes until done: how often somebody else had closed the descriptor in between.
        func run() -> Int {
            var lost = 0
            while !isDone.load(ordering: .relaxed) {
                if close(Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC)) != 0 { lost += 1 }
            }
            return lost
        }
    }

    @Test("a file opened read-only, and its directory, stay as they were to the last byte and timestamp")
    func readOnlyWritesNothing() async throws {
        try await use(try await SQLiteDatabase.open(path: path)) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint)"))
            try await database.write(Statement("INSERT INTO apus.t VALUES (7)"))
        }
        let before = try listing()
        try await use(try await SQLiteDatabase.open(path: path, mode: .readOnly)) { (database: any Database) async throws in
            #expect(try await database.read("SELECT n FROM apus.t")[0].integer(0) == 7)
            #expect(await code { try await database.write(Statement("INSERT INTO apus.t VALUES (8)")) } == .catalogReadOnly)
            #expect(
                await code { _ = try await database.run([Statement("DELETE FROM apus.t")], on: .duty, deadline: soon()) }
                    == .catalogReadOnly)
            #expect(try listing() == before)
        }
        #expect(try listing() == before)
    }

    @Test("a file that was not closed properly is not opened read-only")
    func readOnlyNeedsPreparedFile() async throws {
        try await use(try await SQLiteDatabase.open(path: path)) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint)"))
            let copy = directory.path + "/copy.db"
            for suffix in ["", "-wal"] { try copyFile(path + suffix, copy + suffix) }
            #expect(await error { _ = try await SQLiteDatabase.open(path: copy, mode: .readOnly) }?.code == .catalogReadOnly)
        }
    }

    @Test("a file that is no database, or is missing, is said to be so")
    func refusesForeignFiles() async throws {
        try write(Array(repeating: UInt8(ascii: "x"), count: 8192), to: path)
        let foreign = await error { _ = try await SQLiteDatabase.open(path: path) }
        #expect(foreign?.code == .catalogUnavailable)
        #expect(foreign?.summary.contains("no SQLite database") == true)
        #expect(
            await error { _ = try await SQLiteDatabase.open(path: directory.path + "/none", mode: .readOnly) }?.code == .catalogUnavailable)
        #expect(await error { _ = try await SQLiteDatabase.open(path: directory.path + "/none/none") }?.code == .catalogUnavailable)
    }

    @Test("what was committed is there after the file and its log are copied, as a crash would leave them")
    func survivesCrash() async throws {
        try await use(try await SQLiteDatabase.open(path: path)) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint)"))
            for n in 0..<10 { try await database.write(Statement("INSERT INTO apus.t VALUES ($1)", [.integer(Int64(n))])) }
            let copy = directory.path + "/crashed.db"
            for suffix in ["", "-wal"] { try copyFile(path + suffix, copy + suffix) }
            try await use(try await SQLiteDatabase.open(path: copy)) { (crashed: any Database) async throws in
                #expect(try await crashed.read("SELECT count(*) FROM apus.t")[0].integer(0) == 10)
            }
        }
    }

    @Test("the log does not grow for ever under a writer that never pauses, with readers beside it")
    func logStaysBounded() async throws {
        try await use(try await SQLiteDatabase.open(path: path)) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (b bytea)"))
            let blob = [UInt8](repeating: 7, count: 500_000)
            var largest = 0
            for _ in 0..<200 {  // 100 MB through a log of 8 MB between checkpoints
                try await database.write(Statement("INSERT INTO apus.t VALUES ($1)", [.blob(blob)]))
                _ = try await database.read("SELECT count(*) FROM apus.t")
                largest = max(largest, try size(path + "-wal"))
            }
            #expect(largest < 64 << 20)
        }
    }

    @Test("a full disk is a clear refusal, nothing half is visible, and writes go on when there is room")
    func fullDisk() async throws {
        try await use(try await SQLiteDatabase.open(path: path)) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (b bytea)"))
            _ = try await database.run([.once("PRAGMA apus.max_page_count=100")], on: .write, deadline: soon())
            let blob = [UInt8](repeating: 7, count: 1_000_000)
            let full = await code { try await database.write(Statement("INSERT INTO apus.t VALUES ($1)", [.blob(blob)])) }
            #expect(full == .catalogFull)
            #expect(try await database.read("SELECT count(*) FROM apus.t")[0].integer(0) == 0)
            _ = try await database.run([.once("PRAGMA apus.max_page_count=100000")], on: .write, deadline: soon())
            try await database.write(Statement("INSERT INTO apus.t VALUES ($1)", [.blob(blob)]))
        }
    }

    // MARK: Parts

    private func openAndClose() async throws { await (try SQLiteDatabase.open(path: path)).close() }

    private func error(_ body: () async throws -> Void) async -> ApusError? {
        do { try await body() } catch { return error as? ApusError }
        return nil
    }

    /// A process that takes the owner's lock and keeps it, or ends with status 1.
    private func flock(_ waiting: String) async throws -> ChildProcess {
        try await ChildProcess.start(
            .init("/usr/bin/flock", ["--no-fork", waiting, path + "-owner", "/bin/sleep", "600"]), on: TestLoops.shared.first)
    }

    /// Names, sizes and times of modification and change.
    private func listing() throws -> [String] {
        try ([""] + TemporaryDirectory.entries(directory.path)).map { name in
            var info = stat()
            guard stat(directory.path + "/" + name, &info) == 0 else { throw TestKitError("no \(name)") }
            return "\(name) \(info.st_size) \(info.st_mtim.tv_sec).\(info.st_mtim.tv_nsec) \(info.st_ctim.tv_sec).\(info.st_ctim.tv_nsec)"
        }
    }

    private func size(_ path: String) throws -> Int {
        var info = stat()
        guard stat(path, &info) == 0 else { throw TestKitError("no \(path)") }
        return info.st_size
    }

    private func copyFile(_ source: String, _ target: String) throws {
        let descriptor = Glibc.open(source, O_RDONLY)
        guard descriptor >= 0 else { throw TestKitError("no \(source)") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: try size(source))
        guard read(descriptor, &bytes, bytes.count) == bytes.count else { throw TestKitError("short read of \(source)") }
        try write(bytes, to: target)
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        defer { close(descriptor) }
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw TestKitError("cannot write \(path)")
        }
    }
}
