internal import ApusGraphQL
internal import ApusQueryPlan
internal import ApusSchemas
internal import ApusTypes

/// Carries a plan out over the sources of one schema. What changes anything runs in one transaction for each source, and so does what is read
/// there meanwhile; all of them are committed when everything has been done, one after the other.
struct PlanExecution {
    private let plan: OperationPlan
    private let schema: ServedSchema
    private let limits: PlanLimits
    private let deadline: Instant

    init(_ plan: OperationPlan, _ schema: ServedSchema, _ limits: PlanLimits, deadline: Instant) {
        self.plan = plan
        self.schema = schema
        self.limits = limits
        self.deadline = deadline
    }

    func reply() async throws -> PlanRunner.Reply {
        var changing: [String] = []
        for statement in plan.statements where statement.isTransactional && !changing.contains(statement.source) {
            changing.append(statement.source)
        }
        return try await within(changing[...], [:])
    }

    /// Begins the transactions of the sources that are left, then runs everything.
    private func within(_ sources: ArraySlice<String>, _ begun: [String: any SourceTransaction]) async throws -> PlanRunner.Reply {
        guard let name = sources.first else { return try await run(begun) }
        return try await source(name).transaction(deadline: deadline) { transaction in
            var begun = begun
            begun[name] = transaction
            return try await within(sources.dropFirst(), begun)
        }
    }

    private func run(_ transactions: [String: any SourceTransaction]) async throws -> PlanRunner.Reply {
        try await PlanRunner(plan, limits: limits).reply { calls in
            if calls.count == 1 || !transactions.isEmpty {
                for call in calls { try await run(call, transactions) }
            } else {
                // On one loop: those of one source follow each other over its connections without waiting for answers.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for call in calls { group.addTask { try await run(call, [:]) } }
                    try await group.waitForAll()
                }
            }
        }
    }

    private func run(_ call: StatementCall, _ transactions: [String: any SourceTransaction]) async throws {
        do {
            let rows: SourceRows
            if let action = call.statement.action {
                rows = try await .reply(perform(action, SourceStatement(call), call.statement, transactions))
            } else if let transaction = transactions[call.statement.source] {
                rows = try await transaction.run(SourceStatement(call))
            } else {
                rows = try await source(call.statement.source).read(SourceStatement(call), deadline: deadline)
            }
            rows.add(to: call.rows)
        } catch let error as ApusError {
            var told = GraphQLError(telling: error)
            if !call.statement.path.isEmpty { told.path = call.statement.path.map { .key($0) } }
            throw told
        }
    }

    /// What a source does itself.
    private func perform(
        _ action: SourceAction, _ asked: SourceStatement, _ statement: StatementPlan, _ transactions: [String: any SourceTransaction]
    ) async throws -> JSONValue {
        if case .call(let function) = action.kind {
            guard let source = schema.sources[statement.source] as? any FunctionSource else { throw unavailable(statement.source) }
            return action.reply(try await source.call(function, action.arguments, deadline: deadline))
        }
        guard let transaction = transactions[statement.source] as? any ActingTransaction else { throw unavailable(statement.source) }
        return action.reply(try await transaction.change(action, of: asked))
    }

    private func source(_ name: String) throws -> any SQLSource {
        if let source = schema.speakingSQL[name] { return source }
        if schema.sources[name] != nil { throw ApusError(.sourceRejected, "data source \"\(name)\" does not speak SQL") }
        throw unavailable(name)
    }

    private func unavailable(_ name: String) -> ApusError {
        ApusError(
            .sourceUnavailable, "data source \"\(name)\" cannot answer: \(schema.suspended[name] ?? "this node has not opened it")")
    }
}

extension StatementPlan {
    /// Functions of a source's own have no part in its transaction.
    fileprivate var isTransactional: Bool {
        if case .call? = action?.kind { return false }
        return isMutation
    }
}
