internal import ApusGraphQL
internal import ApusTypes

/// Tables, views and their fields.
extension SchemaReader {
    mutating func readObject(_ type: NamedType, _ node: NodeID) {
        let name = typeName(type.name)
        let applied = Applied(schema.directives(on: type))
        if applied["table"] != nil, applied["view"] != nil {
            report(.definition, "\(type.name) is both @table and @view; keep one of them", at: node)
        }
        if source.kind == .http {
            report(.definition, "\(type.name): a source over HTTP has functions only; declare it without @table and @view", at: node)
        }
        if applied["at"] != nil {
            report(.definition, "\(type.name): there is no @at of types; write it behind fields of requests", at: node)
        }
        let table = applied["table"]
        let fields = fieldNodes(of: type, node).compactMap { field(type, $0) }
        var object = DataObject(
            name: name, originalName: type.name, source: source.name, module: module(applied["module"], at: node),
            kind: table != nil ? .table : .view(sql: applied["view"]?.text("sql")),
            relation: (table ?? applied["view"])?.text("name") ?? type.name, description: type.description, fields: fields,
            uniqueKeys: uniqueKeys(type, applied, fields, node), isJunction: table?.isTrue("is_m2m") ?? false,
            softDelete: softDelete(type, table, node), arguments: viewArguments(type, applied, node),
            embeddings: embeddings(type, applied, fields, node), isReadOnly: source.isReadOnly)
        object.caching = cachingRule(applied, type.name, node)
        for field in fields where field.isColumn && field.type.element.isObject {
            report(
                .definition,
                "\(type.name).\(field.name) holds rows of another object; relate them with @field_references, @references or @join",
                at: node)
        }
        result.objects.append(object)
        readReferences(of: type, typeName: name, declaredIn: node)
    }

    mutating func cachingRule(_ applied: Applied, _ name: String, _ node: NodeID) -> CachingRule? {
        guard let cache = applied["cache"] else { return nil }
        let lifetime = cache["ttl"].flatMap { $0.isNull ? nil : $0.asString ?? $0.description }
        do throws(CachingProblem) {
            return try CachingRule(lifetime: lifetime, key: cache.text("key"), tags: cache.texts("tags"))
        } catch {
            report(.definition, "\(name): \(error.message)", at: node)
            return nil
        }
    }

    private mutating func uniqueKeys(
        _ type: NamedType, _ applied: Applied, _ fields: [DataField], _ node: NodeID
    ) -> [DataObject.UniqueKey] {
        applied.all("unique").map { unique in
            let names = unique.texts("fields")
            for name in names where !fields.contains(where: { $0.name == name && $0.isColumn }) {
                report(.definition, "\(type.name): @unique names the field \"\(name)\", which is no column of it", at: node)
            }
            let suffix = unique.text("query_suffix") ?? "by_" + names.joined(separator: "_")
            if !APIName.isAllowed(type.name + "_" + suffix) {
                report(.definition, "\(type.name)_\(suffix) \(APIName.refusal); change the query_suffix of @unique", at: node)
            }
            return DataObject.UniqueKey(
                fields: names, querySuffix: unique.isTrue("skip_query") ? nil : suffix, match: unique.text("match"))
        }
    }

    private mutating func softDelete(_ type: NamedType, _ table: AppliedDirective?, _ node: NodeID) -> DataObject.SoftDelete? {
        guard let table, table.isTrue("soft_delete") else { return nil }
        guard let condition = table.text("soft_delete_cond"), let assignment = table.text("soft_delete_set") else {
            report(
                .definition,
                "\(type.name): @table(soft_delete: true) needs soft_delete_cond, true for rows that are there, and soft_delete_set",
                at: node)
            return nil
        }
        return DataObject.SoftDelete(condition: condition, assignment: assignment)
    }

    private mutating func viewArguments(_ type: NamedType, _ applied: Applied, _ node: NodeID) -> DataObject.ViewArguments? {
        guard let name = applied["args"]?.text("name") else { return nil }
        guard let input = schema.type(name), input.kind == .inputObject else {
            report(.definition, "\(type.name): @args names \"\(name)\", which is no input type of this schema", at: node)
            return nil
        }
        let members = parameters(input.inputFields, at: node)
        let isRequired = applied["args"]?.isTrue("required") == true || members.contains { $0.isNonNull && $0.injected == nil }
        return DataObject.ViewArguments(typeName: typeName(name), isRequired: isRequired, parameters: members)
    }

    private mutating func embeddings(
        _ type: NamedType, _ applied: Applied, _ fields: [DataField], _ node: NodeID
    ) -> DataObject.Embeddings? {
        guard let embeddings = applied["embeddings"], let vector = embeddings.text("vector") else { return nil }
        guard fields.contains(where: { $0.name == vector && $0.type == .scalar(.vector) }) else {
            report(.definition, "\(type.name): @embeddings(vector: \"\(vector)\") names no field of type Vector", at: node)
            return nil
        }
        return DataObject.Embeddings(
            model: embeddings.text("model") ?? "", vector: vector, distance: embeddings.text("distance") ?? "L2")
    }

    // MARK: Fields

    mutating func field(_ type: NamedType, _ node: NodeID) -> DataField? {
        let name = text.name(of: node)
        guard name != "_stub", let definition = type.field(name), let dataType = dataType(definition.type, at: node) else { return nil }
        let applied = Applied(schema.directives(on: definition))
        let defaults = applied["default"].map {
            DataField.Defaults(
                sequence: $0.text("sequence"), insertExpression: $0.text("insert_exp"), updateExpression: $0.text("update_exp"))
        }
        return DataField(
            name: name, type: dataType, isNonNull: definition.type.isNonNull, kind: kind(applied, definition, dataType, node),
            description: definition.description, deprecationReason: definition.deprecationReason, isPrimaryKey: applied["pk"] != nil,
            defaults: defaults, isFilterRequired: applied["filter_required"] != nil,
            srid: applied["geometry_info"]?.integer("srid"), dimension: applied["dim"]?.integer("len"),
            addedBy: owns(type.name) ? nil : source.name)
    }

    private mutating func kind(
        _ applied: Applied, _ definition: FieldDefinition, _ type: DataType, _ node: NodeID
    ) -> DataField.Kind {
        if let join = applied["join"] {
            let declaration = JoinDeclaration(
                target: typeName(join.text("references_name") ?? ""), sourceFields: join.texts("source_fields"),
                targetFields: join.texts("references_fields"), sql: join.text("sql"))
            if type.element != .object(declaration.target) {
                report(.reference, "\(context(node)): @join leads to \(declaration.target), but the field's type is \(type.text)", at: node)
            }
            if declaration.sourceFields.count != declaration.targetFields.count {
                report(.reference, "\(context(node)): @join needs as many source_fields as references_fields", at: node)
            }
            if declaration.sourceFields.isEmpty, declaration.sql == nil {
                report(.reference, "\(context(node)): @join needs source_fields and references_fields, or sql", at: node)
            }
            return .join(declaration)
        }
        if let call = applied["function_call"] ?? applied["table_function_call_join"] {
            let arguments = call["args"]?.asObject ?? [:]
            let function = DataFunction.ID(
                module: source.kind == .extension ? call.text("module") ?? "" : source.module(call.text("module")),
                name: call.text("references_name") ?? "", use: .query)
            return .functionCall(
                FunctionCall(
                    function: function,
                    arguments: Dictionary(
                        arguments.compactMap { key, value in value.asString.map { (key, $0) } }, uniquingKeysWith: { $1 }),
                    declared: parameters(definition.arguments, at: node)))
        }
        if let sql = applied["sql"]?.text("exp") { return .computed(sql: sql) }
        return .stored(column: applied["field_source"]?.text("field") ?? definition.name)
    }

    // MARK: References

    /// `@references` of the type, `@field_references` of its fields, as far as this definition or extension declares them.
    mutating func readReferences(of type: NamedType, typeName: String, declaredIn node: NodeID) {
        let addedBy = owns(type.name) ? nil : source.name
        // The schema merges the directives of all extensions of a type; only the first that is read takes them.
        guard result.references.allSatisfy({ $0.source != typeName || $0.addedBy == nil }) else { return }
        for directive in schema.directives(on: type, named: "references") {
            if directive.isTrue("is_m2m") {
                report(
                    .reference,
                    "\(type.name): declare a relation of many to many by @table(is_m2m: true) and @field_references on the table between",
                    at: node)
                continue
            }
            let target = directive.text("references_name") ?? ""
            let fields = directive.texts("source_fields")
            add(
                Reference(
                    name: directive.text("name") ?? "\(target)_\(fields.joined(separator: "_"))", source: typeName, sourceFields: fields,
                    target: self.typeName(target), targetFields: directive.texts("references_fields"), query: directive.text("query"),
                    backQuery: directive.text("references_query"), description: directive.text("description"),
                    backDescription: directive.text("references_description"), addedBy: addedBy, place: text.place(of: node)),
                target, type, node)
        }
        for field in type.fields {
            for directive in schema.directives(on: field, named: "field_references") {
                let target = directive.text("references_name") ?? ""
                add(
                    Reference(
                        name: directive.text("name") ?? "\(target)_\(field.name)", source: typeName, sourceFields: [field.name],
                        target: self.typeName(target), targetFields: directive.text("field").map { [$0] } ?? [],
                        query: directive.text("query"), backQuery: directive.text("references_query"),
                        description: directive.text("description"), backDescription: directive.text("references_description"),
                        addedBy: addedBy, place: text.place(of: node)),
                    target, type, node)
            }
        }
    }

    /// Fields that lead somewhere are named after the objects where nobody names them.
    private mutating func add(_ reference: Reference, _ target: String, _ type: NamedType, _ node: NodeID) {
        for name in [reference.query, reference.backQuery].compactMap({ $0 }) where !name.isEmpty && !APIName.isAllowed(name) {
            report(.definition, "\(type.name): \(name) \(APIName.refusal); change the query of the reference", at: node)
        }
        var reference = reference
        reference.query = reference.query ?? target
        reference.backQuery = reference.backQuery ?? type.name
        result.references.append(reference)
    }
}

extension DataType {
    var isObject: Bool { if case .object = self { true } else { false } }
}

/// The directives of one element.
struct Applied {
    private let directives: [AppliedDirective]

    init(_ directives: [AppliedDirective]) { self.directives = directives }
    subscript(name: String) -> AppliedDirective? { directives.first { $0.name == name } }
    func all(_ name: String) -> [AppliedDirective] { directives.filter { $0.name == name } }
}

extension AppliedDirective {
    func text(_ argument: String) -> String? { self[argument]?.asString }
    func texts(_ argument: String) -> [String] { self[argument]?.asArray?.compactMap(\.asString) ?? [] }
    func isTrue(_ argument: String) -> Bool { self[argument]?.asBool == true }
    func integer(_ argument: String) -> Int? { self[argument]?.asInteger.map { Int($0) } }
}
