internal import ApusGraphQL
internal import ApusTypes

/// Reads the schema of a data source: SDL with the dialect's directives to objects, structs and functions.
public struct SchemaReader {
    let source: SourceDescription
    let text: SchemaText
    let schema: GraphQLSchema
    private let others: DataModel
    /// The names that this source defines.
    private let own: Set<String>
    var result: SourceSchema
    private var problems: [SchemaProblem] = []

    /// `others` are the sources that an extension refers to; their types are known by their names in the API.
    public static func read(
        _ files: [SchemaFile], of source: SourceDescription, beside others: DataModel = DataModel()
    ) throws(SchemaProblems) -> SourceSchema {
        // One without a word adds nothing.
        if source.kind == .extension, files.allSatisfy({ $0.text.allSatisfy(\.isWhitespace) }) { return SourceSchema(source: source) }
        let text: SchemaText
        do throws(SchemaProblem) {
            text = try SchemaText(files)
        } catch {
            throw SchemaProblems(source: source.name, problems: [error])
        }
        var reader = try SchemaReader(text, source, others)
        reader.readDefinitions()
        if reader.problems.isEmpty { return reader.result }
        throw SchemaProblems(source: source.name, problems: reader.problems)
    }

    private static let dialect: GraphQLSchema = {
        do {
            return try GraphQLSchema(building: DialectPrelude.text)
        } catch {
            // The text is a constant, which a test builds.
            preconditionFailure("the dialect's prelude does not build: \(error)")
        }
    }()

    private init(_ text: SchemaText, _ source: SourceDescription, _ others: DataModel) throws(SchemaProblems) {
        self.text = text
        self.source = source
        self.others = others
        result = SourceSchema(source: source)
        own = Set(text.document.definitions.lazy.filter { text.document.kind(of: $0).isTypeDefinition }.map { text.name(of: $0) })
        let foreign = Self.foreignExtensions(text, source, own, others)
        if !foreign.isEmpty { throw SchemaProblems(source: source.name, problems: foreign) }
        do throws(GraphQLErrors) {
            var base = Self.dialect
            if source.kind == .extension, let known = try? GraphQLDocument(parsing: others.typeNames(besides: own), limits: .schema) {
                base = try base.extended(by: known)
            }
            schema = try base.extended(by: text.document)
        } catch {
            throw SchemaProblems(source: source.name, problems: error.errors.map { Self.problem($0, text) })
        }
        let unsound = schema.problems()
        if !unsound.isEmpty { throw SchemaProblems(source: source.name, problems: unsound.map { Self.problem($0, text) }) }
    }

    private static func problem(_ error: GraphQLError, _ text: SchemaText) -> SchemaProblem {
        SchemaProblem(place: text.place(error.locations.first), rule: .definition, message: error.message)
    }

    /// Only an extension may add to what belongs to others.
    private static func foreignExtensions(
        _ text: SchemaText, _ source: SourceDescription, _ own: Set<String>, _ others: DataModel
    ) -> [SchemaProblem] {
        guard source.kind != .extension else { return [] }
        return text.document.definitions.of(.objectTypeExtension).compactMap { node in
            let name = text.name(of: node)
            guard !own.contains(name), let owner = others.objects[name]?.source else { return nil }
            let place = text.document.children(of: node).of(.name).first ?? node
            return SchemaProblem(
                place: text.place(of: place), rule: .extension,
                message: "extend type \(name): it belongs to data source \"\(owner)\" — a regular source describes only its own data, and "
                    + "cross-source extensions belong to an extension source")
        }
    }

    mutating func report(_ rule: SchemaProblem.Rule, _ message: String, at node: NodeID) {
        problems.append(SchemaProblem(place: text.place(of: node), rule: rule, message: message))
    }

    // MARK: Names

    /// The name in the API of a type that the text names.
    func typeName(_ name: String) -> String { own.contains(name) ? source.typeName(name) : name }

    func owns(_ name: String) -> Bool { own.contains(name) }

    func isDataObject(_ name: String) -> Bool {
        guard own.contains(name), let type = schema.type(name) else { return others.objects[name] != nil }
        return schema.directives(on: type).contains { ["table", "view"].contains($0.name) }
    }

    /// Nil, and a problem, for what no column or argument can be.
    mutating func dataType(_ reference: TypeReference, at node: NodeID) -> DataType? {
        let reference = reference.nullable
        if reference.isList { return dataType(reference.unwrapped, at: node).map { .list($0) } }
        let type = schema[reference.named]
        // What the dialect itself has is no type of the API, but for one.
        guard type.kind == .scalar || own.contains(type.name) || others.hasType(type.name) || type.name == "OperationResult" else {
            report(.definition, "\(context(node)): \(type.name) is no type of data; declare one in this schema", at: node)
            return nil
        }
        switch type.kind {
        case .scalar:
            if let scalar = ScalarType(rawValue: type.name) { return .scalar(scalar) }
            let known = ScalarType.allCases.map(\.name).joined(separator: ", ")
            report(.definition, "\(context(node)): there are no columns of type \(type.name); use one of \(known)", at: node)
            return nil
        case .enumeration: return .enumeration(typeName(type.name))
        case .object: return isDataObject(type.name) ? .object(typeName(type.name)) : .structure(typeName(type.name))
        case .inputObject: return .structure(typeName(type.name))
        case .interface, .union:
            report(.definition, "\(context(node)): \(type.name) is no type of data; use an object type", at: node)
            return nil
        }
    }

    /// `type.field`, for messages.
    func context(_ node: NodeID) -> String {
        let range = text.document.range(of: node)
        let parent = text.document.definitions.first { text.document.range(of: $0).contains(range.lowerBound) }
        let name = text.name(of: node)
        return parent.map { $0 == node ? name : "\(text.name(of: $0)).\(name)" } ?? name
    }

    // MARK: Definitions

    private mutating func readDefinitions() {
        for node in text.document.definitions {
            let name = text.name(of: node)
            if text.document.kind(of: node).isTypeDefinition { checkName(name, node) }
            switch text.document.kind(of: node) {
            case .objectTypeDefinition:
                guard let type = schema.type(name) else { continue }
                result.places[typeName(name)] = text.place(of: node)
                isDataObject(name) ? readObject(type, node) : readStructure(type, node)
            case .objectTypeExtension: readExtension(name, node)
            case .enumTypeDefinition:
                guard let type = schema.type(name) else { continue }
                result.enumerations.append(
                    Enumeration(
                        name: typeName(name), source: source.name, description: type.description, values: type.enumValues.map(\.name)))
            case .inputObjectTypeDefinition:
                guard let type = schema.type(name) else { continue }
                result.inputs.append(
                    InputType(
                        name: typeName(name), source: source.name, description: type.description,
                        members: parameters(type.inputFields, at: node)))
            case .interfaceTypeDefinition, .unionTypeDefinition, .scalarTypeDefinition, .directiveDefinition, .schemaDefinition:
                report(
                    .definition, "\(name): a data source's schema has object types, input types and enums; describe the data with those",
                    at: node)
            default: break
            }
        }
    }

    private mutating func checkName(_ name: String, _ node: NodeID) {
        // The aggregations of an object are its name between underscores.
        let made = text.document.kind(of: node) == .objectTypeDefinition ? "_\(typeName(name))_aggregation" : typeName(name)
        guard !APIName.isAllowed(made) else { return }
        let cause = source.prefix.isEmpty ? "type" : "source's prefix"
        report(.definition, "\(name): \(made) \(APIName.refusal); rename the \(cause)", at: node)
    }

    /// The full name of the module that a directive names.
    mutating func module(_ directive: AppliedDirective?, at node: NodeID) -> String {
        let module = source.module(directive?.text("name"))
        for part in module.split(separator: ".", omittingEmptySubsequences: false) where !module.isEmpty && !APIName.isAllowed(part) {
            report(.definition, "the module \"\(part)\" \(APIName.refusal); rename it", at: node)
        }
        return module
    }

    /// Fields that `extend type` adds to functions, to own types (which the schema has merged already) or, in an extension, to others'.
    private mutating func readExtension(_ name: String, _ node: NodeID) {
        let fields = text.document.children(of: node).of(.fieldDefinition)
        switch name {
        case "Function", "MutationFunction": for field in fields { readFunction(field, of: name) }
        // What the program itself tells of.
        case "Subscription" where source.isManagement: for field in fields { readFunction(field, of: name) }
        case "Query", "Mutation", "Subscription":
            report(.definition, "extend type \(name): its fields are generated; add functions to Function or MutationFunction", at: node)
        case _ where own.contains(name): break
        default:
            guard let type = schema.type(name) else { return }
            readReferences(of: type, typeName: name, declaredIn: node)
            let added = fields.compactMap { field(type, $0) }
            result.additions.append((name, added, text.place(of: node)))
        }
    }

    private mutating func readStructure(_ type: NamedType, _ node: NodeID) {
        let name = typeName(type.name)
        let fields = fieldNodes(of: type, node).compactMap { field(type, $0) }
        result.structures.append(Structure(name: name, source: source.name, description: type.description, fields: fields))
    }

    /// The field definitions of a type and of its extensions in this text.
    func fieldNodes(of type: NamedType, _ node: NodeID) -> [NodeID] {
        let extensions = text.document.definitions.of(.objectTypeExtension).filter { text.name(of: $0) == type.name }
        return ([node] + extensions).flatMap { text.document.children(of: $0).of(.fieldDefinition) }
    }
}

extension SchemaText {
    func name(of node: NodeID) -> String { document.name(of: node) ?? "" }
}
