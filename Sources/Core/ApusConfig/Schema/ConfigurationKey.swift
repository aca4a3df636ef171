public import ApusTypes

/// One setting: everything that is known about it. Parsing, `--help`, `apus config show` and the reference are all made from it.
public struct ConfigurationKey: Sendable {
    /// `catalog.sqlite_path`: the sections and the name in `apus.yml`. The unit is in the name (`_seconds`, `_bytes`).
    public let path: String
    /// What the value must be, to a person: "a number of seconds …".
    public let type: String
    /// A limit on the value beyond its type, to a person: "1 to 65,536".
    public let constraint: String?
    /// What it sets.
    public let summary: String
    /// Why one would change it, and what happens then.
    public let reason: String
    /// `--data DIR`, when `apus node` has a flag for it.
    public let flag: Flag?
    /// What holds when the value is null.
    public let whenNull: String?
    /// The value must not be shown, and is not accepted from a flag.
    public let isSecret: Bool

    /// Nodes of one cluster should agree on it. How long a node may take to stop is for who stops it to say.
    public var isShared: Bool {
        guard path != "membership.handover_seconds" else { return false }
        return ["leases.", "membership.", "retention."].contains(where: path.hasPrefix)
            || ["auth.max_stale_seconds", "vectors.row_append_bytes", "vectors.max_unsealed_bytes", "store.kind", "query.deny_by_default"]
                .contains(path)
    }

    let set: @Sendable (YAMLNode, inout Configuration) throws(ConfigurationMistake) -> Void
    let get: @Sendable (Configuration) -> YAMLNode
    let nodeFromText: @Sendable (String) -> YAMLNode

    public struct Flag: Sendable, Hashable {
        public var name: String
        public var placeholder: String
    }

    /// `APUS_` and the path in capitals, with `_` for each dot.
    public var variable: String { "APUS_" + path.uppercased().map { $0 == "." ? "_" : String($0) }.joined() }

    /// The value in `configuration` as one line of YAML; a secret as `<redacted>` unless `revealingSecrets`.
    public func value(in configuration: Configuration, revealingSecrets: Bool = false) -> String {
        let node = get(configuration)
        return isSecret && !revealingSecrets && !node.isNull ? "<redacted>" : YAMLWriter.inline(node)
    }

    /// The value in `configuration` as JSON, with its type; a secret as `<redacted>`.
    public func json(in configuration: Configuration) -> JSONValue {
        let node = get(configuration)
        return isSecret && !node.isNull ? "<redacted>" : node.json
    }

    /// The value in `configuration` to a person: without quotes, and what it means when it is null.
    public func shown(in configuration: Configuration) -> String {
        let node = get(configuration)
        if node.isNull { return "(\(whenNull ?? "not set"))" }
        return isSecret ? "<redacted>" : node.scalar?.text ?? YAMLWriter.inline(node)
    }

    init<Value: ConfigurationValue>(
        _ path: String, _ keyPath: any WritableKeyPath<Configuration, Value> & Sendable, limit: ValueLimit<Value>? = nil,
        flag: Flag? = nil, whenNull: String? = nil, isSecret: Bool = false, _ summary: String, reason: String
    ) {
        self.path = path
        self.summary = summary
        self.reason = reason
        self.flag = flag
        self.whenNull = whenNull
        self.isSecret = isSecret
        type = Value.typeName
        constraint = limit?.text
        set = { node, configuration throws(ConfigurationMistake) in
            let value = try Value(node)
            if let limit, !limit.holds(value) {
                let found = isSecret ? "" : ", not \(YAMLWriter.inline(value.node))"
                throw ConfigurationMistake("must be \(limit.text)" + found, mark: node.mark)
            }
            configuration[keyPath: keyPath] = value
        }
        get = { $0[keyPath: keyPath].node }
        nodeFromText = { Value.node(fromText: $0) }
    }
}

/// A limit on one value. Rules about several settings are `Configuration.problems()`.
struct ValueLimit<Value: ConfigurationValue>: Sendable {
    var text: String
    var holds: @Sendable (Value) -> Bool
}

extension ValueLimit where Value: Comparable {
    static func between(_ low: Value, _ high: Value) -> ValueLimit {
        ValueLimit(text: "\(YAMLWriter.inline(low.node)) to \(YAMLWriter.inline(high.node))") { $0 >= low && $0 <= high }
    }

    static func atLeast(_ low: Value) -> ValueLimit { ValueLimit(text: "at least \(YAMLWriter.inline(low.node))") { $0 >= low } }
}

extension ValueLimit where Value == String? {
    static var notEmpty: ValueLimit { ValueLimit(text: "null or not empty") { $0 != "" } }
    static var httpURL: ValueLimit {
        ValueLimit(text: "null or an http:// or https:// URL") { $0.map { $0.hasPrefix("http://") || $0.hasPrefix("https://") } ?? true }
    }
}

extension ValueLimit where Value == Duration? {
    static func atMost(_ high: Duration) -> ValueLimit {
        ValueLimit(text: "null or at most \(YAMLWriter.inline(high.node))") { $0.map { $0 >= .zero && $0 <= high } ?? true }
    }
}

extension ValueLimit where Value == Redacted<String>? {
    static var longSecret: ValueLimit { ValueLimit(text: "null or at least 16 characters") { $0.map { $0.reveal().count >= 16 } ?? true } }
}

extension ValueLimit where Value == String {
    static var notEmpty: ValueLimit { ValueLimit(text: "not empty") { !$0.isEmpty } }
}

extension YAMLNode {
    fileprivate var json: JSONValue {
        switch content {
        case .sequence(let items): return .array(items.map(\.json))
        case .mapping(let entries):
            var object = JSONObject()
            for entry in entries { object[entry.key] = entry.value.json }
            return .object(object)
        case .scalar(let scalar):
            switch scalar.core {
            case .null: return .null
            case .bool(let value): return .bool(value)
            case .integer(let value): return .integer(value)
            case .double(let value): return .double(value)
            case .string(let text): return .string(text)
            }
        }
    }
}
