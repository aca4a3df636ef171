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

        public init() {}
    }

    public let schemas: SchemaHolder
    private let options: Options
    private let planned: PlannedOperations

    public init(schemas: SchemaHolder, loops: Int, options: Options = Options()) {
        self.schemas = schemas
        self.options = options
        planned = PlannedOperations(
            loops: loops, capacity: options.planMemory.bytes, operations: options.operations, plans: options.plans)
    }

    /// Never throws: what goes wrong is told in the reply.
    public func answer(_ request: QueryRequest) async -> QueryReply {
        guard let schema = schemas.current else {
            return QueryReply(.refused, [GraphQLError("this node serves no schema yet", extensions: ["code": "schema.unavailable"])])
        }
        let plan: OperationPlan
        do throws(GraphQLErrors) {
            if request.needsOperation {
                let operation = try planned.operation(request, in: schema)
                if operation.kind == .mutation, request.mutations != .allowed {
                    let why = request.mutations == .forbidden ? "forbidden" : "mutations are not allowed in this context"
                    return QueryReply(.forbidden, [GraphQLError(why)])
                }
                plan = try planned.plan(operation, request, in: schema)
                if request.onlyValidates { return QueryReply(data: Array("{}".utf8), truncated: []) }
            } else {
                plan = try planned.plan(request, in: schema)
            }
        } catch {
            // What is found while it is planned has a place in the reply already.
            return QueryReply(error.errors[0].path == nil ? .refused : .failed, error.errors)
        }
        do {
            let reply = try await PlanExecution(plan, schema, options.plans, deadline: request.deadline).reply()
            return QueryReply(data: reply.data, truncated: reply.truncated)
        } catch {
            return QueryReply(.failed, [GraphQLError(telling: error)])
        }
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
}
