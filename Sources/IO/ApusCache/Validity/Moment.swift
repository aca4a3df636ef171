public import ApusTypes

/// A place in the change feed, by which a value tells how much was known when it was computed.
public struct Moment: Hashable, Sendable, WireValue {
    /// Which history of the catalog: its incarnation. Versions of two histories say nothing about each other.
    public var history: Digest
    /// The last change that the node had read.
    public var version: Int64

    public init(history: Digest, version: Int64) {
        self.history = history
        self.version = version
    }

    public func write(to writer: inout WireWriter) { writer.write(history, version) }
    public init(from reader: inout WireReader) throws(ApusError) { self.init(history: try reader.read(), version: try reader.read()) }
}

/// What a cached value was made from, or a name that its request gave it.
public typealias CacheTag = String
