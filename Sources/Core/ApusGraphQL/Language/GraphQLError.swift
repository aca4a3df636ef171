public import ApusTypes

/// An error as a GraphQL response tells it.
public struct GraphQLError: Error, Sendable, Hashable {
    public var message: String
    /// Places in the request's text; none for what has no place there.
    public var locations: [SourceText.Location]
    /// The response field at fault, for errors of execution.
    public var path: [PathElement]?
    /// What a program may act on; `code` by convention.
    public var extensions: JSONObject?

    public enum PathElement: Sendable, Hashable {
        case key(String)
        case index(Int)
    }

    public init(_ message: String, locations: [SourceText.Location] = [], path: [PathElement]? = nil, extensions: JSONObject? = nil) {
        self.message = message
        self.locations = locations
        self.path = path
        self.extensions = extensions
    }

    /// At the starts of nodes, in the order given.
    init(_ message: String, _ document: GraphQLDocument, _ nodes: [NodeID]) {
        self.init(message, locations: nodes.map { document.location(of: $0) })
    }
}

extension GraphQLError {
    /// As the specification's section 7.1.2 says: `path` and `extensions` only where there are any.
    public func write(to writer: inout JSONWriter) {
        writer.object {
            $0.member("message", message)
            if !locations.isEmpty {
                $0.key("locations")
                $0.array { writer in
                    for location in locations {
                        writer.object {
                            $0.member("line", location.line)
                            $0.member("column", location.column)
                        }
                    }
                }
            }
            if let path {
                $0.key("path")
                $0.array { writer in
                    for element in path {
                        switch element {
                        case .key(let key): writer.string(key)
                        case .index(let index): writer.integer(index)
                        }
                    }
                }
            }
            if let extensions { $0.member("extensions", .object(extensions)) }
        }
    }
}

/// Why a request or a schema is refused: at least one error.
public struct GraphQLErrors: Error, Sendable, Hashable {
    public var errors: [GraphQLError]

    public init(_ errors: [GraphQLError]) {
        precondition(!errors.isEmpty, "a refusal has a reason")
        self.errors = errors
    }
}
