internal import ApusDatabase
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// A DuckDB file, files of data that views read, or a DuckLake. Read-only: a file that is written belongs to one process alone.
final class DuckDBSource: SQLSource {
    let name: String
    let engine = SQLEngine.duckDB
    private let database: DuckDBDatabase
    let lake: Lake?

    /// What it takes to change how a lake keeps its rows.
    struct Lake {
        var attached: DuckLake
        var isReadOnly: Bool
        var library: String?
        var options: DuckDBDatabase.Options
    }

    private init(_ name: String, _ database: DuckDBDatabase, _ lake: Lake? = nil) {
        self.name = name
        self.database = database
        self.lake = lake
    }

    static func open(
        _ name: String, _ lake: DuckLake, isReadOnly: Bool, library: String?, options: DuckDBDatabase.Options
    ) async throws -> DuckDBSource {
        try await told(name) {
            DuckDBSource(
                name, try await DuckDBDatabase.open(lake, library: library, options: options),
                Lake(attached: lake, isReadOnly: isReadOnly, library: library, options: options))
        }
    }

    /// Runs one statement of a lake's upkeep, for which it is attached once more, to be written.
    func keepUp(_ sql: StaticSQL, _ parameters: [JSONValue], deadline: Instant) async throws {
        guard let lake, !lake.isReadOnly else { throw ApusError(.sourceRejected, "data source \"\(name)\" is only read") }
        guard case .postgreSQL = lake.attached.metadata else {
            throw ApusError(
                .sourceRejected, "data source \"\(name)\" has its metadata in a file, which nodes only read",
                hint: "keep it up with DuckDB while no node serves it, or have its metadata in PostgreSQL")
        }
        try await Self.told(name) {
            let database = try await DuckDBDatabase.open(
                lake.attached, isReadOnly: false, library: lake.library, options: lake.options)
            let result: Result<PackedRows, any Error>
            do {
                result = .success(try await database.read(sql, parameters, keepsRows: false, deadline: deadline))
            } catch {
                result = .failure(error)
            }
            await database.close()
            _ = try result.get()
        }
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
