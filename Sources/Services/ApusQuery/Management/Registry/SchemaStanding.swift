public import ApusTypes

/// How far a node is with the schema: which version it serves, and what keeps it from more.
public struct SchemaStanding: Sendable, Hashable {
    /// Of the catalog's schema; 0 before anything was loaded.
    public var version: Int64 = 0
    /// The newest version that the node has heard of.
    public var newest: Int64 = 0
    /// From the making of the version until this node served it; nil where it served it from its start.
    public var propagation: Duration?
    /// Since when it could have served a newer one and could not, and why.
    public var behindSince: Instant?
    public var reason: String?
    /// Sources that this node leaves out or cannot reach, and why.
    public var suspended: [String: String] = [:]

    public init() {}

    public var isBehind: Bool { version < newest || reason != nil }
}

extension SchemaStanding: WireValue {
    public func write(to writer: inout WireWriter) {
        // An instant means nothing on another machine.
        writer.write(version, newest, reason, suspended, propagation?.nanoseconds)
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        self.init()
        version = try reader.read()
        newest = try reader.read()
        reason = try reader.read()
        suspended = try reader.read()
        propagation = try reader.read(Int64?.self).map { .nanoseconds($0) }
    }
}

/// What came of a change of the schema.
public struct SchemaChange: Sendable, Hashable {
    /// The version that has it; the newest before it where nothing was to be changed.
    public var version: Int64
    /// What is new, gone or otherwise in the API. Empty unless it was asked for.
    public var difference: [String] = []
    /// Nodes that do not serve it yet, and why.
    public var missing: [NodeName: String] = [:]

    public init(version: Int64, difference: [String] = [], missing: [NodeName: String] = [:]) {
        self.version = version
        self.difference = difference
        self.missing = missing
    }
}

/// The other nodes, as the schema needs them.
public protocol SchemaPeers: Sendable {
    /// This node.
    var node: NodeName { get }
    /// All that have not left, without this one: one that is taken for gone may serve its clients all the same.
    func others(deadline: Instant) async -> [NodeName]

    /// Has another node's `SchemaRegistry.answer` answer.
    func call(_ node: NodeName, _ method: String, _ message: [UInt8], deadline: Instant) async throws -> [UInt8]
}

/// A source that is part of the program.
public struct BuiltInSource: Sendable {
    public var input: SchemaCompiler.Input
    public var source: any DataSource

    public init(_ input: SchemaCompiler.Input, source: any DataSource) {
        self.input = input
        self.source = source
    }
}
