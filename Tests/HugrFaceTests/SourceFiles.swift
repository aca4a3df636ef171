import ApusDatabase
import ApusRuntime
import ApusTypes
import Foundation

/// Data sources of a test's own, and the configuration that names them.
enum SourceFiles {
    /// Two notes in a SQLite file, and `apus.yml` beside it.
    static func sqlite(in directory: String) async throws {
        let database = try await SQLiteDatabase.open(path: directory + "/notes.db")
        _ = try await database.run(
            [
                .once("CREATE TABLE notes (id integer PRIMARY KEY, text varchar NOT NULL)"),
                .once("INSERT INTO notes VALUES (1, 'one'), (2, 'two')"),
            ], on: .write, deadline: BootClock.now.advanced(by: .seconds(30)))
        await database.close()
        try write(
            """
            query:
              sources:
                - {name: notes, type: sqlite, path: "\(directory)/notes.db", self_defined: true}
            """, to: directory + "/apus.yml")
    }

    static func write(_ text: String, to path: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) }
}
