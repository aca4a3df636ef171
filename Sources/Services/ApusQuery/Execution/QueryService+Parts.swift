public import ApusGraphQL
public import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// What of a reply is told, in its order.
public enum ToldPart: Sendable {
    /// A field's value. `geometry`: where geometries are in it.
    case json(path: [String], [UInt8], geometry: [GeometryColumn])
    /// A list's rows follow, in pieces.
    case table(path: [String], geometry: [GeometryColumn])
    /// Of the table: Arrow's stream format.
    case piece([UInt8])
    /// The table is whole.
    case end
}

extension QueryService {
    /// Takes parts as they are told; returns when there is room for more.
    public typealias Tell = @Sendable (ToldPart) async throws -> Void

    /// Answers an operation in parts: lists of rows as tables of Arrow, of any size, and all else as JSON. Everything is begun before the first
    /// part is told, and each table's first rows are there: what fails until then is told by the reply alone. What fails later has been told
    /// in part, and the outcome says so.
    ///
    /// Never throws. The reply's `data` is empty.
    public func tell(_ request: QueryRequest, _ form: TableForm, to tell: @escaping Tell) async -> QueryReply {
        await admitted(request) { request in
            switch plan(request) {
            case .reply(let reply): return reply
            case .execution(let execution):
                var form = form
                form.mostRows = request.caller?.limits.rows ?? .max
                // The time of a role is that of the whole reply; without one the pieces have times of their own.
                let end = request.caller?.limits.time.map { _ in request.deadline } ?? .distantFuture
                do {
                    // A piece takes some milliseconds to write, which is too long for a loop.
                    let told = try await withTaskExecutorPreference(globalConcurrentExecutor) { [form] in
                        try await execution.onBehalf(of: request.caller) { try await execution.tellAway(form, until: end, to: tell) }
                    }
                    return QueryReply(
                        data: [], truncated: told.truncated,
                        transformed: try await transformed(told.transforms, execution.plan.variables, deadline: request.deadline))
                } catch {
                    return QueryReply(.failed, [GraphQLError(telling: error)])
                }
            }
        }
    }
}

extension PlanExecution {
    @concurrent
    func tellAway(_ form: TableForm, until end: Instant, to tell: @escaping QueryService.Tell) async throws -> Told {
        try await self.tell(form, until: end, to: tell)
    }
}
