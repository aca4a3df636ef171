internal import ApusTypes

/// Errors of a data source, told to who asked for its data. What its server says of values and constraints is repeated: they are the
/// client's own, or the schema author's.
struct SourceWording: DatabaseWording {
    let name: String

    var connectTimedOut: ApusError { unavailable("it did not accept a connection in time") }
    var tooOld: ApusError { ApusError(.sourceRejected, "data source \"\(name)\" is a PostgreSQL older than 14", hint: "upgrade it") }
    func connectionLost(_ detail: String) -> ApusError { unavailable("the connection broke", detail) }
    func notConnected(_ detail: String) -> ApusError { unavailable("it cannot be reached", detail) }
    func hostUnknown(_ host: String, _ cause: ApusError) -> ApusError { unavailable(cause.summary) }

    func unavailable(_ why: String, _ detail: String = "") -> ApusError {
        let message = detail.split(separator: "\n").joined(separator: "; ")
        return ApusError(
            .sourceUnavailable, "data source \"\(name)\" cannot answer: \(why)", context: ["source": name, "message": message])
    }

    var late: ApusError { ApusError(.deadlineExceeded, "data source \"\(name)\" did not answer in time", context: ["source": name]) }

    func tooMuch(_ bytes: Int) -> ApusError {
        ApusError(
            .sourceRejected, "data source \"\(name)\" told more than \(ByteCount(bytes)) for one statement", hint: "ask for fewer rows",
            context: ["source": name])
    }

    var tooManyTables: ApusError {
        ApusError(
            .sourceBusy, "as many tables of data source \"\(name)\" are being read as may be at a time",
            hint: "ask again later, or raise its connections", context: ["source": name])
    }

    func busy(_ waiting: Int) -> ApusError {
        ApusError(
            .sourceBusy, "\(waiting) requests wait for data source \"\(name)\" already", hint: "ask again later, or raise its connections",
            context: ["source": name])
    }

    func refused(_ report: ServerReport) -> ApusError {
        var context = ["source": name, "sqlstate": report.state, "message": report.message]
        if let constraint = report.constraint { context["constraint"] = constraint }
        func error(_ code: ErrorCode, _ summary: String, hint: String? = nil) -> ApusError {
            ApusError(code, "data source \"\(name)\" \(summary)", hint: hint, context: context)
        }
        switch report.state {
        case "40001", "40P01", "55P03": return error(.sourceBusy, "was asked by another transaction: \(report.message)")
        case "57014": return error(.deadlineExceeded, "cancelled a statement that took too long", hint: "ask for less")
        case "25006": return error(.sourceRejected, "takes no writes", hint: "it is registered as read-only, or is a standby")
        case "53300": return unavailable("it has no connection left", report.message)
        default: break
        }
        switch report.state.prefix(2) {
        case "23": return error(.sourceConstraint, "refuses the change: \(report.message)")
        case "08", "53", "57", "58", "XX": return unavailable("its server says so", report.message)
        default: return error(.sourceRejected, "refuses it: \(report.message)")
        }
    }
}
