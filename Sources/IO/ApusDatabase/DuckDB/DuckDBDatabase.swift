internal import ApusRuntime
public import ApusTypes
internal import CDuckDB
internal import Synchronization

/// A DuckDB file that is only read, an empty database whose views read files, or a DuckLake. Its calls block threads of its own.
public final class DuckDBDatabase: Sendable {
    public struct Options: Sendable {
        /// Statements at a time.
        public var connections = 4
        /// Statements that may wait for one; beyond: `node.overloaded`.
        public var waiting = 512
        /// Of the engine, for all statements of this database.
        public var memory: ByteCount = .gibibytes(1)
        public var threads = 2
        /// Of one statement's rows.
        public var rows: ByteCount = .mebibytes(256)

        public init() {}
    }

    /// Handles of the library, which its functions may be given on any thread; a connection by one at a time, except to interrupt it.
    private struct Handle: @unchecked Sendable {
        var pointer: UnsafeMutableRawPointer
    }

    private struct State {
        var idle: [Handle] = []
        var all: [Handle] = []
        var isClosed = false
    }

    private let database: Handle
    private let lake: DuckLake?
    private let options: Options
    private let pool: BlockingPool
    private let state = Mutex(State())

    /// `path` nil or empty: in memory. Throws `source.unsupported` without the engine, `source.unavailable` where the file cannot be opened.
    public static func open(path: String?, library: String?, options: Options = Options()) async throws -> DuckDBDatabase {
        let pool = BlockingPool(name: "duckdb", threads: options.connections, queueLimit: options.waiting)
        return try await pool.run { try DuckDBDatabase(path ?? "", nil, library, options, pool) }
    }

    /// `isReadOnly`: takes no statement that changes it. Throws `source.unsupported` without the engine or an extension.
    public static func open(
        _ lake: DuckLake, isReadOnly: Bool = true, library: String?, options: Options = Options()
    ) async throws -> DuckDBDatabase {
        let pool = BlockingPool(name: "duckdb", threads: options.connections, queueLimit: options.waiting)
        return try await pool.run {
            let database = try DuckDBDatabase("", lake, library, options, pool)
            try database.attach(lake, isReadOnly: isReadOnly)
            return database
        }
    }

    private func attach(_ lake: DuckLake, isReadOnly: Bool) throws {
        let connection = try connect()
        defer { apus_duckdb_disconnect(connection.pointer) }
        try load(lake.extensions, on: connection)
        do {
            for sql in lake.attachment(isReadOnly: isReadOnly) { _ = try run(sql, [], on: connection) }
        } catch let error as ApusError {
            throw ApusError(.sourceUnavailable, "DuckDB cannot attach it: \(error.summary)")
        }
    }

    /// The engine's version, if it and these extensions of it can be loaded. Blocks its thread.
    public static func examine(extensions: [String], library: String?) throws -> String {
        let version = try DuckDBLibrary.load(library)
        guard !extensions.isEmpty else { return version }
        let database = try DuckDBDatabase("", nil, library, Options(), BlockingPool(name: "duckdb", threads: 1, queueLimit: 1))
        let connection = try database.connect()
        defer { apus_duckdb_disconnect(connection.pointer) }
        try database.load(extensions, on: connection)
        return version
    }

    private func load(_ extensions: [String], on connection: Handle) throws {
        for name in extensions {
            do { _ = try run("LOAD \(name)", [], on: connection) } catch let error as ApusError {
                throw DuckDBLibrary.missing(name, error.summary)
            }
        }
    }

    private init(_ path: String, _ lake: DuckLake?, _ library: String?, _ options: Options, _ pool: BlockingPool) throws {
        try DuckDBLibrary.load(library)
        // Nothing is fetched from anywhere.
        var settings = [
            "autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "memory_limit": "\(options.memory.bytes)B",
            "threads": "\(options.threads)",
        ]
        if !path.isEmpty { settings["access_mode"] = "READ_ONLY" }
        if let directory = DuckDBLibrary.extensions(beside: library) { settings["extension_directory"] = directory }
        let names = settings.keys.sorted()
        var database: UnsafeMutableRawPointer?
        var problem: UnsafeMutablePointer<CChar>?
        let result = Self.withStrings(names) { names in
            Self.withStrings(settings.sorted { $0.key < $1.key }.map(\.value)) { values in
                apus_duckdb_open(path.isEmpty ? ":memory:" : path, names, values, settings.count, &database, &problem)
            }
        }
        defer { if let problem { apus_duckdb_free(problem) } }
        guard result == 0, let database else {
            throw ApusError(.sourceUnavailable, "DuckDB cannot open it: \(problem.map { String(cString: $0) } ?? "a setting is not known")")
        }
        self.database = Handle(pointer: database)
        self.lake = lake
        self.options = options
        self.pool = pool
    }

    deinit { if !state.withLock({ $0.isClosed }) { end() } }

    /// Ends statements that run.
    public func close() async {
        let running = state.withLock { state in
            state.isClosed = true
            return state.all
        }
        for connection in running { apus_duckdb_interrupt(connection.pointer) }
        while state.withLock({ $0.idle.count < $0.all.count }) { try? await BootClock().sleep(for: .milliseconds(2)) }
        try? await pool.run { self.end() }
    }

    private func end() {
        let connections = state.withLock { state in
            state.isClosed = true
            defer { (state.idle, state.all) = ([], []) }
            return state.all
        }
        for connection in connections { apus_duckdb_disconnect(connection.pointer) }
        apus_duckdb_close(database.pointer)
    }

    /// Runs one statement. At `deadline`, or when the caller's task is cancelled, the engine is told to stop. `keepsRows`: else none are given,
    /// of whatever types they are. Throws `source.rejected` with what DuckDB says.
    public func read(
        _ sql: StaticSQL, _ parameters: [JSONValue], keepsRows: Bool = true, deadline: Instant
    ) async throws -> PackedRows {
        let running = Running()
        let timer = Deadlines.shared.schedule(at: deadline) { running.stop() }
        defer { timer?() }
        return try await withTaskCancellationHandler {
            try await pool.run(deadline: deadline) { [self] in
                let connection = try take()
                defer { giveBack(connection) }
                guard running.begin({ apus_duckdb_interrupt(connection.pointer) }) else { throw CancellationError() }
                defer { running.end() }
                return try run(sql.text, parameters, keepsRows: keepsRows, on: connection)
            }
        } onCancel: {
            running.stop()
        }
    }

    /// A statement that may have to be stopped from another thread.
    private final class Running: Sendable {
        private let state = Mutex<(interrupt: (@Sendable () -> Void)?, isStopped: Bool)>((nil, false))

        func begin(_ interrupt: @escaping @Sendable () -> Void) -> Bool {
            state.withLock { state in
                if !state.isStopped { state.interrupt = interrupt }
                return !state.isStopped
            }
        }

        func end() { state.withLock { $0.interrupt = nil } }

        /// Under the lock: the connection must not be another statement's meanwhile.
        func stop() {
            state.withLock { state in
                state.isStopped = true
                state.interrupt?()
            }
        }
    }

    private func take() throws -> Handle {
        if let idle = try state.withLock({ state in
            if state.isClosed { throw ApusError(.sourceUnavailable, "DuckDB is being closed") }
            return state.idle.popLast()
        }) {
            return idle
        }
        let connection = try connect()
        do {
            _ = try run("SET TimeZone = 'UTC'", [], on: connection)
            if let lake { _ = try run("USE \(lake.identifier)", [], on: connection) }
        } catch {
            apus_duckdb_disconnect(connection.pointer)
            throw error
        }
        state.withLock { $0.all.append(connection) }
        return connection
    }

    private func connect() throws -> Handle {
        var connection: UnsafeMutableRawPointer?
        guard apus_duckdb_connect(database.pointer, &connection) == 0, let connection else {
            throw ApusError(.sourceUnavailable, "DuckDB gives no connection")
        }
        return Handle(pointer: connection)
    }

    private func giveBack(_ connection: Handle) { state.withLock { $0.idle.append(connection) } }

    // MARK: Statements

    private func run(_ sql: String, _ parameters: [JSONValue], keepsRows: Bool = true, on connection: Handle) throws -> PackedRows {
        var statement: UnsafeMutableRawPointer?
        var problem: UnsafePointer<CChar>?
        let isPrepared = apus_duckdb_prepare(connection.pointer, sql, &statement, &problem) == 0
        guard let statement else { throw rejected(problem) }
        defer { apus_duckdb_destroy_prepare(statement) }
        guard isPrepared else { throw rejected(problem) }
        for (index, parameter) in parameters.enumerated() {
            guard Self.bind(parameter, to: UInt64(index + 1), of: statement) == 0 else {
                throw ApusError(.sourceRejected, "DuckDB does not take the value of parameter \(index + 1)")
            }
        }
        var result = apus_duckdb_result()
        defer { apus_duckdb_destroy_result(&result) }
        guard apus_duckdb_execute(statement, &result, &problem) == 0 else { throw rejected(problem) }
        var rows = PackedRows(columnCount: Int(apus_duckdb_column_count(&result)))
        while let chunk = apus_duckdb_fetch(&result) {
            defer { apus_duckdb_destroy_chunk(chunk) }
            guard keepsRows else { continue }
            try add(chunk, to: &rows)
            guard rows.bytes.count <= options.rows.bytes else {
                throw ApusError(.sourceRejected, "the rows of one statement are more than \(options.rows)", hint: "ask for fewer")
            }
        }
        if let problem = apus_duckdb_error(&result), problem.pointee != 0 { throw rejected(problem) }
        return rows
    }

    private func add(_ chunk: UnsafeMutableRawPointer, to rows: inout PackedRows) throws {
        var columns = (0..<rows.columnCount).map { apus_duckdb_chunk_column(chunk, UInt64($0)) }
        defer { for index in columns.indices { apus_duckdb_end_column(&columns[index]) } }
        for (index, column) in columns.enumerated() { try DuckDBColumn.check(column, index) }
        let written = columns.map(DuckDBColumn.init)
        for row in 0..<Int(apus_duckdb_chunk_size(chunk)) {
            for column in written { rows.add { column.write(row, to: &$0) } }
            rows.endRow()
        }
    }

    private static func bind(_ value: JSONValue, to place: UInt64, of statement: UnsafeMutableRawPointer) -> Int32 {
        switch value {
        case .null: return apus_duckdb_bind_null(statement, place)
        case .bool(let flag): return apus_duckdb_bind_bool(statement, place, flag)
        case .integer(let number): return apus_duckdb_bind_int64(statement, place, number)
        case .double(let number): return apus_duckdb_bind_double(statement, place, number)
        case .array(let elements): return bind(elements, to: place, of: statement)
        case .string, .unsigned, .object:
            let text = Array((value.asString ?? value.description).utf8)
            return text.withUnsafeBytes {
                apus_duckdb_bind_text(statement, place, $0.baseAddress?.assumingMemoryBound(to: CChar.self), UInt64(text.count))
            }
        }
    }

    /// A list has the type of its first element.
    private static func bind(_ elements: [JSONValue], to place: UInt64, of statement: UnsafeMutableRawPointer) -> Int32 {
        let type: UInt32
        switch elements.first {
        case .integer?: type = elements.contains { $0.asInteger == nil } ? 11 : 5
        case .double?: type = 11
        case .bool?: type = 1
        default: type = 17
        }
        var values: [UnsafeMutableRawPointer?] = elements.map { element in
            switch type {
            case 5: apus_duckdb_value_int64(element.asInteger ?? 0)
            case 11: apus_duckdb_value_double(element.asDouble ?? 0)
            case 1: apus_duckdb_value_bool(element.asBool ?? false)
            default:
                apus_duckdb_value_text(
                    element.asString ?? element.description, UInt64((element.asString ?? element.description).utf8.count))
            }
        }
        defer { for value in values { apus_duckdb_destroy_value(value) } }
        return apus_duckdb_bind_list(statement, place, type, &values, UInt64(values.count))
    }

    private func rejected(_ problem: UnsafePointer<CChar>?) -> ApusError {
        var said = problem.map { String(cString: $0) } ?? "it failed without a message"
        if let lake { said = lake.redacted(said) }
        if said.hasPrefix("INTERRUPT") { return ApusError(.deadlineExceeded, "the statement was stopped") }
        return ApusError(.sourceRejected, String(said.prefix(500)))
    }

    private static func withStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
    ) -> Result {
        var bytes: [CChar] = []
        let starts = strings.map { string in
            defer { bytes += string.utf8CString }
            return bytes.count
        }
        return bytes.withUnsafeBufferPointer { buffer in
            let pointers = starts.map { start in buffer.baseAddress.map { $0 + start } }
            return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
        }
    }
}
