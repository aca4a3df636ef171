internal import ApusTypes

/// The schemas of a specification as types, each made when something uses it.
struct OpenAPITypes {
    typealias Problem = OpenAPIDescription.Problem

    private let specification: JSONValue
    private let limits: OpenAPIDescription.Limits
    /// The text of each type by its name; empty while it is being made.
    private var made: [String: String] = [:]
    private var order: [String] = []
    /// The names of types by what refers to them.
    private var named: [String: String] = [:]
    private var depth = 0

    /// What the dialect has already.
    private static let reserved: Set<String> = Set(ScalarType.allCases.map(\.name)).union([
        "ID", "Query", "Mutation", "Subscription", "Function", "MutationFunction", "OperationResult", "OrderByField", "OrderDirection",
        "TimeBucket", "TimeExtract", "VectorDistanceType", "VectorSearchInput", "SemanticSearchInput",
    ])

    init(_ specification: JSONValue, _ limits: OpenAPIDescription.Limits) {
        self.specification = specification
        self.limits = limits
    }

    var text: String { order.compactMap { made[$0] }.joined() }

    // MARK: References

    /// What a reference leads to; itself where it is none. Only what is in the specification can be referred to.
    func resolved(_ value: JSONValue, _ place: String) throws(Problem) -> JSONValue {
        var value = value
        var seen: Set<String> = []
        while let reference = value["$ref"]?.asString {
            guard reference.hasPrefix("#/") else {
                throw Problem(message: "\(place): \"\(reference)\" is not in the specification; bring all of it into one document")
            }
            guard seen.insert(reference).inserted else { throw Problem(message: "\(place): \"\(reference)\" refers to itself") }
            var found: JSONValue? = specification
            for part in reference.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
                let name = part.replacing("~1", with: "/").replacing("~0", with: "~")
                found = found?[String(name)] ?? found.flatMap { value in Int(name).flatMap { Self.element($0, of: value) } }
            }
            guard let found else { throw Problem(message: "\(place): there is no \"\(reference)\"") }
            value = found
        }
        return value
    }

    private static func element(_ index: Int, of value: JSONValue) -> JSONValue? {
        guard let all = value.asArray, all.indices.contains(index) else { return nil }
        return all[index]
    }

    // MARK: Types

    /// The dialect's type of a schema, which is made if need be. What has no type of its own is JSON.
    mutating func type(of given: JSONValue?, called name: String, asInput: Bool, _ place: String) throws(Problem) -> String {
        guard let given else { return "JSON" }
        depth += 1
        defer { depth -= 1 }
        guard depth <= limits.depth else { throw Problem(message: "\(place): schemas are nested deeper than \(limits.depth) levels") }
        var name = name
        let reference = given["$ref"]?.asString
        if let reference {
            name = OpenAPINames.type(reference) + (asInput ? "Input" : "")
            if let known = named["\(reference) \(asInput)"] { return known }
        }
        let schema = try resolved(given, place)
        switch Self.kind(schema) {
        case "string": return "String"
        case "integer": return schema["format"]?.asString == "int64" ? "BigInt" : "Int"
        case "number": return "Float"
        case "boolean": return "Boolean"
        case "array":
            let element = try type(of: schema["items"], called: name + "_item", asInput: asInput, place)
            // Lists of lists are no type of the dialect.
            return element.hasPrefix("[") ? "JSON" : "[\(element)]"
        case "object": return try object(schema, called: name, by: reference, asInput: asInput, place)
        default: return "JSON"
        }
    }

    /// Nil where it may be of several kinds.
    private static func kind(_ schema: JSONValue) -> String? {
        // OpenAPI 3.1 writes what may be null as one of two types.
        if let types = schema["type"]?.asArray {
            let others = types.compactMap(\.asString).filter { $0 != "null" }
            return others.count == 1 ? others[0] : nil
        }
        if let type = schema["type"]?.asString { return type }
        return schema["properties"] != nil || schema["allOf"] != nil ? "object" : nil
    }

    private static func isNullable(_ schema: JSONValue) -> Bool {
        schema["nullable"]?.asBool == true || schema["type"]?.asArray?.contains("null") == true
    }

    private mutating func object(
        _ schema: JSONValue, called name: String, by reference: String?, asInput: Bool, _ place: String
    ) throws(Problem) -> String {
        let (properties, required) = try properties(of: schema, place)
        // Inputs are sent as they are: a name that GraphQL does not have cannot be written.
        guard !properties.isEmpty, !asInput || properties.allSatisfy({ OpenAPINames.word($0.key) == $0.key }) else { return "JSON" }
        var name = Self.reserved.contains(name) ? name + "Type" : name
        while made[name] != nil { name += "_" }
        guard made.count < limits.types else { throw Problem(message: "\(place): the specification has more than \(limits.types) types") }
        made[name] = ""
        order.append(name)
        if let reference { named["\(reference) \(asInput)"] = name }
        var fields: [String] = []
        var taken: Set<String> = []
        for (own, property) in properties.sorted(by: { $0.key < $1.key }) {
            var field = property["x-hugr-name"]?.asString.map(OpenAPINames.word) ?? OpenAPINames.word(own)
            if asInput { field = own }
            while !taken.insert(field).inserted { field += "_" }
            let whole = try resolved(property, place)
            var type = try type(of: property, called: "\(name)_\(OpenAPINames.type(own))", asInput: asInput, place)
            // An input that needs another of its kind could never be written.
            let isObject = asInput && made[type] != nil
            if required.contains(own), !Self.isNullable(whole), !isObject, whole["default"] == nil || !asInput { type += "!" }
            let source = field == own ? "" : " @field_source(field: \(OpenAPIDescription.quoted(own)))"
            fields.append(OpenAPIDescription.description(whole["description"]?.asString, "  ") + "  \(field): \(type)\(source)\n")
        }
        let head = OpenAPIDescription.description(schema["description"]?.asString, "") + (asInput ? "input" : "type") + " \(name) {\n"
        made[name] = head + fields.joined() + "}\n"
        return name
    }

    /// With those of all parts that it is put together of.
    private func properties(
        of schema: JSONValue, _ place: String, level: Int = 0
    ) throws(Problem) -> (all: [String: JSONValue], required: Set<String>) {
        guard level <= limits.depth else { throw Problem(message: "\(place): allOf is nested deeper than \(limits.depth) levels") }
        var all = Dictionary((schema["properties"]?.asObject ?? [:]).map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        var required = Set((schema["required"]?.asArray ?? []).compactMap(\.asString))
        for part in schema["allOf"]?.asArray ?? [] {
            let inner = try properties(of: try resolved(part, place), place, level: level + 1)
            all.merge(inner.all) { own, _ in own }
            required.formUnion(inner.required)
        }
        return (all, required)
    }

    /// The members of a body as arguments; nil where it is no object that has some.
    mutating func members(
        of schema: JSONValue?, called name: String, _ place: String
    ) throws(Problem) -> [(name: String, type: String)]? {
        guard let schema else { return nil }
        let whole = try resolved(schema, place)
        guard Self.kind(whole) == "object" else { return nil }
        let (properties, required) = try properties(of: whole, place)
        guard !properties.isEmpty else { return nil }
        var members: [(String, String)] = []
        for (own, property) in properties.sorted(by: { $0.key < $1.key }) {
            let type = try type(of: property, called: "\(name)_\(OpenAPINames.type(own))", asInput: true, place)
            let isNullable = Self.isNullable(try resolved(property, place))
            let isNeeded = required.contains(own) && !isNullable
            members.append((own, type + (isNeeded ? "!" : "")))
        }
        return members
    }
}
