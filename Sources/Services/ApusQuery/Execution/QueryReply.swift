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

    /// Times that were asked for.
    public var stats: QueryStats?
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

    /// What is said beside the data, as a JSON object; nil where there is nothing. What is said of fields is where they are in the data.
    public var extensions: [UInt8]? {
        guard !truncated.isEmpty || !transformed.isEmpty || stats != nil else { return nil }
        var fields = FieldNotes()
        for field in transformed { fields.note([field.key][...]) { $0.transformed = field.value } }
        if let stats { for field in stats.fields { fields.note(field.path[...]) { $0.stats = stats.told(field) } } }
        let operation = stats.flatMap { stats in stats.operation.map { stats.told(operation: $0) } }
        var writer = JSONWriter()
        writer.object { writer in
            if let operation {
                // Beside the operation's own, as Hugr does.
                writer.key("children")
                writer.object { fields.writeChildren(to: &$0) }
                writer.key("stats")
                writer.value(.object(operation))
            } else {
                fields.writeChildren(to: &writer)
            }
            guard !truncated.isEmpty, operation != nil || !fields.hasChild("truncated") else { return }
            writer.key("truncated")
            writer.array { for path in truncated { $0.string(path.joined(separator: ".")) } }
        }
        return writer.bytes
    }
}

/// What is said of a field, and of those inside it.
private struct FieldNotes {
    var transformed: [UInt8]?
    var stats: JSONObject?
    private var children: [(name: String, notes: FieldNotes)] = []

    mutating func note(_ path: ArraySlice<String>, _ change: (inout FieldNotes) -> Void) {
        guard let name = path.first else { return change(&self) }
        let place = children.firstIndex { $0.name == name } ?? children.count
        if place == children.count { children.append((name, FieldNotes())) }
        children[place].notes.note(path.dropFirst(), change)
    }

    func hasChild(_ name: String) -> Bool { children.contains { $0.name == name } }

    func writeChildren(to writer: inout JSONWriter) {
        for child in children {
            writer.key(child.name)
            writer.object { child.notes.write(to: &$0) }
        }
    }

    private func write(to writer: inout JSONWriter) {
        if let transformed {
            writer.key("jq")
            writer.raw(transformed)
        }
        if let stats {
            writer.key("stats")
            writer.value(.object(stats))
        }
        guard !children.isEmpty else { return }
        writer.key("children")
        writer.object { writeChildren(to: &$0) }
    }
}
