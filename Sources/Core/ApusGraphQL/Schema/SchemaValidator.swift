extension GraphQLSchema {
    /// Why this is no valid type system (the "Type Validation" sections of the specification): nothing, or errors with the messages of
    /// graphql-js. A schema with problems is not served.
    public func problems() -> [GraphQLError] {
        var validator = SchemaValidator(schema: self)
        validator.checkRoots()
        for directive in directives { validator.check(directive) }
        for type in types { validator.check(type) }
        return validator.errors
    }
}

struct SchemaValidator {
    let schema: GraphQLSchema
    var errors: [GraphQLError] = []
    private var passedInputs: Set<TypeID> = []

    init(schema: GraphQLSchema) { self.schema = schema }

    mutating func report(_ message: String, _ places: [Origin?]) {
        errors.append(
            GraphQLError(message, locations: places.compactMap { $0 }.map { schema.documents[$0.document].location(of: $0.node) }))
    }

    mutating func checkRoots() {
        if schema.rootType(.query) == nil { report("Query root type must be provided.", [schema.origins.first { isDefinition($0) }]) }
        for kind in OperationKind.allCases {
            guard let type = schema.rootType(kind), type.kind != .object else { continue }
            let name = kind.description.prefix(1).uppercased() + kind.description.dropFirst()
            let condition = kind == .query ? "" : " if provided"
            report(
                "\(name) root type must be Object type\(condition), it cannot be \(type.name).", [rootPlace(kind) ?? type.origins.first])
        }
    }

    private func isDefinition(_ origin: Origin) -> Bool { schema.documents[origin.document].kind(of: origin.node) == .schemaDefinition }

    private func rootPlace(_ kind: OperationKind) -> Origin? {
        for origin in schema.origins {
            let document = schema.documents[origin.document]
            for node in document.children(of: origin.node, .operationTypeDefinition) where document.operationKind(of: node) == kind {
                return Origin(document: origin.document, node: document.type(of: node))
            }
        }
        return nil
    }

    mutating func check(_ directive: DirectiveDefinition) {
        checkName(directive.name, directive.origin)
        for argument in directive.arguments { check(argument, "@\(directive.name)(\(argument.name):)", "argument", typePlace: false) }
    }

    mutating func check(_ type: NamedType) {
        if !type.isIntrospection { checkName(type.name, type.origins.first) }
        switch type.kind {
        case .object, .interface:
            checkFields(type)
            checkInterfaces(type)
        case .union: checkMembers(type)
        case .enumeration:
            if type.enumValues.isEmpty { report("Enum type \(type.name) must define one or more values.", type.origins) }
            for value in type.enumValues { checkName(value.name, value.origin) }
        case .inputObject:
            if type.inputFields.isEmpty { report("Input Object type \(type.name) must define one or more fields.", type.origins) }
            for field in type.inputFields { check(field, "\(type.name).\(field.name)", "input field", typePlace: true) }
            checkCycles(from: type)
        case .scalar: break
        }
    }

    private mutating func checkName(_ name: String, _ place: Origin?) {
        guard name.hasPrefix("__") else { return }
        report("Name \"\(name)\" must not begin with \"__\", which is reserved by GraphQL introspection.", [place])
    }

    private mutating func checkFields(_ type: NamedType) {
        if type.fields.isEmpty { report("Type \(type.name) must define one or more fields.", type.origins) }
        for field in type.fields {
            let name = "\(type.name).\(field.name)"
            checkName(field.name, field.origin)
            if !schema.named(field.type).kind.isOutput {
                report("The type of \(name) must be Output Type but got: \(schema.text(field.type)).", [typePlace(field.origin)])
            }
            for argument in field.arguments { check(argument, "\(name)(\(argument.name):)", "argument", typePlace: true) }
        }
    }

    /// `typePlace`: whether an error points at the type, or at all of it.
    private mutating func check(_ input: InputValue, _ name: String, _ what: String, typePlace isTypePlace: Bool) {
        checkName(input.name, input.origin)
        if !schema.named(input.type).kind.isInput {
            report(
                "The type of \(name) must be Input Type but got: \(schema.text(input.type)).",
                [isTypePlace ? typePlace(input.origin) : input.origin])
        }
        if schema.isRequired(input), input.deprecationReason != nil {
            let document = schema.documents[input.origin.document]
            let directive = document.directives(of: input.origin.node).first { document.name(of: $0) == "deprecated" }
            report(
                "Required \(what) \(name) cannot be deprecated.",
                [directive.map { Origin(document: input.origin.document, node: $0) }, typePlace(input.origin)])
        }
    }

    func typePlace(_ origin: Origin) -> Origin {
        Origin(document: origin.document, node: schema.documents[origin.document].type(of: origin.node))
    }

    private mutating func checkMembers(_ union: NamedType) {
        if union.members.isEmpty { report("Union type \(union.name) must define one or more member types.", union.origins) }
        var seen: Set<TypeID> = []
        for member in union.members {
            let type = schema[member]
            if type.kind != .object {
                report("Union type \(union.name) can only include Object types, it cannot include \(type.name).", places(type, in: union))
            } else if !seen.insert(member).inserted {
                report("Union type \(union.name) can only include type \(type.name) once.", places(type, in: union))
            }
        }
    }

    /// Where a type names another as its interface or member.
    func places(_ named: NamedType, in type: NamedType) -> [Origin] {
        type.origins.flatMap { origin in
            let document = schema.documents[origin.document]
            return document.children(of: origin.node, .namedType).filter { document.name(of: $0) == named.name }
                .map { Origin(document: origin.document, node: $0) }
        }
    }

    /// An input object that needs itself, through fields that may not be null, has no value.
    private mutating func checkCycles(from start: NamedType) {
        var path: [InputValue] = []
        var places: [TypeID: Int] = [:]
        checkCycles(start, &path, &places)
    }

    private mutating func checkCycles(_ type: NamedType, _ path: inout [InputValue], _ places: inout [TypeID: Int]) {
        guard passedInputs.insert(type.id).inserted else { return }
        places[type.id] = path.count
        for field in type.inputFields where field.type.isNonNull && field.type.unwrapped.isNamed {
            let next = schema.named(field.type)
            guard next.kind == .inputObject else { continue }
            path.append(field)
            if let place = places[next.id] {
                let cycle = path[place...]
                report(
                    "Cannot reference Input Object \"\(next.name)\" within itself through a series of non-null fields: \"\(cycle.map(\.name).joined(separator: "."))\".",
                    cycle.map(\.origin))
            } else {
                checkCycles(next, &path, &places)
            }
            path.removeLast()
        }
        places[type.id] = nil
    }
}
