internal import ApusDatabase
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// The model that is served, as rows.
final class ModelSource: TableSource {
    let name = "core.catalog"
    private let served: @Sendable () -> ServedSchema?

    init(_ served: @escaping @Sendable () -> ServedSchema?) { self.served = served }

    func tables(for statement: SourceStatement, deadline: Instant) async throws -> [ScratchTables.Table] { served().map(Self.tables) ?? [] }

    private static func tables(_ schema: ServedSchema) -> [ScratchTables.Table] {
        let model = schema.api.model
        let objects = model.objects.values.sorted { $0.name < $1.name }
        let functions = model.functions.values.sorted { ($0.module, $0.name) < ($1.module, $1.name) }
        let places = Set(objects.map { [$0.module, $0.source] } + functions.map { [$0.module, $0.source] })
        return [
            ScratchTables.Table("model_modules", columns: ["name TEXT", "parent TEXT"], rows: modules(places.map { $0[0] })),
            ScratchTables.Table(
                "model_module_data_sources", columns: ["module TEXT", "data_source TEXT"],
                rows: places.map { [.text($0[0]), .text($0[1])] }),
            ScratchTables.Table(
                "model_data_objects",
                columns: [
                    "name TEXT", "original_name TEXT", "data_source TEXT", "module TEXT", "kind TEXT", "description TEXT",
                    "read_only INTEGER",
                ],
                rows: objects.map { object in
                    let kind = object.kind == .table ? "table" : object.arguments == nil ? "view" : "parameterized_view"
                    return [
                        .text(object.name), .text(object.originalName), .text(object.source), .text(object.module), .text(kind),
                        text(object.description), .bool(!object.isMutable),
                    ]
                }),
            ScratchTables.Table(
                "model_fields",
                columns: [
                    "type_name TEXT", "name TEXT", "field_type TEXT", "data_source TEXT", "dependency_data_source TEXT", "is_pk INTEGER",
                    "is_nullable INTEGER", "ordinal INTEGER", "deprecation_reason TEXT", "description TEXT",
                ], rows: objects.flatMap(fields)),
            ScratchTables.Table(
                "model_relations",
                columns: [
                    "source TEXT", "name TEXT", "kind TEXT", "destination TEXT", "m2m_object TEXT", "source_keys TEXT",
                    "destination_keys TEXT",
                ], rows: objects.flatMap { object in object.navigations.map { relation(object, $0) } }),
            ScratchTables.Table(
                "model_functions",
                columns: [
                    "module TEXT", "name TEXT", "kind TEXT", "data_source TEXT", "returns TEXT", "is_table INTEGER", "args TEXT",
                    "description TEXT",
                ], rows: functions.map(row)),
            ScratchTables.Table(
                "model_active_sources",
                columns: ["name TEXT", "type TEXT", "prefix TEXT", "as_module INTEGER", "read_only INTEGER", "suspended TEXT"],
                rows: model.sources.values.sorted { $0.name < $1.name }.map { source in
                    [
                        .text(source.name), .text(source.kind.word), .text(source.prefix), .bool(source.isModule), .bool(source.isReadOnly),
                        text(schema.suspended[source.name]),
                    ]
                }),
        ]
    }

    private static func text(_ value: String?) -> SQLValue { value.map { .text($0) } ?? .null }
    private static func list(_ names: [String]) -> SQLValue { .text(JSONValue.array(names.map { .string($0) }).description) }

    /// Those with something in them, and all above them; the root's name is empty.
    private static func modules(_ names: [String]) -> [[SQLValue]] {
        var known: Set<String> = [""]
        for name in names {
            var path = name[...]
            while !path.isEmpty, known.insert(String(path)).inserted { path = path.lastIndex(of: ".").map { path[..<$0] } ?? "" }
        }
        return known.sorted().map { name in
            [.text(name), name.isEmpty ? .null : .text(name.lastIndex(of: ".").map { String(name[..<$0]) } ?? "")]
        }
    }

    private static func fields(of object: DataObject) -> [[SQLValue]] {
        object.fields.filter { !$0.isNavigation }.enumerated().map { place, field in
            [
                .text(object.name), .text(field.name), .text(field.type.text), .text(object.source), text(field.addedBy),
                .bool(field.isPrimaryKey), .bool(!field.isNonNull), .integer(Int64(place + 1)), text(field.deprecationReason),
                text(field.description),
            ]
        }
    }

    private static func relation(_ object: DataObject, _ navigation: Navigation) -> [SQLValue] {
        let (kind, junction, near, far): (String, String?, [String], [String]) =
            switch navigation.path {
            case .fields(let pairs, _): (navigation.isList ? "many" : "one", nil, pairs.map(\.near), pairs.map(\.far))
            case .junction(let name, let near, let far): ("many_to_many", name, near.map(\.near), far.map(\.far))
            }
        return [
            .text(object.name), .text(navigation.name), .text(kind), .text(navigation.target), text(junction), list(near), list(far),
        ]
    }

    private static func row(of function: DataFunction) -> [SQLValue] {
        let given = function.parameters.filter { $0.injected == nil }
        let parameters = JSONObject(given.map { ($0.name, .string($0.type.text + ($0.isNonNull ? "!" : ""))) })
        return [
            .text(function.module), .text(function.name), .text(function.use.rawValue), .text(function.source),
            .text(function.result.text), .bool(function.isTable), .text(JSONValue.object(parameters).description),
            text(function.description),
        ]
    }
}

extension SourceDescription.Kind {
    fileprivate var word: String {
        switch self {
        case .database(let engine): engine.rawValue
        case .http: "http"
        case .extension: "extension"
        }
    }
}
