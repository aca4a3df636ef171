public import ApusGraphQL
public import ApusQueryPlan
internal import ApusRuntime
public import ApusTypes

/// Answers GraphQL operations from the data sources of the schema that is served.
public final class QueryService: Sendable {
    public struct Options: Sendable {
        public var operations = OperationLimits()
        public var plans = PlanLimits()
        /// Of each loop, for plans of operations that were asked before.
        public var planMemory: ByteCount = .mebibytes(32)
        /// Whether a request must say who asks. One that does not would be bound by nothing.
        public var needsCaller = false
        /// Requests that run at the same time; further ones wait, and roles take turns.
        public var inFlight = 64
        /// The same, while several roles ask: shared out among them.
        public var sharedInFlight = Int.max
        /// Of one role, that wait, and for how long at most.
        public var waiting = 256
        public var patience: Duration = .seconds(5)
        /// Runs jq programs; nil where there is no jq.
        public var transform: JSONTransform?

        public init() {}
    }

    public let schemas: SchemaHolder
    let options: Options
    let planned: PlannedOperations
    private let gate: RoleGate
    private let cache: QueryCache?
    private let slow: SlowStatements?

    /// Without a cache nothing is kept, and without `slow` nobody is told what took long.
    public init(
        schemas: SchemaHolder, loops: Int, cache: QueryCache? = nil, slow: SlowStatements? = nil, options: Options = Options()
    ) {
        self.schemas = schemas
        self.cache = cache
        self.slow = slow
        self.options = options
        gate = RoleGate(
            places: options.inFlight, mostWaiting: options.waiting, shared: options.sharedInFlight, patience: options.patience)
        planned = PlannedOperations(
            loops: loops, capacity: options.planMemory.bytes, operations: options.operations, plans: options.plans)
    }

    /// What a jq program makes of JSON. Throws `request.invalid` with what is wrong with it.
    public func transform(
        _ input: [UInt8], by program: String, variables: JSONObject, deadline: Instant
    ) async throws -> [UInt8] {
        guard let transform = options.transform else { throw ApusError(.unsupported, "this node has no jq") }
        return try await transform(program, input, variables, deadline)
    }

    func transformed(
        _ transforms: [PlanRunner.Transform], _ variables: JSONObject, deadline: Instant
    ) async throws -> [(key: String, value: [UInt8])] {
        var results: [(key: String, value: [UInt8])] = []
        for one in transforms {
            do {
                let value = try await transform(one.input, by: one.program, variables: variables, deadline: deadline)
                results.append((one.path.joined(separator: "."), value))
            } catch {
                throw GraphQLError(telling: error, at: one.path)
            }
        }
        return results
    }

    /// Variables with what a program in the variable `_jq` makes of them.
    private func prepared(_ request: QueryRequest, _ program: JSONValue) async throws -> QueryRequest {
        var prepared = request
        prepared.variables["_jq"] = nil
        guard let text = program.asString else {
            throw ApusError(.requestInvalid, "the variable _jq must be a jq program, which is a text")
        }
        let made = try await transform(
            JSONValue.object(prepared.variables).serialized(), by: text, variables: [:], deadline: request.deadline)
        guard case .object(let members) = try JSONValue(parsing: made) else {
            throw ApusError(.requestInvalid, "the program of the variable _jq makes no object of the variables")
        }
        for (name, value) in members { prepared.variables[name] = value }
        return prepared
    }

    /// Never throws: what goes wrong is told in the reply.
    public func answer(_ request: QueryRequest) async -> QueryReply { await admitted(request) { await run($0) } }

    /// Runs `body` when whoever asks may do something, and it is its role's turn.
    func admitted(_ request: QueryRequest, _ body: (QueryRequest) async -> QueryReply) async -> QueryReply {
        guard let caller = request.caller else {
            return options.needsCaller ? QueryReply(.forbidden, [GraphQLError("forbidden")]) : await prepared(request, body)
        }
        do throws(ApusError) {
            try await gate.enter(role: caller.scope, limit: caller.limits.inFlight, deadline: request.deadline)
        } catch {
            return QueryReply(.limited, [GraphQLError(telling: error)])
        }
        defer { gate.leave(role: caller.scope) }
        return await prepared(request, body)
    }

    private func prepared(_ request: QueryRequest, _ body: (QueryRequest) async -> QueryReply) async -> QueryReply {
        guard let program = request.variables["_jq"] else { return await body(request) }
        let made: QueryRequest
        do { made = try await prepared(request, program) } catch { return QueryReply(.refused, [GraphQLError(telling: error)]) }
        return await body(made)
    }

    private func run(_ request: QueryRequest) async -> QueryReply {
        let began = BootClock.now
        let planned = plan(request)
        let planning = began.duration(to: BootClock.now)
        switch planned {
        case .reply(let reply): return reply
        case .execution(let execution):
            do {
                let reply = try await execution.onBehalf(of: request.caller) { try await execution.reply() }
                var told = QueryReply(
                    data: reply.data, truncated: reply.truncated, errors: reply.errors,
                    transformed: try await transformed(reply.transforms, execution.plan.variables, deadline: request.deadline))
                told.stats = QueryStats(
                    execution.plan, execution.stopwatch, planning: planning, total: began.duration(to: BootClock.now))
                return told
            } catch {
                return QueryReply(.failed, [GraphQLError(telling: error)])
            }
        }
    }

    /// What a request comes to before anything is done.
    enum Planned {
        case execution(PlanExecution)
        /// There is nothing to do.
        case reply(QueryReply)
    }

    func plan(_ request: QueryRequest) -> Planned {
        guard let schema = schemas.current else {
            return .reply(
                QueryReply(.refused, [GraphQLError("this node serves no schema yet", extensions: ["code": "schema.unavailable"])]))
        }
        let plan: OperationPlan
        do throws(GraphQLErrors) {
            if request.needsOperation || request.caller?.limits.cost != nil {
                let operation = try planned.operation(request, in: schema)
                if operation.kind == .mutation, request.mutations != .allowed {
                    let why = request.mutations == .forbidden ? "forbidden" : "mutations are not allowed in this context"
                    return .reply(QueryReply(.forbidden, [GraphQLError(why)]))
                }
                plan = try planned.plan(operation, request, in: schema)
                if request.onlyValidates { return .reply(QueryReply(data: Array("{}".utf8))) }
            } else {
                plan = try planned.plan(request, in: schema)
            }
        } catch {
            // What is found while it is planned has a place in the reply already.
            return .reply(QueryReply(error.errors[0].path == nil ? .refused : .failed, error.errors))
        }
        guard (plan.kind == .subscription) == request.isSubscription else {
            return .reply(QueryReply(refusing: "a subscription needs a WebSocket, at /subscribe or /ipc; all else is no subscription"))
        }
        let limits = request.caller.map { options.plans.within($0.limits) } ?? options.plans
        return .execution(
            PlanExecution(
                plan, schema, limits, cache: cache, slow: slow, deadline: request.deadline, isPartial: request.isPartial,
                event: request.event))
    }
}

extension GraphQLError {
    /// What a client is told of an error of this program's.
    init(telling error: any Error) {
        switch error {
        case let error as GraphQLError: self = error
        case let error as ApusError: self.init(error.summary, extensions: ["code": .string(error.code.rawValue)])
        case is CancellationError: self.init("the client went away", extensions: ["code": "client.gone"])
        default: self.init("Internal error.", extensions: ["code": "internal"])
        }
    }

    /// What a client is told of any error.
    public static func all(of error: any Error) -> [GraphQLError] {
        (error as? GraphQLErrors)?.errors ?? [GraphQLError(telling: error)]
    }

    /// The same in one line.
    public static func text(of error: any Error) -> String { all(of: error).map(\.message).joined(separator: "; ") }

    /// The same, of the field at `path`.
    init(telling error: any Error, at path: [String]) {
        self.init(telling: error)
        if !path.isEmpty { self.path = path.map { .key($0) } }
    }
}
