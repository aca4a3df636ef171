public import ApusGraphQL
public import ApusTypes

/// Plans of operations that were asked before: a known operation is neither parsed nor planned, its values are only bound.
///
/// An operation has a plan for each shape of its variables, and for each of the values that the planner had to look at (a direction, the unit
/// of a bucket, the path of an order); `RequestValues` and `Observations` say which. A value: whoever shares it between threads locks.
public struct PlanCache: Sendable {
    public struct Key: Hashable, Sendable {
        public var text: [UInt8]
        /// Of the operation, where the text has several.
        public var operation: String?
        /// Changes with everything else that plans depend on: the schema, the role and what it may.
        public var scope: Scope

        public struct Scope: Hashable, Sendable {
            public var schema: UInt64
            public var permissions: UInt64
            public var role: String

            public init(schema: UInt64, permissions: UInt64 = 0, role: String = "") {
                self.schema = schema
                self.permissions = permissions
                self.role = role
            }
        }

        public init(text: [UInt8], operation: String? = nil, scope: Scope) {
            self.text = text
            self.operation = operation
            self.scope = scope
        }

        public func hash(into hasher: inout Hasher) {
            hasher.combine(text.withUnsafeBufferPointer { TextHash.hash($0, 0, $0.count) })
            hasher.combine(operation)
            hasher.combine(scope)
        }
    }

    /// A class, since each request takes one out.
    private final class Entry: Sendable {
        let operation: PreparedOperation
        /// The newest last.
        let plans: [(shape: [UInt8], template: PlanTemplate)]
        let weight: Int

        init(_ operation: PreparedOperation, plans: [(shape: [UInt8], template: PlanTemplate)] = [], weight: Int) {
            self.operation = operation
            self.plans = plans
            self.weight = weight
        }

        func adding(_ template: PlanTemplate, for shape: [UInt8]) -> Entry {
            let isFull = plans.count == PlanCache.mostPlans
            return Entry(
                operation, plans: plans.dropFirst(isFull ? 1 : 0) + [(shape, template)],
                weight: weight + template.weight - (isFull ? plans[0].template.weight : 0))
        }
    }

    private var cache: BoundedCache<Key, Entry>
    /// Of one operation. A value that is another each time and that the planner has to look at makes no use of a cache.
    private static let mostPlans = 16
    public private(set) var hits: UInt64 = 0
    public private(set) var misses: UInt64 = 0

    /// `capacity` in bytes, about.
    public init(capacity: Int) { cache = BoundedCache(capacity: capacity) }

    public var count: Int { cache.count }
    public var weight: Int { cache.weight }

    /// The plan of a request. `prepare` parses and validates the text where it is not known; `planner` is for the key's scope, `identity` for
    /// this request. `inputs` are the variables as they came.
    public mutating func plan(
        _ key: Key, variables inputs: JSONObject, identity: JSONObject, planner: @autoclosure () -> QueryPlanner,
        prepare: () throws(GraphQLErrors) -> PreparedOperation
    ) throws(GraphQLErrors) -> OperationPlan {
        let known = cache.value(for: key)
        // Names, types and places of the document take some eight times its text.
        let entry = if let known { known } else { Entry(try prepare(), weight: key.text.count * 8 + 1024) }
        let variables = try entry.operation.variables(from: inputs)
        let values = RequestValues(variables, of: entry.operation, identity: identity)
        for plan in entry.plans.reversed() where plan.shape == values.shape && plan.template.observations.hold(for: values) {
            hits += 1
            return OperationPlan(plan.template, values, variables)
        }
        misses += 1
        let template: PlanTemplate
        do throws(GraphQLError) {
            template = try planner().template(entry.operation, variables, values)
        } catch {
            // A mutation may have secrets in its text.
            if known == nil, entry.operation.kind != .mutation { cache.insert(entry, for: key, weight: entry.weight) }
            throw GraphQLErrors([error])
        }
        // What a source does itself is planned with the values that it needs: passwords of data sources among them.
        if !template.isActing {
            let entry = entry.adding(template, for: values.shape)
            cache.insert(entry, for: key, weight: entry.weight)
        }
        return OperationPlan(template, values, variables)
    }
}

extension PlanTemplate {
    /// About how many bytes it takes.
    fileprivate var weight: Int { statements.reduce(512 + data.weight) { $0 + $1.weight } }
}

extension PlanTemplate.Node {
    fileprivate var weight: Int {
        switch self {
        case .object(let members): members.reduce(0) { $0 + $1.name.count + $1.node.weight + 64 }
        case .text(let bytes): bytes.count
        case .statement: 16
        case .cells(let cells): cells.fields.count * 256
        case .transformed(let transform, let node): node.weight + transform.program.utf8.count + 64
        }
    }
}

extension StatementPlan {
    fileprivate var weight: Int {
        batches.reduce(sql.text.utf8.count + sql.parameters.count * 64 + program.byteCount + 512) { $0 + $1.weight }
    }
}
