internal import ApusDatabase
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// A SQLite file. Its calls block threads of its own.
final class SQLiteSource: SQLSource {
    let name: String
    let engine = SQLEngine.sqlite
    private let database: SQLiteDatabase
    private let pieces: SQLiteReading

    private init(_ name: String, _ path: String, _ database: SQLiteDatabase) {
        self.name = name
        self.database = database
        pieces = SQLiteReading(path: path, pieceTime: .seconds(60))
    }

    static func open(_ name: String, _ path: String, isReadOnly: Bool) async throws -> SQLiteSource {
        try await told(name) {
            SQLiteSource(name, path, try await SQLiteDatabase.open(path: path, mode: isReadOnly ? .sharedReadOnly : .shared))
        }
    }

    func read(_ statement: SourceStatement, deadline: Instant) async throws -> SourceRows {
        try await Self.told(name) {
            .values(try await database.run([statement.statement], on: .read, deadline: deadline)[0])
        }
    }

    func reading<Value: Sendable>(
        deadline: Instant, _ body: (any SourceReading) async throws -> Value
    ) async throws -> Value {
        try await body(Reading(name: name, pieces: pieces))
    }

    private final class Reading: SourceReading {
        private let name: String
        private let pieces: SQLiteReading

        init(name: String, pieces: SQLiteReading) {
            self.name = name
            self.pieces = pieces
        }

        func open(_ statement: SourceStatement) async throws -> any RowPieces {
            Pieces(name, try await told(name) { try await pieces.open(statement.statement) })
        }
    }

    private final class Pieces: RowPieces {
        private let name: String
        private let cursor: SQLiteCursor

        init(_ name: String, _ cursor: SQLiteCursor) {
            self.name = name
            self.cursor = cursor
        }

        func next() async throws -> SourceRows? { try await told(name) { try await cursor.next().map { .values($0) } } }
        func close() async { await cursor.close() }
    }

    func transaction<Value: Sendable>(
        deadline: Instant, _ body: (any SourceTransaction) async throws -> Value
    ) async throws -> Value {
        try await Self.told(name) {
            try await database.transaction(.write, on: .write, deadline: deadline) { transaction in
                try await body(Statements(transaction: transaction, name: name))
            }
        }
    }

    func close() async { await database.close() }

    private final class Statements: SourceTransaction, @unchecked Sendable {  // one task uses it
        private let transaction: any Transaction
        private let name: String

        init(transaction: any Transaction, name: String) {
            self.transaction = transaction
            self.name = name
        }

        func run(_ statement: SourceStatement) async throws -> SourceRows {
            try await told(name) { .values(try await transaction.run([statement.statement])[0]) }
        }
    }

    /// The database's own errors are told as the source's: to who asks for its data it is no catalog.
    private static func told<Value>(_ name: String, _ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as ApusError {
            let message = error.context["message"] ?? ""
            var told = error
            told.context["source"] = name
            let why = message.isEmpty ? error.summary : message
            switch error.code {
            case .databaseConstraint: (told.code, told.summary) = (.sourceConstraint, "refuses the change: \(why)")
            case .databaseRejected: (told.code, told.summary) = (.sourceRejected, "refuses it: \(why)")
            case .catalogReadOnly: (told.code, told.summary) = (.sourceRejected, "takes no writes")
            case .catalogUnavailable, .catalogFull: (told.code, told.summary) = (.sourceUnavailable, "cannot answer: \(why)")
            case .deadlineExceeded: told.summary = "did not answer in time"
            default: throw error
            }
            told.summary = "data source \"\(name)\" \(told.summary)"
            told.hint = nil
            throw told
        }
    }
}

extension SourceStatement {
    fileprivate var statement: Statement {
        Statement(
            sql,
            parameters.map { parameter in
                switch parameter {
                case .value(.integer(let number)): .integer(number)
                case .value(.double(let number)): .double(number)
                case .value(.bool(let flag)): .bool(flag)
                default: parameter.sqliteText.map { .text(String(decoding: $0, as: UTF8.self)) } ?? .null
                }
            })
    }
}
