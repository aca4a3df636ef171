import ApusTypes
import Foundation
import TestKit
import Testing

/// DuckDB files and lakes, which the engine itself makes through its Python interface: what the engine is loaded from is that package's module.
enum DuckDBFiles {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let library = root.appending(path: ".deps/duckdb/libduckdb.so").path

    /// What attaches a lake as `lake`, for `run`: its metadata in PostgreSQL, or in a file.
    static func attaching(_ metadata: String, data: String) -> String {
        let isPostgreSQL = metadata.hasPrefix("postgres")
        return """
            LOAD ducklake; \(isPostgreSQL ? "LOAD postgres_scanner;" : "")
            ATTACH 'ducklake:\(isPostgreSQL ? "postgres:" : "")\(metadata)' AS lake (DATA_PATH '\(data)'); USE lake;
            """
    }

    /// A new file, with what the statements make.
    static func make(_ path: String, _ sql: String) async throws { try await run(sql, on: path, in: path) }

    /// `scratch`: where files may be laid that begin like this.
    static func run(_ sql: String, on path: String = ":memory:", in scratch: String) async throws {
        let script = scratch + ".sql"
        try Data(sql.utf8).write(to: URL(fileURLWithPath: script))
        let wheel = try #require(
            try FileManager.default.contentsOfDirectory(atPath: root.appending(path: ".deps/archives").path).first {
                $0.hasPrefix("duckdb-") && $0.hasSuffix(".whl")
            })
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let program = """
            import sys, zipfile
            zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[3] + ".python")
            sys.path.insert(0, sys.argv[3] + ".python")
            import duckdb
            duckdb.connect(sys.argv[2], config={"extension_directory": sys.argv[4]}).execute(open(sys.argv[3]).read())
            """
        process.arguments = [
            "python3", "-c", program, root.appending(path: ".deps/archives/\(wheel)").path, path, script,
            root.appending(path: ".deps/duckdb/extensions").path,
        ]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw TestKitError("DuckDB does not make \(path)") }
    }
}
