public import ApusTypes

/// A request over HTTP as a schema's author writes it, in the form of Hugr's SQL function:
/// `http_data_source_request_scalar([$catalog], path, method, headers, parameters, body, jq)`.
///
/// Values are texts (`'it''s'`), numbers, `true`, `false`, `null`, arguments of the function (`[id]`), placeholders (`[$auth.user_id]`), texts
/// put together (`'/users/' || [id]`), objects (`{name: [name]}`) and lists; `'{"a": 1}'::JSON` is the value that the text describes.
public struct RequestTemplate: Sendable, Hashable {
    public indirect enum Expression: Sendable, Hashable {
        case value(JSONValue)
        case argument(String)
        /// Of who asks: `auth.user_id`.
        case placeholder(String)
        /// Texts behind each other.
        case text([Expression])
        case object([Member])
        case list([Expression])
        /// The value that a text of JSON describes.
        case parsed(Expression)

        public struct Member: Sendable, Hashable {
            public var name: String
            public var value: Expression
        }
    }

    public let path: Expression
    /// In upper case: GET, POST, PUT, PATCH, DELETE or HEAD.
    public let method: String
    public let headers: Expression
    public let parameters: Expression
    public let body: Expression
    /// A jq program that makes the result of the reply's body; empty for none.
    public let program: String

    public struct Problem: Error, Hashable {
        public var what: String
    }

    static let methods: Set = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
    private static let form =
        "write sql: \"http_data_source_request_scalar([$catalog], '/path', 'GET', headers, parameters, body, 'jq')\""

    /// `arguments`: the names of the function's own.
    public init(_ text: String, arguments: [String]) throws(Problem) {
        guard text.contains("(") else { throw Problem(what: "a source over HTTP calls requests; \(Self.form)") }
        var parser = RequestTemplateParser(text, arguments: Set(arguments))
        let call = try parser.call()
        guard ["http_data_source_request_scalar", "http_data_source_request"].contains(call.name) else {
            throw Problem(what: "a source over HTTP calls nothing but http_data_source_request_scalar; \(Self.form)")
        }
        guard (3...7).contains(call.arguments.count) else {
            throw Problem(what: "the request has \(call.arguments.count) arguments; \(Self.form)")
        }
        func argument(_ index: Int) -> Expression { index < call.arguments.count ? call.arguments[index] : .value(.null) }
        guard [.placeholder("catalog"), .value("[$catalog]")].contains(argument(0)) else {
            throw Problem(what: "the request's first argument must be [$catalog]: a source asks its own server alone")
        }
        guard case .value(.string(let method)) = argument(2), Self.methods.contains(method.uppercased()) else {
            throw Problem(what: "the request's method must be one of \(Self.methods.sorted().joined(separator: ", ")), in single quotes")
        }
        let program: String
        switch argument(6) {
        case .value(.null): program = ""
        case .value(.string(let text)): program = text
        default: throw Problem(what: "the request's jq program must be a text: nothing of a client may become part of it")
        }
        path = argument(1)
        self.method = method.uppercased()
        headers = argument(3)
        parameters = argument(4)
        body = argument(5)
        self.program = program
        for (part, name) in [(headers, "headers"), (parameters, "parameters")] where !part.isObject {
            throw Problem(what: "the request's \(name) must be an object, such as {name: [name]}::JSON")
        }
    }
}

extension RequestTemplate.Expression {
    /// Whether it is an object, or nothing.
    fileprivate var isObject: Bool {
        switch self {
        case .object, .argument, .value(.null), .value(.object): true
        case .parsed(let inner): inner.isObject
        case .value, .placeholder, .text, .list: false
        }
    }
}

/// The part of SQL that requests are written in.
private struct RequestTemplateParser {
    typealias Expression = RequestTemplate.Expression
    typealias Problem = RequestTemplate.Problem

    private let text: [UInt8]
    private var at = 0
    private var depth = 0
    private let arguments: Set<String>

    init(_ text: String, arguments: Set<String>) {
        self.text = Array(text.utf8)
        self.arguments = arguments
    }

    mutating func call() throws(Problem) -> (name: String, arguments: [Expression]) {
        let name = word()
        try expect("(")
        var arguments: [Expression] = []
        if !take(")") {
            repeat { arguments.append(try expression()) } while take(",")
            try expect(")")
        }
        while take("::") { _ = word() }
        _ = take(";")
        guard peek == nil else { throw problem("has something behind the call") }
        return (name, arguments)
    }

    private mutating func expression() throws(Problem) -> Expression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= 32 else { throw problem("is nested deeper than 32 levels") }
        var parts = [try cast()]
        while take("||") { parts.append(try cast()) }
        return parts.count == 1 ? parts[0] : .text(parts)
    }

    private mutating func cast() throws(Problem) -> Expression {
        var value = try atom()
        while take("::") {
            switch word().uppercased() {
            case "JSON", "JSONB":
                if case .value(.string(let text)) = value {
                    guard let parsed = try? JSONValue(parsing: Array(text.utf8)) else {
                        throw problem("has a text that is no JSON: '\(text)'")
                    }
                    value = .value(parsed)
                } else {
                    value = .parsed(value)
                }
            case "VARCHAR", "TEXT": value = .text([value])
            case "": throw problem("has no type behind ::")
            default: break
            }
        }
        return value
    }

    private mutating func atom() throws(Problem) -> Expression {
        switch peek {
        case UInt8(ascii: "'"): return .value(.string(try quoted()))
        case UInt8(ascii: "("):
            at += 1
            let inner = try expression()
            try expect(")")
            return inner
        case UInt8(ascii: "{"):
            at += 1
            var members: [Expression.Member] = []
            if take("}") { return .object([]) }
            repeat {
                let name =
                    peek == UInt8(ascii: "'") ? try quoted() : peek == UInt8(ascii: "\"") ? try quoted(by: UInt8(ascii: "\"")) : word()
                guard !name.isEmpty else { throw problem("has an object with a member without a name") }
                try expect(":")
                members.append(.init(name: name, value: try expression()))
            } while take(",")
            try expect("}")
            return .object(members)
        case UInt8(ascii: "["):
            at += 1
            if let name = reference() { return try known(name) }
            var elements: [Expression] = []
            if take("]") { return .list([]) }
            repeat { elements.append(try expression()) } while take(",")
            try expect("]")
            return .list(elements)
        case let byte? where byte == UInt8(ascii: "-") || (48...57).contains(byte): return .value(try number())
        default:
            switch word().lowercased() {
            case "true": return .value(true)
            case "false": return .value(false)
            case "null": return .value(.null)
            default: throw problem("cannot be read")
            }
        }
    }

    private func known(_ name: String) throws(Problem) -> Expression {
        if name.hasPrefix("$") {
            let placeholder = String(name.dropFirst())
            if placeholder == "catalog" || placeholder.hasPrefix("auth.") { return .placeholder(placeholder) }
        }
        let plain = name.hasPrefix("$") ? String(name.dropFirst()) : name
        guard arguments.contains(plain) else { throw problem("names [\(name)], which is no argument of the function") }
        return .argument(plain)
    }

    /// `name]` behind an opening bracket.
    private mutating func reference() -> String? {
        let start = at
        skip()
        let begin = at
        while at < text.count, Self.isWord(text[at]) || text[at] == UInt8(ascii: "$") || text[at] == UInt8(ascii: ".") { at += 1 }
        let name = String(decoding: text[begin..<at], as: UTF8.self)
        if !name.isEmpty, !(48...57).contains(text[begin]), !["true", "false", "null"].contains(name.lowercased()), take("]") {
            return name
        }
        at = start
        return nil
    }

    private mutating func number() throws(Problem) -> JSONValue {
        let start = at
        while at < text.count,
            Self.isWord(text[at]) || text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: ".")
                || text[at] == UInt8(ascii: "+")
        { at += 1 }
        guard let value = try? JSONValue(parsing: Array(text[start..<at])) else { throw problem("has a number that cannot be read") }
        return value
    }

    private mutating func quoted(by quote: UInt8 = UInt8(ascii: "'")) throws(Problem) -> String {
        at += 1
        var bytes: [UInt8] = []
        while at < text.count {
            if text[at] == quote {
                at += 1
                guard at < text.count, text[at] == quote else { return String(decoding: bytes, as: UTF8.self) }
            }
            bytes.append(text[at])
            at += 1
        }
        throw problem("has a text that does not end")
    }

    // MARK: Characters

    private static func isWord(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "_")
    }

    private mutating func word() -> String {
        skip()
        let start = at
        while at < text.count, Self.isWord(text[at]) { at += 1 }
        return String(decoding: text[start..<at], as: UTF8.self)
    }

    private mutating func skip() { while at < text.count, [9, 10, 13, 32].contains(text[at]) { at += 1 } }

    private var peek: UInt8? {
        mutating get {
            skip()
            return at < text.count ? text[at] : nil
        }
    }

    private mutating func take(_ token: String) -> Bool {
        skip()
        guard text[at...].starts(with: token.utf8) else { return false }
        at += token.utf8.count
        return true
    }

    private mutating func expect(_ token: String) throws(Problem) {
        if !take(token) { throw problem("lacks a \"\(token)\"") }
    }

    private func problem(_ what: String) -> Problem { Problem(what: "the request \(what), at character \(at + 1) of the sql") }
}
