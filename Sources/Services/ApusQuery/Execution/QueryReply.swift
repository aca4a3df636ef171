public import ApusGraphQL
internal import ApusTypes

/// What a request came to.
public struct QueryReply: Sendable {
    public enum Outcome: Sendable, Hashable {
        case answered
        /// It was begun, and something of it failed: nothing of it is told.
        case failed
        /// It cannot be begun: it is no operation of this schema, or its variables do not fit.
        case refused
        /// A mutation where none may be.
        case forbidden
        /// Whoever asks has too much under way.
        case limited
    }

    public var outcome: Outcome
    /// The value of `data`, as JSON.
    public var data: [UInt8] = []
    public var errors: [GraphQLError] = []
    /// The paths of lists that a default limit cut.
    public var truncated: [[String]] = []

    /// What jq made of fields, as JSON, by their response keys.
    public var transformed: [(key: String, value: [UInt8])] = []

    init(
        data: [UInt8], truncated: [[String]] = [], errors: [GraphQLError] = [], transformed: [(key: String, value: [UInt8])] = []
    ) {
        outcome = .answered
        self.errors = errors
        self.data = data
        self.truncated = truncated
        self.transformed = transformed
    }

    /// Of what is no GraphQL request.
    public init(refusing message: String) { self.init(.refused, [GraphQLError(message)]) }

    init(_ outcome: Outcome, _ errors: [GraphQLError]) {
        self.outcome = outcome
        self.errors = errors
    }

    /// The response. Errors without data, as clients of Hugr read them, unless `tellsNull`: then what was begun and failed has `data: null`.
    public func json(tellsNull: Bool = false) -> [UInt8] {
        var writer = JSONWriter(reserving: data.count + 64)
        writer.object { writer in
            if !errors.isEmpty {
                writer.key("errors")
                writer.array { for error in errors { error.write(to: &$0) } }
            }
            if outcome == .answered {
                writer.key("data")
                writer.raw(data)
            } else if outcome == .failed, tellsNull {
                writer.key("data")
                writer.null()
            }
            guard let extensions else { return }
            writer.key("extensions")
            writer.raw(extensions)
        }
        return writer.bytes
    }

    /// What is said beside the data, as a JSON object; nil where there is nothing.
    public var extensions: [UInt8]? {
        guard !truncated.isEmpty || !transformed.isEmpty else { return nil }
        var writer = JSONWriter()
        writer.object { writer in
            for field in transformed {
                writer.key(field.key)
                writer.object {
                    $0.key("jq")
                    $0.raw(field.value)
                }
            }
            guard !truncated.isEmpty, !transformed.contains(where: { $0.key == "truncated" }) else { return }
            writer.key("truncated")
            writer.array { for path in truncated { $0.string(path.joined(separator: ".")) } }
        }
        return writer.bytes
    }
}
