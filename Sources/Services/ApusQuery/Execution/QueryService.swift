public import ApusGraphQL
public import ApusQueryPlan
internal import ApusRuntime
internal import ApusTypes

/// Answers GraphQL operations from the data sources of the schema that is served.
public final class QueryService: Sendable {
    public struct Options: Sendable {
        public var operations = OperationLimits()
        public var plans = PlanLimits()
        /// Texts of operations that each loop remembers, in bytes.
        public var rememberedText = 2 << 20

        public init() {}
    }

    public let schemas: SchemaHolder
    private let options: Options
    private let operations: OperationCache

    public init(schemas: SchemaHolder, loops: Int, options: Options = Options()) {
        self.schemas = schemas
        self.options = options
        operations = OperationCache(loops: loops, capacity: options.rememberedText, limits: options.operations)
    }

    /// Never throws: what goes wrong is told in the reply.
    public func answer(_ request: QueryRequest) async -> QueryReply {
        guard let schema = schemas.current else {
            return QueryReply(.refused, [GraphQLError("this node serves no schema yet", extensions: ["code": "schema.unavailable"])])
        }
        let plan: OperationPlan
        do throws(GraphQLErrors) {
            let operation = try operations.operation(request.text, name: request.operationName, in: schema)
            if operation.kind == .mutation, request.mutations != .allowed {
                let why = request.mutations == .forbidden ? "forbidden" : "mutations are not allowed in this context"
                return QueryReply(.forbidden, [GraphQLError(why)])
            }
            let variables = try operation.variables(from: request.variables)
            if request.onlyValidates { return QueryReply(data: Array("{}".utf8), truncated: []) }
            do throws(GraphQLError) {
                plan = try QueryPlanner(schema.api, identity: request.identity, limits: options.plans)
                    .plan(operation, variables: variables)
            } catch {
                return QueryReply(.failed, [error])
            }
        } catch {
            return QueryReply(.refused, error.errors)
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
