public import ApusGraphQL

/// What is wrong with the schema of a data source, for its author: where, which type and field, and what to do.
public struct SchemaProblem: Error, Sendable, Hashable, CustomStringConvertible {
    public struct Place: Sendable, Hashable {
        public var file: String
        public var line: Int
        public var column: Int
    }

    /// Which check found it.
    public enum Rule: String, Sendable, Hashable {
        case syntax = "VALIDATE/Syntax"
        case definition = "VALIDATE/DefinitionValidator"
        case reference = "VALIDATE/ReferenceValidator"
        case `extension` = "VALIDATE/ExtensionValidator"
    }

    public var place: Place?
    public var rule: Rule
    public var message: String

    public var description: String {
        let prefix = place.map { "\($0.file):\($0.line):\($0.column): " } ?? ""
        return "\(prefix)[\(rule.rawValue)] \(message)"
    }
}

/// All that is wrong with the schema of a data source.
public struct SchemaProblems: Error, Sendable, Hashable, CustomStringConvertible {
    public var source: String
    /// The data source without which it would fit.
    public var beside: String?
    public var problems: [SchemaProblem]

    init(source: String, beside: String? = nil, problems: [SchemaProblem]) {
        self.source = source
        self.beside = beside
        self.problems = problems
    }

    /// Of a source whose API would be no schema.
    public init(source: String, api errors: GraphQLErrors) {
        self.init(
            source: source,
            problems: errors.errors.map { SchemaProblem(rule: .definition, message: "its API would be no schema: \($0.message)") })
    }

    public var description: String {
        "compile catalog \"\(source)\": catalog schema is invalid: " + problems.map(\.description).joined(separator: "; ")
    }
}
