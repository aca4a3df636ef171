import ApusTypes
import Foundation
import TestKit
import Testing

/// DuckDB files, which the engine itself makes through its Python interface: what the engine is loaded from is that package's module.
enum DuckDBFiles {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let library = root.appending(path: ".deps/duckdb/libduckdb.so").path

    /// A new file, with what the statements make.
    static func make(_ path: String, _ sql: String) async throws {
        let script = path + ".sql"
        try Data(sql.utf8).write(to: URL(fileURLWithPath: script))
        let wheel = try #require(
            try FileManager.default.contentsOfDirectory(atPath: root.appending(path: ".deps/archives").path).first {
                $0.hasPrefix("duckdb-") && $0.hasSuffix(".whl")
            })
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let program = """
            import sys, zipfile
            zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2] + ".python")
            sys.path.insert(0, sys.argv[2] + ".python")
            import duckdb
            duckdb.connect(sys.argv[2]).execute(open(sys.argv[3]).read())
            """
        process.arguments = ["python3", "-c", program, root.appending(path: ".deps/archives/\(wheel)").path, path, script]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw TestKitError("DuckDB does not make \(path)") }
    }
}
