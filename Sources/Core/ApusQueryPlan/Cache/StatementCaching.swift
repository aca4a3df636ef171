internal import ApusSchemas
internal import ApusTypes

/// What a request and the schema say about keeping what a root field tells. Of a mutation: what is out of date after it.
public struct StatementCaching: Sendable {
    /// Nil: as long as the configuration says.
    public let lifetime: Duration?
    /// Tags that requests and schemas give it.
    public let named: [String]
    /// These, and those of all sources and collections that have a part in it.
    public let tags: [String]
    /// Whether what is kept is out of date from now on, whatever it says.
    public let isInvalidation: Bool
    /// Of all that the field's part of the reply depends on beside the values of parameters: its statements, and how rows become JSON.
    let fingerprint: Digest

    init(_ rule: CachingRule, of statement: StatementPlan, isInvalidation: Bool, _ limits: PlanLimits) {
        lifetime = rule.lifetime
        named = rule.tags.map(Self.tag(named:))
        tags = statement.sources.map(Self.tag(ofSource:)) + statement.collections.map(Self.tag(ofCollection:)) + named
        self.isInvalidation = isInvalidation
        fingerprint = statement.fingerprint(limits)
    }

    // Names that people give must not be those of sources.
    public static func tag(named name: String) -> String { "t " + name }
    public static func tag(ofSource name: String) -> String { "s " + name }
    public static func tag(ofCollection name: String) -> String { "c " + name }
}

extension StatementPlan {
    /// All sources that have a part in it.
    fileprivate var sources: Set<String> { batches.reduce(into: [source]) { $0.formUnion($1.sources) } }

    /// The collections whose points it asks for.
    fileprivate var collections: Set<String> {
        let own = sql.parameters.compactMap { parameter in
            if case .points(let question) = parameter { question.collection } else { nil }
        }
        return batches.reduce(into: Set(own)) { $0.formUnion($1.collections) }
    }

    var acts: Bool { action != nil || batches.contains(where: \.acts) }

    /// All that its part of the reply depends on beside the data.
    ///
    /// A reply is a function of the statements that are run, the values of their parameters, and the shape that rows are given. What a caller may
    /// see, and who it is, has become SQL and parameters by now: callers share a key exactly where their replies cannot differ.
    func key(_ values: RequestValues) -> [[UInt8]]? {
        guard let caching else { return nil }
        var parts = [caching.fingerprint.bytes]
        addParameters(values, to: &parts)
        return parts
    }

    private func addParameters(_ values: RequestValues, to parts: inout [[UInt8]]) {
        for parameter in sql.parameters { parts.append(parameter.keyBytes(values)) }
        for batch in batches { batch.addParameters(values, to: &parts) }
    }

    fileprivate func fingerprint(_ limits: PlanLimits) -> Digest {
        var text = Self.part(source) + Self.part(engine.rawValue) + Self.part(sql.text) + Self.part(String(reflecting: program.shape))
        text += Self.part("\(keyCount) \(limits.rows) \(limits.defaultRows)")
        // Keys of other rows are no values of the request.
        for parameter in sql.parameters { text += Self.part(parameter.form) }
        for batch in batches { text += batch.fingerprint(limits).bytes }
        return Digest(of: text)
    }

    /// Told apart from what comes behind it by its length.
    private static func part(_ text: String) -> [UInt8] { Array("\(text.utf8.count) \(text)".utf8) }
}

extension SQLParameter.Value {
    /// That a question is about.
    fileprivate var collection: String? {
        guard case .object(let members) = self, case .value(let name)? = members.first(where: { $0.name == "collection" })?.value
        else { return nil }
        return name.asString
    }

    fileprivate var form: String {
        switch self {
        case .value, .identity: "value"
        case .variable(_, let form): "\(form)"
        case .list(let elements): "[\(elements.map(\.form).joined(separator: ","))]"
        case .object(let members): "{\(members.map { "\($0.name):\($0.value.form)" }.joined(separator: ","))}"
        case .points(let question): "points \(question.form)"
        case .keys, .keyRows: "\(self)"
        }
    }

    fileprivate func keyBytes(_ request: RequestValues) -> [UInt8] {
        switch self {
        case .value(let value): value.serialized()
        case .variable(let number, _): request.values[number].serialized()
        case .identity(let name): (request.identity[name] ?? .null).serialized()
        case .list(let elements): elements.reduce(into: []) { $0 += $1.keyBytes(request) + [0] }
        case .object(let members): members.reduce(into: []) { $0 += $1.value.keyBytes(request) + [0] }
        case .points(let question): question.keyBytes(request)
        case .keys, .keyRows: []
        }
    }
}

extension OperationPlan {
    /// What the part of the reply that a statement tells may be kept under; nil where it is not to be kept.
    public func cacheKey(of statement: Int) -> [[UInt8]]? { statements[statement].key(values) }
}
