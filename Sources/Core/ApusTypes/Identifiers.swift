/// A string that names one kind of thing, so that a node's name cannot be passed where a collection's is wanted. Names are compared by
/// their bytes, as the catalog compares them.
public protocol Name: RawRepresentable, Hashable, Sendable, Comparable, CustomStringConvertible, ExpressibleByStringLiteral
where RawValue == String {
    init(_ rawValue: String)
}

extension Name {
    public init(rawValue: String) { self.init(rawValue) }
    public init(stringLiteral value: String) { self.init(value) }
    public var description: String { rawValue }
    private var exact: ExactString { ExactString(rawValue) }
    public static func == (left: Self, right: Self) -> Bool { left.exact == right.exact }
    public static func < (left: Self, right: Self) -> Bool { left.exact < right.exact }
    public func hash(into hasher: inout Hasher) { exact.hash(into: &hasher) }
}

/// The name of a node: unique in its cluster, kept over restarts.
public struct NodeName: Name {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// Names a cluster for life: 32 hexadecimal digits, drawn when its catalog is made.
public struct ClusterID: Name {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }

    public static func random(using generator: inout some RandomNumberGenerator) -> ClusterID {
        ClusterID(ObjectKey.random(using: &generator).description)
    }
}

/// Names a store for life: 32 hexadecimal digits, drawn when its directory is initialised. The catalog remembers it, so that an
/// empty directory where the store was mounted is not taken for a new store.
public struct StoreID: Name {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }

    public static func random(using generator: inout some RandomNumberGenerator) -> StoreID {
        StoreID(ObjectKey.random(using: &generator).description)
    }
}

/// The name of a collection, as its users know it.
public struct CollectionName: Name {
    public let rawValue: String
    public init(_ rawValue: String) { self.rawValue = rawValue }
}

/// The catalog's number of a collection; never reused, so a deleted and recreated collection is another one.
public struct CollectionID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let value: Int64
    public init(_ value: Int64) { self.value = value }
    public var description: String { String(value) }
    public static func < (left: CollectionID, right: CollectionID) -> Bool { left.value < right.value }
}

/// One hash range of a collection. The catalog numbers shards over all collections; heads are locked in ascending order of it.
public struct ShardID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let value: Int64
    public init(_ value: Int64) { self.value = value }
    public var description: String { String(value) }
    public static func < (left: ShardID, right: ShardID) -> Bool { left.value < right.value }
}

/// The fencing number of a lease: it rises with each new holder, and effects of an older one are refused.
public struct Epoch: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let value: Int64
    public init(_ value: Int64) { self.value = value }
    public var description: String { String(value) }
    public static func < (left: Epoch, right: Epoch) -> Bool { left.value < right.value }
}
