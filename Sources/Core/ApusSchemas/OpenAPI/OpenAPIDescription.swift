public import ApusTypes

/// A specification of OpenAPI 3 as the schema of a source over HTTP: each operation is a function, each schema of an object a type. A pure
/// function; names are those that Hugr makes (contract with its users).
///
/// Operations that change something are mutations: POST, PUT, PATCH and DELETE. A POST that only asks says so with `x-apus-query: true`.
/// Operations with bodies that are no JSON are left out, which the text says.
public struct OpenAPIDescription: Sendable {
    public struct Limits: Sendable {
        public var operations = 1000
        public var types = 2000
        /// Schemas inside each other.
        public var depth = 32

        public init() {}
    }

    /// What is wrong, and where.
    public struct Problem: Error, Hashable {
        public var message: String
    }

    /// The schema in SDL.
    public private(set) var text = ""
    /// Where the specification says that the server is; perhaps relative to where the specification is.
    public let server: String?
    /// By their names.
    public let securitySchemes: JSONObject

    public init(_ specification: JSONValue, limits: Limits = Limits()) throws(Problem) {
        guard let version = specification["openapi"].map({ $0.asString ?? $0.description }), version.hasPrefix("3.") else {
            let other = specification["swagger"]?.asString.map { "is of Swagger \($0); convert it to OpenAPI 3" }
            throw Problem(message: "the specification \(other ?? "says no version of OpenAPI 3")")
        }
        server = Self.server(specification["servers"]?.asArray ?? [])
        securitySchemes = specification["components"]?["securitySchemes"]?.asObject ?? [:]
        var types = OpenAPITypes(specification, limits)
        var functions: [String: OpenAPIFunction] = [:]
        var (queries, mutations, left): ([String], [String], [String]) = ([], [], [])
        for (path, item) in (specification["paths"]?.asObject ?? [:]).sorted(by: { $0.key < $1.key }) {
            let item = try types.resolved(item, "paths.\(path)")
            let operations = OpenAPIFunction.methods.compactMap { method in item[method].map { (method, $0) } }
            for (method, operation) in operations {
                let place = "\(method.uppercased()) \(path)"
                let function: OpenAPIFunction
                switch try OpenAPIFunction.read(method, path, operation, of: item, isAlone: operations.count == 1, &types) {
                case .function(let read): function = read
                case .leftOut(let reason):
                    left.append("# \(Self.line(place)) is left out: \(Self.line(reason))\n")
                    continue
                }
                if let other = functions.updateValue(function, forKey: function.name) {
                    throw Problem(message: "\(place) and \(other.place) are both called \"\(function.name)\"; give one another operationId")
                }
                guard functions.count <= limits.operations else {
                    throw Problem(message: "the specification has more than \(limits.operations) operations")
                }
                if function.isQuery { queries.append(function.text) } else { mutations.append(function.text) }
            }
        }
        text = left.joined() + types.text
        for (root, fields) in [("Function", queries), ("MutationFunction", mutations)] where !fields.isEmpty {
            text += "extend type \(root) {\n\(fields.joined())}\n"
        }
    }

    /// The one that is marked as Hugr's default, else the first, with the defaults of its variables.
    private static func server(_ servers: [JSONValue]) -> String? {
        guard let server = servers.first(where: { $0["x-hugr-default"]?.asBool == true }) ?? servers.first,
            var url = server["url"]?.asString, !url.isEmpty
        else { return nil }
        for (name, variable) in server["variables"]?.asObject ?? [:] {
            if let value = variable["default"]?.asString { url = url.replacing("{\(name)}", with: value) }
        }
        return url
    }

    /// One that stays on a line of its own.
    static func line(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }.prefix(500)) }

    /// A string of GraphQL.
    static func quoted(_ text: String) -> String { JSONValue.string(text).description }

    static func description(_ text: String?, _ indent: String) -> String {
        guard let text, !text.isEmpty else { return "" }
        return "\(indent)\(quoted(String(text.prefix(2000))))\n"
    }
}

/// One operation as a function.
struct OpenAPIFunction: Sendable {
    typealias Problem = OpenAPIDescription.Problem

    enum Outcome {
        case function(OpenAPIFunction)
        case leftOut(String)
    }

    static let methods = ["get", "post", "put", "patch", "delete", "head"]

    /// `GET /pets`.
    let place: String
    let name: String
    let isQuery: Bool
    let text: String

    static func read(
        _ method: String, _ path: String, _ operation: JSONValue, of item: JSONValue, isAlone: Bool, _ types: inout OpenAPITypes
    ) throws(Problem) -> Outcome {
        let place = "\(method.uppercased()) \(path)"
        let id = operation["operationId"]?.asString.flatMap { $0.isEmpty ? nil : $0 } ?? path
        let name = OpenAPINames.function(id) + (isAlone ? "" : method.uppercased())
        let parent = OpenAPINames.type(id)
        var arguments = Arguments()
        var template = path.replacing("'", with: "''")
        for given in (item["parameters"]?.asArray ?? []) + (operation["parameters"]?.asArray ?? []) {
            let parameter = try types.resolved(given, place)
            guard let own = parameter["name"]?.asString, let part = parameter["in"]?.asString else {
                throw Problem(message: "\(place): a parameter has no name, or does not say what it is in")
            }
            // What the form of a request and its security say (OpenAPI 3.0.3, "Parameter Object").
            if part == "header", ["accept", "content-type", "authorization"].contains(own.lowercased()) { continue }
            let isRequired = parameter["required"]?.asBool ?? false
            guard ["path", "query", "header"].contains(part) else {
                if isRequired { return .leftOut("it needs \"\(own)\" in a \(part)") }
                continue
            }
            let schema = parameter["schema"] ?? parameter["content"]?["application/json"]?["schema"]
            let type = try types.type(of: schema, called: parent + "Param" + OpenAPINames.type(own), asInput: true, place)
            if type.hasPrefix("["), part != "query" || parameter["explode"]?.asBool == false {
                return .leftOut("\"\(own)\" is a list in a form that is not written")
            }
            let argument = arguments.add(own, part, type + (isRequired || part == "path" ? "!" : ""), parameter["description"]?.asString)
            if part == "path" {
                guard template.contains("{\(own)}") else { throw Problem(message: "\(place): the path has no place for \"\(own)\"") }
                template = template.replacing("{\(own)}", with: "' || [\(argument)] || '")
            }
        }
        if let open = template.firstIndex(of: "{") {
            throw Problem(message: "\(place): nothing is said about \"\(template[open...].prefix { $0 != "}" })}\" in the path")
        }
        var body = "'{}'::JSON"
        if let given = operation["requestBody"] {
            let request = try types.resolved(given, place)
            guard let content = JSONContent(request["content"]) else { return .leftOut("its body is no JSON") }
            body = try arguments.add(body: content.schema, isRequired: request["required"]?.asBool ?? false, parent, &types, place)
        }
        let result: String
        switch try response(operation["responses"], parent, &types, place) {
        case .type(let type): result = type
        case .leftOut(let reason): return .leftOut(reason)
        }
        let sql =
            "http_data_source_request_scalar([$catalog], '\(template)', '\(method.uppercased())', "
            + "\(arguments.object(in: "header"))::JSON, \(arguments.object(in: "query"))::JSON, \(body), '')"
        let description = [operation["summary"], operation["description"]].compactMap { $0?.asString }.joined(separator: "\n")
        let text =
            OpenAPIDescription.description(description, "  ") + "  \(name)\(arguments.text): \(result)"
            + (operation["deprecated"]?.asBool == true ? " @deprecated" : "")
            + " @function(name: \(OpenAPIDescription.quoted(name)), json_cast: true, sql: \(OpenAPIDescription.quoted(sql)))\n"
        let isQuery = ["get", "head"].contains(method) || method == "post" && operation["x-apus-query"]?.asBool == true
        return .function(OpenAPIFunction(place: place, name: name, isQuery: isQuery, text: text))
    }

    private enum Response {
        case type(String)
        case leftOut(String)
    }

    /// Of the first success that is described.
    private static func response(
        _ responses: JSONValue?, _ parent: String, _ types: inout OpenAPITypes, _ place: String
    ) throws(Problem) -> Response {
        let all = responses?.asObject ?? [:]
        let successes = all.map(\.key).filter { $0.hasPrefix("2") }.sorted()
        guard let code = all["200"] != nil ? "200" : successes.first ?? (all["default"] != nil ? "default" : nil),
            let given = all[code]
        else { return .leftOut("no answer of success is described") }
        let content = try types.resolved(given, place)["content"]?.asObject ?? [:]
        if content.isEmpty { return .type("JSON") }
        if let json = JSONContent(.object(content)) {
            return .type(try types.type(of: json.schema, called: parent + "ResponseBody", asInput: false, place))
        }
        return content.contains { $0.key.hasPrefix("text/") } ? .type("String") : .leftOut("its answer is neither JSON nor text")
    }

    /// Of a body that may have several forms, the one in JSON.
    private struct JSONContent {
        let schema: JSONValue?

        init?(_ content: JSONValue?) {
            guard
                let found = content?.asObject?.first(where: { type, _ in
                    let plain = type.prefix { $0 != ";" }.lowercased()
                    return plain == "application/json" || plain == "text/json" || plain.hasSuffix("+json") || plain == "*/*"
                })
            else { return nil }
            schema = found.value["schema"]
        }
    }

    /// Arguments of the function, and where their values go.
    private struct Arguments {
        private var all: [(name: String, own: String, place: String, text: String)] = []

        var text: String { all.isEmpty ? "" : "(\(all.map(\.text).joined(separator: ", ")))" }

        mutating func add(_ own: String, _ place: String, _ type: String, _ description: String?) -> String {
            // What an operation says of a parameter counts more than what its path says.
            all.removeAll { $0.own == own && $0.place == place }
            var name = OpenAPINames.word(own)
            while all.contains(where: { $0.name == name }) { name += "_\(place)" }
            let said = description.map { $0.isEmpty ? "" : OpenAPIDescription.quoted(String($0.prefix(500))) + " " } ?? ""
            all.append((name, own, place, "\(said)\(name): \(type)"))
            return name
        }

        /// An object of those that go to one place.
        func object(in place: String) -> String {
            let members = all.filter { $0.place == place }.map { "'\($0.own.replacing("'", with: "''"))': [\($0.name)]" }
            return members.isEmpty ? "'{}'" : "{\(members.joined(separator: ", "))}"
        }

        /// An argument for each member where the body is all that there is to say, else one for all of it.
        mutating func add(
            body schema: JSONValue?, isRequired: Bool, _ parent: String, _ types: inout OpenAPITypes, _ place: String
        ) throws(Problem) -> String {
            if all.isEmpty, let members = try types.members(of: schema, called: parent + "RequestBody", place) {
                for member in members { _ = add(member.name, "body", member.type, nil) }
                return object(in: "body") + "::JSON"
            }
            let type = try types.type(of: schema, called: parent + "RequestBody", asInput: true, place)
            return "[\(add("request_body", "body", type + (isRequired ? "!" : ""), nil))]"
        }
    }
}

/// Names of OpenAPI as those of the API (contract with Hugr's users).
enum OpenAPINames {
    /// `getPetById`: `get_pet_by_id`.
    static func function(_ name: String) -> String {
        let characters = Array(plain(name))
        var word = ""
        for (index, character) in characters.enumerated() {
            switch character {
            case " ", ".", "/", "\\", ":", "-", "{", "}": word.append("_")
            case "A"..."Z":
                if index > 0, index + 1 < characters.count, !("A"..."Z").contains(characters[index + 1]) { word.append("_") }
                word += character.lowercased()
            default: word.append(isWord(character) ? character : "X")
            }
        }
        return valid(word)
    }

    /// `#/components/schemas/pet.status`: `petStatus`.
    static func type(_ name: String) -> String {
        var word = ""
        var isSkipped = false
        for character in plain(name) {
            if [" ", ".", "/", "\\", ":", "{", "}"].contains(character) {
                isSkipped = true
                continue
            }
            word += !isWord(character) ? "X" : isSkipped ? character.uppercased() : String(character)
            isSkipped = false
        }
        // The names of other types are made of it with an underscore before it.
        return valid(word.hasPrefix("_") ? "x" + word : word)
    }

    /// Of an argument or a field.
    static func word(_ name: String) -> String { valid(String(name.map { isWord($0) ? $0 : "_" })) }

    private static func plain(_ name: String) -> String {
        var name = name[...]
        for prefix in ["#/components/schemas/", "/"] where name.hasPrefix(prefix) { name = name.dropFirst(prefix.count) }
        return String(name)
    }

    private static func isWord(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || character == "_")
    }

    private static func valid(_ word: String) -> String {
        guard let first = word.first else { return "x" }
        return first.isNumber || word.hasPrefix("__") ? "x" + word : word
    }
}
