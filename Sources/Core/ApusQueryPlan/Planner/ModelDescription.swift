internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// Answers what is asked of the model: modules, their objects, and the references between these. What rules hide is not there.
struct ModelDescription {
    private let request: RequestContext
    private let hidden: Set<String>
    private var model: DataModel { request.model }

    init(_ request: RequestContext) {
        self.request = request
        hidden = HiddenParts(of: request.planner.api, by: request.planner.permissions).types
    }

    private enum Part {
        case module(String)
        case object(DataObject)
        case field(DataField)
        case relation(from: DataObject, Navigation, to: DataObject)
    }

    /// Null for what is not there, or hidden.
    func value(_ described: RootField.Described, _ use: FieldUse) -> JSONValue {
        let name = use.arguments["name"]?.json.asString ?? ""
        switch described {
        case .root: return told(.module(""), use.fields, use.type)
        case .module: return modules.contains(name) || name.isEmpty ? told(.module(name), use.fields, use.type) : .null
        case .object: return visible(name).map { told(.object($0), use.fields, use.type) } ?? .null
        }
    }

    private func visible(_ name: String) -> DataObject? { hidden.contains(name) ? nil : model.objects[name] }
    private var objects: [DataObject] { model.objects.values.filter { !hidden.contains($0.name) }.sorted { $0.name < $1.name } }

    /// Those with objects, and those above them.
    private var modules: Set<String> {
        var found: Set<String> = []
        for object in objects {
            var path = object.module[...]
            while !path.isEmpty, found.insert(String(path)).inserted { path = path.lastIndex(of: ".").map { path[..<$0] } ?? "" }
        }
        return found
    }

    private func told(_ part: Part, _ fields: [CollectedField], _ type: NamedType) -> JSONValue {
        .object(
            JSONObject(
                fields.map { field in
                    if field.name == "__typename" { return (field.responseKey, .string(type.name)) }
                    guard let below = request.type(of: field, on: type) else { return (field.responseKey, .null) }
                    let inner = below.kind.isComposite ? request.collector.subfields(of: field, on: below) : []
                    return (field.responseKey, member(field.name, of: part) { told($0, inner, below) })
                }))
    }

    private func member(_ name: String, of part: Part, _ tell: (Part) -> JSONValue) -> JSONValue {
        switch (part, name) {
        case (.module(let path), "name"): return .string(path)
        case (.module(let path), "modules"):
            let below = modules.filter { name in name.lastIndex(of: ".").map { String(name[..<$0]) } ?? "" == path }
            return .array(below.sorted().map { tell(.module($0)) })
        case (.module(let path), _): return .array(objects.filter { $0.module == path }.map { tell(.object($0)) })
        case (.object(let object), "name"): return .string(object.name)
        case (.object(let object), "type"): return object.kind == .table ? "TABLE" : "VIEW"
        case (.object(let object), "description"): return object.description.map { .string($0) } ?? .null
        case (.object(let object), "module"): return .string(object.module)
        case (.object(let object), "dataSource"): return .string(object.source)
        case (.object(let object), "fields"):
            let permissions = request.planner.permissions
            return .array(object.columns.filter { permissions.rule(object.name, $0.name)?.isHidden != true }.map { tell(.field($0)) })
        case (.object(let object), _):
            return .array(
                object.navigations.compactMap { navigation in
                    guard Self.isReference(navigation, of: object), let target = visible(navigation.target) else { return nil }
                    return tell(.relation(from: object, navigation, to: target))
                })
        case (.field(let field), "name"): return .string(field.name)
        case (.field(let field), "type"): return .string(field.type.text)
        case (.field(let field), "isPk"): return .bool(field.isPrimaryKey)
        case (.field(let field), _): return field.description.map { .string($0) } ?? .null
        case (.relation(_, let navigation, let target), "name"):
            return .string(([target.name] + navigation.nearFields).joined(separator: "_"))
        case (.relation, "kind"): return "FK"
        case (.relation(_, _, let target), _): return tell(.object(target))
        }
    }

    /// From the row that refers to the one that it refers to; declared as a reference, not as a join.
    private static func isReference(_ navigation: Navigation, of object: DataObject) -> Bool {
        guard !navigation.isList, case .fields(_, nil) = navigation.path else { return false }
        return !object.fields.contains { $0.name == navigation.name }
    }
}
