public import ApusTypes
public import ApusVectorIndex

/// What a batch does with an item that is not valid.
public enum BatchMode: Sendable, Hashable {
    /// One bad item refuses the whole batch: the call throws that item's error, its index in `context["index"]`.
    case atomic
    /// Bad items are reported, the others written.
    case eachItem
}

/// What came of a write, item by item.
public struct WriteOutcome: Sendable {
    /// One for each item of the request, in its order; nil where the item was written.
    public var errors: [ApusError?]
    /// Items that were written (points that were there, for a deletion).
    public var affected: Int
    /// Whether this is the first reply to a repeated idempotency key: nothing was written by this call.
    public var isRepeat: Bool
    /// A deletion by filter has more to delete after this operation.
    var isPartial = false

    public var failures: Int { errors.reduce(0) { $0 + ($1 == nil ? 0 : 1) } }
}

/// How an update changes a payload.
public enum PayloadChange: Sendable, Hashable {
    /// The whole payload (a JSON object without white space).
    case replace([UInt8])
    /// The top-level members of a JSON object without white space; a member that is `null` stays, as null.
    case merge([UInt8])
    /// Removes top-level members.
    case remove([String])
    /// Puts the members of a JSON object without white space over those of what is at a JSON path (the payload itself where it is nil);
    /// members that are `null` are removed there.
    case assign([UInt8], at: PayloadPath?)
    /// Removes what is at JSON paths.
    case removePaths([PayloadPath])
    case clear
}

/// A change of one point: what is nil stays.
public struct PointUpdate: Sendable, Hashable {
    public var id: PointID
    /// Of the fields named here; those of the others stay.
    public var vectors: PointVectors?
    /// Fields whose vectors are taken away.
    public var removedFields: Set<String>
    public var payload: PayloadChange?

    public init(id: PointID, vectors: PointVectors? = nil, removedFields: Set<String> = [], payload: PayloadChange? = nil) {
        self.id = id
        self.vectors = vectors
        self.removedFields = removedFields
        self.payload = payload
    }
}
