internal import ApusDatabase
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// A source of the program's own whose tables are made anew for each request. Everything that is asked of them is SQL over them, as of any other
/// source; they are only read.
protocol TableSource: SQLSource {
    /// At least those that the statement names.
    func tables(for statement: SourceStatement, deadline: Instant) async throws -> [ScratchTables.Table]
}

extension TableSource {
    var engine: SQLEngine { .sqlite }

    func read(_ statement: SourceStatement, deadline: Instant) async throws -> SourceRows {
        let tables = try await tables(for: statement, deadline: deadline)
        return .values(try await ScratchTables.read(CoreSource.statement(statement, engine), of: tables, deadline: deadline))
    }

    func transaction<Value: Sendable>(
        deadline: Instant, _ body: (any SourceTransaction) async throws -> Value
    ) async throws -> Value {
        throw ApusError(.sourceRejected, "\(name) takes no writes")
    }

    func close() async {}
}
