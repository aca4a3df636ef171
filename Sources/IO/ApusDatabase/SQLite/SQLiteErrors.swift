internal import ApusTypes
internal import CSQLite

/// What SQLite's result codes mean to our callers (https://www.sqlite.org/rescode.html).
enum SQLiteErrors {
    /// Set in the context of an error after which, in a commit, nobody can say what the disk holds.
    static let ioFailed = "io_failed"

    static func error(_ status: Int32, message: String, doing: String) -> ApusError {
        let context = ["sqlite_code": "\(status)", "message": message, "doing": doing]
        switch status & 0xff {
        case SQLITE_CONSTRAINT:
            return ApusError(.databaseConstraint, "a constraint of the catalog was broken: \(message)", context: context)
        case SQLITE_FULL:
            return ApusError(.catalogFull, "the disk of the catalog is full", hint: "free some space", context: context)
        case SQLITE_READONLY:
            return ApusError(.catalogReadOnly, "the catalog is read-only", context: context)
        case SQLITE_INTERRUPT:
            return .deadlinePassed(doing)
        case SQLITE_BUSY, SQLITE_LOCKED:
            return ApusError(
                .catalogUnavailable, "another program holds the catalog file",
                hint: "close the program that has it open for writing", context: context)
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return ApusError(
                .catalogUnavailable, "the catalog file is damaged, or no SQLite database",
                hint: "restore it from a backup", retry: .never, context: context)
        case SQLITE_IOERR:
            var context = context
            context[ioFailed] = "true"
            return ApusError(.catalogUnavailable, "the disk of the catalog failed", hint: "look at the kernel's log", context: context)
        case SQLITE_CANTOPEN, SQLITE_PERM, SQLITE_AUTH:
            return ApusError(
                .catalogUnavailable, "the catalog file cannot be opened",
                hint: "check that its directory exists and may be written", context: context)
        case SQLITE_NOMEM:
            return ApusError(.catalogUnavailable, "out of memory", context: context)
        case SQLITE_TOOBIG:
            return ApusError(.databaseRejected, "a value is too large for the catalog", context: context)
        default:  // SQLITE_ERROR: a defect of ours; the message names tables and columns, never values
            return ApusError(.databaseRejected, "the catalog refused a statement: \(message)", context: context)
        }
    }
}
