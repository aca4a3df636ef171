internal import ApusTypes

/// How errors of a connection are told: those of the catalog to its node, those of a data source to who asked for its data.
protocol DatabaseWording: Sendable {
    var connectTimedOut: ApusError { get }
    /// The server is older than what is supported.
    var tooOld: ApusError { get }
    func connectionLost(_ detail: String) -> ApusError
    func notConnected(_ detail: String) -> ApusError
    func hostUnknown(_ name: String, _ cause: ApusError) -> ApusError
    func refused(_ report: ServerReport) -> ApusError
}

struct CatalogWording: DatabaseWording {
    var connectTimedOut: ApusError { ApusError(.catalogUnavailable, "the catalog did not accept a connection in time") }
    var tooOld: ApusError {
        ApusError(.catalogIncompatible, "the catalog's PostgreSQL is older than 14", hint: "upgrade it; 15 is what is tested")
    }
    func connectionLost(_ detail: String) -> ApusError { .connectionLost(detail) }
    func notConnected(_ detail: String) -> ApusError { .notConnected(detail) }
    func hostUnknown(_ name: String, _ cause: ApusError) -> ApusError {
        ApusError(.catalogUnavailable, "the catalog: \(cause.summary)", hint: "check its name in the catalog's URL", cause: cause)
    }
    func refused(_ report: ServerReport) -> ApusError { report.error }
}
