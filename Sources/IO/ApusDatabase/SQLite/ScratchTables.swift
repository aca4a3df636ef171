internal import ApusRuntime
public import ApusTypes
internal import CSQLite

/// A statement over rows that no database holds: they are tables of a database in memory, which ends with it.
public enum ScratchTables {
    public struct Table: Sendable {
        let creation: StaticSQL
        let insertion: StaticSQL
        let rows: [[SQLValue]]

        /// `columns`: names with types, as CREATE TABLE has them. Each row has a value for every one.
        public init(_ name: StaticSQL, columns: [StaticSQL], rows: [[SQLValue]]) {
            var (definitions, places): (StaticSQL, StaticSQL) = ("", "")
            for (index, column) in columns.enumerated() {
                definitions = definitions + (index > 0 ? ", " : "") + column
                places = places + (index > 0 ? ", $" : "$") + StaticSQL.place(index + 1)
            }
            creation = "CREATE TABLE " + name + " (" + definitions + ")"
            insertion = "INSERT INTO " + name + " VALUES (" + places + ")"
            self.rows = rows
        }
    }

    public static func read(_ statement: Statement, of tables: [Table], deadline: Instant) async throws -> Rows {
        let thread = try await SQLiteThread.start(name: "apus-sql-scratch") {
            try SQLiteConnection(path: ":memory:", flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, functions: [], namesMain: false)
        }
        let result: Result<Rows, any Error>
        do {
            result = .success(
                try await thread.perform(deadline: deadline) { connection, _ in
                    try connection.execute("BEGIN")
                    for table in tables {
                        try connection.execute(table.creation)
                        for row in table.rows { try connection.run(Statement(table.insertion, row)) }
                    }
                    return try connection.run(statement)
                })
        } catch {
            result = .failure(error)
        }
        await thread.stop()
        return try result.get()
    }
}
