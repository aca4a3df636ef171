import ApusTypes

/// Writes one object of each of introspection's types for its selections.
struct IntrospectionWriter {
    let schema: GraphQLSchema
    let hidden: HiddenParts

    typealias Selection = Introspection.Selection

    func schema(_ selections: [Selection], _ json: inout JSONWriter) throws(GraphQLError) {
        try object(selections, &json) { (selection, json) throws(GraphQLError) in
            switch selection.name {
            case "description": text(schema.description, &json)
            case "types":
                try list(schema.types.filter { !hidden.types.contains($0.name) }, &json) { (type, json) throws(GraphQLError) in
                    try self.type(TypeReference(type.id), selection.selections, &json)
                }
            case "queryType": try root(.query, selection.selections, &json)
            case "mutationType": try root(.mutation, selection.selections, &json)
            case "subscriptionType": try root(.subscription, selection.selections, &json)
            default:
                try list(schema.directives, &json) { (directive, json) throws(GraphQLError) in
                    try self.directive(directive, selection.selections, &json)
                }
            }
        }
    }

    private func root(_ kind: OperationKind, _ selections: [Selection], _ json: inout JSONWriter) throws(GraphQLError) {
        guard let type = schema.rootType(kind) else { return json.null() }
        try self.type(TypeReference(type.id), selections, &json)
    }

    func type(_ reference: TypeReference, _ selections: [Selection], _ json: inout JSONWriter) throws(GraphQLError) {
        guard reference.isNamed else { return try wrapper(reference, selections, &json) }
        let type = schema.named(reference)
        try object(selections, &json) { (selection, json) throws(GraphQLError) in
            switch selection.name {
            case "kind": json.string(type.kind.rawValue)
            case "name": json.string(type.name)
            case "description": text(type.description, &json)
            case "specifiedByURL": text(type.specifiedByURL, &json)
            case "fields" where type.kind.hasFields:
                let fields = type.fields.filter {
                    (selection.includesDeprecated || $0.deprecationReason == nil) && !hidden.hides($0, of: type, in: schema)
                }
                try list(fields, &json) { (field, json) throws(GraphQLError) in try self.field(field, selection.selections, &json) }
            case "interfaces" where type.kind.hasFields: try types(type.interfaces, selection.selections, &json)
            case "possibleTypes" where type.kind.isAbstract: try types(schema.possibleTypes(of: type), selection.selections, &json)
            case "enumValues" where type.kind == .enumeration:
                let values = type.enumValues.filter { selection.includesDeprecated || $0.deprecationReason == nil }
                try list(values, &json) { (value, json) throws(GraphQLError) in try enumValue(value, selection.selections, &json) }
            case "inputFields" where type.kind == .inputObject:
                try inputs(type.inputFields.filter { !hidden.hides($0, of: type, in: schema) }, selection, &json)
            default: json.null()
            }
        }
    }

    private func wrapper(_ reference: TypeReference, _ selections: [Selection], _ json: inout JSONWriter) throws(GraphQLError) {
        try object(selections, &json) { (selection, json) throws(GraphQLError) in
            switch selection.name {
            case "kind": json.string(reference.isNonNull ? "NON_NULL" : "LIST")
            case "ofType": try type(reference.unwrapped, selection.selections, &json)
            default: json.null()
            }
        }
    }

    private func types(_ ids: [TypeID], _ selections: [Selection], _ json: inout JSONWriter) throws(GraphQLError) {
        try list(ids, &json) { (id, json) throws(GraphQLError) in try type(TypeReference(id), selections, &json) }
    }

    private func field(_ field: FieldDefinition, _ selections: [Selection], _ json: inout JSONWriter) throws(GraphQLError) {
        try object(selections, &json) { (selection, json) throws(GraphQLError) in
            switch selection.name {
            case "name": json.string(field.name)
            case "description": text(field.description, &json)
            case "args": try inputs(field.arguments, selection, &json)
            case "type": try type(field.type, selection.selections, &json)
            case "isDeprecated": json.bool(field.deprecationReason != nil)
            default: text(field.deprecationReason, &json)
            }
        }
    }

    private func inputs(_ inputs: [InputValue], _ selection: Selection, _ json: inout JSONWriter) throws(GraphQLError) {
        let told = inputs.filter { selection.includesDeprecated || $0.deprecationReason == nil }
        try list(told, &json) { (input, json) throws(GraphQLError) in try self.input(input, selection.selections, &json) }
    }

    private func input(_ input: InputValue, _ selections: [Selection], _ json: inout JSONWriter) throws(GraphQLError) {
        try object(selections, &json) { (selection, json) throws(GraphQLError) in
            switch selection.name {
            case "name": json.string(input.name)
            case "description": text(input.description, &json)
            case "type": try type(input.type, selection.selections, &json)
            case "defaultValue": text(schema.defaultValue(of: input).flatMap { schema.literalText($0, as: input.type) }, &json)
            case "isDeprecated": json.bool(input.deprecationReason != nil)
            default: text(input.deprecationReason, &json)
            }
        }
    }

    private func enumValue(_ value: EnumValue, _ selections: [Selection], _ json: inout JSONWriter) throws(GraphQLError) {
        try object(selections, &json) { (selection, json) throws(GraphQLError) in
            switch selection.name {
            case "name": json.string(value.name)
            case "description": text(value.description, &json)
            case "isDeprecated": json.bool(value.deprecationReason != nil)
            default: text(value.deprecationReason, &json)
            }
        }
    }

    private func directive(_ directive: DirectiveDefinition, _ selections: [Selection], _ json: inout JSONWriter) throws(GraphQLError) {
        try object(selections, &json) { (selection, json) throws(GraphQLError) in
            switch selection.name {
            case "name": json.string(directive.name)
            case "description": text(directive.description, &json)
            case "isRepeatable": json.bool(directive.isRepeatable)
            case "locations": json.array { for location in directive.locations { $0.string(location.rawValue) } }
            default: try inputs(directive.arguments, selection, &json)
            }
        }
    }

    // MARK: Pieces

    private func object(
        _ selections: [Selection], _ json: inout JSONWriter, _ member: (Selection, inout JSONWriter) throws(GraphQLError) -> Void
    ) throws(GraphQLError) {
        if json.bytes.count > Introspection.mostBytes {
            throw GraphQLError("The answer to an introspection query would be larger than \(Introspection.mostBytes) bytes.")
        }
        try json.object { (json) throws(GraphQLError) in
            for selection in selections {
                json.key(selection.key)
                if selection.name == "__typename" { json.string(selection.typeName) } else { try member(selection, &json) }
            }
        }
    }

    private func list<Element>(
        _ elements: [Element], _ json: inout JSONWriter, _ item: (Element, inout JSONWriter) throws(GraphQLError) -> Void
    ) throws(GraphQLError) {
        try json.array { (json) throws(GraphQLError) in
            for element in elements { try item(element, &json) }
        }
    }

    private func text(_ text: String?, _ json: inout JSONWriter) { if let text { json.string(text) } else { json.null() } }
}
