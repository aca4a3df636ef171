extension GraphQLSchema {
    /// Builds a schema from a text: parses it, and refuses what is no valid schema language with every reason.
    /// What a valid text says about types that do not fit together is in `problems()`.
    public convenience init(building text: String, scalars: [String: ScalarCoercion] = [:]) throws(GraphQLErrors) {
        let document: GraphQLDocument
        do throws(GraphQLError) {
            document = try GraphQLDocument(parsing: text, limits: .schema)
        } catch {
            throw GraphQLErrors([error])
        }
        try self.init(building: document, scalars: scalars)
    }

    public convenience init(
        building document: GraphQLDocument, scalars: [String: ScalarCoercion] = [:]
    ) throws(GraphQLErrors) {
        let problems = document.schemaProblems()
        if !problems.isEmpty { throw GraphQLErrors(problems) }
        try self.init(assembling: [document], scalars: scalars)
    }

    /// This schema with the definitions and extensions of another text. Everything is built anew; this one stays as it is.
    public func extended(by document: GraphQLDocument) throws(GraphQLErrors) -> GraphQLSchema {
        let problems = document.schemaProblems(extending: self)
        if !problems.isEmpty { throw GraphQLErrors(problems) }
        return try GraphQLSchema(assembling: Array(documents.dropLast()) + [document], scalars: scalars)
    }

    /// Builds from documents that need not be checked, or were.
    convenience init(assembling documents: [GraphQLDocument], scalars: [String: ScalarCoercion] = [:]) throws(GraphQLErrors) {
        do throws(GraphQLError) {
            var builder = SchemaBuilder(documents)
            self.init(try builder.parts(scalars: scalars))
        } catch {
            throw GraphQLErrors([error])
        }
    }
}

/// Makes the parts of a schema from documents: first every name gets its number, then every definition its parts.
struct SchemaBuilder {
    struct Parts {
        var types: [NamedType] = []
        var places: [String: TypeID] = [:]
        var directives: [DirectiveDefinition] = []
        var roots: [OperationKind: TypeID] = [:]
        var description: String?
        var origins: [Origin] = []
        var documents: [GraphQLDocument] = []
        var scalars: [String: ScalarCoercion] = [:]
        var inputs: [InputValue] = []
        var metaFields: [FieldDefinition] = []
    }

    private let documents: [GraphQLDocument]
    private var definitions: [String: Origin] = [:]
    private var extensions: [String: [Origin]] = [:]
    /// Names in the order of their numbers.
    private var order: [String] = []
    private var places: [String: TypeID] = [:]
    private var inputs: [InputValue] = []

    init(_ documents: [GraphQLDocument]) { self.documents = documents + [Prelude.document] }

    mutating func parts(scalars: [String: ScalarCoercion]) throws(GraphQLError) -> Parts {
        var parts = Parts()
        var directiveOrigins: [Origin] = []
        var schemaDefinition: Origin?
        var names: [String] = []
        for (index, document) in documents.enumerated() {
            for node in document.definitions {
                let origin = Origin(document: index, node: node)
                let kind = document.kind(of: node)
                switch kind {
                case .schemaDefinition: schemaDefinition = origin
                case .schemaExtension: parts.origins.append(origin)
                case .directiveDefinition: directiveOrigins.append(origin)
                case _ where kind.isTypeExtension: extensions[document.requiredName(of: node), default: []].append(origin)
                case _ where kind.isTypeDefinition:
                    let name = document.requiredName(of: node)
                    // What the specification defines is not defined anew; of two types of one name the later counts.
                    if index < documents.count - 1, Prelude.scalars.contains(name) || Prelude.introspectionTypes.contains(name) { continue }
                    if index < documents.count - 1, definitions[name] == nil { names.append(name) }
                    definitions[name] = origin
                default: break
                }
            }
        }
        number(names, directiveOrigins)
        for name in order { parts.types.append(try namedType(name, id: TypeID(parts.types.count))) }
        if let meta = definitions[Prelude.metaFields] {
            for node in documents[meta.document].children(of: meta.node, .fieldDefinition) {
                parts.metaFields.append(try field(Origin(document: meta.document, node: node)))
            }
        }

        var seen: Set<String> = []
        for origin in directiveOrigins {
            // A document may define what the prelude, which is the last document, defines too.
            let isPrelude = origin.document == documents.count - 1
            if isPrelude, seen.contains(documents[origin.document].requiredName(of: origin.node)) { continue }
            seen.insert(documents[origin.document].requiredName(of: origin.node))
            parts.directives.append(try directive(origin))
        }
        if let schemaDefinition {
            parts.origins.insert(schemaDefinition, at: 0)
            parts.description = documents[schemaDefinition.document].description(of: schemaDefinition.node)
        } else {
            for (kind, name) in [(OperationKind.query, "Query"), (.mutation, "Mutation"), (.subscription, "Subscription")] {
                // An extension that defines a type of such a name does not make it a root.
                if definitions[name]?.document == 0 { parts.roots[kind] = places[name] }
            }
        }
        for origin in parts.origins {
            let document = documents[origin.document]
            for node in document.children(of: origin.node, .operationTypeDefinition) {
                parts.roots[document.operationKind(of: node)] = try reference(document, document.type(of: node)).named
            }
        }
        parts.places = places
        parts.documents = documents
        parts.scalars = scalars
        parts.inputs = inputs
        return parts
    }

    // MARK: Numbers

    /// Types in the order of their definitions; of the prelude's, scalars where they are first mentioned and the rest at the end.
    private mutating func number(_ names: [String], _ directives: [Origin]) {
        for name in names {
            place(name)
            for origin in [definitions[name]].compactMap({ $0 }) + (extensions[name] ?? []) { placeMentioned(origin) }
        }
        for origin in directives { placeMentioned(origin) }
        let prelude = documents[documents.count - 1]
        for node in prelude.definitions where Prelude.introspectionTypes.contains(prelude.requiredName(of: node)) {
            place(prelude.requiredName(of: node))
            placeMentioned(Origin(document: documents.count - 1, node: node))
        }
    }

    private mutating func place(_ name: String) {
        guard places[name] == nil else { return }
        places[name] = TypeID(order.count)
        order.append(name)
    }

    private mutating func placeMentioned(_ origin: Origin) {
        let document = documents[origin.document]
        for index in origin.node.offset..<Int(document.nodes[origin.node.offset].next)
        where document.nodes[index].kind == .namedType {
            let name = document.requiredName(of: NodeID(index))
            if Prelude.scalars.contains(name) { place(name) }
        }
    }

    // MARK: Definitions

    private mutating func namedType(_ name: String, id: TypeID) throws(GraphQLError) -> NamedType {
        guard let definition = definitions[name] else { throw GraphQLError("Unknown type: \"\(name)\".") }
        let document = documents[definition.document]
        let origins = [definition] + (extensions[name] ?? [])
        let kind: TypeKind =
            switch document.kind(of: definition.node) {
            case .objectTypeDefinition: .object
            case .interfaceTypeDefinition: .interface
            case .unionTypeDefinition: .union
            case .enumTypeDefinition: .enumeration
            case .inputObjectTypeDefinition: .inputObject
            default: .scalar
            }
        var fields: [FieldDefinition] = []
        var inputFields: [InputValue] = []
        var enumValues: [EnumValue] = []
        var named: [TypeID] = []
        var url: String?
        for origin in origins {
            let document = documents[origin.document]
            for node in document.children(of: origin.node) {
                let child = Origin(document: origin.document, node: node)
                switch document.kind(of: node) {
                case .fieldDefinition: fields.append(try field(child))
                case .inputValueDefinition: inputFields.append(try input(child))
                case .enumValueDefinition:
                    enumValues.append(
                        EnumValue(
                            name: document.requiredName(of: node), description: document.description(of: node),
                            deprecationReason: deprecationReason(child), origin: child))
                case .namedType: named.append(try reference(document, node).named)
                case .directive where kind == .scalar && document.name(of: node) == "specifiedBy":
                    url = stringArgument("url", document, node) ?? url
                default: break
                }
            }
        }
        return NamedType(
            id: id, name: name, kind: kind, description: document.description(of: definition.node),
            fields: unique(fields, by: \.name), inputFields: unique(inputFields, by: \.name), enumValues: unique(enumValues, by: \.name),
            interfaces: kind == .union ? [] : named, members: kind == .union ? named : [], specifiedByURL: url, origins: origins)
    }

    /// The last of several elements of one name, in the place of the first: only unchecked texts have any.
    private func unique<Element>(_ elements: [Element], by name: (Element) -> String) -> [Element] {
        var places: [String: Int] = [:]
        var result: [Element] = []
        for element in elements {
            if let place = places[name(element)] {
                result[place] = element
            } else {
                places[name(element)] = result.count
                result.append(element)
            }
        }
        return result
    }

    private mutating func field(_ origin: Origin) throws(GraphQLError) -> FieldDefinition {
        let document = documents[origin.document]
        return FieldDefinition(
            name: document.requiredName(of: origin.node), description: document.description(of: origin.node),
            type: try reference(document, document.type(of: origin.node)), arguments: try arguments(origin),
            deprecationReason: deprecationReason(origin), origin: origin)
    }

    private mutating func arguments(_ origin: Origin) throws(GraphQLError) -> [InputValue] {
        var arguments: [InputValue] = []
        for node in documents[origin.document].children(of: origin.node, .inputValueDefinition) {
            arguments.append(try input(Origin(document: origin.document, node: node)))
        }
        return unique(arguments, by: \.name)
    }

    private mutating func input(_ origin: Origin) throws(GraphQLError) -> InputValue {
        let document = documents[origin.document]
        let input = InputValue(
            name: document.requiredName(of: origin.node), description: document.description(of: origin.node),
            type: try reference(document, document.type(of: origin.node)), deprecationReason: deprecationReason(origin),
            number: inputs.count, defaultNode: document.defaultValue(of: origin.node), origin: origin)
        inputs.append(input)
        return input
    }

    private mutating func directive(_ origin: Origin) throws(GraphQLError) -> DirectiveDefinition {
        let document = documents[origin.document]
        return DirectiveDefinition(
            name: document.requiredName(of: origin.node), description: document.description(of: origin.node),
            locations: document.directiveLocationNames(of: origin.node).compactMap { node in
                document.name(of: node).flatMap(DirectiveLocation.init(rawValue:))
            },
            arguments: try arguments(origin), isRepeatable: document.isTrue(origin.node), origin: origin)
    }

    private func reference(_ document: GraphQLDocument, _ node: NodeID) throws(GraphQLError) -> TypeReference {
        switch document.kind(of: node) {
        case .listType, .nonNullType:
            let inner = try reference(document, document.type(of: node))
            guard let type = inner.wrapped(inList: document.kind(of: node) == .listType) else {
                throw GraphQLError("Type is nested too deep.", document, [node])
            }
            return type
        default:
            guard let place = places[document.requiredName(of: node)] else {
                throw GraphQLError("Unknown type: \"\(document.requiredName(of: node))\".", document, [node])
            }
            return TypeReference(place)
        }
    }

    private func deprecationReason(_ origin: Origin) -> String? {
        let document = documents[origin.document]
        guard let directive = document.directives(of: origin.node).first(where: { document.name(of: $0) == "deprecated" }) else {
            return nil
        }
        guard document.arguments(of: directive).contains(where: { document.name(of: $0) == "reason" }) else {
            return Prelude.defaultDeprecationReason
        }
        return stringArgument("reason", document, directive)
    }

    private func stringArgument(_ name: String, _ document: GraphQLDocument, _ directive: NodeID) -> String? {
        document.arguments(of: directive).first { document.name(of: $0) == name }.map { document.value(of: $0) }
            .flatMap { document.kind(of: $0) == .stringValue ? document.string(of: $0) : nil }
    }
}
