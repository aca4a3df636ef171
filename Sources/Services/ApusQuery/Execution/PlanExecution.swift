internal import ApusGraphQL
internal import ApusQueryPlan
internal import ApusRuntime
internal import ApusSchemas
internal import ApusTypes

/// Carries a plan out over the sources of one schema. What changes anything runs in one transaction for each source, and so does what is read
/// there meanwhile; all of them are committed when everything has been done, one after the other.
final class PlanExecution: Sendable {
    let plan: OperationPlan
    private let schema: ServedSchema
    let limits: PlanLimits
    let deadline: Instant
    private let cache: QueryCache?
    let slow: SlowStatements?
    private let isPartial: Bool
    /// What happened, where the plan is of a subscription that tells of it.
    let event: JSONValue?
    /// Where times are asked for.
    let stopwatch: Stopwatch?

    init(
        _ plan: OperationPlan, _ schema: ServedSchema, _ limits: PlanLimits, cache: QueryCache?, slow: SlowStatements?, deadline: Instant,
        isPartial: Bool = false, event: JSONValue? = nil
    ) {
        self.event = event
        self.cache = cache
        self.slow = slow
        self.isPartial = isPartial
        self.plan = plan
        self.schema = schema
        self.limits = limits
        self.deadline = deadline
        stopwatch = plan.isMeasured ? Stopwatch() : nil
    }

    func reply() async throws -> PlanRunner.Reply {
        defer { noteChanges() }
        let known = try await kept()
        return try await within(changing[...], [:]) {
            try await PlanRunner(plan, limits: limits, isPartial: isPartial).reply(knowing: known, $0)
        }
    }

    /// Functions of this program may want to know on whose behalf; binding it costs.
    func onBehalf<Value: Sendable>(of caller: QueryCaller?, _ body: () async throws -> Value) async throws -> Value {
        plan.isActing ? try await QueryCaller.$current.withValue(caller, operation: body) : try await body()
    }

    /// All but lists of rows, which are read while they are told.
    func parts(_ form: TableForm) async throws -> [ReplyPart] {
        defer { noteChanges() }
        return try await within(changing[...], [:]) { try await PlanRunner(plan, limits: limits).parts(form, $0) }
    }

    private var changing: [String] {
        guard plan.kind == .mutation else { return [] }
        var changing: [String] = []
        for statement in plan.statements where statement.isTransactional && !changing.contains(statement.source) {
            changing.append(statement.source)
        }
        return changing
    }

    /// What failed may have changed something all the same: of several sources, or where the outcome is not known.
    private func noteChanges() {
        guard let cache, plan.kind == .mutation else { return }
        cache.changed(plan.statements.filter { schema.api.model.sources[$0.source]?.isManagement != true })
    }

    /// The parts of the reply that may be kept, all at once. Where fields may fail by themselves nothing is.
    private func kept() async throws -> [PlanRunner.Part?] {
        guard let cache, !isPartial, plan.mayBeKept, plan.kind != .mutation else { return [] }
        let statements = plan.statements
        var parts = [PlanRunner.Part?](repeating: nil, count: statements.count)
        if statements.count == 1 {
            if let caching = statements[0].caching { parts[0] = try await part(0, caching, cache) }
            return parts
        }
        try await withThrowingTaskGroup(of: (Int, PlanRunner.Part).self) { group in
            for (index, statement) in statements.enumerated() {
                if let caching = statement.caching { group.addTask { (index, try await self.part(index, caching, cache)) } }
            }
            for try await (index, part) in group { parts[index] = part }
        }
        return parts
    }

    private func part(_ index: Int, _ caching: StatementCaching, _ cache: QueryCache) async throws -> PlanRunner.Part {
        try await cache.part(caching, key: plan.cacheKey(of: index) ?? [], schema: schema.digest, deadline: deadline) {
            try await PlanRunner(plan, limits: limits).part(index, runner([:]))
        }
    }

    /// Begins the transactions of the sources that are left, then runs everything.
    private func within<Value: Sendable>(
        _ sources: ArraySlice<String>, _ begun: [String: any SourceTransaction], _ body: (PlanRunner.Run) async throws -> Value
    ) async throws -> Value {
        guard let name = sources.first else { return try await body(runner(begun)) }
        return try await source(name).transaction(deadline: deadline) { transaction in
            var begun = begun
            begun[name] = transaction
            return try await within(sources.dropFirst(), begun, body)
        }
    }

    private func runner(_ transactions: [String: any SourceTransaction]) -> PlanRunner.Run {
        { [self] calls in
            if calls.count == 1 || !transactions.isEmpty {
                for call in calls { try await run(call, transactions) }
            } else {
                // On one loop: those of one source follow each other over its connections without waiting for answers.
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for call in calls { group.addTask { try await self.run(call, [:]) } }
                    try await group.waitForAll()
                }
            }
        }
    }

    /// For rows whose cells of a grid are to be found.
    private static let laborious = BlockingPool(name: "cells", threads: 2, queueLimit: 256, niceness: 5)

    private func run(_ call: StatementCall, _ transactions: [String: any SourceTransaction]) async throws {
        let start = BootClock.now
        defer {
            slow?.note(call.statement, since: start)
            stopwatch?.note(call.path, since: start)
        }
        do {
            let rows: SourceRows
            if let action = call.statement.action {
                rows = try await perform(action, call, transactions)
            } else if let transaction = transactions[call.statement.source] {
                rows = try await transaction.run(SourceStatement(call))
            } else {
                rows = try await source(call.statement.source).read(SourceStatement(call), deadline: deadline)
            }
            if call.rows.isLaborious {
                try await Self.laborious.run(deadline: deadline) { rows.add(to: call.rows) }
            } else {
                rows.add(to: call.rows)
            }
        } catch  where error is ApusError || error is GraphQLError {
            var told = GraphQLError(telling: error)
            if told.path == nil, !call.statement.path.isEmpty { told.path = call.statement.path.map { .key($0) } }
            throw told
        }
    }

    /// What a source does itself.
    private func perform(
        _ action: SourceAction, _ call: StatementCall, _ transactions: [String: any SourceTransaction]
    ) async throws -> SourceRows {
        let name = call.statement.source
        if case .call(let function) = action.kind {
            if function.use == .subscription {
                guard let event else { throw ApusError(.internalError, "\(function.name) is asked for without an event") }
                return .reply(try action.reply(event))
            }
            guard let source = schema.sources[name] as? any FunctionSource else { throw unavailable(name) }
            let values = try await values(of: function, source, call)
            return call.statement.isBatch ? .replies(try values.map(action.reply)) : .reply(try action.reply(values[0]))
        }
        guard let transaction = transactions[name] as? any ActingTransaction else { throw unavailable(name) }
        return .reply(try action.reply(try await transaction.change(action, of: SourceStatement(call))))
    }

    /// What a subscription to what happens hears from now on; nil for one that runs a query.
    func events() async throws -> (any EventStream)? {
        for statement in plan.statements {
            guard let action = statement.action, case .call(let function) = action.kind, function.use == .subscription else { continue }
            guard plan.statements.count == 1 else { throw GraphQLError("A subscription to what happens has that one field and no other.") }
            guard let source = schema.sources[statement.source] as? any EventSource else { throw unavailable(statement.source) }
            return try await source.events(function, action.arguments, deadline: deadline)
        }
        return nil
    }

    /// What the calls give, so many of them at a time as the source bears.
    private func values(
        of function: DataFunction, _ source: any FunctionSource, _ call: StatementCall
    ) async throws -> [JSONValue] {
        let (calls, identity, deadline) = (call.calls, call.identity, deadline)
        guard calls.count > 1 else {
            return [try await source.call(function, calls[0], identity: identity, deadline: deadline)]
        }
        var values = [JSONValue](repeating: .null, count: calls.count)
        try await withThrowingTaskGroup(of: (Int, JSONValue).self) { group in
            for number in calls.indices {
                if number >= source.callsAtOnce, let (done, value) = try await group.next() { values[done] = value }
                group.addTask { (number, try await source.call(function, calls[number], identity: identity, deadline: deadline)) }
            }
            for try await (done, value) in group { values[done] = value }
        }
        return values
    }

    func source(_ name: String) throws -> any SQLSource {
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
