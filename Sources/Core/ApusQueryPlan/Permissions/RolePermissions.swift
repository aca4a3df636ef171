public import ApusTypes

/// What a role may do: rules for fields of the API's types, and for all ways to the rows of a data object.
///
/// Of several rules that match, the most specific decides everything: (type, field), then (type, `*`), (`*`, field), (`*`, `*`). Without a rule
/// all is allowed, unless the role denies by default.
public struct RolePermissions: Sendable {
    public struct Rule: Sendable, Hashable {
        /// A type of the API, `data-object:query`, `data-object:insert`, `data-object:update`, `data-object:delete`, or `*`.
        public var type: String
        /// A field of the type; for `data-object:…` the type of the object; or `*`.
        public var field: String
        public var isDisabled: Bool
        /// Not told by introspection. It may be asked for all the same.
        public var isHidden: Bool
        /// In the form of the object's filter: rows of which it is not true are not there.
        public var filter: JSONObject?
        /// What insertions and updates store, whatever the request says.
        public var data: JSONObject?

        public init(
            type: String, field: String, isDisabled: Bool = false, isHidden: Bool = false, filter: JSONObject? = nil,
            data: JSONObject? = nil
        ) {
            self.type = type
            self.field = field
            self.isDisabled = isDisabled
            self.isHidden = isHidden
            self.filter = filter
            self.data = data
        }
    }

    private var rules: [String: [String: Rule]] = [:]
    /// Whether what manages the cluster is allowed, too, without a rule that names it.
    public var manages: Bool
    /// Whether what no rule is about is denied.
    public var deniesByDefault: Bool

    /// The last of several rules about one field counts.
    public init(_ rules: [Rule] = [], deniesByDefault: Bool = false, manages: Bool = true) {
        self.manages = manages
        for rule in rules { self.rules[rule.type, default: [:]][rule.field] = rule }
        self.deniesByDefault = deniesByDefault
    }

    /// The rule that decides.
    public func rule(_ type: String, _ field: String) -> Rule? {
        rules[type]?[field] ?? rules[type]?["*"] ?? rules["*"]?[field] ?? rules["*"]?["*"]
    }

    /// The rule that decides where none for all types does.
    func rule(naming type: String, _ field: String) -> Rule? { rules[type]?[field] ?? rules[type]?["*"] }

    /// The rule about one object, and no other.
    func rule(about object: String, _ operation: Operation) -> Rule? { rules[operation.rawValue]?[object] }

    /// All of them, by type and field.
    public var all: [Rule] { rules.values.flatMap(\.values).sorted { ($0.type, $0.field) < ($1.type, $1.field) } }

    public var hidesAnything: Bool { rules.values.contains { $0.values.contains(where: \.isHidden) } }

    /// What is done with the rows of an object.
    enum Operation: String {
        case query = "data-object:query"
        case insert = "data-object:insert"
        case update = "data-object:update"
        case delete = "data-object:delete"
    }
}
