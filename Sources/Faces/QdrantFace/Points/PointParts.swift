internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// Which parts of a point a client wants, and how they are written.
struct PointParts: Sendable {
    enum Payload: Sendable {
        case none, all
        case only(PayloadSelector)
        case without(PayloadSelector)
    }

    var payload: Payload
    /// Nil: none; empty: all.
    var vectors: Set<String>?

    static let all = PointParts(payload: .all, vectors: [])

    init(payload: Payload, vectors: Set<String>?) {
        self.payload = payload
        self.vectors = vectors
    }

    /// Reads `with_payload` and `with_vector`; `payload` is whether the payload comes where nothing is said.
    init(_ root: JSONElement, payload: Bool) throws(ApusError) {
        self.init(
            payload: try Self.payload(root.member("with_payload"), payload),
            vectors: try Self.vectors(root.member("with_vector") ?? root.member("with_vectors")))
    }

    private static func payload(_ element: JSONElement?, _ isDefault: Bool) throws(ApusError) -> Payload {
        guard let element else { return isDefault ? .all : .none }
        if let bool = element.bool { return bool ? .all : .none }
        if element.kind == .array { return .only(try PayloadSelector(element)) }
        guard element.kind == .object else { throw element.mismatch("a boolean, a list of keys, include or exclude") }
        try element.requireOnly(["include", "exclude"])
        if let keys = element.member("include") { return .only(try PayloadSelector(keys)) }
        return .without(try PayloadSelector(try element.required("exclude")))
    }

    private static func vectors(_ element: JSONElement?) throws(ApusError) -> Set<String>? {
        guard let element else { return nil }
        if let bool = element.bool { return bool ? [] : nil }
        var names: Set<String> = []
        for name in try element.expectElements() { names.insert(try name.expectString()) }
        return names.isEmpty ? nil : names
    }

    var projection: Projection {
        var projection: Projection = []
        if case .none = payload {} else { projection.insert(.payload) }
        if vectors != nil { projection.insert(.vector) }
        return projection
    }

    /// A record: `{"id", "payload", "vector"}`.
    func write(_ point: Point, to writer: inout JSONWriter, _ more: (inout JSONWriter) -> Void = { _ in }) {
        writer.object { writer in
            writer.member("id", point.id.json)
            more(&writer)
            switch payload {
            case .none: break
            case .all:
                writer.key("payload")
                writer.raw(point.payload ?? Array("{}".utf8))
            case .only(let selector): writer.member("payload", selector.selected(point.payload))
            case .without(let selector): writer.member("payload", selector.remaining(point.payload))
            }
            guard let vectors else { return }
            writer.key("vector")
            let entries = point.vectors.entries.filter { vectors.isEmpty || vectors.contains($0.field) }
            if entries.count == 1, entries[0].field.isEmpty {
                Self.write(entries[0].value, to: &writer)
            } else {
                writer.object { writer in
                    for entry in entries {
                        writer.key(entry.field)
                        Self.write(entry.value, to: &writer)
                    }
                }
            }
        }
    }

    func write(_ hit: QueryHit, to writer: inout JSONWriter) {
        write(hit.point, to: &writer) {
            $0.member("version", hit.version)
            $0.key("score")
            $0.float(hit.score)
            if let order = hit.order { $0.member("order_value", order.json) }
        }
    }

    private static func write(_ value: VectorValue, to writer: inout JSONWriter) {
        switch value {
        case .dense(let vector): writer.floats(vector)
        case .multiple(let vectors): writer.array { for vector in vectors { $0.floats(vector) } }
        case .sparse(let vector):
            writer.object {
                $0.key("indices")
                $0.array { for index in vector.indices { $0.integer(index) } }
                $0.key("values")
                $0.floats(vector.values)
            }
        }
    }
}

extension OrderValue {
    var json: JSONValue {
        switch self {
        case .integer(let value): .integer(value)
        case .double(let value): .double(value)
        }
    }
}

/// Keys of a payload, as a tree of the steps that they share.
struct PayloadSelector: Sendable {
    private struct Tree: Sendable {
        /// Whether everything below is meant.
        var isWhole = false
        var branches: [PayloadPath.Step: Tree] = [:]

        mutating func add(_ steps: ArraySlice<PayloadPath.Step>) {
            guard !isWhole else { return }
            if let step = steps.first {
                branches[step, default: Tree()].add(steps.dropFirst())
            } else {
                self = Tree(isWhole: true)
            }
        }
    }

    private let root: Tree

    init(_ keys: JSONElement) throws(ApusError) {
        var tree = Tree()
        for key in try keys.expectElements() { tree.add(try key.expectPath().steps[...]) }
        root = tree
    }

    func selected(_ payload: [UInt8]?) -> JSONValue { Self.selected(Self.value(payload), root) }
    func remaining(_ payload: [UInt8]?) -> JSONValue { Self.remaining(Self.value(payload), root) }

    /// A payload was checked when it was written.
    private static func value(_ payload: [UInt8]?) -> JSONValue { payload.flatMap { try? JSONValue(parsing: $0) } ?? .object(JSONObject()) }

    /// Of a list only `[]` means elements, never a number.
    private static func selected(_ value: JSONValue, _ tree: Tree) -> JSONValue {
        guard !tree.isWhole else { return value }
        switch value {
        case .object(let object):
            return .object(
                JSONObject(object.compactMap { key, member in tree.branches[.member(key)].map { (key, selected(member, $0)) } }))
        case .array(let elements): return .array(tree.branches[.everyElement].map { branch in elements.map { selected($0, branch) } } ?? [])
        default: return value
        }
    }

    private static func remaining(_ value: JSONValue, _ tree: Tree) -> JSONValue {
        switch value {
        case .object(let object):
            return .object(
                JSONObject(
                    object.compactMap { key, member in
                        guard let branch = tree.branches[.member(key)] else { return (key, member) }
                        return branch.isWhole ? nil : (key, remaining(member, branch))
                    }))
        case .array(let elements):
            guard let branch = tree.branches[.everyElement] else { return value }
            return .array(branch.isWhole ? [] : elements.map { remaining($0, branch) })
        default: return value
        }
    }
}
