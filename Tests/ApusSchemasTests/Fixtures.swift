import ApusGraphQL
import Foundation
import HugrSuiteKit
import Testing

@testable import ApusSchemas

/// The schemas of Hugr's end-to-end suite, and of its recorded generated schemas.
enum Fixtures {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

    static func text(_ path: String) throws -> String { try String(contentsOf: folder.appending(path: path), encoding: .utf8) }

    /// Of the suite, or of those that are here.
    private static func source(_ name: String) throws -> String {
        try (try? HugrSuite.schema(name)) ?? text("Sources/\(name).graphql")
    }

    static func read(
        _ name: String, _ kind: SourceDescription.Kind, isModule: Bool = true, beside others: DataModel = DataModel()
    ) throws -> SourceSchema {
        let source = SourceDescription(name: name, kind: kind, prefix: name, isModule: isModule)
        let file = SchemaFile(name: "schema.graphql", text: try Self.source(name))
        return try SchemaReader.read([file], of: source, beside: others)
    }

    /// The sources that the end-to-end suite runs with.
    static func suite() throws -> [SourceSchema] {
        var schemas = [
            try read("pg_store", .database(.postgreSQL)), try read("local_db", .database(.duckDB)), try read("rest_api", .http),
        ]
        schemas.append(try read("ext_bridge", .extension, isModule: false, beside: try DataModel(joining: schemas)))
        return schemas
    }

    /// One source without a prefix, as the recorded schemas have it.
    static func recorded(_ name: String) throws -> DataAPI {
        let source = SourceDescription(name: "test", kind: .database(.duckDB))
        let schema = try SchemaReader.read([SchemaFile(name: "schema.graphql", text: Self.source(name))], of: source)
        return try DataAPI(of: try DataModel(joining: [schema]))
    }
}
