internal import ApusDatabase
internal import ApusQueryPlan
internal import ApusRuntime
internal import ApusSchemas
internal import ApusTypes
internal import Synchronization

/// A PostgreSQL server, and perhaps replicas of it that reads go to in turn.
final class PostgreSQLSource: SQLSource {
    let name: String
    let engine = SQLEngine.postgreSQL
    private let primary: PostgreSQLPool
    private let replicas: [PostgreSQLPool]
    private let turn = Atomic<Int>(0)

    init(
        _ name: String, _ url: Redacted<String>, replicas: [Redacted<String>], loops: EventLoops, options: PostgreSQLPool.Options
    ) throws {
        self.name = name
        primary = try PostgreSQLPool(name, url: url, loops: loops, options: options)
        var reading = options
        reading.isReadOnly = true
        self.replicas = try replicas.map { try PostgreSQLPool(name, url: $0, loops: loops, options: reading) }
    }

    var use: PoolUse { replicas.reduce(primary.use) { $0 + $1.use } }

    func read(_ statement: SourceStatement, deadline: Instant) async throws -> SourceRows {
        let query = statement.textQuery
        if !replicas.isEmpty {
            let replica = replicas[(turn.wrappingAdd(1, ordering: .relaxed).oldValue & Int.max) % replicas.count]
            do {
                return .text(try await replica.read(query, deadline: deadline))
            } catch let error as ApusError where [.sourceUnavailable, .sourceBusy].contains(error.code) {
                // The primary has what a replica has.
            }
        }
        return .text(try await primary.read(query, deadline: deadline))
    }

    /// A piece that takes longer is an error.
    private static let pieceTime = Duration.seconds(60)

    func reading<Value: Sendable>(
        deadline: Instant, _ body: (any SourceReading) async throws -> Value
    ) async throws -> Value {
        let pool = replicas.isEmpty ? primary : replicas[(turn.wrappingAdd(1, ordering: .relaxed).oldValue & Int.max) % replicas.count]
        return try await pool.reading(deadline: deadline, pieceTime: Self.pieceTime) { try await body(Reading($0)) }
    }

    private final class Reading: SourceReading {
        private let reading: PoolReading

        init(_ reading: PoolReading) { self.reading = reading }

        func open(_ statement: SourceStatement) async throws -> any RowPieces {
            Pieces(try await reading.open(statement.textQuery, uses: statement.uses))
        }
    }

    private final class Pieces: RowPieces {
        private let cursor: PoolCursor

        init(_ cursor: PoolCursor) { self.cursor = cursor }

        func next() async throws -> SourceRows? { try await cursor.next().map { .text($0) } }
        func close() async { await cursor.close() }
    }

    func transaction<Value: Sendable>(
        deadline: Instant, _ body: (any SourceTransaction) async throws -> Value
    ) async throws -> Value {
        try await primary.transaction(deadline: deadline) { try await body(Statements(transaction: $0)) }
    }

    func close() async { for pool in [primary] + replicas { pool.close() } }

    private final class Statements: SourceTransaction {
        let transaction: PoolTransaction

        init(transaction: PoolTransaction) { self.transaction = transaction }

        func run(_ statement: SourceStatement) async throws -> SourceRows { .text(try await transaction.run(statement.textQuery)) }
    }
}

extension SourceStatement {
    fileprivate var textQuery: TextQuery { TextQuery(sql, parameters.map(\.postgreSQLText)) }
}
