internal import ApusGraphQL
internal import ApusSchemas
public import ApusTypes

/// A parameter's value as it goes to a database.
public enum BoundParameter: Sendable, Hashable {
    case value(JSONValue)
    case list([JSONValue])
    /// As the source's engine reads it.
    case text([UInt8])
    /// What is asked of a collection of points: an object as `PointsQuestion` reads it.
    case points(JSONValue)

    /// Throws what is wrong with a value that a request gives.
    init(
        _ value: SQLParameter.Value, _ request: RequestValues, keys: [[[UInt8]]], lists: [[UInt8]] = []
    ) throws(GraphQLError) {
        switch value {
        case .value, .variable, .identity, .object:
            let value = try Self.json(value, request, keys)
            if case .array(let elements) = value { self = .list(elements) } else { self = .value(value) }
        case .list(let elements):
            var values: [JSONValue] = []
            for element in elements { values.append(try Self.json(element, request, keys)) }
            self = .list(values)
        case .keys(let column): self = .text(lists.isEmpty ? Self.array(keys[column]) : lists[column])
        case .keyRows(let encodings): self = .text(Self.json(keys, encodings))
        case .points(let question): self = .points(try Self.json(question, request, keys))
        }
    }

    private static func json(
        _ value: SQLParameter.Value, _ request: RequestValues, _ keys: [[[UInt8]]]
    ) throws(GraphQLError) -> JSONValue {
        switch value {
        case .value(let value): return value
        case .variable(let number, let form):
            let value = request.values[number]
            try form.check(value)
            return form.applied(to: value)
        case .identity(let name): return request.identity[name] ?? .null
        case .list(let elements):
            var values: [JSONValue] = []
            for element in elements { values.append(try json(element, request, keys)) }
            return .array(values)
        case .object(let members):
            var object = JSONObject()
            for member in members { object[member.name] = try json(member.value, request, keys) }
            return .object(object)
        // Without keys the plan is only looked at.
        case .keyRows(let encodings): return (try? JSONValue(parsing: json(keys, encodings))) ?? .null
        case .keys, .points: return .null
        }
    }

    /// As PostgreSQL reads it in text format; nil for NULL. Lists are array literals, each element quoted.
    public var postgreSQLText: [UInt8]? {
        switch self {
        case .value(let value): Self.text(value)
        case .list(let values): Self.array(values.map(Self.text))
        case .text(let text): text
        case .points(let question): question.serialized()
        }
    }

    /// As SQLite is given it: lists are JSON.
    public var sqliteText: [UInt8]? {
        switch self {
        case .value(let value): Self.text(value)
        case .list(let values): JSONValue.array(values).serialized()
        case .text(let text): text
        case .points(let question): question.serialized()
        }
    }

    /// About how many bytes it has.
    var byteCount: Int {
        switch self {
        case .value(.string(let text)): text.utf8.count
        case .value(.object(let object)): JSONValue.object(object).serialized().count
        case .value: 8
        case .list(let values): values.reduce(0) { $0 + BoundParameter.value($1).byteCount }
        case .text(let text): text.count
        case .points(let question): question.serialized().count
        }
    }

    private static func text(_ value: JSONValue) -> [UInt8]? {
        switch value {
        case .null: nil
        case .string(let text): Array(text.utf8)
        case .integer(let number): Array(String(number).utf8)
        case .array(let elements): array(elements.map(text))
        default: value.serialized()
        }
    }

    private static func array(_ elements: [[UInt8]?]) -> [UInt8] {
        var text: [UInt8] = [UInt8(ascii: "{")]
        for (index, element) in elements.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            guard let element else {
                text += Array("NULL".utf8)
                continue
            }
            text.append(Ascii.quote)
            for byte in element {
                if byte == Ascii.quote || byte == Ascii.backslash { text.append(Ascii.backslash) }
                text.append(byte)
            }
            text.append(Ascii.quote)
        }
        text.append(UInt8(ascii: "}"))
        return text
    }

    /// Keys as a JSON array: of values, or of arrays of them for keys of several columns.
    private static func json(_ keys: [[[UInt8]]], _ encodings: [KeyEncoding]) -> [UInt8] {
        var output = ReplyBuffer(capacity: 256)
        defer { output.free() }
        output.append(UInt8(ascii: "["))
        for row in (keys.first ?? []).indices {
            if row > 0 { output.append(UInt8(ascii: ",")) }
            if encodings.count > 1 { output.append(UInt8(ascii: "[")) }
            for (column, encoding) in encodings.enumerated() {
                if column > 0 { output.append(UInt8(ascii: ",")) }
                keys[column][row].withUnsafeBytes { encoding.write($0, to: &output) }
            }
            if encodings.count > 1 { output.append(UInt8(ascii: "]")) }
        }
        output.append(UInt8(ascii: "]"))
        return Array(output.bytes)
    }
}
