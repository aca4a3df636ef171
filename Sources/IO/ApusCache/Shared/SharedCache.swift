public import ApusTypes

/// A cache that several nodes share (L2). It may be empty, slow, gone or back at any time: then it has nothing.
public protocol SharedCache: Sendable {
    /// What is kept under a name and for how long still; nil when nothing is, or it cannot be told before the deadline.
    func value(named name: String, deadline: Instant) async -> (bytes: [UInt8], lifetime: Duration)?
    /// Keeps a value; nobody waits for it. While the cache is away, or too much is under way, nothing is kept.
    func keep(_ bytes: [UInt8], named name: String, for lifetime: Duration)
    /// Why it is not used; nil while it is.
    var absence: ApusError? { get }
    func close() async
}

/// A value as it lies in a shared cache.
struct SharedEntry: WireValue, Hashable {
    /// Of this form; others are not read.
    static let version: UInt8 = 1

    var moment: Moment
    var tags: [CacheTag]
    var value: [UInt8]

    func write(to writer: inout WireWriter) { writer.write(Self.version, moment, tags, value) }

    init(moment: Moment, tags: [CacheTag], value: [UInt8]) { (self.moment, self.tags, self.value) = (moment, tags, value) }

    init(from reader: inout WireReader) throws(ApusError) {
        guard try reader.read(UInt8.self) == Self.version else { throw ApusError(.protocolInvalid, "a cached value of another version") }
        self.init(moment: try reader.read(), tags: try reader.read(), value: try reader.read())
    }
}
