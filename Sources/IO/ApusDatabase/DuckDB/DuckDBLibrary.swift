public import ApusTypes
internal import CDuckDB
internal import Glibc

/// DuckDB's engine, which is loaded when a data source first needs it: it is no part of this program.
public enum DuckDBLibrary {
    /// Loads it from `path`, or from where the system has its libraries: never from the working directory, which anybody may have filled. Throws `source.unsupported`, which says how to get it. Returns its version.
    @discardableResult
    public static func load(_ path: String?) throws(ApusError) -> String {
        let path = path ?? "libduckdb.so"
        var problem = [CChar](repeating: 0, count: 512)
        if apus_duckdb_load(path, stub(beside: path), &problem, problem.count) == 0 { return String(cString: apus_duckdb_version()) }
        let reason = String(decoding: problem.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        throw ApusError(
            .sourceUnsupported, "DuckDB's engine cannot be loaded: \(reason)",
            hint:
                "install libduckdb.so (https://duckdb.org/install, C/C++), or run scripts/setup --duckdb, and name it in query.duckdb_library"
        )
    }

    /// Where the engine's extensions are: `extensions` beside it, as `scripts/setup` lays them; nil where DuckDB's own place is to be looked at.
    static func extensions(beside library: String?) -> String? {
        guard let library, let slash = library.lastIndex(of: "/") else { return nil }
        let directory = library[...slash] + "extensions"
        return access(String(directory), F_OK) == 0 ? String(directory) : nil
    }

    static func missing(_ name: String, _ reason: String) -> ApusError {
        ApusError(
            .sourceUnsupported, "DuckDB's extension \"\(name)\" cannot be loaded: \(reason)",
            hint: "run scripts/setup --duckdb, or INSTALL \(name) in a DuckDB \(String(cString: apus_duckdb_version())) of the node's user")
    }

    /// DuckDB's Python module, which has the same functions, wants names of Python, which it does not call for them.
    private static func stub(beside path: String) -> String {
        (path.lastIndex(of: "/").map { String(path[...$0]) } ?? "") + "libduckdb-python.so"
    }
}
