public import ApusVectorIndex

/// A point as clients write and read it.
public struct Point: Sendable, Hashable {
    public var id: PointID
    /// As many finite numbers as the collection's dimension. Empty where a reader did not ask for it.
    public var vector: [Float]
    /// A JSON object without white space; nil where there is none, or where a reader did not ask for it.
    public var payload: [UInt8]?

    public init(id: PointID, vector: [Float], payload: [UInt8]? = nil) {
        self.id = id
        self.vector = vector
        self.payload = payload
    }
}

/// Which parts of a point a reader wants besides its id.
public struct Projection: OptionSet, Sendable, Hashable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let vector = Projection(rawValue: 1)
    public static let payload = Projection(rawValue: 2)
}
