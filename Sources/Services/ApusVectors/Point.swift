public import ApusVectorIndex

/// A point as clients write and read it.
public struct Point: Sendable, Hashable {
    public var id: PointID
    /// By the names of their fields. Empty where a reader did not ask for them.
    public var vectors: PointVectors
    /// A JSON object without white space; nil where there is none, or where a reader did not ask for it.
    public var payload: [UInt8]?

    public init(id: PointID, vectors: PointVectors, payload: [UInt8]? = nil) {
        self.id = id
        self.vectors = vectors
        self.payload = payload
    }

    /// A point of a collection whose only field has no name.
    public init(id: PointID, vector: [Float], payload: [UInt8]? = nil) {
        self.init(id: id, vectors: PointVectors(vector), payload: payload)
    }

    /// Of the unnamed field; empty if there is none.
    public var vector: [Float] {
        if case .dense(let vector)? = vectors[""] { vector } else { [] }
    }
}

/// Which parts of a point a reader wants besides its id.
public struct Projection: OptionSet, Sendable, Hashable {
    public let rawValue: Int
    /// Of payloads, the members with these names; nil: all. A point found by a search on another node may come with more.
    public let members: [String]?

    public init(rawValue: Int) { self.init(rawValue: rawValue, members: nil) }

    private init(rawValue: Int, members: [String]?) {
        self.rawValue = rawValue
        self.members = members
    }

    /// With these members of payloads alone.
    public func members(_ names: [String]) -> Projection { Projection(rawValue: union(.payload).rawValue, members: names) }

    public static let vector = Projection(rawValue: 1)
    public static let payload = Projection(rawValue: 2)
}
