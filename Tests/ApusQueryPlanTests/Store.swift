import ApusGraphQL
import ApusTypes
import HugrSuiteKit

@testable import ApusQueryPlan
@testable import ApusSchemas

/// The sources of Hugr's end-to-end suite, as the tests plan over them.
enum Store {
    /// `engine`: of both databases.
    static func api(_ engine: SQLEngine = .postgreSQL, more: [String: String] = [:]) throws -> DataAPI {
        var schemas: [SourceSchema] = []
        func read(_ name: String, _ kind: SourceDescription.Kind, isModule: Bool = true) throws {
            let text = try more[name] ?? HugrSuite.schema(name)
            schemas.append(
                try SchemaReader.read(
                    [SchemaFile(name: name, text: text)],
                    of: SourceDescription(name: name, kind: kind, prefix: name, isModule: isModule),
                    beside: try DataModel(joining: schemas)))
        }
        try read("pg_store", .database(engine))
        try read("local_db", .database(engine))
        try read("rest_api", .http)
        try read("ext_bridge", .extension, isModule: false)
        for name in more.keys.sorted() where !["pg_store", "local_db"].contains(name) { try read(name, .database(engine)) }
        return try DataAPI(of: try DataModel(joining: schemas))
    }

    static func plan(
        _ text: String, over api: DataAPI, variables: JSONObject = [:], identity: JSONObject = [:], limits: PlanLimits = PlanLimits()
    ) throws -> OperationPlan {
        let document = try GraphQLDocument(parsing: text)
        let problems = api.schema.problems(with: document)
        if !problems.isEmpty { throw GraphQLErrors(problems) }
        let operation = try PreparedOperation(document, schema: api.schema)
        let planner = QueryPlanner(api, identity: identity, limits: limits)
        return try planner.plan(operation, variables: try operation.variables(from: variables))
    }
}

/// Rows as a source gives them: texts, nil for NULL.
typealias TextRow = [String?]

extension RowAssembler {
    func add(_ row: TextRow) {
        let texts = row.map { $0.map { Array($0.utf8) } }
        var cells: [RowCell] = []
        func add(_ rest: ArraySlice<[UInt8]?>) {
            guard let text = rest.first else { return cells.withUnsafeBufferPointer { self.add($0) } }
            guard let text else {
                cells.append(.null)
                return add(rest.dropFirst())
            }
            text.withUnsafeBytes { bytes in
                // An empty text has an address, too.
                cells.append(RowCell(bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8), count: bytes.count))
                add(rest.dropFirst())
            }
        }
        add(texts[...])
    }
}
