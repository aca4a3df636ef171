internal import ApusCatalog
internal import ApusRuntime
internal import ApusTypes

/// What becomes of one request of a workload, by the three outcomes of an append.
extension Workload {
    /// What was done: all of the request, or nothing.
    ///
    /// Nothing when others held its locks for too long, which says that nothing was written; when the outcome is not known, it is found
    /// out as a node would.
    func append(_ request: AppendRequest, to catalog: Catalog) async throws -> [Acknowledged] {
        do {
            return Self.done(request, try await catalog.log.append(request, deadline: deadline))
        } catch let error as ApusError where error.isContention {
            return []
        } catch let error as ApusError where error.code == .outcomeUnknown {
            guard let id = request.operationID else { throw error }
            guard case .done = try await decide(id, on: catalog) else { return [] }
            return Self.done(request, nil)
        }
    }

    /// The same while somebody else asks what became of it, which prevents it unless it was first. Both must be told the same.
    func appendAsked(_ request: AppendRequest, to catalog: Catalog) async throws -> [Acknowledged] {
        guard let id = request.operationID else { return try await append(request, to: catalog) }
        let (first, acknowledged) = try await withThrowingTaskGroup(of: Operations.Outcome.self) { group in
            group.addTask { try await catalog.operations.settle(id, deadline: deadline) }
            var acknowledged: [Acknowledged] = []
            do {
                acknowledged = try await append(request, to: catalog)
            } catch let error as ApusError where error.code == .writeAborted {
                // Whoever asked was first.
            }
            return (try await group.next() ?? .unknown, acknowledged)
        }
        let last = try await decide(id, on: catalog)
        guard first == .unknown || first == last else { throw BrokenLaw("\(id.id) was \(first), and then \(last)") }
        guard last == (acknowledged.isEmpty ? .refused : .done(reply: request.reply)) else {
            throw BrokenLaw("\(id.id) is \(last), and its writer was told of \(acknowledged.count) operations")
        }
        return acknowledged
    }

    /// Asks until the answer is not "unknown": which it is while somebody else's transaction holds the id.
    private func decide(_ id: OperationID, on catalog: Catalog) async throws -> Operations.Outcome {
        while true {
            let outcome = try await catalog.operations.settle(id, deadline: deadline)
            if outcome != .unknown { return outcome }
            guard BootClock.now < deadline else { throw BrokenLaw("nobody could say what became of \(id.id)") }
        }
    }

    static func done(_ request: AppendRequest, _ outcome: AppendOutcome?) -> [Acknowledged] {
        request.appends.map { append in
            Acknowledged(
                shard: append.shard, operation: append.operation, upTo: outcome?.positions[append.shard]?.sequence ?? .max)
        }
    }
}

extension ApusError {
    /// Somebody else's transaction was in the way; nothing was written.
    var isContention: Bool { code == .databaseConflict || code == .databaseLockTimeout }
}
