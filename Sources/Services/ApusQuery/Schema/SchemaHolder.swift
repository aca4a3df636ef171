internal import Synchronization

/// The schema that requests take. Another takes its place between two requests, never inside one.
public final class SchemaHolder: Sendable {
    private let held: Mutex<ServedSchema?>

    public init(_ schema: ServedSchema? = nil) { held = Mutex(schema) }

    /// Nil until the first schema is there.
    public var current: ServedSchema? { held.withLock { $0 } }

    /// Serves `schema` from the next request on, unless a newer one is served already; whether it is served now.
    @discardableResult
    public func serve(_ schema: ServedSchema) -> Bool {
        held.withLock { held in
            if let held, held.version >= schema.version { return false }
            held = schema
            return true
        }
    }
}
