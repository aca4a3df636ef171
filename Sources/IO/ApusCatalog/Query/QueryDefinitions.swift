public import ApusDatabase
public import ApusTypes

extension Topic {
    /// What the query service serves has another version.
    public static let querySchema: Topic = "query_schema"
    /// Roles, permissions or keys of the query service have changed.
    public static let queryAccess: Topic = "query_access"
    /// A definition has changed that is not served yet. The key is its table.
    public static let queryDefinition: Topic = "query_definition"
}

/// How often what is served, and what who may do, has changed.
public struct QueryVersions: Sendable, Hashable {
    public var schema: Int64
    public var access: Int64

    public init(schema: Int64, access: Int64) {
        self.schema = schema
        self.access = access
    }
}

/// What operators tell the query service: data sources, the texts of their schemas, object storages, roles, permissions, keys. A change is one
/// transaction with one entry in the feed. Nothing of it is served before somebody loads it (`ServedSources`), but what grants access counts
/// at once.
public final class QueryDefinitions: Sendable {
    let access: CatalogAccess

    init(access: CatalogAccess) { self.access = access }

    public func versions(deadline: Instant) async throws -> QueryVersions {
        let row = try await access.read(Statement("SELECT schema_version, permission_version FROM apus.query_state"), deadline: deadline)[0]
        return QueryVersions(schema: try row.integer(0), access: try row.integer(1))
    }

    /// The rows of tables as one state of the catalog has them, by the first column of their keys.
    public func rows(
        of tables: [QueryTable], deadline: Instant
    ) async throws -> (rows: [QueryTable: [JSONObject]], versions: QueryVersions) {
        try await access.database.transaction(.snapshot, on: .read, deadline: deadline) { [access] transaction in
            let read = try await transaction.run(
                [Statement("SELECT schema_version, permission_version FROM apus.query_state")]
                    + tables.map { $0.selection(dialect: access.dialect) })
            var found: [QueryTable: [JSONObject]] = [:]
            for (table, rows) in zip(tables, read.dropFirst()) { found[table] = try rows.map(table.row) }
            return (found, QueryVersions(schema: try read[0][0].integer(0), access: try read[0][0].integer(1)))
        }
    }

    public func rows(of table: QueryTable, deadline: Instant) async throws -> [JSONObject] {
        try await access.read(table.selection(dialect: access.dialect), deadline: deadline).map(table.row)
    }

    /// Runs `body` in one transaction, one at a time in the cluster. Nothing is published where nothing was changed.
    public func change<Value: Sendable>(
        deadline: Instant, _ body: (QueryChange) async throws -> Value
    ) async throws -> Value {
        try await access.transaction(deadline: deadline) { transaction in
            let change = QueryChange(transaction)
            // Whoever changes definitions waits here for the one who does so now.
            _ = try await transaction.run(Statement("SELECT schema_version FROM apus.query_state" + transaction.dialect.forUpdate))
            let value = try await body(change)
            try await change.finish()
            return value
        }
    }
}

/// Changes of definitions that are one transaction.
public final class QueryChange {
    private let transaction: CatalogTransaction
    private var changed: Set<QueryTable> = []
    private var servedVersion: Int64?

    init(_ transaction: CatalogTransaction) { self.transaction = transaction }

    /// Runs a statement that reads.
    public func read(_ statement: Statement) async throws -> Rows { try await transaction.run(statement) }

    /// Nil where there is no such row.
    public func row(_ key: [String], of table: QueryTable) async throws -> JSONObject? {
        try await transaction.run(table.selection(key, dialect: transaction.dialect)).first.map(table.row)
    }

    public func rows(of table: QueryTable) async throws -> [JSONObject] {
        try await transaction.run(table.selection(dialect: transaction.dialect)).map(table.row)
    }

    /// False where there is a row with its key already, or with another value that must be the only one.
    public func insert(_ row: JSONObject, into table: QueryTable) async throws -> Bool {
        guard try await transaction.run(table.insertion(row)).changed == 1 else { return false }
        changed.insert(table)
        return true
    }

    /// Sets the columns that `row` has. False where there is no such row.
    public func update(_ key: [String], to row: JSONObject, in table: QueryTable) async throws -> Bool {
        guard try await transaction.run(table.update(key, to: row)).changed == 1 else { return false }
        changed.insert(table)
        return true
    }

    /// Deletes a row and what refers to it. A data source that is served ceases to be. False where there is no such row.
    public func delete(_ key: [String], from table: QueryTable) async throws -> Bool {
        guard try await transaction.run(table.deletion(key)).changed == 1 else { return false }
        changed.insert(table)
        let name = SQLValue.text(key[0])
        switch table {
        case .dataSources:
            _ = try await transaction.run(Statement("DELETE FROM apus.data_source_catalog WHERE data_source_name = $1", [name]))
            if try await transaction.isServed(key[0]) {
                servedVersion = try await transaction.serve([key[0]: nil], "\(key[0]) was deleted")
            }
        case .catalogSources:
            _ = try await transaction.run(Statement("DELETE FROM apus.data_source_catalog WHERE catalog_name = $1", [name]))
        case .roles: _ = try await transaction.run(Statement("DELETE FROM apus.role_permission WHERE role = $1", [name]))
        default: break
        }
        return true
    }

    /// A data source that is served ceases to be; false where it was not.
    public func cease(_ name: String) async throws -> Bool {
        guard try await transaction.isServed(name) else { return false }
        servedVersion = try await transaction.serve([name: nil], "\(name) was unloaded")
        return true
    }

    fileprivate func finish() async throws {
        if changed.contains(where: \.grantsAccess) {
            _ = try await transaction.run(Statement("UPDATE apus.query_state SET permission_version = permission_version + 1"))
        }
        // One entry says the most that followers must hear.
        if let servedVersion {
            transaction.publish(.querySchema, key: String(servedVersion))
        } else if let table = changed.min(by: { ($0.grantsAccess ? 0 : 1, $0.name) < ($1.grantsAccess ? 0 : 1, $1.name) }) {
            transaction.publish(table.grantsAccess ? .queryAccess : .queryDefinition, key: table.name)
        }
    }
}
