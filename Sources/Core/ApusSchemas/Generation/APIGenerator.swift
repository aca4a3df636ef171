internal import ApusTypes

/// Writes the schema of the API: types of objects, filters, aggregations, inputs, modules. Fields come in the order of the sources' texts.
struct APIGenerator {
    let model: DataModel
    private(set) var meanings: [String: [String: RootField]] = [:]
    private(set) var claims = NameClaims()
    /// What the types that are written are made of.
    var subject = NameClaims.Claim(source: nil, part: "")
    var definitions: [String] = []

    init(_ model: DataModel) { self.model = model }

    mutating func text() -> String {
        definitions = [SystemTypes.text]
        claim(SystemTypes.names)
        for name in model.structureNames { if let structure = model.structures[name] { add(structure) } }
        for name in model.enumerations.keys.sorted() {
            guard let enumeration = model.enumerations[name] else { continue }
            subject = NameClaims.Claim(source: enumeration.source, part: name)
            self.enumeration(name, enumeration.values)
        }
        for name in model.inputNames { if let input = model.inputs[name] { add(input) } }
        for object in model.orderedObjects {
            subject = NameClaims.Claim(source: object.source, part: object.name)
            addObject(object)
            addFilters(object)
            addAggregations(object)
            if object.hasEdges {
                type(
                    "_\(object.name)_edge", nil,
                    [
                        Field(name: "cursor", type: "String!", description: "For argument `after` of the same field with the same order"),
                        Field(name: "node", type: "\(object.name)!"),
                    ])
            }
            if object.isMutable { addInputs(object) }
            if isUpsertable(object) { addConflicts(object) }
        }
        subject = NameClaims.Claim(source: nil, part: "")
        addJoins()
        addCells()
        addModules()
        return definitions.joined(separator: "\n")
    }

    // MARK: Writing

    /// `meaning`: of the type's fields that mean something beside an object's own.
    mutating func type(_ name: String, _ description: String? = nil, _ fields: [Field]) {
        guard !fields.isEmpty else { return }
        define("type", name, description, fields)
        for field in fields {
            if let meaning = field.meaning { meanings[name, default: [:]][field.name] = meaning }
        }
    }

    mutating func input(_ name: String, _ description: String? = nil, _ fields: [Field]) { define("input", name, description, fields) }

    /// Types that are written as text.
    mutating func claim(_ names: [String]) {
        for name in names { claims.claimType(name, subject) }
    }

    mutating func enumeration(_ name: String, _ values: [String]) {
        claims.claimType(name, subject)
        claims.claim(values.map { ($0, subject) }, of: name)
        definitions.append("enum \(name) { \(values.joined(separator: " ")) }")
    }

    private mutating func define(_ keyword: String, _ name: String, _ description: String?, _ fields: [Field]) {
        claims.claimType(name, subject)
        claims.claim(fields.map { ($0.name, $0.claim ?? subject) }, of: name)
        let lines = fields.map { "  \($0.text)\n" }.joined()
        definitions.append(Self.quoted(description) + "\(keyword) \(name) {\n\(lines)}\n")
    }

    /// A description, as JSON writes a string: the language reads the same escapes.
    static func quoted(_ description: String?) -> String { description.map { "\(JSONValue.string($0)) " } ?? "" }

    struct Field {
        var name: String
        var arguments = ""
        var type: String
        var description: String?
        var deprecation: String?
        var meaning: RootField?
        /// Where it is not what its type is made of.
        var claim: NameClaims.Claim?

        var text: String {
            let deprecated = deprecation.map { " @deprecated(reason: \(JSONValue.string($0)))" } ?? ""
            return "\(APIGenerator.quoted(description))\(name)\(arguments): \(type)\(deprecated)"
        }
    }

    // MARK: Types of the sources

    private mutating func add(_ structure: Structure) {
        subject = NameClaims.Claim(source: structure.source, part: structure.name)
        type(structure.name, structure.description, structure.fields.map { columnField($0, hasArguments: false) })
        addFilters(structure)
        addAggregations(structure)
        addInputs(structure)
    }

    private mutating func add(_ inputType: InputType) {
        subject = NameClaims.Claim(source: inputType.source, part: inputType.name)
        let members = inputType.members.filter { $0.injected == nil }
        if !members.isEmpty { input(inputType.name, inputType.description, members.map(Self.field)) }
    }

    static func field(_ parameter: Parameter) -> Field {
        let value = parameter.defaultLiteral.map { " = \($0)" } ?? ""
        return Field(
            name: parameter.name, type: parameter.type.text + (parameter.isNonNull ? "!" : "") + value,
            description: parameter.description, deprecation: parameter.deprecationReason)
    }

    static func arguments(_ parameters: [Parameter]) -> String {
        let given = parameters.filter { $0.injected == nil }
        return given.isEmpty ? "" : "(" + given.map { field($0).text }.joined(separator: ", ") + ")"
    }

    // MARK: Objects

    func columnField(_ field: DataField, hasArguments: Bool = true) -> Field {
        var arguments = ""
        if hasArguments, case .scalar(let scalar) = field.type { arguments = scalar.fieldArguments }
        return Field(
            name: field.name, arguments: arguments, type: field.type.text + (field.isNonNull ? "!" : ""), description: field.description,
            deprecation: field.deprecationReason)
    }

    private mutating func addObject(_ object: DataObject) {
        type(object.name, object.description, object.memberNames.compactMap { name in object.member(name).map { field(name, $0) } })
    }

    private func field(_ name: String, _ member: DataObject.Member) -> Field {
        switch member {
        case .field(let field): return columnField(field)
        case .derived(let derived, let field):
            return Field(
                name: name, arguments: derived.arguments, type: derived.scalar.name,
                description: derived.description(of: field.name, field.type))
        case .queryDistance(let vector):
            return Field(
                name: name, arguments: "(\"Query to calculate distance to\" query: String!)", type: "Float",
                description: "Calculate vector distance to the specified vector for field \(vector)")
        case .functionCall(let field):
            var declared = ""
            if case .functionCall(let call) = field.kind { declared = Self.arguments(call.declared) }
            return Field(
                name: name, arguments: declared, type: field.type.text + (field.isNonNull ? "!" : ""), description: field.description,
                deprecation: field.deprecationReason)
        case .navigation(let navigation):
            return Field(
                name: name, arguments: arguments(of: navigation, navigation.isList ? .relatedList : .relatedOne),
                type: navigation.isList ? "[\(navigation.target)]" : navigation.target, description: navigation.description)
        case .aggregation(let navigation):
            return Field(
                name: name, arguments: arguments(of: navigation, .relatedList), type: "_\(navigation.target)_aggregation",
                description: "The aggregation for \(navigation.name)")
        case .buckets(let navigation):
            return Field(
                name: name, arguments: arguments(of: navigation, .relatedList), type: "[_\(navigation.target)_aggregation_bucket]",
                description: "The bucket aggregation for \(navigation.name)")
        case .join: return Field(name: name, arguments: "(fields: [String!]!)", type: "_join")
        case .spatialJoin: return Field(name: name, arguments: Self.spatialArguments, type: "_spatial")
        }
    }

    static let spatialArguments = "(field: String!, type: GeometrySpatialQueryType!, buffer: Int)"

    func arguments(of navigation: Navigation, _ use: ListArguments.Use) -> String {
        model.objects[navigation.target].map { ListArguments(of: $0).text(use) } ?? ""
    }
}

/// The arguments of fields that give rows of an object, or what they come to.
struct ListArguments {
    enum Use {
        /// A field of a module.
        case root
        /// A field of a module, of rows with their cursors.
        case edges
        /// Related rows of a row.
        case relatedList
        case relatedOne
        /// Related rows inside an aggregation.
        case aggregated
        /// Aggregations of related rows inside an aggregation.
        case aggregatedAgain
        /// Rows that are joined by fields which the operation names.
        case adHoc
        case spatial
        /// As `adHoc` and `spatial`, inside an aggregation.
        case adHocAggregated
        case spatialAggregated
        /// Rows by the cells that their geometries touch.
        case cells
        /// One row by its key, which comes before.
        case one
    }

    private let object: DataObject

    init(of object: DataObject) { self.object = object }

    func text(_ use: Use, before: [String] = []) -> String {
        var arguments = before
        if let view = object.arguments, view.parameters.contains(where: { $0.injected == nil }) {
            let type = view.typeName + (view.isRequired ? "!" : "")
            arguments.append("\"Arguments for the view\" args: \(type)")
        }
        let filter = "\"Filter\" filter: \(object.name)_filter"
        let order = "\"Sort options for the result set\" order_by: [OrderByField]"
        let page = "\"Limit the number of returned objects\" limit: Int = 2000, \"Skip the first n objects\" offset: Int = 0"
        let distinct = "\"Distinct on the given fields\" distinct_on: [String]"
        let nested = """
            "Sort options for the nested result set" nested_order_by: [OrderByField], \
            "Limit the number of returned nested objects" nested_limit: Int, "Skip the first n nested objects" nested_offset: Int
            """
        func inner(_ what: String) -> String { "\"Apply inner join to \(what)\" inner: Boolean = false" }
        switch use {
        case .root: arguments += [filter, order, page, distinct]
        case .edges:
            arguments += [
                filter, order, "\"Limit the number of returned objects\" limit: Int = 2000",
                "\"Only what comes after this cursor\" after: String",
            ]
        case .relatedList: arguments += [filter, order, page, distinct, inner("reference record"), nested]
        case .relatedOne: arguments.append("\"Apply inner join to reference record\" inner: Boolean")
        case .aggregated: arguments += [filter, order, distinct, inner("the result set"), nested]
        case .aggregatedAgain: arguments += [filter, order, page, distinct, inner("the result set"), nested]
        case .adHoc: arguments += [Self.fields, filter, order, page, distinct, inner("the result set"), nested]
        case .spatial: arguments += [Self.field, filter, order, page, distinct, inner("the result set"), nested]
        case .cells: arguments += [Self.field, filter, order, page, distinct, inner("the result set"), nested, Self.cells]
        case .adHocAggregated: arguments += [Self.fields, filter, order, distinct, inner("the result set"), nested]
        case .spatialAggregated: arguments += [Self.field, filter, order, distinct, inner("the result set"), nested]
        case .one: break
        }
        if use != .relatedOne, use != .one, use != .edges, !object.vectors.isEmpty {
            arguments.append("\"Search for vector similarity\" similarity: VectorSearchInput")
            if object.embeddings != nil { arguments.append("\"Search for semantic similarity\" semantic: SemanticSearchInput") }
        }
        return arguments.isEmpty ? "" : "(" + arguments.joined(separator: ", ") + ")"
    }

    private static let fields = "fields: [String!]!"
    private static let field = "field: String!"
    private static let cells = """
        "Reproject geometry from SRID before aggregation" transform_from: Int, \
        "Buffer distance in meters to apply to the geometry before aggregation" buffer: Float, \
        "Divide the aggregated values by a count of split h3 cells" divide_values: Boolean, \
        "Simplify the geometry before cast to h3 cells" simplify: Boolean = true
        """
}
