/// The way from the rows of one object to the related rows of another.
public struct Navigation: Sendable {
    public let name: String
    /// The object's type in the API.
    public let target: String
    public let isList: Bool
    public let path: Path
    public let description: String?
    /// Whether filters may ask about the related rows.
    public let isFilterable: Bool
    /// Whether an insertion may bring related rows.
    public let isInsertable: Bool
    /// The extension that adds it.
    public let addedBy: String?

    init(
        name: String, target: String, isList: Bool, path: Path, description: String?, isFilterable: Bool, isInsertable: Bool,
        addedBy: String?
    ) {
        self.name = name
        self.target = target
        self.isList = isList
        self.path = path
        self.description = description
        self.isFilterable = isFilterable
        self.isInsertable = isInsertable
        self.addedBy = addedBy
    }

    /// To the rows that an operation joins by itself.
    public init(joining target: String, by path: Path) {
        self.init(
            name: target, target: target, isList: true, path: path, description: nil, isFilterable: false, isInsertable: false, addedBy: nil
        )
    }

    public enum Path: Sendable, Hashable {
        /// The row's fields equal the related row's; with a condition in SQL of the schema's author, which names fields as `[source.x]` and
        /// `[dest.y]`.
        case fields([Pair], condition: String?)
        /// Over the rows of a table that refers to both.
        case junction(String, near: [Pair], far: [Pair])
    }

    /// Two fields that are equal: of the nearer object, and of the farther.
    public struct Pair: Sendable, Hashable {
        public var near: String
        public var far: String

        public init(near: String, far: String) {
            self.near = near
            self.far = far
        }
    }

    /// The fields of the row itself that lead to the related rows.
    public var nearFields: [String] {
        switch path {
        case .fields(let pairs, _), .junction(_, let pairs, _): pairs.map(\.near)
        }
    }
}

/// A foreign key as the schema declares it; the database need not have one.
struct Reference: Sendable {
    var name: String
    /// The object that holds the key.
    var source: String
    var sourceFields: [String]
    var target: String
    /// Empty: the target's primary key.
    var targetFields: [String]
    /// The names of the fields that lead there and back.
    var query: String?
    var backQuery: String?
    var description: String?
    var backDescription: String?
    var addedBy: String?
    var place: SchemaProblem.Place
}
