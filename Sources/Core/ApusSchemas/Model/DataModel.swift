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

    public init() {}

    /// Joins what was read of each source; extensions come after the sources that they add to. Throws what does not fit together, of the
    /// first source with a problem.
    public init(joining schemas: [SourceSchema]) throws(SchemaProblems) {
        for schema in schemas { try add(schema) }
        for schema in schemas { try addFields(of: schema) }
        for schema in schemas { try relate(schema) }
        try nameMembers(schemas)
        try checkCalls(schemas)
    }

    /// The objects, in the order of the sources.
    var orderedObjects: [DataObject] { objectNames.compactMap { objects[$0] } }

    /// The names of all types as a text that an extension's schema can be checked against.
    var typeNames: String {
        (objectNames + structureNames).map { "type \($0) { _: String }\n" }.joined()
            + inputNames.map { "input \($0) { _: String }\n" }.joined()
            + enumerations.keys.sorted().map { "enum \($0) { _ }\n" }.joined()
    }

    // MARK: Joining

    private mutating func add(_ schema: SourceSchema) throws(SchemaProblems) {
        var problems: [SchemaProblem] = []
        func collide(_ name: String, with other: String) {
            problems.append(
                SchemaProblem(
                    place: schema.places[name], rule: .definition,
                    message: "\(name) is a type of data source \"\(other)\" already; give one of the sources a prefix"))
        }
        sources[schema.source.name] = schema.source
        for object in schema.objects {
            if let other = objects[object.name] { collide(object.name, with: other.source) }
            objects[object.name] = object
            objectNames.append(object.name)
        }
        for structure in schema.structures {
            if let other = structures[structure.name]?.source ?? objects[structure.name]?.source { collide(structure.name, with: other) }
            structures[structure.name] = structure
            structureNames.append(structure.name)
        }
        for enumeration in schema.enumerations { enumerations[enumeration.name] = enumeration }
        for input in schema.inputs where inputs.updateValue(input, forKey: input.name) == nil { inputNames.append(input.name) }
        for function in schema.functions {
            if let other = functions[function.id] {
                problems.append(
                    SchemaProblem(
                        place: nil, rule: .definition,
                        message: "function \(function.name) is in module \"\(function.module)\" already, by data source \"\(other.source)\""
                    ))
            }
            functions[function.id] = function
            functionIDs.append(function.id)
        }
        try schema.refuse(problems)
    }

    private mutating func addFields(of schema: SourceSchema) throws(SchemaProblems) {
        var problems: [SchemaProblem] = []
        for addition in schema.additions {
            for field in addition.fields {
                if objects[addition.object]?.fields.contains(where: { $0.name == field.name }) == true {
                    problems.append(
                        SchemaProblem(
                            place: addition.place, rule: .extension,
                            message: "\(addition.object).\(field.name): the object has a field of this name; choose another"))
                } else if field.isColumn {
                    problems.append(
                        SchemaProblem(
                            place: addition.place, rule: .extension,
                            message: "\(addition.object).\(field.name): an extension adds fields with @join or @function_call, no columns"))
                } else {
                    objects[addition.object]?.fields.append(field)
                }
            }
        }
        try schema.refuse(problems)
    }

    private mutating func nameMembers(_ schemas: [SourceSchema]) throws(SchemaProblems) {
        for schema in schemas {
            var problems: [SchemaProblem] = []
            for name in schema.objects.map(\.name) {
                func refuse(_ message: String) {
                    problems.append(SchemaProblem(place: schema.places[name], rule: .definition, message: message))
                }
                objects[name]?.nameMembers { refuse("\(name).\($0) would be there twice; rename the field, or the query of a reference") }
                for member in objects[name]?.memberNames ?? [] where !APIName.isAllowed(member) {
                    refuse("\(name).\(member) \(APIName.refusal); rename the field")
                }
            }
            try schema.refuse(problems)
        }
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
    func refuse(_ problems: [SchemaProblem]) throws(SchemaProblems) {
        if !problems.isEmpty { throw SchemaProblems(source: source.name, problems: problems) }
    }
}
