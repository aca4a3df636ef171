internal import ApusDatabase
internal import ApusTypes

/// One numbered step of the schema. Once released it never changes: the catalogs that have applied it keep its checksum.
///
/// Forward only, and expand-then-contract: a migration may add tables, columns with defaults and indexes; what the previous release still
/// reads or writes goes away one release later. It takes no lock that a heartbeat waits on.
struct Migration: Sendable {
    var number: Int64
    var name: String
    /// The oldest format whose programs may still read, and write, a catalog with this migration.
    var minReader: Int64
    var minWriter: Int64
    var steps: [Step]

    enum Step: Sendable {
        /// The same text in both dialects; `bigint`, `text` and `bytea` mean integers, texts and blobs to SQLite too.
        case both(StaticSQL)
        case postgreSQL(StaticSQL)
        case sqlite(StaticSQL)

        func sql(for dialect: SQLDialect) -> StaticSQL? {
            switch (self, dialect) {
            case (.both(let sql), _), (.postgreSQL(let sql), .postgreSQL), (.sqlite(let sql), .sqlite): sql
            default: nil
            }
        }

        var text: String {
            switch self {
            case .both(let sql): "both " + sql.text
            case .postgreSQL(let sql): "postgresql " + sql.text
            case .sqlite(let sql): "sqlite " + sql.text
            }
        }
    }

    /// Of all steps of both dialects.
    var checksum: String { Digest(of: steps.map(\.text).joined(separator: "\n\u{1e}\n")).description }

    static let all: [Migration] = [
        .foundation, .segments, .models, .collectionNames, .keyScopes, .replicas, .deletedCollections, .query, .manifestTimes, .roleLimits,
        .servedOrder,
    ]
}
