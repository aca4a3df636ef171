extension Configuration.QuerySource: ConfigurationValue {
    public static var typeName: String {
        "a data source: {name, type, path, prefix, as_module, read_only, self_defined, schema, replicas}"
    }
    private static let keys = ["name", "type", "path", "prefix", "as_module", "read_only", "self_defined", "schema", "replicas"]

    public init(_ node: YAMLNode) throws(ConfigurationMistake) {
        guard case .mapping(let entries) = node.content else {
            throw ConfigurationMistake("must be \(Self.typeName), not \(node.kind)", mark: node.mark)
        }
        var mistakes = ConfigurationMistakes()
        for entry in entries where !Self.keys.contains(entry.key) {
            let near = nearest(to: entry.key, among: Self.keys).map { "; did you mean '\($0)'?" } ?? ""
            mistakes.note("has no key '\(entry.key)'\(near)", mark: entry.mark)
        }
        func read<Value: ConfigurationValue>(_ key: String, else missing: Value) -> Value {
            node[key].flatMap { value in mistakes.attempt { () throws(ConfigurationMistake) in try Value(value) } } ?? missing
        }
        name = read("name", else: "")
        type = read("type", else: "")
        path = read("path", else: "")
        prefix = read("prefix", else: "")
        isModule = read("as_module", else: false)
        isReadOnly = read("read_only", else: false)
        isSelfDescribed = read("self_defined", else: false)
        schema = read("schema", else: [])
        replicas = read("replicas", else: [])
        for (key, value) in [("path", path)] + replicas.map({ ("replicas", $0) }) where Self.holdsPassword(value) {
            mistakes.note("must name the password in '\(key)' as [$VARIABLE], and not hold it", mark: (node[key] ?? node).mark)
        }
        for (key, value) in [("name", name), ("type", type)] where value.isEmpty {
            mistakes.note("must have a '\(key)'", mark: node.mark)
        }
        try mistakes.check()
    }

    /// `scheme://user:password@…`, or a parameter `password=`; whoever reads the configuration must not read it.
    private static func holdsPassword(_ path: String) -> Bool {
        for start in path.ranges(of: "password=").map(\.upperBound) where !path[start...].hasPrefix("[$") { return true }
        guard let scheme = path.ranges(of: "://").first else { return false }
        let authority = path[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" }
        guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else { return false }
        let password = authority[authority.index(after: colon)..<at]
        return !password.isEmpty && !(password.hasPrefix("[$") && password.hasSuffix("]"))
    }

    public var node: YAMLNode {
        YAMLNode(
            .mapping([
                YAMLEntry("name", name.node), YAMLEntry("type", type.node), YAMLEntry("path", path.node),
                YAMLEntry("prefix", prefix.node), YAMLEntry("as_module", isModule.node), YAMLEntry("read_only", isReadOnly.node),
                YAMLEntry("self_defined", isSelfDescribed.node), YAMLEntry("schema", schema.node), YAMLEntry("replicas", replicas.node),
            ]))
    }
}
