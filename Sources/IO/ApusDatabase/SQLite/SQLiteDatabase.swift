internal import ApusRuntime
public import ApusTypes
internal import CSQLite
internal import Glibc
internal import Synchronization

/// A catalog in one file, for one machine: WAL mode, `synchronous=FULL`, one writer thread, a few readers.
///
/// One process owns the writer, and a second is refused (`catalog.owned`). A file opened read-only is not touched at all: it must
/// have been closed properly, and nothing is written beside it.
public final class SQLiteDatabase: Database {
    public enum Mode: Sendable, Hashable {
        case readWrite, readOnly
        /// A file that is somebody else's: it must be there, other programs may write it too, and its journal stays as it is.
        case shared, sharedReadOnly
    }

    /// Threads that read. Reads of a catalog are short; more would only compete for the same two or four cores.
    static let readers = 3
    /// Calls that may wait for the writer, and for a reader.
    static let queueLimit = 4096
    /// Pages of 4 KB in the log after which it is copied into the file.
    static let checkpointPages = 2000

    public let dialect = SQLDialect.sqlite
    private let owner: Mutex<SQLiteOwner?>
    private let writer: SQLiteThread?
    private let writerGate: Gate
    private let readers: [SQLiteThread]
    private let readerGate: Gate
    private let freeReaders: Mutex<[SQLiteThread]>
    private let checkpoints: SQLiteCheckpoints?
    private let failures = Failures()
    private let hub = NotificationHub()

    static let closed = ApusError(.catalogUnavailable, "the catalog is closed")

    /// Opens the file, or creates it. Throws `catalog.owned` if another process, or another `SQLiteDatabase`, writes it.
    public static func open(path: String, mode: Mode = .readWrite) async throws -> SQLiteDatabase {
        switch mode {
        case .readWrite: try await openForWriting(path)
        case .readOnly: try await openForReading(path)
        case .shared: try await openShared(path, isReadOnly: false)
        case .sharedReadOnly: try await openShared(path, isReadOnly: true)
        }
    }

    private init(owner: SQLiteOwner?, writer: SQLiteThread?, readers: [SQLiteThread], checkpoints: SQLiteCheckpoints?) {
        self.owner = Mutex(owner)
        self.writer = writer
        self.readers = readers
        self.checkpoints = checkpoints
        writerGate = Gate(units: 1, limit: Self.queueLimit)
        readerGate = Gate(units: readers.count, limit: Self.queueLimit)
        freeReaders = Mutex(readers)
    }

    private static func openForWriting(_ path: String) async throws -> SQLiteDatabase {
        let (owner, isNew) = try await onThread {
            let owner = try SQLiteOwner(database: path)
            return (owner, access(path, F_OK) != 0)
        }
        let checkpoints = SQLiteCheckpoints()
        let writer = try await SQLiteThread.start(name: "apus-sql-write") {
            let connection = try SQLiteConnection(
                path: path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, functions: SQLiteFunction.all)
            // EXCLUSIVE would keep our own readers out; the owner's lock keeps other writers out.
            let journal = try connection.run(.once("PRAGMA journal_mode=WAL"))
            guard try journal[0].text(0) == "wal" else {
                throw ApusError(
                    .catalogUnavailable, "the catalog file cannot have a write-ahead log",
                    hint: "put it on a local file system", context: ["path": path])
            }
            for setting in Self.writerSettings { try connection.run(.once(setting)) }
            if isNew { try synchroniseDirectory(of: path) }
            connection.onCommit { pages in checkpoints.committed(pages: pages) }
            return connection
        }
        var readers: [SQLiteThread] = []
        for number in 0..<Self.readers {
            readers.append(
                try await SQLiteThread.start(name: "apus-sql-read\(number)") {
                    let connection = try SQLiteConnection(path: path, flags: SQLITE_OPEN_READWRITE, functions: SQLiteFunction.all)
                    for setting in Self.readerSettings { try connection.run(.once(setting)) }
                    return connection
                })
        }
        let copier = try await SQLiteThread.start(name: "apus-sql-copy") {
            let connection = try SQLiteConnection(path: path, flags: SQLITE_OPEN_READWRITE, functions: [])
            for setting in Self.writerSettings { try connection.run(.once(setting)) }
            return connection
        }
        let database = SQLiteDatabase(owner: owner, writer: writer, readers: readers, checkpoints: checkpoints)
        checkpoints.start(copier: copier, writer: writer)
        return database
    }

    private static func openForReading(_ path: String) async throws -> SQLiteDatabase {
        try await onThread {
            try SQLiteOwner.checkUnowned(database: path)
            var log = stat()
            if stat(path + "-wal", &log) == 0, log.st_size > 0 {
                throw ApusError(
                    .catalogReadOnly, "the catalog file was not closed properly, so it cannot be read without writing to it",
                    hint: "start and stop a node on it once, then open it read-only", context: ["path": path])
            }
        }
        let uri = "file:" + percentEncoded(path) + "?mode=ro&immutable=1"
        var readers: [SQLiteThread] = []
        for number in 0..<Self.readers {
            readers.append(
                try await SQLiteThread.start(name: "apus-sql-read\(number)") {
                    let connection = try SQLiteConnection(
                        path: uri, flags: SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, functions: SQLiteFunction.all)
                    for setting in Self.readerSettings { try connection.run(.once(setting)) }
                    try connection.run(.once("SELECT count(*) FROM sqlite_schema"))  // finds out whether it is a database
                    return connection
                })
        }
        return SQLiteDatabase(owner: nil, writer: nil, readers: readers, checkpoints: nil)
    }

    private static func openShared(_ path: String, isReadOnly: Bool) async throws -> SQLiteDatabase {
        func start(_ name: String, _ settings: [StaticSQL]) async throws -> SQLiteThread {
            try await SQLiteThread.start(name: name) {
                let connection = try SQLiteConnection(
                    path: path, flags: isReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE, functions: [], namesMain: false)
                for setting in settings { try connection.run(.once(setting)) }
                try connection.run(.once("SELECT count(*) FROM sqlite_schema"))  // finds out whether it is a database
                return connection
            }
        }
        let writer = isReadOnly ? nil : try await start("apus-sql-write", sharedSettings)
        var readers: [SQLiteThread] = []
        for number in 0..<Self.readers { readers.append(try await start("apus-sql-read\(number)", readerSettings)) }
        return SQLiteDatabase(owner: nil, writer: writer, readers: readers, checkpoints: nil)
    }

    private static let sharedSettings: [StaticSQL] = [
        "PRAGMA foreign_keys=ON", "PRAGMA busy_timeout=2000", "PRAGMA temp_store=MEMORY",
    ]
    private static let writerSettings: [StaticSQL] = [
        "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON", "PRAGMA wal_autocheckpoint=0", "PRAGMA busy_timeout=2000",
        "PRAGMA temp_store=MEMORY", "PRAGMA cache_size=-16384",
    ]
    private static let readerSettings: [StaticSQL] = [
        "PRAGMA query_only=ON", "PRAGMA busy_timeout=2000", "PRAGMA temp_store=MEMORY", "PRAGMA cache_size=-8192",
    ]

    // MARK: Database

    public func run(_ statements: [Statement], on lane: Lane, deadline: Instant) async throws -> [Rows] {
        if lane == .read {
            let (reader, giveBack) = try await takeReader(deadline)
            defer { reader.add { _ in giveBack() } }  // behind a job that outlived its caller
            return try await reader.perform(deadline: deadline) { connection, _ in try Self.runEach(statements, connection) }
        }
        guard let writer else { throw Self.readOnly }
        try await writerGate.enter(deadline: deadline)
        defer { writer.add { [writerGate] _ in writerGate.leave() } }
        return try await writer.perform(deadline: deadline) { [failures] connection, job in
            // Each statement commits inside its last step, so from here on nobody can say that nothing was done.
            guard job.beginCommit() else { throw ApusError.deadlinePassed("the call waited") }
            return try Self.runEach(statements, connection, failures)
        }
    }

    public func transaction<Value: Sendable>(
        _ mode: TransactionMode, on lane: Lane, deadline: Instant,
        _ body: (any Transaction) async throws -> Value
    ) async throws -> Value {
        if mode.kind == .snapshot {
            let (reader, giveBack) = try await takeReader(deadline)
            return try await run(
                SQLiteTransaction(thread: reader, begin: "BEGIN", deadline: deadline, failures: Failures()), body, done: giveBack)
        }
        guard let writer else { throw Self.readOnly }
        try await writerGate.enter(deadline: deadline)
        let transaction = SQLiteTransaction(thread: writer, begin: "BEGIN IMMEDIATE", deadline: deadline, failures: failures)
        return try await run(transaction, body) { [writerGate] in writerGate.leave() }
    }

    /// Runs `body` and commits. `done` is called once, on the thread, behind everything that the transaction ever ran: when `body` has
    /// returned, or at the deadline, since a body that hangs must not hold the thread.
    private func run<Value: Sendable>(
        _ transaction: SQLiteTransaction, _ body: (any Transaction) async throws -> Value, done: @escaping @Sendable () -> Void
    ) async throws -> Value {
        let isRunning = Mutex(true)
        let end: @Sendable () -> Void = {
            if isRunning.withLock({ isRunning in
                defer { isRunning = false }; return isRunning
            }) {
                transaction.end(done)
            }
        }
        let cancelTimer = Deadlines.shared.schedule(at: transaction.deadline, end)
        defer {
            cancelTimer?()
            end()
        }
        let value = try await body(transaction)
        try await transaction.finish()
        return value
    }

    public func notify(_ notification: Notification, deadline: Instant) async throws { hub.publish(notification) }
    public func notifications(on channels: [String]) -> AsyncStream<Notification> { hub.stream(on: channels) }

    public func close() async {
        writerGate.close(Self.closed)
        readerGate.close(Self.closed)
        hub.finish()
        await checkpoints?.stop()
        for reader in readers { await reader.stop() }
        await writer?.stop()  // the last connection: SQLite copies the log into the file and removes it
        owner.withLock { $0 = nil }
    }

    // MARK: Parts

    /// A reader, and the way to give it back.
    private func takeReader(_ deadline: Instant) async throws -> (SQLiteThread, @Sendable () -> Void) {
        try await readerGate.enter(1, deadline: deadline)
        guard let reader = freeReaders.withLock({ $0.popLast() }) else {
            preconditionFailure("the gate lets in as many as there are readers")
        }
        return (
            reader,
            { [self] in
                freeReaders.withLock { $0.append(reader) }
                readerGate.leave(1)
            }
        )
    }

    private static func runEach(
        _ statements: [Statement], _ connection: SQLiteConnection, _ failures: Failures? = nil
    ) throws -> [Rows] {
        let results = statements.map { statement in
            Result { try failures?.watch { try connection.run(statement) } ?? connection.run(statement) }
        }
        return try results.map { try $0.get() }
    }

    private static let readOnly = ApusError(.catalogReadOnly, "the catalog was opened read-only")

    /// Runs a short call that blocks on a thread made for it.
    private static func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.start(name: "apus-sql-open") { continuation.resume(with: Result(catching: body)) }
        }
    }

    /// Makes a new file's name survive a loss of power: SQLite does that for its log, not for the file itself.
    private static func synchroniseDirectory(of path: String) throws {
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if descriptor >= 0 { Glibc.close(descriptor) } }
        guard descriptor >= 0, fsync(descriptor) == 0 else {
            throw ApusError(
                .catalogUnavailable, "the directory of the catalog cannot be synchronised: \(String(cString: strerror(errno)))",
                context: ["path": directory])
        }
    }

    /// A path as SQLite's URI wants it.
    private static func percentEncoded(_ path: String) -> String {
        path.utf8.reduce(into: "") { text, byte in
            let isPlain = byte > 32 && byte < 127 && !"?#%".utf8.contains(byte)
            text += isPlain ? String(UnicodeScalar(byte)) : "%" + hexadecimal(CollectionOfOne(byte))
        }
    }
}

extension SQLiteDatabase {
    /// Remembers that the disk failed during a commit. Then the log may hold a transaction that nobody saw committed, and the kernel
    /// has dropped what it could not write: only a restart, which reads the log from the disk, finds out. Until then nothing is written.
    final class Failures: Sendable {
        private let failure = Mutex<ApusError?>(nil)

        func check() throws {
            guard let failure = failure.withLock({ $0 }) else { return }
            throw ApusError(
                .catalogUnavailable, "the disk of the catalog failed, so nothing more is written to it",
                hint: "repair the disk, then restart the node", retry: .never, cause: failure)
        }

        func commit(_ connection: SQLiteConnection) throws {
            connection.deadline = .distantFuture  // a commit is not interrupted
            try watch { try connection.execute("COMMIT") }
        }

        /// Runs something that may commit.
        @discardableResult
        func watch<Value>(_ body: () throws -> Value) throws -> Value {
            try check()
            do {
                return try body()
            } catch let error as ApusError where error.context[SQLiteErrors.ioFailed] != nil {
                failure.withLock { $0 = $0 ?? error }
                throw ApusError.outcomeUnknown("the disk failed during the commit", cause: error)
            }
        }
    }
}
