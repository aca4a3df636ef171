internal import ApusRuntime
internal import ApusTypes
internal import CSQLite

/// One connection and its prepared statements. Used by one thread at a time: its own.
final class SQLiteConnection {
    private let handle: OpaquePointer
    private var prepared: [StaticSQL: OpaquePointer] = [:]
    /// Statements are interrupted past this instant; COMMIT is not.
    var deadline = Instant.distantFuture

    /// Prepared statements that a connection keeps; the program's texts are constants, so the bound is never met in practice.
    static let preparedLimit = 512

    init(path: String, flags: Int32, functions: [SQLiteFunction], namesMain: Bool = true) throws {
        var opened: OpaquePointer?
        let status = sqlite3_open_v2(path, &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard status == SQLITE_OK, let opened else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(opened)
            throw SQLiteErrors.error(status, message: message, doing: "opening the catalog")
        }
        handle = opened
        let context = Unmanaged.passUnretained(self).toOpaque()
        // Called every 4,000 virtual-machine steps (some 50 µs): cheap enough to read the clock each time.
        sqlite3_progress_handler(
            handle, 4000,
            { context in
                let connection = Unmanaged<SQLiteConnection>.fromOpaque(context!).takeUnretainedValue()  // set below; dies with the handle
                return BootClock.now >= connection.deadline ? 1 : 0
            }, context)
        // PostgreSQL's schema of ours: the same names in both dialects.
        if namesMain, case let status = apus_sqlite_name_main(handle), status != SQLITE_OK { throw error(status, "naming the database") }
        for function in functions { try function.register(on: handle) }
    }

    deinit {
        prepared.values.forEach { sqlite3_finalize($0) }
        sqlite3_close_v2(handle)
    }

    // MARK: Running

    /// Whether a transaction is open.
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    @discardableResult
    func run(_ statement: Statement) throws -> Rows {
        let compiled = try statement.isPrepared ? preparedStatement(statement.sql) : compile(statement.sql)
        defer {
            if statement.isPrepared {
                sqlite3_reset(compiled)  // its status repeats the step's
                sqlite3_clear_bindings(compiled)
            } else {
                sqlite3_finalize(compiled)
            }
        }
        try bind(statement.parameters, to: compiled)
        return try step(compiled)
    }

    /// Begins with a statement whose rows `step` tells; the connection has one such at a time, and runs nothing else meanwhile.
    func begin(_ statement: Statement) throws -> OpaquePointer {
        let compiled = try preparedStatement(statement.sql)
        try bind(statement.parameters, to: compiled)
        return compiled
    }

    /// One of our own commands, without parameters.
    @discardableResult
    func execute(_ sql: StaticSQL) throws -> Rows { try run(Statement(sql)) }

    /// Ends the transaction without its effects. Some failures have ended it already.
    func rollBack() {
        guard isInTransaction else { return }
        deadline = .distantFuture
        sqlite3_exec(handle, "ROLLBACK", nil, nil, nil)  // cannot fail while a transaction is open and no statement runs
    }

    /// Copies the log into the database file as far as readers allow, without waiting for anybody.
    func checkpoint() throws {
        deadline = .distantFuture
        let status = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil)
        if status != SQLITE_OK && status & 0xff != SQLITE_BUSY { throw error(status, "copying the log into the catalog file") }
    }

    /// Calls `body` with the length of the log, in pages, after each commit of this connection.
    func onCommit(_ body: @escaping (Int) -> Void) {
        commitHook = body
        sqlite3_wal_hook(
            handle,
            { context, _, _, pages in
                let connection = Unmanaged<SQLiteConnection>.fromOpaque(context!).takeUnretainedValue()  // set below
                connection.commitHook?(Int(pages))
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private var commitHook: ((Int) -> Void)?

    // MARK: Statements

    private func preparedStatement(_ sql: StaticSQL) throws -> OpaquePointer {
        if let known = prepared[sql] { return known }
        if prepared.count >= Self.preparedLimit {
            prepared.values.forEach { sqlite3_finalize($0) }
            prepared = [:]
        }
        let compiled = try compile(sql)
        prepared[sql] = compiled
        return compiled
    }

    private func compile(_ sql: StaticSQL) throws -> OpaquePointer {
        var compiled: OpaquePointer?
        var status: Int32 = SQLITE_OK
        var rest = ""
        sql.text.withCString { text in
            var tail: UnsafePointer<CChar>?
            status = sqlite3_prepare_v3(handle, text, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, &tail)
            if let tail { rest = String(cString: tail) }
        }
        guard status == SQLITE_OK else { throw error(status, "preparing a statement") }
        let isOne = rest.allSatisfy { $0.isWhitespace || $0 == ";" }
        guard let compiled, isOne else {
            sqlite3_finalize(compiled)
            throw ApusError(.databaseRejected, "the text is not exactly one statement", context: ["sql": sql.text])
        }
        return compiled
    }

    private func bind(_ parameters: [SQLValue], to compiled: OpaquePointer) throws {
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)  // SQLITE_TRANSIENT: SQLite copies the bytes
        for (position, value) in parameters.enumerated() {
            let index = sqlite3_bind_parameter_index(compiled, "$\(position + 1)")
            guard index > 0 else {
                throw ApusError(.databaseRejected, "the statement has no parameter $\(position + 1)")
            }
            let status: Int32
            switch value {
            case .null: status = sqlite3_bind_null(compiled, index)
            case .bool(let value): status = sqlite3_bind_int(compiled, index, value ? 1 : 0)
            case .integer(let value): status = sqlite3_bind_int64(compiled, index, value)
            case .double(let value): status = sqlite3_bind_double(compiled, index, value)
            case .text(let value):
                if value.utf8.contains(0) { throw ApusError(.databaseRejected, "text with a NUL character cannot be stored") }
                status = value.withCString {
                    sqlite3_bind_text64(compiled, index, $0, UInt64(value.utf8.count), transient, UInt8(SQLITE_UTF8))
                }
            case .blob(let value):
                status =
                    value.isEmpty
                    ? sqlite3_bind_zeroblob(compiled, index, 0)
                    : value.withUnsafeBytes { sqlite3_bind_blob64(compiled, index, $0.baseAddress, UInt64($0.count), transient) }
            }
            guard status == SQLITE_OK else { throw error(status, "binding $\(position + 1)") }
        }
    }

    /// Rows up to the end of the statement, or until there are `most` or these have about `bytes` bytes.
    func step(_ compiled: OpaquePointer, most: Int = .max, bytes: Int = .max) throws -> Rows {
        let count = sqlite3_column_count(compiled)
        var rows = Rows(columns: (0..<count).map { String(cString: sqlite3_column_name(compiled, $0)) })
        var size = 0
        while true {
            if rows.count >= most || size >= bytes { return rows }
            switch sqlite3_step(compiled) {
            case SQLITE_ROW:
                rows.rows.append(Row((0..<count).map { value(compiled, $0) }))
                if bytes < .max { size += (0..<count).reduce(0) { $0 + Int(sqlite3_column_bytes(compiled, $1)) + 16 } }
            case SQLITE_DONE:
                rows.changed = sqlite3_stmt_readonly(compiled) == 0 ? Int(sqlite3_changes64(handle)) : 0
                return rows
            case let status: throw error(status, "running a statement")
            }
        }
    }

    private func value(_ compiled: OpaquePointer, _ column: Int32) -> SQLValue {
        switch sqlite3_column_type(compiled, column) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(compiled, column))
        case SQLITE_FLOAT: return .double(sqlite3_column_double(compiled, column))
        case SQLITE_TEXT:
            guard let start = sqlite3_column_text(compiled, column) else { return .text("") }
            let length = Int(sqlite3_column_bytes(compiled, column))
            return .text(String(decoding: UnsafeBufferPointer(start: start, count: length), as: UTF8.self))
        case SQLITE_BLOB:
            let start = sqlite3_column_blob(compiled, column)
            return .blob([UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(compiled, column)))))
        default: return .null
        }
    }

    private func error(_ status: Int32, _ doing: String) -> ApusError {
        SQLiteErrors.error(status, message: String(cString: sqlite3_errmsg(handle)), doing: doing)
    }
}
