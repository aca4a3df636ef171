internal import ApusGraphQL
internal import ApusSchemas
internal import ApusTypes

/// A piece of SQL with its parameters, as it is put together.
///
/// Its text can only come from literals of this program, from identifiers of a model, which are quoted, and from SQL that the schema's author
/// wrote; everything else is a parameter. So nothing that a client says is ever read as SQL. Pieces may be joined in any order; parameters are
/// numbered when all is there.
struct SQLFragment: Sendable, Hashable {
    private(set) var text = ""
    /// Where parameters belong in the text, in its order.
    private(set) var parameters: [Place] = []

    struct Place: Sendable, Hashable {
        var offset: Int
        var parameter: SQLParameter
    }

    var isEmpty: Bool { text.isEmpty && parameters.isEmpty }

    mutating func append(_ fragment: SQLFragment) {
        let length = text.utf8.count
        text += fragment.text
        for place in fragment.parameters { parameters.append(Place(offset: place.offset + length, parameter: place.parameter)) }
    }

    func mapParameters(_ body: (SQLParameter) -> SQLParameter) -> SQLFragment {
        var mapped = self
        for index in parameters.indices { mapped.parameters[index].parameter = body(parameters[index].parameter) }
        return mapped
    }

    static func + (left: SQLFragment, right: SQLFragment) -> SQLFragment {
        var joined = left
        joined.append(right)
        return joined
    }

    static func identifier(_ name: String) -> SQLFragment {
        var quoted = "\""
        for character in name.unicodeScalars where character != "\0" {
            if character == "\"" { quoted.unicodeScalars.append(character) }
            quoted.unicodeScalars.append(character)
        }
        return SQLFragment(text: quoted + "\"")
    }

    /// Names with dots between them, each quoted: `app.users`.
    static func path(_ names: String) -> SQLFragment {
        names.split(separator: ".", omittingEmptySubsequences: false).map { .identifier(String($0)) }.joined(separator: ".")
    }

    static func parameter(_ parameter: SQLParameter) -> SQLFragment {
        SQLFragment(text: "", parameters: [Place(offset: 0, parameter: parameter)])
    }

    /// A constant of the plan.
    static func value(_ value: JSONValue, as type: ScalarType? = nil) -> SQLFragment {
        .parameter(SQLParameter(.value(value), type: type))
    }
    static func values(_ values: [JSONValue]) -> SQLFragment { .parameter(SQLParameter(.list(values.map { .value($0) }))) }

    /// A value of the request, or a list of such.
    static func value(_ value: PlanValue, as type: ScalarType? = nil, form: SQLParameter.Form = .plain) -> SQLFragment {
        .parameter(SQLParameter(.init(value, form), type: type))
    }

    /// SQL of the schema's author. Never anything that came with a request.
    static func written(byAuthor text: String) -> SQLFragment { SQLFragment(text: text) }

    static func integer(_ number: Int) -> SQLFragment { SQLFragment(text: String(number)) }

    /// A moment where SQL takes no parameter; nil for a text with anything but digits and the signs between them. The engine looks at the rest.
    static func time(_ text: String) -> SQLFragment? {
        let isPlain = text.utf8.allSatisfy { (48...57).contains($0) || "TZ:+-. ".utf8.contains($0) }
        return isPlain && (1...40).contains(text.utf8.count) ? SQLFragment(text: "'\(text)'::TIMESTAMPTZ") : nil
    }

    private init(text: String, parameters: [Place] = []) {
        self.text = text
        self.parameters = parameters
    }
    init() {}
}

extension SQLFragment: ExpressibleByStringInterpolation {
    init(stringLiteral value: StaticString) { self.init(text: value.description) }
    init(stringInterpolation: Interpolation) { self = stringInterpolation.fragment }

    /// Fragments and column references alone can be interpolated: a `String` cannot.
    struct Interpolation: StringInterpolationProtocol {
        var fragment = SQLFragment()

        init(literalCapacity: Int, interpolationCount: Int) {}
        mutating func appendLiteral(_ literal: StaticString) {
            if literal.utf8CodeUnitCount > 0 { fragment.append(SQLFragment(stringLiteral: literal)) }
        }
        mutating func appendInterpolation(_ fragment: SQLFragment) { self.fragment.append(fragment) }
    }
}

extension Sequence<SQLFragment> {
    func joined(separator: SQLFragment) -> SQLFragment {
        var result = SQLFragment()
        for (index, fragment) in enumerated() {
            if index > 0 { result.append(separator) }
            result.append(fragment)
        }
        return result
    }
}

/// A value that travels beside the text of a statement.
struct SQLParameter: Sendable, Hashable {
    indirect enum Value: Sendable, Hashable {
        case value(JSONValue)
        case list([Value])
        /// Of the request's variables: its number.
        case variable(Int, Form)
        case identity(String)
        /// Of the rows that a batch is for: what they have in one of the key's columns, as a list.
        case keys(column: Int)
        /// The same of all columns, as JSON.
        case keyRows([KeyEncoding])
        case object([Member])
        /// What is asked of a collection of points, in whose place its answer goes to the engine.
        case points(Value)
    }

    struct Member: Sendable, Hashable {
        var name: String
        var value: Value
    }

    /// What becomes of a value on its way.
    enum Form: Sendable, Hashable {
        case plain
        /// As JSON text.
        case json
        /// A pattern of LIKE as one of SQLite's GLOB.
        case glob
        /// A number of rows: the argument that gives it.
        case count(String)
        /// A part of a cursor.
        case cursor(CursorPart)
    }

    var value: Value
    /// Said in the text where the place does not tell it.
    var type: ScalarType?

    init(_ value: Value, type: ScalarType? = nil) {
        self.value = value
        self.type = type
    }
}

extension SQLParameter.Value {
    init(_ value: PlanValue, _ form: SQLParameter.Form) {
        switch value {
        case .variable(let number, _): self = .variable(number, form)
        case .identity(let name): self = .identity(name)
        case .list(let elements) where form == .plain: self = .list(elements.map { Self($0, .plain) })
        // What is put together from several variables depends on all of them.
        case .known, .list, .object: self = .value(form.applied(to: value.json))
        }
    }
}

extension SQLParameter.Form {
    func applied(to value: JSONValue) -> JSONValue {
        switch self {
        case .plain, .count: return value
        case .cursor(let part): return (try? part.value(in: value)) ?? .null  // `check` has told what is wrong with it
        case .json: return value.isNull ? .null : .string(value.description)
        case .glob: return value.asString.map { .string(Self.glob($0)) } ?? value
        }
    }

    private static func glob(_ pattern: String) -> String {
        pattern.map { character in
            switch character {
            case "%": "*"
            case "_": "?"
            case "*", "?", "[": "[\(character)]"
            default: String(character)
            }
        }.joined()
    }

    /// Of values that come with each request; those of the text are checked when they are planned.
    func check(_ value: JSONValue) throws(GraphQLError) {
        if case .cursor(let part) = self { _ = try part.value(in: value) }
        guard case .count(let argument) = self, let number = value.asInteger, number < 0 else { return }
        throw GraphQLError("Argument \"\(argument)\" must not be negative.")
    }
}

/// A statement's text and its parameters, in the order of their numbers. Only the planner can make one.
public struct SQLStatement: Sendable, Hashable {
    public let text: String
    let parameters: [SQLParameter.Value]

    /// Each place has a number of its own: where a value stands tells its type.
    init(_ fragment: SQLFragment, for engine: SQLEngine) {
        var text = ""
        text.reserveCapacity(fragment.text.utf8.count + fragment.parameters.count * 4)
        var rest = fragment.text.utf8[...]
        var start = 0
        for (index, place) in fragment.parameters.enumerated() {
            text += Substring(rest.prefix(place.offset - start))
            rest = rest.dropFirst(place.offset - start)
            start = place.offset
            text += "$\(index + 1)" + (place.parameter.type.map { engine.cast(to: $0) } ?? "")
        }
        self.text = text + Substring(rest)
        parameters = fragment.parameters.map(\.parameter.value)
    }
}
