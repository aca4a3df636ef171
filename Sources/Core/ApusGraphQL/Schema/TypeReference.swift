/// A named type of one schema: its place in the schema's list.
public struct TypeID: Sendable, Hashable {
    let index: Int32

    init(_ index: Int) { self.index = Int32(truncatingIfNeeded: index) }
    var offset: Int { Int(index) }
}

/// A type as fields, arguments and variables have it: a named type in lists and non-null wrappers. One word and a half, no allocation.
public struct TypeReference: Sendable, Hashable {
    public let named: TypeID
    /// Two bits for each wrapper, the outermost lowest: 0 none, 1 non-null, 2 list.
    private let wrappers: UInt64

    public init(_ named: TypeID) { self.init(named, 0) }
    private init(_ named: TypeID, _ wrappers: UInt64) {
        self.named = named
        self.wrappers = wrappers
    }

    public var isNonNull: Bool { wrappers & 3 == 1 }
    public var isList: Bool { wrappers & 3 == 2 }
    public var isNamed: Bool { wrappers == 0 }

    /// The type inside the outermost wrapper; a named type is itself.
    public var unwrapped: TypeReference { TypeReference(named, wrappers >> 2) }
    public var nullable: TypeReference { isNonNull ? unwrapped : self }

    /// Nil when there are 32 wrappers already, which no schema of a person has.
    func wrapped(inList: Bool) -> TypeReference? {
        guard wrappers >> 62 == 0 else { return nil }
        return TypeReference(named, wrappers << 2 | (inList ? 2 : 1))
    }
}
