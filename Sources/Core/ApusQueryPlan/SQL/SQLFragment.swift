internal import ApusSchemas
public import ApusTypes

/// A piece of SQL with its parameters, as it is put together.
///
/// Its text can only come from literals of this program, from identifiers of a model, which are quoted, and from SQL that the schema's author
/// wrote; everything else is a parameter. So nothing that a client says is ever read as SQL. Pieces may be joined in any order; parameters are
/// numbered when all is there.
struct SQLFragment: Sendable, Hashable {
    enum Piece: Sendable, Hashable {
        case text(String)
        case parameter(SQLParameter)
    }

    private(set) var pieces: [Piece] = []

    var isEmpty: Bool { pieces.isEmpty }

    mutating func append(_ fragment: SQLFragment) {
        for piece in fragment.pieces {
            if case .text(let text) = piece, case .text(let last)? = pieces.last {
                pieces[pieces.count - 1] = .text(last + text)
            } else {
                pieces.append(piece)
            }
        }
    }

    static func + (left: SQLFragment, right: SQLFragment) -> SQLFragment {
        var joined = left
        joined.append(right)
        return joined
    }

    static func identifier(_ name: String) -> SQLFragment {
        var quoted = "\""
        for character in name.unicodeScalars where character != "\0" { quoted += character == "\"" ? "\"\"" : String(character) }
        return SQLFragment(pieces: [.text(quoted + "\"")])
    }

    /// Names with dots between them, each quoted: `app.users`.
    static func path(_ names: String) -> SQLFragment {
        names.split(separator: ".", omittingEmptySubsequences: false).map { .identifier(String($0)) }.joined(separator: ".")
    }

    static func parameter(_ parameter: SQLParameter) -> SQLFragment { SQLFragment(pieces: [.parameter(parameter)]) }
    static func value(_ value: JSONValue, as type: ScalarType? = nil) -> SQLFragment {
        .parameter(SQLParameter(.value(value), type: type))
    }
    static func values(_ values: [JSONValue]) -> SQLFragment { .parameter(SQLParameter(.list(values))) }

    /// SQL of the schema's author. Never anything that came with a request.
    static func written(byAuthor text: String) -> SQLFragment { SQLFragment(pieces: text.isEmpty ? [] : [.text(text)]) }

    static func integer(_ number: Int) -> SQLFragment { SQLFragment(pieces: [.text(String(number))]) }

    private init(pieces: [Piece]) { self.pieces = pieces }
    init() {}
}

extension SQLFragment: ExpressibleByStringInterpolation {
    init(stringLiteral value: StaticString) { self.init(pieces: [.text(value.description)]) }
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
public struct SQLParameter: Sendable, Hashable {
    public enum Value: Sendable, Hashable {
        case value(JSONValue)
        case list([JSONValue])
        /// Of the rows that a batch is for: what they have in one of the key's columns, as a list.
        case keys(column: Int)
        /// The same of all columns, as JSON.
        case keyRows([KeyEncoding])
    }

    public var value: Value
    /// Said in the text where the place does not tell it.
    var type: ScalarType?

    init(_ value: Value, type: ScalarType? = nil) {
        self.value = value
        self.type = type
    }
}

/// A statement's text and its parameters, in the order of their numbers.
public struct SQLStatement: Sendable, Hashable {
    public let text: String
    public let parameters: [SQLParameter.Value]

    /// Each place has a number of its own: where a value stands tells its type.
    init(_ fragment: SQLFragment, for engine: SQLEngine) {
        var text = ""
        var parameters: [SQLParameter.Value] = []
        for piece in fragment.pieces {
            switch piece {
            case .text(let part): text += part
            case .parameter(let parameter):
                parameters.append(parameter.value)
                text += "$\(parameters.count)" + (parameter.type.map { engine.cast(to: $0) } ?? "")
            }
        }
        self.text = text
        self.parameters = parameters
    }
}
