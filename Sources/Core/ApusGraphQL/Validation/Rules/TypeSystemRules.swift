/// What the rules of the schema language remember: first definitions, by the name of the type around.
struct DefinitionTables {
    var schemaDirectives: [Symbol: NodeID] = [:]
    var typeDirectives: [Symbol: [Symbol: NodeID]] = [:]
    var schemaDefinitions = 0
    var operationTypes: [OperationKind: NodeID] = [:]
    var types: [Symbol: NodeID] = [:]
    var directives: [Symbol: NodeID] = [:]
    var members: [Symbol: [Symbol: NodeID]] = [:]
}

/// Each thing defined once, and only what exists extended.
extension Validator {
    func enterTypeSystem(_ node: NodeID, _ kind: NodeKind) {
        switch kind {
        case .schemaDefinition:
            if isAsked(.loneSchemaDefinition) { checkLoneSchema(node) }
            if isAsked(.uniqueOperationTypes) { checkOperationTypes(node) }
        case .schemaExtension:
            if isAsked(.uniqueOperationTypes) { checkOperationTypes(node) }
        case .directiveDefinition:
            if isAsked(.uniqueArgumentDefinitionNames) {
                checkUniqueArgumentDefinitions(node, "@\(document.requiredName(of: node))")
            }
            if isAsked(.uniqueDirectiveNames) { checkUniqueDirectiveName(node) }
        case _ where kind.isTypeDefinition || kind.isTypeExtension: enterType(node, kind)
        default: break
        }
    }

    private func enterType(_ node: NodeID, _ kind: NodeKind) {
        let existing = schema?.type(document.requiredName(of: node))
        if kind.isTypeDefinition, isAsked(.uniqueTypeNames) { checkUniqueTypeName(node, existing) }
        switch kind {
        case .enumTypeDefinition, .enumTypeExtension:
            if isAsked(.uniqueEnumValueNames) {
                checkUniqueMembers(node, .enumValueDefinition, "Enum value") { existing?.enumValue($0) != nil }
            }
        case .inputObjectTypeDefinition, .inputObjectTypeExtension:
            if isAsked(.uniqueFieldDefinitionNames) { checkUniqueMembers(node, .inputValueDefinition, "Field") { has(existing, $0) } }
        case .objectTypeDefinition, .objectTypeExtension, .interfaceTypeDefinition, .interfaceTypeExtension:
            if isAsked(.uniqueFieldDefinitionNames) { checkUniqueMembers(node, .fieldDefinition, "Field") { has(existing, $0) } }
            guard isAsked(.uniqueArgumentDefinitionNames) else { break }
            for field in document.children(of: node, .fieldDefinition) {
                checkUniqueArgumentDefinitions(field, "\(document.requiredName(of: node)).\(document.requiredName(of: field))")
            }
        default: break
        }
        if kind.isTypeExtension, isAsked(.possibleTypeExtensions) { checkExtension(node, kind, existing) }
    }

    private func has(_ type: NamedType?, _ field: String) -> Bool { type?.field(field) != nil || type?.inputField(field) != nil }

    private func checkLoneSchema(_ node: NodeID) {
        if let schema, !schema.origins.isEmpty || OperationKind.allCases.contains(where: { schema.rootType($0) != nil }) {
            return report("Cannot define a new schema within a schema extension.", node)
        }
        if definitions.schemaDefinitions > 0 { report("Must provide only one schema definition.", node) }
        definitions.schemaDefinitions += 1
    }

    private func checkOperationTypes(_ node: NodeID) {
        for type in document.children(of: node, .operationTypeDefinition) {
            let kind = document.operationKind(of: type)
            if schema?.rootType(kind) != nil {
                report("Type for \(kind) already defined in the schema. It cannot be redefined.", type)
            } else if let first = definitions.operationTypes[kind] {
                report("There can be only one \(kind) type in schema.", [first, type])
            } else {
                definitions.operationTypes[kind] = type
            }
        }
    }

    private func checkUniqueTypeName(_ node: NodeID, _ existing: NamedType?) {
        let name = document.requiredName(of: node)
        let place = document.nameNode(of: node)
        if existing != nil {
            report("Type \"\(name)\" already exists in the schema. It cannot also be defined in this type definition.", place)
        } else if let first = definitions.types[document.symbol(of: node)] {
            report("There can be only one type named \"\(name)\".", [first, place])
        } else {
            definitions.types[document.symbol(of: node)] = place
        }
    }

    private func checkUniqueDirectiveName(_ node: NodeID) {
        let name = document.requiredName(of: node)
        let place = document.nameNode(of: node)
        if schema?.directive(name) != nil {
            report("Directive \"@\(name)\" already exists in the schema. It cannot be redefined.", place)
        } else if let first = definitions.directives[document.symbol(of: node)] {
            report("There can be only one directive named \"@\(name)\".", [first, place])
        } else {
            definitions.directives[document.symbol(of: node)] = place
        }
    }

    /// Over a type's definition and all its extensions.
    private func checkUniqueMembers(_ node: NodeID, _ kind: NodeKind, _ what: String, _ exists: (String) -> Bool) {
        var seen = definitions.members[document.symbol(of: node)] ?? [:]
        for member in document.children(of: node, kind) {
            let name = "\(document.requiredName(of: node)).\(document.requiredName(of: member))"
            let place = document.nameNode(of: member)
            if exists(document.requiredName(of: member)) {
                report("\(what) \"\(name)\" already exists in the schema. It cannot also be defined in this type extension.", place)
            } else if let first = seen[document.symbol(of: member)] {
                report("\(what) \"\(name)\" can only be defined once.", [first, place])
            } else {
                seen[document.symbol(of: member)] = place
            }
        }
        definitions.members[document.symbol(of: node)] = seen
    }

    private func checkUniqueArgumentDefinitions(_ node: NodeID, _ parent: String) {
        for group in Duplicates.groups(document.children(of: node, .inputValueDefinition), document.symbol(of:)) {
            report(
                "Argument \"\(parent)(\(document.requiredName(of: group[0])):)\" can only be defined once.",
                group.map { document.nameNode(of: $0) })
        }
    }

    private func checkExtension(_ node: NodeID, _ kind: NodeKind, _ existing: NamedType?) {
        let name = document.requiredName(of: node)
        let definition = typeDefinitions[name]
        guard let expected = definition.flatMap({ Self.typeKind(document.kind(of: $0)) }) ?? existing?.kind else {
            let known = typeDefinitions.keys.map { $0 } + (schema?.types.map(\.name) ?? [])
            return report(
                "Cannot extend type \"\(name)\" because it is not defined.\(Suggestions.didYouMean(name, among: known))",
                document.nameNode(of: node))
        }
        guard expected != Self.typeKind(kind) else { return }
        let word =
            switch Self.typeKind(kind) {
            case .scalar: "scalar"
            case .object: "object"
            case .interface: "interface"
            case .union: "union"
            case .enumeration: "enum"
            case .inputObject: "input object"
            case nil: "unknown type"
            }
        report("Cannot extend non-\(word) type \"\(name)\".", (definition.map { [$0] } ?? []) + [node])
    }

    static func typeKind(_ kind: NodeKind) -> TypeKind? {
        switch kind {
        case .scalarTypeDefinition, .scalarTypeExtension: .scalar
        case .objectTypeDefinition, .objectTypeExtension: .object
        case .interfaceTypeDefinition, .interfaceTypeExtension: .interface
        case .unionTypeDefinition, .unionTypeExtension: .union
        case .enumTypeDefinition, .enumTypeExtension: .enumeration
        case .inputObjectTypeDefinition, .inputObjectTypeExtension: .inputObject
        default: nil
        }
    }

    /// Every named type is one of the schema's or the document's own.
    func checkKnownType(_ node: NodeID) {
        let name = document.requiredName(of: node)
        guard schema?.type(name) == nil, typeDefinitions[name] == nil else { return }
        // The definition around: below the document.
        let kind = document.kind(of: ancestors.count > 1 ? ancestors[1] : node)
        let isTypeSystem = !kind.isExecutable && kind != .namedType
        if isTypeSystem, Prelude.scalars.contains(name) || Prelude.introspectionTypes.contains(name) { return }
        var known = typeDefinitions.keys.map { $0 } + (schema?.types.map(\.name) ?? [])
        if isTypeSystem { known += Array(Prelude.scalars) + Array(Prelude.introspectionTypes) }
        report("Unknown type \"\(name)\".\(Suggestions.didYouMean(name, among: known))", node)
    }
}
