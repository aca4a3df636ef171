internal import ApusDatabase
internal import ApusTypes

/// Commits the appends of several requests in one transaction of two round trips and a COMMIT: lock and look, then write.
///
/// What is wrong with one request never costs the others anything: it is left out before anything is written.
/// Lock order: operation ids (by lock number), shard heads (ascending).
struct GroupCommit: Sendable {
    let access: CatalogAccess
    let options: ShardLog.Options

    /// How the locks of ids and heads are taken.
    private enum Patience {
        /// All of them, waiting at most `OperationSQL.lockTimeout` for each.
        case waiting
        /// Those that are free: after a wait that was in vain, so that one blocked id or shard does not hold up the others.
        case trying
    }

    /// The result of each append, in their order.
    func commit(_ appends: [PreparedAppend]) async -> [AppendResult] {
        var results = [AppendResult?](repeating: nil, count: appends.count)
        var patience = Patience.waiting
        while true {
            // The shortest deadline cuts the whole group, and a COMMIT that is cut leaves all of it unknown.
            let soon = access.clock.now.advanced(by: Self.leastTime)
            for index in appends.indices where results[index] == nil && appends[index].deadline < soon {
                results[index] = .failure(Self.late)
            }
            let open = appends.indices.filter { results[$0] == nil }
            guard let deadline = open.map({ appends[$0].deadline }).min() else { break }
            let members = open.map { appends[$0] }
            do {
                let outcomes = try await access.settled(waiting: OperationSQL.lockTimeout, deadline: deadline) { transaction, attempt in
                    try await write(members, attempt, patience, in: transaction)
                }
                for (index, outcome) in zip(open, outcomes) { results[index] = outcome }
            } catch let error as ApusError where error.isContention && patience == .waiting {
                patience = .trying
            } catch let error as ApusError where error.code == .deadlineExceeded {
                // Nothing was written. Those whose time is up are told; the others get what is left of theirs.
                for index in open where appends[index].deadline == deadline { results[index] = .failure(error) }
            } catch {
                for index in open { results[index] = .failure(error) }
            }
        }
        return results.map { $0 ?? .failure(Self.late) }
    }

    /// Who has waited so long that less than this is left is refused before anything is written.
    private static let leastTime = Duration.milliseconds(250)

    static let late = ApusError(.deadlineExceeded, "the write waited for its turn until its deadline; nothing was written")

    // MARK: The transaction

    private func write(
        _ members: [PreparedAppend], _ attempt: MarkedAttempt<[AppendResult]>, _ patience: Patience, in transaction: any Transaction
    ) async throws -> [AppendResult] {
        let seen = try await look(members, attempt.mark, patience, in: transaction)
        var plan = AppendPlan(seen: seen, isPartial: patience == .trying, unsealedLimit: options.unsealedBytes)
        for member in members { plan.add(member) }
        let incarnation = access.incarnation
        guard plan.acknowledges else { return try plan.results(digests: [:], incarnation: incarnation) }

        attempt.whenDone = { [access, plan] in
            // What was written is there, but not what it gave: the digests are read again.
            let places = plan.lastPlaces
            let rows = try await access.database.run(
                places.map {
                    Statement(
                        """
                        SELECT shard, seq, digest FROM apus.shard_log WHERE shard = $1 AND seq = $2
                        UNION SELECT shard, seq, digest FROM apus.shard_past WHERE shard = $1 AND seq = $2
                        """,
                        [.integer($0.shard.value), .integer($0.sequence)])
                }, on: .write, deadline: access.clock.now.advanced(by: .seconds(1)))
            return try plan.results(digests: AppendPlan.digests(rows[...]), incarnation: incarnation)
        }
        let dialect = access.dialect
        let identifying = OperationSQL.insert(plan.operations + [OperationRow(mark: attempt.mark)], dialect)
        let appending = plan.rows.isEmpty ? [] : AppendSQL.append(plan.rows, dialect)
        let objects = plan.rows.compactMap { row in if case .object(let key) = row.body { key } else { nil } }
        if !objects.isEmpty {
            let deleted = try await transaction.run([AppendSQL.deleteIntents(objects, dialect)])[0].changed
            guard deleted == objects.count else {
                throw ApusError(
                    .writeAborted, "the stored operation was collected before it could be committed: the write took too long",
                    hint: "send it again")
            }
        }
        let written = try await transaction.commit(after: identifying + appending)
        return try plan.results(digests: AppendPlan.digests(written[identifying.count...]), incarnation: incarnation)
    }

    /// Takes the locks and reads what the plan is made from.
    private func look(
        _ members: [PreparedAppend], _ mark: OperationMark, _ patience: Patience, in transaction: any Transaction
    ) async throws -> AppendPlan.Seen {
        let dialect = access.dialect
        let ids = members.compactMap { $0.request.operationID.map { OperationKey(scope: $0.scope, id: $0.id) } }
        let shards = Set(members.flatMap { $0.rows.map(\.shard) + ($0.request.expectedHeads ?? [:]).keys }).sorted()
        var seen = AppendPlan.Seen()
        var statements: [Statement] = []
        var heads = AppendSQL.lockHeads(shards, skipsLocked: false, dialect)
        if patience == .trying, dialect == .postgreSQL {
            let locks = try await transaction.run([OperationSQL.tryLock(ids + [mark.key], dialect)])[0]
            seen.blockedLocks = Set(try locks.filter { try !$0.bool(1) }.map { try $0.integer(0) })
            heads = AppendSQL.lockHeads(shards, skipsLocked: true, dialect)
        } else {
            statements = OperationSQL.lock(ids + [mark.key], dialect)
        }
        if !ids.isEmpty { statements.append(OperationSQL.find(ids, dialect)) }
        statements.append(heads)
        let rows = try await transaction.run(statements)
        for row in rows[rows.count - 1] {
            seen.heads[ShardID(try row.integer(0))] = AppendPlan.Head(
                sequence: try row.integer(1), digest: try Digest(row: row, column: 2), bytes: try row.integer(3),
                epoch: Epoch(try row.integer(4)), replicas: try row.integer(5))
        }
        if !ids.isEmpty {
            for row in rows[rows.count - 2] {
                let found = try FoundOperation(row: row)
                seen.operations[found.key] = found
            }
        }
        return seen
    }
}
