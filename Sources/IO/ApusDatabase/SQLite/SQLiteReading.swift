internal import ApusRuntime
public import ApusTypes
internal import CSQLite
internal import Synchronization

/// Reads statements of a SQLite file piece by piece, each over a connection and a thread of its own, so that a slow reader holds up nobody.
public final class SQLiteReading: Sendable {
    private let path: String
    private let pieceTime: Duration
    private let open = Mutex(0)
    /// Statements of one file that may be under way.
    private static let most = 8

    /// Each piece must come within `pieceTime`.
    public init(path: String, pieceTime: Duration) {
        self.path = path
        self.pieceTime = pieceTime
    }

    /// Throws `source.busy` when too many are read.
    public func open(_ statement: Statement) async throws -> SQLiteCursor {
        let isFree = open.withLock { open in
            guard open < Self.most else { return false }
            open += 1
            return true
        }
        guard isFree else {
            throw ApusError(.sourceBusy, "\(Self.most) statements of this file are being read already", hint: "ask again later")
        }
        do {
            let thread = try await SQLiteThread.start(name: "apus-sql-piece") { [path] in
                let connection = try SQLiteConnection(path: path, flags: SQLITE_OPEN_READONLY, functions: [], namesMain: false)
                for setting: StaticSQL in ["PRAGMA query_only=ON", "PRAGMA busy_timeout=2000"] { try connection.run(.once(setting)) }
                return connection
            }
            return SQLiteCursor(thread, statement, pieceTime: pieceTime) { [self] in open.withLock { $0 -= 1 } }
        } catch {
            open.withLock { $0 -= 1 }
            throw error
        }
    }
}

/// The rows of one statement, piece by piece.
public final class SQLiteCursor: @unchecked Sendable {  // `compiled` is touched on the thread only, the rest by one task
    private let thread: SQLiteThread
    private let statement: Statement
    private let pieceTime: Duration
    private let closed: @Sendable () -> Void
    private var compiled: OpaquePointer?
    private var isOver = false

    init(_ thread: SQLiteThread, _ statement: Statement, pieceTime: Duration, closed: @escaping @Sendable () -> Void) {
        self.thread = thread
        self.statement = statement
        self.pieceTime = pieceTime
        self.closed = closed
    }

    /// Rows and bytes of a piece.
    private static let (rows, bytes) = (4096, 1 << 20)

    /// The next rows; nil at the end.
    public func next() async throws -> Rows? {
        guard !isOver else { return nil }
        let (rows, isEnd) = try await thread.perform(deadline: BootClock.now.advanced(by: pieceTime)) { [self] connection, _ in
            let compiled = try compiled ?? connection.begin(statement)
            self.compiled = compiled
            let rows = try connection.step(compiled, most: Self.rows, bytes: Self.bytes)
            return (rows, sqlite3_stmt_busy(compiled) == 0)
        }
        isOver = isEnd
        return rows.isEmpty ? nil : rows
    }

    /// Must be called.
    public func close() async {
        isOver = true
        await thread.stop()
        closed()
    }
}
