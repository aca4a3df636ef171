internal import ApusCatalog
internal import ApusDatabase
internal import ApusQueryPlan
public import ApusSchemas
public import ApusTypes

/// The catalog's tables of the query service as a data source, `core`. What is read is SQL; what is changed goes through the definitions'
/// rules, in one transaction of the catalog; what has an effect is a function.
public final class CoreSource: SQLSource, FunctionSource, EventSource {
    /// What a node says of itself.
    public struct Facts: Sendable {
        public var version: String
        /// Whether other nodes take this one for a manager.
        public var isManager: Bool
        public var managementURL: @Sendable () -> String?

        public init(version: String, isManager: Bool, managementURL: @escaping @Sendable () -> String?) {
            self.version = version
            self.isManager = isManager
            self.managementURL = managementURL
        }
    }

    public let name: String
    public let engine: SQLEngine
    let catalog: Catalog
    let registry: SchemaRegistry
    let secrets: @Sendable () -> SecretRing?
    let facts: Facts
    let cache: QueryCache?
    let access: QueryAccess?

    private init(_ name: String, _ registry: SchemaRegistry, _ facts: Facts, _ access: QueryAccess?, _ cache: QueryCache?) {
        self.name = name
        self.cache = cache
        self.access = access
        self.registry = registry
        self.facts = facts
        catalog = registry.catalog
        secrets = registry.secrets
        engine = registry.catalog.database.dialect == .sqlite ? .sqlite : .postgreSQL
    }

    /// To be added to the registry. `access`: what changes of roles and keys are told to at once.
    public static func all(
        _ registry: SchemaRegistry, facts: Facts, access: QueryAccess? = nil, cache: QueryCache? = nil
    ) -> [BuiltInSource] {
        let own = CoreModule.inputs(registry.catalog.database.dialect).map { input in
            (input, CoreSource(input.source.name, registry, facts, access, cache))
        }
        let meta = MetaSource { [catalog = own[0].1] in
            [MetaSource.Described(name: "core", source: catalog, isReadOnly: registry.catalog.isReadOnly, isCatalog: true)]
                + registry.databases
        }
        let lakes = LakeSource { [holder = registry.holder] in holder.current }
        let model = ModelSource { [holder = registry.holder] in holder.current }
        return own.map { BuiltInSource($0, source: $1) }
            + [
                BuiltInSource(MetaModule.input, source: meta), BuiltInSource(ModelModule.input, source: model),
                BuiltInSource(LakeModule.input, source: lakes),
            ]
    }

    public func read(_ statement: SourceStatement, deadline: Instant) async throws -> SourceRows {
        .values(try await catalog.read([Self.statement(statement, engine)], deadline: deadline)[0])
    }

    /// Set while definitions are being changed: a function that changes what is served needs a transaction of its own, and would wait for this one.
    @TaskLocal static var changing: CoreTransaction?

    public func transaction<Value: Sendable>(
        deadline: Instant, _ body: (any SourceTransaction) async throws -> Value
    ) async throws -> Value {
        let rules = DefinitionRules(secrets: secrets())
        let value = try await catalog.definitions.change(deadline: deadline) { [engine] change in
            let transaction = CoreTransaction(change, rules, engine: engine)
            return try await Self.$changing.withValue(transaction) { try await body(transaction) }
        }
        await access?.changed(deadline: deadline)
        return value
    }

    public func close() async {}

    static func statement(_ statement: SourceStatement, _ engine: SQLEngine) -> Statement {
        var sql = Statement(
            statement.sql,
            statement.parameters.map { parameter in
                if engine == .sqlite, case .value(let value) = parameter {
                    switch value {
                    case .integer(let number): return .integer(number)
                    case .double(let number): return .double(number)
                    case .bool(let flag): return .bool(flag)
                    default: break
                    }
                }
                let text = engine == .sqlite ? parameter.sqliteText : parameter.postgreSQLText
                return text.map { .text(String(decoding: $0, as: UTF8.self)) } ?? .null
            })
        sql.tellsText = true
        return sql
    }
}

/// Changes of definitions in one transaction.
final class CoreTransaction: ActingTransaction, @unchecked Sendable {  // one task uses it at a time
    private let change: QueryChange
    private let rules: DefinitionRules
    private let engine: SQLEngine

    init(_ change: QueryChange, _ rules: DefinitionRules, engine: SQLEngine) {
        self.change = change
        self.rules = rules
        self.engine = engine
    }

    func run(_ statement: SourceStatement) async throws -> SourceRows {
        .values(try await change.read(CoreSource.statement(statement, engine)))
    }

    func change(_ action: SourceAction, of rows: SourceStatement) async throws -> JSONValue {
        switch action.kind {
        case .insert(let object): return .object(try await insert(action.arguments, into: try Self.table(object)))
        case .update(let object):
            let table = try Self.table(object)
            let keys = try await keys(rows)
            guard !action.arguments.isEmpty else { throw ApusError(.requestInvalid, "data sets nothing") }
            for key in keys {
                guard let old = try await change.row(key, of: table) else { continue }
                try await requireRelated(of: action.arguments, in: table)
                _ = try await change.update(key, to: try rules.updated(action.arguments, old, in: table), in: table)
            }
            return Self.done(keys.count)
        case .delete(let object):
            let table = try Self.table(object)
            let keys = try await keys(rows)
            for key in keys { _ = try await change.delete(key, from: table) }
            return Self.done(keys.count)
        case .call(let function): throw ApusError(.internalError, "\(function.name) is no change of rows")
        }
    }

    /// Unloads a source as a part of what is changed.
    func unload(_ name: String) async throws -> JSONValue {
        guard try await change.row([name], of: .dataSources) != nil else {
            return ["success": false, "message": .string("there is no data source \"\(name)\"")]
        }
        _ = try await change.cease(name)
        return ["success": true, "message": .string(Self.unloaded)]
    }

    static let unloaded = "Datasource was unloaded"

    private func keys(_ rows: SourceStatement) async throws -> [[String]] {
        try await change.read(CoreSource.statement(rows, engine)).map { row in try row.values.indices.map { try row.text($0) } }
    }

    // MARK: Insertions

    /// The row with the rows that came with it, as they are now.
    private func insert(_ data: JSONObject, into table: QueryTable) async throws -> JSONObject {
        let related = Self.related(table)
        var own = JSONObject(data.filter { related[$0.key] == nil }.map { ($0.key, $0.value) })
        if let unknown = own.keys.first(where: { table[column: $0] == nil && !Self.isTime($0) }) {
            throw DefinitionRules.invalid(table, unknown, "cannot be inserted")
        }
        for name in own.keys where Self.isTime(name) { own[name] = nil }
        try await requireRelated(of: own, in: table)
        let row = try rules.inserted(own, into: table)
        guard try await change.insert(row, into: table) else { throw Self.exists(row, table) }
        let key = table.key.map { row[$0]?.asString ?? "" }
        var told = try await change.row(key, of: table) ?? row
        told["secret"] = nil
        told["digest"] = nil
        for (name, value) in data {
            guard let relation = related[name] else { continue }
            var rows: [JSONValue] = []
            for item in value.asArray ?? [] { rows.append(.object(try await insert(item.asObject ?? [:], along: relation, from: key[0]))) }
            told[name] = .array(rows)
        }
        return told
    }

    private func insert(_ item: JSONObject, along relation: Relation, from name: String) async throws -> JSONObject {
        var item = item
        switch relation {
        case .permissions:
            item["role"] = .string(name)
            return try await insert(item, into: .permissions)
        case .catalogs, .dataSources:
            let other = try await insert(item, into: relation == .catalogs ? .catalogSources : .dataSources)
            let far = other["name"] ?? .null
            _ = try await insert(
                relation == .catalogs
                    ? ["data_source_name": .string(name), "catalog_name": far] : ["data_source_name": far, "catalog_name": .string(name)],
                into: .catalogs)
            return other
        }
    }

    private enum Relation { case permissions, catalogs, dataSources }

    private static func related(_ table: QueryTable) -> [String: Relation] {
        switch table {
        case .dataSources: ["catalogs": .catalogs]
        case .catalogSources: ["data_sources": .dataSources]
        case .roles: ["permissions": .permissions]
        default: [:]
        }
    }

    private static func isTime(_ column: String) -> Bool { column == "created_at" || column == "updated_at" }

    /// What a row refers to must be there.
    private func requireRelated(of row: JSONObject, in table: QueryTable) async throws {
        let references: [(String, QueryTable)] =
            switch table {
            case .catalogs: [("data_source_name", .dataSources), ("catalog_name", .catalogSources)]
            case .permissions: [("role", .roles)]
            case .keys: [("default_role", .roles)]
            default: []
            }
        for (column, other) in references {
            guard let name = row[column]?.asString, try await change.row([name], of: other) == nil else { continue }
            throw DefinitionRules.invalid(table, column, "names \"\(name)\", and there is no such row in \(other.name)")
        }
    }

    private static func exists(_ row: JSONObject, _ table: QueryTable) -> ApusError {
        let key = table.key.map { row[$0]?.asString ?? "" }.joined(separator: ", ")
        return ApusError(
            .definitionExists,
            "\(table.name): there is a row \"\(key)\" already" + (table == .keys ? ", or another with this key" : ""),
            hint: "update it, or choose another name", context: ["field": "\(table.name).\(table.key[0])"])
    }

    private static func table(_ object: String) throws(ApusError) -> QueryTable {
        guard let table = QueryTable.all.first(where: { "core_\($0.name)" == object }) else {
            throw ApusError(.internalError, "\(object) is no table of definitions")
        }
        return table
    }

    private static func done(_ count: Int) -> JSONValue {
        ["success": true, "affected_rows": .integer(Int64(count)), "message": "success"]
    }
}
