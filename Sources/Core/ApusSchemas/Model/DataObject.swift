/// A table or view as the API shows it.
public struct DataObject: Sendable {
    public enum Kind: Sendable, Hashable {
        case table
        /// With the SQL that it is; nil for a view of the database.
        case view(sql: String?)
    }

    /// The name of its type in the API.
    public let name: String
    /// The name in the source's schema: of its fields in a module.
    public let originalName: String
    /// The data source that holds it.
    public let source: String
    /// Dotted; empty for the root.
    public let module: String
    public let kind: Kind
    /// The relation in the database: a name, or a schema's and a name with a dot between them.
    public let relation: String
    public let description: String?
    /// In the order of the schema's text; fields of extensions come last.
    public internal(set) var fields: [DataField]
    public let uniqueKeys: [UniqueKey]
    /// A table between two others, which are related by it many to many.
    public let isJunction: Bool
    public let softDelete: SoftDelete?
    /// Of a view with parameters.
    public let arguments: ViewArguments?
    public let embeddings: Embeddings?
    public let isReadOnly: Bool
    /// Of all fields that tell its rows; nil: they are kept where a request says so.
    public internal(set) var caching: CachingRule?
    public internal(set) var navigations: [Navigation] = []
    private var members: [String: Member] = [:]

    public struct UniqueKey: Sendable, Hashable {
        public var fields: [String]
        /// The name of the query field is the object's with this behind it; nil without a query.
        public var querySuffix: String?
        /// SQL of the schema's author that is true of the row; nil: it has the values that are asked for.
        public var match: String?

        /// What it is called where it is told from the others.
        public var name: String { querySuffix ?? "by_" + fields.joined(separator: "_") }
    }

    /// Rows that count as deleted. Both are SQL of the schema's author.
    public struct SoftDelete: Sendable, Hashable {
        /// True for rows that are not deleted.
        public var condition: String
        /// What is set to delete a row.
        public var assignment: String
    }

    public struct ViewArguments: Sendable, Hashable {
        /// The input type in the API.
        public var typeName: String
        public var isRequired: Bool
        public var parameters: [Parameter]
    }

    public struct Embeddings: Sendable, Hashable {
        public var model: String
        public var vector: String
        public var distance: String
    }

    init(
        name: String, originalName: String, source: String, module: String, kind: Kind, relation: String, description: String?,
        fields: [DataField], uniqueKeys: [UniqueKey], isJunction: Bool, softDelete: SoftDelete?, arguments: ViewArguments?,
        embeddings: Embeddings?, isReadOnly: Bool
    ) {
        self.name = name
        self.originalName = originalName
        self.source = source
        self.module = module
        self.kind = kind
        self.relation = relation
        self.description = description
        self.fields = fields
        self.uniqueKeys = uniqueKeys
        self.isJunction = isJunction
        self.softDelete = softDelete
        self.arguments = arguments
        self.embeddings = embeddings
        self.isReadOnly = isReadOnly
    }

    /// In a module its own name is enough.
    public var queryName: String { module.isEmpty ? name : originalName }
    public var isMutable: Bool { kind == .table && !isReadOnly && fields.contains { $0.storedColumn != nil } }
    public var primaryKey: [DataField] { fields.filter(\.isPrimaryKey) }
    public var columns: [DataField] { fields.filter { $0.isColumn } }
    public var vectors: [DataField] { columns.filter { $0.type == .scalar(.vector) } }
    /// Whether its rows have an order of their own, in which they can be paged through.
    var hasEdges: Bool { !primaryKey.isEmpty && !isJunction }
    public var hasGeometry: Bool { columns.contains { $0.type == .scalar(.geometry) } }

    public func field(_ name: String) -> DataField? {
        switch members[name] {
        case .field(let field), .functionCall(let field): field
        default: nil
        }
    }

    /// A column, stored or computed.
    public func column(_ name: String) -> DataField? {
        if case .field(let field) = members[name] { field } else { nil }
    }

    public func navigation(_ name: String) -> Navigation? {
        if case .navigation(let navigation) = members[name] { navigation } else { nil }
    }

    /// What a field of the object's type is.
    public func member(_ name: String) -> Member? { members[name] }

    /// What a name in the API's type of the object stands for.
    public enum Member: Sendable {
        /// A column, with a value of its own or computed.
        case field(DataField)
        case derived(DerivedField, DataField)
        /// How far the row's embedding, which is in this column, is from a text's.
        case queryDistance(String)
        case functionCall(DataField)
        case navigation(Navigation)
        /// What the related rows come to.
        case aggregation(Navigation)
        case buckets(Navigation)
        /// Ad-hoc joins with any object.
        case join
        case spatialJoin

        /// The data source that adds it to another's object.
        var addedBy: String? {
            switch self {
            case .field(let field), .functionCall(let field), .derived(_, let field): field.addedBy
            case .navigation(let navigation), .aggregation(let navigation), .buckets(let navigation): navigation.addedBy
            case .queryDistance, .join, .spatialJoin: nil
            }
        }
    }

    /// All fields of the object's type, in the order in which they are told. Call when fields and navigations are complete; a name that is
    /// taken twice is given to `collision`, with who adds the one and the other (nil: the object's own).
    mutating func nameMembers(collision: (String, [String?]) -> Void) {
        var order: [(String, Member)] = []
        for field in fields where !field.isNavigation { order.append((field.name, field.isColumn ? .field(field) : .functionCall(field))) }
        for navigation in navigations {
            order.append((navigation.name, .navigation(navigation)))
            guard navigation.isList else { continue }
            order.append(("\(navigation.name)_aggregation", .aggregation(navigation)))
            order.append(("\(navigation.name)_bucket_aggregation", .buckets(navigation)))
        }
        for field in columns {
            guard case .scalar(let scalar) = field.type, let derived = scalar.derived else { continue }
            order.append((derived.name(of: field.name), .derived(derived, field)))
        }
        if let embeddings { order.append(("_distance_to_query", .queryDistance(embeddings.vector))) }
        if !isJunction { order.append(("_join", .join)) }
        if hasGeometry, !isJunction { order.append(("_spatial", .spatialJoin)) }
        members = [:]
        memberNames = []
        for (name, member) in order {
            if let other = members.updateValue(member, forKey: name) {
                collision(name, [other.addedBy, member.addedBy])
            } else {
                memberNames.append(name)
            }
        }
    }

    public private(set) var memberNames: [String] = []
}

/// A field of a data object or of a struct.
public struct DataField: Sendable {
    public enum Kind: Sendable {
        /// Stored, under this name.
        case stored(column: String)
        /// Computed by SQL of the schema's author; not writable.
        case computed(sql: String)
        /// The result of a function with columns of the row as arguments.
        case functionCall(FunctionCall)
        case join(JoinDeclaration)
    }

    public let name: String
    public let type: DataType
    public let isNonNull: Bool
    public let kind: Kind
    public let description: String?
    public let deprecationReason: String?
    public let isPrimaryKey: Bool
    public let defaults: Defaults?
    public let isFilterRequired: Bool
    public let srid: Int?
    /// Of a vector.
    public let dimension: Int?
    /// The extension that adds it.
    public let addedBy: String?

    /// How a value comes about that a mutation does not give. Expressions are SQL of the schema's author.
    public struct Defaults: Sendable {
        public var sequence: String?
        public var insertExpression: String?
        public var updateExpression: String?
    }

    public var isColumn: Bool {
        switch kind {
        case .stored, .computed: true
        case .functionCall, .join: false
        }
    }

    public var isNavigation: Bool { if case .join = kind { true } else { false } }
    public var storedColumn: String? { if case .stored(let column) = kind { column } else { nil } }
}

/// What a column or an argument holds.
public indirect enum DataType: Sendable, Hashable {
    case scalar(ScalarType)
    /// A named group of fields, stored as one value.
    case structure(String)
    case enumeration(String)
    /// Rows of a data object: of functions and joins only.
    case object(String)
    case list(DataType)

    public var element: DataType { if case .list(let element) = self { element } else { self } }
    public var isList: Bool { if case .list = self { true } else { false } }

    /// As a type of the API.
    public var text: String {
        switch self {
        case .scalar(let scalar): scalar.name
        case .structure(let name), .enumeration(let name), .object(let name): name
        case .list(let element): "[\(element.text)]"
        }
    }
}

/// A named group of fields that a column or function holds as one value.
public struct Structure: Sendable {
    public let name: String
    public let source: String
    public let description: String?
    public let fields: [DataField]

    public func field(_ name: String) -> DataField? { fields.first { $0.name == name } }
}

/// An argument of a function, or a member of a view's arguments.
public struct Parameter: Sendable, Hashable {
    public var name: String
    public var type: DataType
    public var isNonNull: Bool
    /// As a literal of GraphQL.
    public var defaultLiteral: String?
    public var description: String?
    public var deprecationReason: String?
    /// Filled in by the server and hidden from clients: a placeholder such as `[$auth.user_id]`.
    public var injected: String?
    /// The name that it has in SQL, for arguments that are given by name.
    public var sqlName: String?
}

/// A function of a data source.
public struct DataFunction: Sendable {
    public let name: String
    public let source: String
    public let module: String
    public let use: Use
    public let description: String?
    public let deprecationReason: String?
    public let parameters: [Parameter]
    public let result: DataType
    public let isNonNull: Bool
    /// Whether it gives rows.
    public let isTable: Bool
    /// The function in the database, and the SQL that calls it when that is no plain call.
    public let sqlName: String
    public let sql: String?
    public let skipsNullArguments: Bool
    /// The request that it is, of a source over HTTP.
    public let request: RequestTemplate?
    /// Whether its result is JSON that stands for the declared type.
    public let isJSON: Bool
    /// Nil: what it tells is kept where a request says so.
    public internal(set) var caching: CachingRule?

    /// In which operations it is called.
    public enum Use: String, Sendable, Hashable {
        case query, mutation
        /// It tells what happens, again and again.
        case subscription
    }
    public var isMutation: Bool { use == .mutation }

    /// Functions are told apart by module, name and use.
    public struct ID: Sendable, Hashable {
        public var module: String
        public var name: String
        public var use: Use
    }
    public var id: ID { ID(module: module, name: name, use: use) }
}

public struct FunctionCall: Sendable, Hashable {
    public var function: DataFunction.ID
    /// Arguments that are columns of the row: argument to field.
    public var arguments: [String: String]
    /// Declared on the field itself.
    public var declared: [Parameter]
}

/// A `@join` as it was written.
public struct JoinDeclaration: Sendable, Hashable {
    public var target: String
    public var sourceFields: [String]
    public var targetFields: [String]
    public var sql: String?
}
