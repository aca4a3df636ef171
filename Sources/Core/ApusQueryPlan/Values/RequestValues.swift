internal import ApusGraphQL
internal import ApusTypes

/// What a request gives beside its text: the values of its variables, and who asks.
///
/// The *shape* of variables is what a plan may always depend on: which are there, which are null, the members of objects and the lengths of
/// lists of objects. A value inside (of a scalar or enum, or a list of such) has a number; a plan depends on it only where the planner looked
/// at it.
struct RequestValues: Sendable {
    /// By their numbers.
    private(set) var values: [JSONValue] = []
    private(set) var shape: [UInt8] = []
    let identity: JSONObject

    /// `variables` are coerced.
    init(_ variables: JSONObject, of operation: PreparedOperation, identity: JSONObject) {
        self.identity = identity
        for (name, type) in operation.variableTypes {
            guard let value = variables[name] else {
                shape.append(UInt8(ascii: "-"))
                continue
            }
            if operation.conditionVariables.contains(name) {
                // Which fields there are depends on it.
                shape += value.serialized()
            } else {
                add(value, type, operation.schema)
            }
        }
    }

    private mutating func add(_ value: JSONValue, _ type: TypeReference, _ schema: GraphQLSchema) {
        let named = schema[type.named]
        if value.isNull {
            shape.append(UInt8(ascii: "n"))
        } else if named.kind != .inputObject {
            shape.append(UInt8(ascii: "v"))
            values.append(value)
        } else if case .array(let elements) = value {
            shape.append(UInt8(ascii: "["))
            for element in elements { add(element, type, schema) }
            shape.append(UInt8(ascii: "]"))
        } else if case .object(let members) = value {
            shape.append(UInt8(ascii: "{"))
            for (key, member) in members {
                // Names of a schema's input fields have no blanks.
                shape += Array(key.utf8) + [UInt8(ascii: " ")]
                if let field = named.inputField(key) { add(member, field.type, schema) }
            }
            shape.append(UInt8(ascii: "}"))
        }
    }

    /// The same variables with a mark in the place of each value that has a number. A mark is an object with a member that has no name in the
    /// language, inside no JSON of a client: what a client wrote is in `values`.
    func marked(_ variables: JSONObject, of operation: PreparedOperation) -> JSONObject {
        var next = 0
        var marked = JSONObject()
        for (name, type) in operation.variableTypes {
            guard let value = variables[name] else { continue }
            marked[name] =
                operation.conditionVariables.contains(name) ? value : Self.marked(value, type, operation.schema, &next)
        }
        return marked
    }

    private static func marked(_ value: JSONValue, _ type: TypeReference, _ schema: GraphQLSchema, _ next: inout Int) -> JSONValue {
        let named = schema[type.named]
        if value.isNull { return .null }
        if named.kind != .inputObject {
            next += 1
            return .object([markName: .integer(Int64(next - 1))])
        }
        switch value {
        case .array(let elements): return .array(elements.map { marked($0, type, schema, &next) })
        case .object(let members):
            return .object(
                JSONObject(
                    members.map { key, member in
                        (key, named.inputField(key).map { marked(member, $0.type, schema, &next) } ?? member)
                    }))
        default: return value
        }
    }

    private static let markName = "\0"

    /// The number of the value that a mark stands for.
    static func number(of mark: JSONValue) -> Int? {
        guard case .object(let members) = mark, members.count == 1 else { return nil }
        return members[markName]?.asInteger.map { Int($0) }
    }
}

/// What a plan depends on beside the shape of variables: the values that the planner looked at, and of what kind parts of the identity are.
struct Observations: Sendable {
    private(set) var values: [Int: JSONValue] = [:]
    private(set) var numbers: [String: Bool] = [:]

    mutating func look(_ number: Int, _ value: JSONValue) { values[number] = value }
    mutating func look(_ name: String, isNumber: Bool) { numbers[name] = isNumber }

    /// Whether a request with a plan's shape would be planned in the same way.
    func hold(for request: RequestValues) -> Bool {
        for (number, value) in values {
            guard number < request.values.count, Self.isSame(request.values[number], value) else { return false }
        }
        return numbers.allSatisfy { name, isNumber in request.isNumber(name) == isNumber }
    }

    /// Equality of JSON says that objects with members in another order are the same; the planner takes them in their order.
    private static func isSame(_ one: JSONValue, _ other: JSONValue) -> Bool {
        if one != other { return false }
        switch one {
        case .object, .array: return one.serialized() == other.serialized()
        default: return true
        }
    }
}

extension RequestValues {
    func isNumber(_ name: String) -> Bool { identity[name]?.asInteger != nil }
}

/// What is known while one request is planned.
final class PlanningRecord {
    let values: RequestValues
    let limits: PlanLimits
    private(set) var observations = Observations()
    private var aliases = 0
    private var depth = 0
    private var statements = 0
    /// Whether a rule's own filter is planned, which sees all rows and columns.
    private(set) var isInRule = false

    init(_ values: RequestValues, _ limits: PlanLimits) {
        self.values = values
        self.limits = limits
    }

    func look(at number: Int) -> JSONValue {
        let value = values.values[number]
        observations.look(number, value)
        return value
    }

    /// Whether a part of the identity is a whole number.
    func isNumber(_ name: String) -> Bool {
        let isNumber = values.isNumber(name)
        observations.look(name, isNumber: isNumber)
        return isNumber
    }

    /// A name in the operation's SQL that no other has; short, because PostgreSQL cuts names at 63 bytes.
    func alias() -> SQLFragment {
        aliases += 1
        return .identifier("r\(aliases)")
    }

    func beginStatement() throws(GraphQLError) {
        statements += 1
        guard statements <= limits.statements else {
            throw GraphQLError(
                "The operation comes to more than \(limits.statements) statements, which is the limit; ask for fewer lists at once.")
        }
    }

    func inRule<Value>(_ body: () throws(GraphQLError) -> Value) throws(GraphQLError) -> Value {
        let before = isInRule
        isInRule = true
        defer { isInRule = before }
        return try body()
    }

    /// What is planned inside something else.
    func inside<Value>(_ body: () throws(GraphQLError) -> Value) throws(GraphQLError) -> Value {
        depth += 1
        defer { depth -= 1 }
        guard depth <= limits.depth else {
            throw GraphQLError("Fields and conditions are nested deeper than \(limits.depth) levels, which is the limit; nest fewer.")
        }
        return try body()
    }
}
