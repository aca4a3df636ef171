internal import ApusTypes
internal import CSQLite
internal import Glibc

/// A function that statements on SQLite may call, where PostgreSQL has it built in.
struct SQLiteFunction: Sendable {
    let name: String
    let arguments: Int32
    let isDeterministic: Bool
    let body: @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void

    func register(on handle: OpaquePointer) throws {
        let flags = SQLITE_UTF8 | (isDeterministic ? SQLITE_DETERMINISTIC : 0)
        let status = sqlite3_create_function_v2(handle, name, arguments, flags, nil, body, nil, nil, nil)
        guard status == SQLITE_OK else {
            throw SQLiteErrors.error(status, message: String(cString: sqlite3_errmsg(handle)), doing: "registering \(name)")
        }
    }

    static let all = [sha256, wallMilliseconds]

    /// `sha256(bytes)`, as in PostgreSQL. `a || b` of two blobs is text to SQLite, with the same bytes, so text is hashed too.
    static let sha256 = SQLiteFunction(name: "sha256", arguments: 1, isDeterministic: true) { context, _, arguments in
        let value = arguments![0]  // SQLite passes as many as were declared
        guard sqlite3_value_type(value) != SQLITE_NULL else { return sqlite3_result_null(context) }
        let start = sqlite3_value_blob(value)
        let digest = Digest(of: UnsafeRawBufferPointer(start: start, count: Int(sqlite3_value_bytes(value))))
        digest.bytes.withUnsafeBytes {
            // SQLITE_TRANSIENT: copied
            sqlite3_result_blob(context, $0.baseAddress, 32, unsafeBitCast(-1, to: sqlite3_destructor_type.self))
        }
    }

    /// `wall_milliseconds()`: the machine's wall clock, in milliseconds since 1970; read anew at each call.
    static let wallMilliseconds = SQLiteFunction(name: "wall_milliseconds", arguments: 0, isDeterministic: false) { context, _, _ in
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        sqlite3_result_int64(context, Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
