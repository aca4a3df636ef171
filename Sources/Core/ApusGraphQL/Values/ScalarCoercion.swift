public import ApusTypes

/// Why a value is none of a scalar's; the message is told to the client.
public struct ScalarProblem: Error, Sendable, Hashable {
    public var message: String

    public init(_ message: String) { self.message = message }
}

/// A literal in a document, as a scalar that reads it sees it.
public struct Literal {
    public let document: GraphQLDocument
    public let node: NodeID
    /// Coerced values, for variables inside lists and objects.
    let variables: JSONObject

    public var kind: NodeKind { document.kind(of: node) }
    /// As it was written: all digits of a number.
    public var text: String { document.sourceText(of: node) }
    /// The value of a string literal.
    public var string: String { document.string(of: node) }

    /// The value without a type: numbers as numbers (integers beyond 64 bits as doubles), enum values as strings, variables as given.
    public var untyped: JSONValue { untyped(node) }

    private func untyped(_ node: NodeID) -> JSONValue {
        switch document.kind(of: node) {
        case .intValue:
            let text = document.sourceText(of: node)
            if let value = Int64(text) { return .integer(value) }
            if let value = UInt64(text) { return .unsigned(value) }
            return .double(Double(text) ?? .infinity)
        case .floatValue: return .double(Double(document.sourceText(of: node)) ?? .infinity)
        case .stringValue: return .string(document.string(of: node))
        case .booleanValue: return .bool(document.isTrue(node))
        case .enumValue: return .string(document.requiredName(of: node))
        case .listValue: return .array(document.children(of: node).map(untyped))
        case .objectValue:
            return .object(
                JSONObject(document.children(of: node).map { (document.requiredName(of: $0), untyped(document.value(of: $0))) }))
        case .variable: return variables[document.requiredName(of: node)] ?? .null
        default: return .null
        }
    }

    /// As the printer writes it, for messages.
    var printed: String { document.printed(node) }
}

/// How a scalar reads its values. A custom scalar without one takes any value as it is.
public struct ScalarCoercion: Sendable {
    /// From a variable's JSON; never null.
    let fromValue: @Sendable (JSONValue) throws(ScalarProblem) -> JSONValue
    /// From a literal of any kind but null and a variable.
    let fromLiteral: @Sendable (Literal) throws(ScalarProblem) -> JSONValue

    public init(
        fromValue: @escaping @Sendable (JSONValue) throws(ScalarProblem) -> JSONValue,
        fromLiteral: @escaping @Sendable (Literal) throws(ScalarProblem) -> JSONValue
    ) {
        self.fromValue = fromValue
        self.fromLiteral = fromLiteral
    }

    /// The same rule for both.
    public init(_ rule: @escaping @Sendable (JSONValue) throws(ScalarProblem) -> JSONValue) {
        fromValue = rule
        fromLiteral = { literal throws(ScalarProblem) in try rule(literal.untyped) }
    }

    static let anything = ScalarCoercion { value throws(ScalarProblem) in value }

    static let specified: [String: ScalarCoercion] = [
        "Int": integer, "Float": float, "String": string, "Boolean": boolean, "ID": identifier,
    ]

    private static let integer = ScalarCoercion(
        fromValue: { value throws(ScalarProblem) in
            let number: Double? =
                switch value {
                case .integer(let number) where Int32(exactly: number) != nil: Double(number)
                case .integer, .unsigned: .infinity
                case .double(let number) where number.rounded() == number: number
                default: nil
                }
            guard let number else { throw ScalarProblem("Int cannot represent non-integer value: \(Inspection.text(value))") }
            guard let result = Int32(exactly: number) else {
                throw ScalarProblem("Int cannot represent non 32-bit signed integer value: \(Inspection.text(value))")
            }
            return .integer(Int64(result))
        },
        fromLiteral: { literal throws(ScalarProblem) in
            guard literal.kind == .intValue else { throw ScalarProblem("Int cannot represent non-integer value: \(literal.printed)") }
            guard let result = Int32(literal.text) else {
                throw ScalarProblem("Int cannot represent non 32-bit signed integer value: \(literal.printed)")
            }
            return .integer(Int64(result))
        })

    private static let float = ScalarCoercion(
        fromValue: { value throws(ScalarProblem) in
            guard let number = value.asDouble, number.isFinite else {
                throw ScalarProblem("Float cannot represent non numeric value: \(Inspection.text(value))")
            }
            return value
        },
        fromLiteral: { literal throws(ScalarProblem) in
            guard literal.kind == .intValue || literal.kind == .floatValue else {
                throw ScalarProblem("Float cannot represent non numeric value: \(literal.printed)")
            }
            return literal.untyped
        })

    private static let string = ScalarCoercion(
        fromValue: { value throws(ScalarProblem) in
            guard case .string = value else {
                throw ScalarProblem("String cannot represent a non string value: \(Inspection.text(value))")
            }
            return value
        },
        fromLiteral: { literal throws(ScalarProblem) in
            guard literal.kind == .stringValue else {
                throw ScalarProblem("String cannot represent a non string value: \(literal.printed)")
            }
            return .string(literal.string)
        })

    private static let boolean = ScalarCoercion(
        fromValue: { value throws(ScalarProblem) in
            guard case .bool = value else {
                throw ScalarProblem("Boolean cannot represent a non boolean value: \(Inspection.text(value))")
            }
            return value
        },
        fromLiteral: { literal throws(ScalarProblem) in
            guard literal.kind == .booleanValue else {
                throw ScalarProblem("Boolean cannot represent a non boolean value: \(literal.printed)")
            }
            return literal.untyped
        })

    private static let identifier = ScalarCoercion(
        fromValue: { value throws(ScalarProblem) in
            switch value {
            case .string: return value
            case .integer(let number): return .string(String(number))
            case .unsigned(let number): return .string(String(number))
            case .double(let number):
                if let whole = Int64(exactly: number) { return .string(String(whole)) }
            default: break
            }
            throw ScalarProblem("ID cannot represent value: \(Inspection.text(value))")
        },
        fromLiteral: { literal throws(ScalarProblem) in
            switch literal.kind {
            case .stringValue: return .string(literal.string)
            case .intValue: return .string(literal.text)
            default: throw ScalarProblem("ID cannot represent a non-string and non-integer value: \(literal.printed)")
            }
        })
}
