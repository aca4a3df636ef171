internal import ApusTypes

/// Documents that were parsed and validated, or refused, by their text and the version of the schema: a known text costs one hash and one
/// comparison of its bytes.
public struct DocumentCache: Sendable {
    private struct Key: Hashable, Sendable {
        var text: [UInt8]
        var version: UInt64

        /// A fast hash of the text with the process's seed in it: the standard one would take longer than parsing.
        func hash(into hasher: inout Hasher) {
            hasher.combine(text.withUnsafeBufferPointer { TextHash.hash($0, 0, $0.count) })
            hasher.combine(version)
        }
    }

    private var cache: BoundedCache<Key, Checked>

    public enum Checked: Sendable {
        case valid(GraphQLDocument)
        case refused(GraphQLErrors)

        public func get() throws(GraphQLErrors) -> GraphQLDocument {
            switch self {
            case .valid(let document): return document
            case .refused(let errors): throw errors
            }
        }
    }

    /// `capacity` in bytes of text; a document takes some five times that.
    public init(capacity: Int) { cache = BoundedCache(capacity: capacity) }

    public var count: Int { cache.count }

    /// The document of a text, from the cache or by parsing and validating it. `version` changes with everything that validation depends on.
    public mutating func document(
        _ text: [UInt8], schema: GraphQLSchema, version: UInt64, limits: ParserLimits = .operation
    ) throws(GraphQLErrors) -> GraphQLDocument {
        let key = Key(text: text, version: version)
        if let known = cache.value(for: key) { return try known.get() }
        let checked = Self.check(text, schema, limits)
        // A small text has its price too.
        cache.insert(checked, for: key, weight: text.count + 256)
        return try checked.get()
    }

    private static func check(_ text: [UInt8], _ schema: GraphQLSchema, _ limits: ParserLimits) -> Checked {
        do throws(GraphQLError) {
            let document = try GraphQLDocument(parsing: text, limits: limits)
            let problems = schema.problems(with: document)
            return problems.isEmpty ? .valid(document) : .refused(GraphQLErrors(problems))
        } catch {
            return .refused(GraphQLErrors([error]))
        }
    }
}
