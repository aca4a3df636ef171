internal import ApusTypes
internal import CPostgreSQL

/// An error or notice of the server, as its fields say it.
struct ServerReport: Error, Sendable {
    var severity: String
    var state: String
    var message: String
    var constraint: String?
    /// The function of the server's source that reported: what messages of other languages have in common.
    var function: String

    init(_ result: OpaquePointer?) {
        self.init(told: { PQresultErrorField(result, Int32($0)).map { String(cString: $0) } })
    }

    /// Fields of the message of PostgreSQL's protocol, by their codes.
    init(_ fields: [UInt8: String]) { self.init(told: { fields[$0] }) }

    private init(told: (UInt8) -> String?) {
        func field(_ code: Unicode.Scalar) -> String? { told(UInt8(ascii: code)) }
        severity = field("V") ?? "ERROR"
        state = field("C") ?? ""
        message = field("M") ?? ""
        constraint = field("n")
        function = field("R") ?? ""
    }

    /// The server ends the connection after this report.
    var endsConnection: Bool { severity == "FATAL" || severity == "PANIC" }

    /// A transaction was committed here, but the wait for its synchronous standby was cut short: not an acknowledgement.
    var isCutCommit: Bool { severity == "WARNING" && function == "SyncRepWaitForLSN" }

    /// What the report means to our callers (https://www.postgresql.org/docs/15/errcodes-appendix.html).
    var error: ApusError {
        var context = ["sqlstate": state, "message": message]
        if let constraint { context["constraint"] = constraint }
        switch state {
        case "40001", "40P01":
            return ApusError(.databaseConflict, "another transaction was in the way", context: context)
        case "55P03":
            return ApusError(.databaseLockTimeout, "another transaction held a lock for too long", context: context)
        case "57014":
            return ApusError(.deadlineExceeded, "the catalog cancelled a statement that took too long", context: context)
        case "25006":
            return ApusError(
                .catalogReadOnly, "the catalog's PostgreSQL is a standby, or read-only",
                hint: "name the primary too in the catalog's URL", retry: .after(.seconds(1)), context: context)
        case "53100":
            return ApusError(.catalogFull, "the disk of the catalog is full", hint: "free some space", context: context)
        case "42501":
            return ApusError(
                .databaseRejected, "the catalog's user lacks a permission: \(message)",
                hint: "grant it, or let the user own the schema apus", context: context)
        default: break
        }
        switch state.prefix(2) {
        case "23":
            return ApusError(
                .databaseConstraint, "a constraint of the catalog was broken" + (constraint.map { ": \($0)" } ?? ""), context: context)
        case "08", "53", "57", "58", "F0", "XX":
            return ApusError(.catalogUnavailable, "the catalog cannot answer now", context: context)
        case "42":  // a defect of ours: the message names tables and columns, never values
            return ApusError(.databaseRejected, "the catalog refused a statement: \(message)", context: context)
        default:
            return ApusError(.databaseRejected, "the catalog refused a statement (\(state))", context: context)
        }
    }
}

extension ApusError {
    /// The connection is gone; `detail` comes from libpq and holds no password.
    static func connectionLost(_ detail: String) -> ApusError {
        ApusError(.catalogUnavailable, "the connection to the catalog broke", context: ["message": line(detail)])
    }

    static func notConnected(_ detail: String) -> ApusError {
        ApusError(
            .catalogUnavailable, "the catalog's PostgreSQL cannot be reached", hint: "check that it runs, and the catalog's URL",
            context: ["message": line(detail)])
    }

    private static func line(_ detail: String) -> String { detail.split(separator: "\n").joined(separator: "; ") }
}
