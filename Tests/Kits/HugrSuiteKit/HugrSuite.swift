public import Foundation

/// Hugr's end-to-end suite as it was recorded: requests, answers, and what they are asked of.
public enum HugrSuite {
    public static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Suite")

    /// The SDL of one of its data sources: `pg_store`.
    public static func schema(_ source: String) throws -> String { try text("fixtures/schemas/\(source)/schema.graphql") }

    /// One case with an operation of its own: `aggregations/basic`, or `views/argless/01_query` where a folder has several steps.
    public static func operation(_ name: String) throws -> String { try text("queries/\(path(name, "query", "")).graphql") }

    /// The reply to it, as JSON.
    public static func expected(_ name: String) throws -> String { try text("queries/\(path(name, "expected", "_expected")).json") }

    private static func path(_ name: String, _ single: String, _ step: String) -> String {
        var isFolder: ObjCBool = false
        let path = folder.appending(path: "queries/\(name)").path
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue { return "\(name)/\(single)" }
        guard !step.isEmpty, let slash = name.lastIndex(of: "/") else { return name }
        // `01_query` is answered with `01_expected`.
        return name[...slash] + name[name.index(after: slash)...].prefix { $0 != "_" } + step
    }

    private static func text(_ path: String) throws -> String { try String(contentsOf: folder.appending(path: path), encoding: .utf8) }
}
