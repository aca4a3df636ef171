internal import ApusSchemas
internal import ApusTypes

/// A request template with one call's values in it.
struct HTTPQuestion: Sendable {
    /// Percent-encoded.
    var path: String
    var parameters: [(name: String, value: String)]
    var headers: [(name: String, value: String)]
    /// Nil where there is none.
    var body: JSONValue?

    init(_ template: RequestTemplate, _ arguments: JSONObject, identity: JSONObject, source: String) throws(ApusError) {
        let values = Values(arguments: arguments, identity: identity, source: source)
        path = try values.path(template.path)
        parameters = try values.items(template.parameters, "parameters").flatMap { name, value in
            (value.asArray ?? [value]).filter { !$0.isNull }.map { (name, Self.text($0)) }
        }
        headers = try values.items(template.headers, "headers").map { name, value in (name, Self.text(value)) }
        guard !["GET", "HEAD"].contains(template.method) else { return }
        var body = try values.value(template.body)
        if case .string(let text) = body { body = text.isEmpty ? .null : (try? JSONValue(parsing: Array(text.utf8))) ?? body }
        // What the caller left out is left out.
        if case .object(let members) = body { body = .object(JSONObject(members.filter { !$0.value.isNull }.map { ($0.key, $0.value) })) }
        self.body = body.isNull || template.method == "DELETE" && body == .object([:]) ? nil : body
    }

    private static func text(_ value: JSONValue) -> String { value.asString ?? value.description }

    private struct Values {
        let arguments: JSONObject
        let identity: JSONObject
        let source: String

        func value(_ expression: RequestTemplate.Expression) throws(ApusError) -> JSONValue {
            switch expression {
            case .value(let value): return value
            case .argument(let name): return arguments[name] ?? .null
            case .placeholder("catalog"): return .string(source)
            case .placeholder(let name): return identity[name] ?? .null
            case .text(let parts):
                var text = ""
                for part in parts {
                    let value = try value(part)
                    // As in SQL: nothing beside something unknown is known.
                    if value.isNull { return .null }
                    text += HTTPQuestion.text(value)
                }
                return .string(text)
            case .object(let members):
                var object = JSONObject()
                for member in members { object[member.name] = try value(member.value) }
                return .object(object)
            case .list(let elements):
                var list: [JSONValue] = []
                for element in elements { list.append(try value(element)) }
                return .array(list)
            case .parsed(let inner):
                let value = try value(inner)
                guard case .string(let text) = value, case .text = inner else { return value }
                return try JSONValue(parsing: Array(text.utf8))
            }
        }

        /// The members of an object without those that are null.
        func items(_ expression: RequestTemplate.Expression, _ part: String) throws(ApusError) -> [(String, JSONValue)] {
            switch try value(expression) {
            case .null: return []
            case .object(let members): return members.filter { !$0.value.isNull }.map { ($0.key, $0.value) }
            default: throw ApusError(.requestInvalid, "the \(part) of a request to data source \"\(source)\" are no JSON object")
            }
        }

        /// What the author wrote as it is; a value of a client is one part between two slashes, or of one, whatever is in it.
        func path(_ expression: RequestTemplate.Expression) throws(ApusError) -> String {
            let parts = if case .text(let parts) = expression { parts } else { [expression] }
            var path = ""
            for part in parts {
                if case .value(.string(let text)) = part {
                    path += text
                    continue
                }
                let value = try value(part)
                let text = value.isNull ? "" : HTTPQuestion.text(value)
                guard !text.isEmpty, !text.allSatisfy({ $0 == "." }) else {
                    var name = "a value"
                    if case .argument(let argument) = part { name = "argument \"\(argument)\"" }
                    throw ApusError(
                        .requestInvalid, "\(name) is part of a path of data source \"\(source)\" and cannot be \"\(text)\"")
                }
                path += PercentEncoding.encoded(text)
            }
            return path
        }
    }
}
