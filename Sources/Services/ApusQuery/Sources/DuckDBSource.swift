internal import ApusDatabase
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// A DuckDB file, or files of data that views read. Read-only: a file that is written belongs to one process alone.
final class DuckDBSource: SQLSource {
    let name: String
    let engine = SQLEngine.duckDB
    private let database: DuckDBDatabase

    private init(_ name: String, _ database: DuckDBDatabase) {
        self.name = name
        self.database = database
    }

    static func open(
        _ name: String, _ path: String, library: String?, options: DuckDBDatabase.Options
    ) async throws -> DuckDBSource {
        try await told(name) {
            DuckDBSource(
                name, try await DuckDBDatabase.open(path: path == ":memory:" ? "" : path, library: library, options: options))
        }
    }

    func read(_ statement: SourceStatement, deadline: Instant) async throws -> SourceRows {
        try await Self.told(name) {
            .packed(try await database.read(statement.sql, statement.parameters.map(\.duckDBValue), deadline: deadline))
        }
    }

    func transaction<Value: Sendable>(
        deadline: Instant, _ body: (any SourceTransaction) async throws -> Value
    ) async throws -> Value {
        throw ApusError(.sourceRejected, "data source \"\(name)\" takes no writes")
    }

    func close() async { await database.close() }

    private static func told<Value>(_ name: String, _ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch var error as ApusError {
            switch error.code {
            case .deadlineExceeded: error.summary = "did not answer in time"
            case .sourceRejected: error.summary = "refuses it: \(error.summary)"
            default: error.summary = "cannot answer: \(error.summary)"
            }
            error.summary = "data source \"\(name)\" \(error.summary)"
            throw error
        }
    }
}

extension BoundParameter {
    fileprivate var duckDBValue: JSONValue {
        switch self {
        case .value(let value): value
        case .list(let values): .array(values)
        case .text(let text): .string(String(decoding: text, as: UTF8.self))
        case .points(let question): question
        }
    }
}
