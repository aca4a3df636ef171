internal import ApusDatabase
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// What the databases of this node's sources say of themselves, as rows: each request asks them anew.
final class MetaSource: TableSource, FunctionSource {
    /// A database that can be asked.
    struct Described: Sendable {
        var name: String
        var source: any SQLSource
        var isReadOnly = false
        /// Whether it is the catalog, of which its own schema is told and nothing else.
        var isCatalog = false
    }

    /// Rows of one request.
    static let mostRows = 200_000

    let name = "core.meta"
    private let databases: @Sendable () -> [Described]

    init(_ databases: @escaping @Sendable () -> [Described]) { self.databases = databases }

    func tables(for statement: SourceStatement, deadline: Instant) async throws -> [ScratchTables.Table] {
        let databases = databases()
        // Names of databases are told without asking them.
        let asksThem = Contents.parts.contains { statement.sql.text.contains("\"\($0.columns.table.text)\"") }
        let contents = asksThem ? try await Self.contents(of: databases, deadline: deadline) : [:]
        var tables = [
            ScratchTables.Table(
                MetaModule.databases.table, columns: MetaModule.databases.names,
                rows: databases.map {
                    let type = SQLValue.text($0.source.engine.rawValue)
                    return [.integer(Self.id($0.name)), .text($0.name), type, .bool($0.isReadOnly), .bool($0.isCatalog)]
                })
        ]
        for part in Contents.parts {
            let rows = databases.flatMap { contents[$0.name]?[keyPath: part.rows] ?? [] }
            tables.append(ScratchTables.Table(part.columns.table, columns: part.columns.names, rows: rows))
        }
        return tables
    }

    /// All of them or an error: a list without what one of them has would look whole.
    private static func contents(of databases: [Described], deadline: Instant) async throws -> [String: Contents] {
        let found = try await withThrowingTaskGroup(of: (String, Contents).self) { group in
            for database in databases {
                group.addTask { (database.name, try await Contents(of: database, deadline: deadline)) }
            }
            return try await group.reduce(into: [String: Contents]()) { $0[$1.0] = $1.1 }
        }
        let count = found.values.reduce(0) { $0 + $1.count }
        guard count <= mostRows else {
            throw ApusError(.sourceRejected, "the databases have \(count) tables, columns and constraints; \(mostRows) are told at most")
        }
        return found
    }

    func call(
        _ function: DataFunction, _ arguments: JSONObject, identity: JSONObject, deadline: Instant
    ) async throws -> JSONValue {
        guard let database = databases().first(where: { $0.source.engine == .duckDB }) else { return .null }
        let rows = try await SelfDescription.rows(database.source, "SELECT version()", deadline)
        return rows.first?.first.flatMap { $0 }.map { .string($0) } ?? .null
    }

    /// The same for a thing of this name each time, on every node; below 2^53, so that every client's numbers hold it.
    static func id(_ names: String...) -> Int64 {
        let bytes = Digest(of: names.reduce(into: []) { $0 += Digest(of: $1).bytes }).bytes
        return bytes.prefix(8).reduce(Int64(0)) { $0 << 8 | Int64($1) } & (1 << 53 - 1)
    }
}
