internal import ApusGraphQL
internal import ApusQueryPlan
internal import ApusRuntime
internal import ApusSchemas
internal import ApusTypes
internal import Glibc
internal import Synchronization

/// The plans of operations that were asked before. Each loop has its own, so that loops do not wait for each other.
final class PlannedOperations: Sendable {
    private final class Shard: Sendable {
        let cache: Mutex<PlanCache>

        init(capacity: Int) { cache = Mutex(PlanCache(capacity: capacity)) }
    }

    private let shards: [Shard]
    private let operations: OperationLimits
    private let plans: PlanLimits

    /// `capacity`: bytes of each loop.
    init(loops: Int, capacity: Int, operations: OperationLimits, plans: PlanLimits) {
        shards = (0..<max(1, loops)).map { _ in Shard(capacity: capacity) }
        self.operations = operations
        self.plans = plans
    }

    /// The plan of a request that was perhaps asked before.
    func plan(_ request: QueryRequest, in schema: ServedSchema) throws(GraphQLErrors) -> OperationPlan {
        let caller = request.caller
        let scope = PlanCache.Key.Scope(schema: schema.version, permissions: caller?.sequence ?? 0, role: caller?.scope ?? "")
        let key = PlanCache.Key(text: request.text, operation: request.operationName, scope: scope)
        let shard = shards[max(0, EventLoop.current?.index ?? 0) % shards.count]
        let result: Result<OperationPlan, GraphQLErrors> = shard.cache.withLock { cache in
            do throws(GraphQLErrors) {
                return .success(
                    try cache.plan(
                        key, variables: request.variables, identity: request.identity, planner: planner(of: request, in: schema)
                    ) { () throws(GraphQLErrors) in try prepared(request, schema.api.schema) })
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// The operation of a request about which more has to be known than its plan, and a plan that is made for this request alone.
    func operation(_ request: QueryRequest, in schema: ServedSchema) throws(GraphQLErrors) -> PreparedOperation {
        try prepared(request, schema.api.schema)
    }

    func plan(
        _ operation: PreparedOperation, _ request: QueryRequest, in schema: ServedSchema
    ) throws(GraphQLErrors) -> OperationPlan {
        let variables = try operation.variables(from: request.variables)
        do throws(GraphQLError) {
            if let most = request.caller?.limits.cost {
                let cost = try planner(of: request, in: schema).cost(of: operation, variables: variables)
                guard cost <= most else {
                    throw GraphQLError(
                        "Operation has cost \(cost), which exceeds the limit of \(most) of its role; ask for fewer fields, or give lists a limit."
                    )
                }
            }
            return try planner(of: request, in: schema).plan(operation, variables: variables)
        } catch {
            throw GraphQLErrors([error])
        }
    }

    private func planner(of request: QueryRequest, in schema: ServedSchema) -> QueryPlanner {
        guard let caller = request.caller else { return QueryPlanner(schema.api, identity: request.identity, limits: plans) }
        return QueryPlanner(
            schema.api, identity: caller.values, permissions: caller.permissions, limits: plans.within(caller.limits))
    }

    private func prepared(_ request: QueryRequest, _ schema: GraphQLSchema) throws(GraphQLErrors) -> PreparedOperation {
        let document: GraphQLDocument
        do throws(GraphQLError) { document = try GraphQLDocument(parsing: request.text) } catch { throw GraphQLErrors([error]) }
        let problems = schema.problems(with: document)
        if !problems.isEmpty { throw GraphQLErrors(problems) }
        return try PreparedOperation(document, schema: schema, name: request.operationName, limits: operations)
    }
}

extension PlanLimits {
    /// With those of a role where they are less.
    func within(_ role: RoleLimits) -> PlanLimits {
        var limits = self
        if let most = role.rows {
            limits.rows = min(rows, most)
            limits.defaultRows = min(defaultRows, most)
        }
        return limits
    }
}

extension QueryRequest {
    /// Whether its operation is looked at, and not only its plan: what is told of the schema itself is as large as that, and not worth keeping;
    /// and where nothing may be changed, only the operation knows its kind, which no text has another word for.
    var needsOperation: Bool {
        onlyValidates || text.mentions("__schema") || text.mentions("__type(") || mutations != .allowed && text.mentions("mutation")
    }
}

extension [UInt8] {
    fileprivate func mentions(_ word: StaticString) -> Bool {
        withUnsafeBytes { text in
            guard var rest = text.baseAddress else { return false }
            let end = rest + text.count
            while let found = memchr(rest, Int32(word.utf8Start[0]), end - rest), end - UnsafeRawPointer(found) >= word.utf8CodeUnitCount {
                if memcmp(found, word.utf8Start, word.utf8CodeUnitCount) == 0 { return true }
                rest = UnsafeRawPointer(found) + 1
            }
            return false
        }
    }
}
