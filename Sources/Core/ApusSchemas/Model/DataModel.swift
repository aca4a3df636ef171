/// What all data sources hold, as one: objects with the ways between them, structs, functions.
public struct DataModel: Sendable {
    public private(set) var sources: [String: SourceDescription] = [:]
    public internal(set) var objects: [String: DataObject] = [:]
    public private(set) var structures: [String: Structure] = [:]
    public private(set) var enumerations: [String: Enumeration] = [:]
    public private(set) var inputs: [String: InputType] = [:]
    public private(set) var functions: [DataFunction.ID: DataFunction] = [:]
    /// In the order of the sources and their texts.
    private(set) var objectNames: [String] = []
    private(set) var structureNames: [String] = []
    private(set) var inputNames: [String] = []
    private(set) var functionIDs: [DataFunction.ID] = []
    /// The places of sources in the order in which they were registered: of two that do not fit together the earlier stays.
    private(set) var ranks: [String: Int] = [:]
    /// Where types are declared, for what is found to be wrong with them later.
    private(set) var places: [String: SchemaProblem.Place] = [:]

    public init() {}

    /// Joins what was read of each source, in the order in which they were registered. Throws what does not fit together, of the source that
    /// has to go: the one that adds to what is another's, else the later one.
    public init(joining schemas: [SourceSchema]) throws(SchemaProblems) {
        for (rank, schema) in schemas.enumerated() { ranks[schema.source.name] = rank }
        for schema in schemas { try add(schema) }
        for schema in schemas { try addFields(of: schema) }
        for schema in schemas { try relate(schema) }
        try nameMembers(schemas)
        try checkCalls(schemas)
    }

    /// The objects, in the order of the sources.
    var orderedObjects: [DataObject] { objectNames.compactMap { objects[$0] } }

    /// The names of all types as a text that the schema of an extension, which has types of its own, can be checked against.
    func typeNames(besides own: Set<String>) -> String {
        func declared(_ names: [String], _ text: (String) -> String) -> String {
            names.lazy.filter { !own.contains($0) }.map(text).joined()
        }
        return declared(objectNames + structureNames) { "type \($0) { _: String }\n" }
            + declared(inputNames) { "input \($0) { _: String }\n" } + declared(enumerations.keys.sorted()) { "enum \($0) { _ }\n" }
    }

    func hasType(_ name: String) -> Bool { typeSource(name) != nil }

    /// The source that declares a type.
    private func typeSource(_ name: String) -> String? {
        objects[name]?.source ?? structures[name]?.source ?? enumerations[name]?.source ?? inputs[name]?.source
    }

    // MARK: Joining

    private mutating func add(_ schema: SourceSchema) throws(SchemaProblems) {
        var problems: [SchemaProblem] = []
        var beside: String?
        func collide(_ place: SchemaProblem.Place?, with other: String, _ message: String) {
            problems.append(SchemaProblem(place: place, rule: .definition, message: message))
            if other != schema.source.name { beside = other }
        }
        for name in schema.typeNames {
            guard let other = typeSource(name) else { continue }
            collide(
                schema.places[name], with: other,
                "\(name) is a type of data source \"\(other)\" already; give one of the sources a prefix")
        }
        for function in schema.functions {
            guard let other = functions[function.id] else { continue }
            collide(
                nil, with: other.source,
                "function \(function.name) of module \"\(function.module)\" is a function of data source \"\(other.source)\" already; "
                    + "rename it, or give it another module")
        }
        try schema.refuse(problems, beside: beside)
        sources[schema.source.name] = schema.source
        places.merge(schema.places) { first, _ in first }
        for object in schema.objects { objects[object.name] = object }
        for structure in schema.structures { structures[structure.name] = structure }
        for enumeration in schema.enumerations { enumerations[enumeration.name] = enumeration }
        for input in schema.inputs { inputs[input.name] = input }
        for function in schema.functions { functions[function.id] = function }
        objectNames += schema.objects.map(\.name)
        structureNames += schema.structures.map(\.name)
        inputNames += schema.inputs.map(\.name)
        functionIDs += schema.functions.map(\.id)
    }

    private mutating func addFields(of schema: SourceSchema) throws(SchemaProblems) {
        var problems: [SchemaProblem] = []
        var beside: String?
        for addition in schema.additions {
            func refuse(_ message: String) {
                problems.append(SchemaProblem(place: addition.place, rule: .extension, message: message))
            }
            guard let object = objects[addition.object] else {
                refuse("extend type \(addition.object): an extension adds fields to tables and views, and to no other types")
                continue
            }
            for field in addition.fields {
                if let other = object.fields.first(where: { $0.name == field.name }) {
                    beside = other.addedBy
                    let by = other.addedBy.map { " by data source \"\($0)\"" } ?? ""
                    refuse("\(addition.object).\(field.name): the object has a field of this name\(by); choose another")
                } else if field.isColumn {
                    refuse("\(addition.object).\(field.name): an extension adds fields with @join or @function_call, no columns")
                } else {
                    objects[addition.object]?.fields.append(field)
                }
            }
        }
        try schema.refuse(problems, beside: beside)
    }

    private mutating func nameMembers(_ schemas: [SourceSchema]) throws(SchemaProblems) {
        var problems: [String: [SchemaProblem]] = [:]
        var beside: [String: String] = [:]
        for name in objectNames {
            guard let object = objects[name] else { continue }
            func refuse(_ source: String, _ message: String) {
                problems[source, default: []].append(SchemaProblem(place: places[name], rule: .definition, message: message))
            }
            objects[name]?.nameMembers { member, adding in
                // What is added to the object has to give way to what is its own, and to what was added before.
                let added = adding.compactMap { $0 }.sorted { ranks[$0, default: 0] < ranks[$1, default: 0] }
                let source = added.last ?? object.source
                let other = adding.contains(nil) ? object.source : added.first ?? object.source
                if other != source { beside[source] = other }
                let by = other == source ? "" : ", as data source \"\(other)\" has it"
                refuse(source, "\(name).\(member) would be there twice\(by); rename the field, or the query of a reference")
            }
            for member in objects[name]?.memberNames ?? [] {
                let source = objects[name]?.member(member)?.addedBy ?? object.source
                if !APIName.isAllowed(member) { refuse(source, "\(name).\(member) \(APIName.refusal); rename the field") }
                if APIName.reserved.contains(member) { refuse(source, "\(name).\(member) is a name of the API's own; rename the field") }
            }
        }
        for schema in schemas { try schema.refuse(problems[schema.source.name] ?? [], beside: beside[schema.source.name]) }
    }

    private func checkCalls(_ schemas: [SourceSchema]) throws(SchemaProblems) {
        for schema in schemas {
            var problems: [SchemaProblem] = []
            for object in orderedObjects {
                // What an extension adds is the extension's own problem.
                for field in object.fields where (field.addedBy ?? object.source) == schema.source.name {
                    guard case .functionCall(let call) = field.kind else { continue }
                    let place = schema.places[object.name]
                    guard let function = functions[call.function] else {
                        let module = call.function.module
                        problems.append(
                            SchemaProblem(
                                place: place, rule: .reference,
                                message:
                                    "\(object.name).\(field.name): there is no function \"\(call.function.name)\" in module \"\(module)\""))
                        continue
                    }
                    for (argument, column) in call.arguments.sorted(by: { $0.key < $1.key }) {
                        let problem =
                            function.parameters.contains { $0.name == argument }
                            ? object.column(column) == nil ? "\(column) is no column of \(object.name)" : nil
                            : "\(function.name) has no argument \"\(argument)\""
                        if let problem {
                            problems.append(
                                SchemaProblem(place: place, rule: .reference, message: "\(object.name).\(field.name): \(problem)"))
                        }
                    }
                }
            }
            try schema.refuse(problems)
        }
    }
}

extension SourceSchema {
    func refuse(_ problems: [SchemaProblem], beside: String? = nil) throws(SchemaProblems) {
        if !problems.isEmpty { throw SchemaProblems(source: source.name, beside: beside, problems: problems) }
    }
}
