public import ApusTypes

/// A part of a response: what resolvers give, completed, with keys in request order.
public indirect enum ResponseValue: Sendable, Hashable {
    case null
    case leaf(JSONValue)
    /// One JSON value that is written already.
    case written([UInt8])
    case list([ResponseValue])
    case object([Member])

    public struct Member: Sendable, Hashable {
        public var key: String
        public var value: ResponseValue

        public init(_ key: String, _ value: ResponseValue) {
            self.key = key
            self.value = value
        }
    }

    public func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.null()
        case .leaf(let value): writer.value(value)
        case .written(let bytes): writer.raw(bytes)
        case .list(let elements): writer.array { for element in elements { element.write(to: &$0) } }
        case .object(let members):
            writer.object {
                for member in members {
                    $0.key(member.key)
                    member.value.write(to: &$0)
                }
            }
        }
    }
}

/// The answer to a request.
public struct GraphQLResponse: Sendable, Hashable {
    /// Nil when nothing was executed: then the response has no `data` at all.
    public var data: ResponseValue?
    public var errors: [GraphQLError]
    public var extensions: JSONObject?

    public init(data: ResponseValue?, errors: [GraphQLError] = [], extensions: JSONObject? = nil) {
        self.data = data
        self.errors = errors
        self.extensions = extensions
    }

    public init(refusing errors: GraphQLErrors) { self.init(data: nil, errors: errors.errors) }

    /// As the specification's section 7.1 says; errors come first, where people see them.
    public func serialized() -> [UInt8] {
        var writer = JSONWriter()
        writer.object { writer in
            if !errors.isEmpty {
                writer.key("errors")
                writer.array { for error in errors { error.write(to: &$0) } }
            }
            if let data {
                writer.key("data")
                data.write(to: &writer)
            }
            if let extensions { writer.member("extensions", .object(extensions)) }
        }
        return writer.bytes
    }
}
