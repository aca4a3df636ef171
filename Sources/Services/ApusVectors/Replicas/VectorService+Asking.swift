internal import ApusCatalog
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

extension VectorService {
    /// Where some shards are asked.
    enum Place: Hashable, Sendable {
        case here
        case node(NodeName)
    }

    /// Nodes that were asked already, and which of several is asked first: the same for all shards, so that few are.
    private struct Trip: Sendable {
        var tried: Set<NodeName> = []
        var turn: Int
    }

    // MARK: Asking shards

    /// The answers of all the shards, in their order, or the error of one. `isCurrent`: they show all that was in the logs at the call.
    func ask<Question: ShardQuestion>(
        _ collection: LoadedCollection, _ shards: [Shard]? = nil, isCurrent: Bool = false, deadline: Instant,
        _ question: @escaping @Sendable (Shard) -> Question
    ) async throws -> [ShardAnswer<Question.Answer>] {
        let found = try await askAny(collection, shards, isCurrent: isCurrent, deadline: deadline, question)
        if let failure = found.failures.min(by: { $0.key < $1.key }) { throw failure.value }
        if found.isStale, let asOf = found.asOf { OldAnswers.seen?.note(asOf) }
        return found.answers
    }

    /// The answers of those shards that give one, in their order.
    func askAny<Question: ShardQuestion>(
        _ collection: LoadedCollection, _ shards: [Shard]? = nil, isCurrent: Bool = false, deadline: Instant,
        _ question: @escaping @Sendable (Shard) -> Question
    ) async throws -> ShardAnswers<ShardAnswer<Question.Answer>> {
        let shards = shards ?? collection.shards
        var found = try await scatter(collection, shards, deadline: deadline) { place, shards in
            switch place {
            case .here: return try await self.askHere(shards, isCurrent: isCurrent, deadline: deadline, question)
            case .node(let node):
                let message = QuestionMessage(
                    ShardList(collection, shards), isCurrent: isCurrent, question: Question.name,
                    bodies: shards.map { question($0).wireBytes })
                let patience = Question.isInteractive ? self.clock.now.advanced(by: self.options.peerPatience) : deadline
                return try await self.call(node, .ask, message, deadline: min(deadline, patience))
            }
        }
        let places = Dictionary(shards.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        found.answers.sort { places[$0.shard] ?? 0 < places[$1.shard] ?? 0 }
        return found
    }

    /// What this node's own replicas answer.
    func askHere<Question: ShardQuestion>(
        _ shards: [Shard], isCurrent: Bool, deadline: Instant, _ question: (Shard) -> Question
    ) async throws -> ShardAnswers<ShardAnswer<Question.Answer>> {
        if isCurrent { try await reachHeads(of: shards.filter(\.isServed), deadline: deadline) }
        let (asOf, isStale) = try await freshen(shards, deadline: deadline)
        var found = ShardAnswers<ShardAnswer<Question.Answer>>()
        var asked: [(shard: ShardID, question: Question, points: AskedShard)] = []
        for shard in shards {
            let question = question(shard)
            do throws(ApusError) {
                asked.append((shard.id, question, try shard.asked(question)))
            } catch {
                found.failures[shard.id] = error
            }
        }
        guard !asked.isEmpty else { return found }
        (found.asOf, found.isStale) = (asOf, isStale)
        let answers: [Question.Answer]
        do {
            answers = try await eachInPool(
                asked, isQuick: asked.allSatisfy { $0.question.isQuick || $0.points.points.count * $0.question.weight < 256 },
                deadline: deadline
            ) { asked in asked.question.answer(asked.points) }
        } catch {
            for asked in asked { asked.points.points.abandon() }  // the pool's threads go on until they see that
            throw error
        }
        found.answers = zip(asked, answers).map { ShardAnswer(shard: $0.shard, answer: $1, position: $0.points.position) }
        return found
    }

    /// Runs `body` for each item, in the pool and at the same time, unless it is quick.
    func eachInPool<Item: Sendable, Value: Sendable>(
        _ items: [Item], isQuick: Bool, deadline: Instant, _ body: @escaping @Sendable (Item) -> Value
    ) async throws -> [Value] {
        if isQuick { return items.map(body) }
        return try await withThrowingTaskGroup(of: (Int, Value).self) { group in
            for (index, item) in items.enumerated() {
                group.addTask { [pool] in (index, try await pool.run(deadline: deadline) { body(item) }) }
            }
            var values = [Value?](repeating: nil, count: items.count)
            for try await (index, value) in group { values[index] = value }
            return values.compactMap(\.self)
        }
    }

    // MARK: Scattering

    /// Has `body` ask each shard where it is served: here, or one node for all the shards that it is asked for. What fails there is asked at
    /// another replica, and so is what takes long; what comes first counts.
    ///
    /// Throws what `body` throws for the request itself; a shard that nobody answers for is in `failures`.
    func scatter<Answer: Sendable>(
        _ collection: LoadedCollection, _ shards: [Shard], deadline: Instant,
        _ body: @escaping @Sendable (Place, [Shard]) async throws -> ShardAnswers<Answer>
    ) async throws -> ShardAnswers<Answer> {
        let turn = turns.add(1, ordering: .relaxed).newValue & .max
        let known = shards.map(\.replicas.version)
        var found = ShardAnswers<Answer>()
        if shards.allSatisfy(\.answers) {
            found = try await body(.here, shards)
            guard let peers, !found.failures.isEmpty || found.isStale else { return found }
            // Others may know better; this node would only say the same again.
            let trip = Trip(tried: [peers.node], turn: turn)
            if shards.contains(where: { route($0, in: trip) != nil }) {
                let elsewhere = try await attempt(shards, in: trip, deadline: deadline, body)
                if elsewhere.isBetter(than: found) { found = elsewhere }
            }
        } else {
            found = try await attempt(shards, in: Trip(turn: turn), deadline: deadline, body)
        }
        let misplaced = shards.filter { [.shardElsewhere, .shardUnserved, .nodeDraining].contains(found.failures[$0.id]?.code) }
        guard !misplaced.isEmpty else { return found }
        try await readReplicas(of: collection, deadline: deadline)
        // Somebody else may have read them while this asked.
        guard shards.map(\.replicas.version) != known else { return found }
        for shard in misplaced { found.failures[shard.id] = nil }
        found.add(try await attempt(misplaced, in: Trip(turn: turn), deadline: deadline, body))
        return found
    }

    private func attempt<Answer: Sendable>(
        _ shards: [Shard], in trip: Trip, deadline: Instant,
        _ body: @escaping @Sendable (Place, [Shard]) async throws -> ShardAnswers<Answer>
    ) async throws -> ShardAnswers<Answer> {
        var found = ShardAnswers<Answer>()
        var groups: [Place: [Shard]] = [:]
        for shard in shards {
            if let place = route(shard, in: trip) {
                groups[place, default: []].append(shard)
            } else {
                found.failures[shard.id] = unserved(shard)
            }
        }
        if groups.count == 1, let (place, shards) = groups.first {
            found.add(try await reach(place, shards, in: trip, deadline: deadline, body))
            return found
        }
        return try await withThrowingTaskGroup(of: ShardAnswers<Answer>.self) { tasks in
            for (place, shards) in groups {
                tasks.addTask { try await self.reach(place, shards, in: trip, deadline: deadline, body) }
            }
            for try await part in tasks { found.add(part) }
            return found
        }
    }

    /// Asks in one place, and in others as soon as that fails or takes longer than `Options.hedgeAfter`.
    private func reach<Answer: Sendable>(
        _ place: Place, _ shards: [Shard], in trip: Trip, deadline: Instant,
        _ body: @escaping @Sendable (Place, [Shard]) async throws -> ShardAnswers<Answer>
    ) async throws -> ShardAnswers<Answer> {
        guard let peers else { return try await body(place, shards) }
        var trip = trip
        if case .node(let node) = place { trip.tried.insert(node) } else { trip.tried.insert(peers.node) }
        let others = shards.filter { route($0, in: trip) != nil }
        guard !others.isEmpty else { return try await answers(place, shards, body) }
        let failed = Watermark(clock: clock)
        return try await withThrowingTaskGroup(of: ShardAnswers<Answer>.self) { [trip] group in
            group.addTask {
                let found = try await self.answers(place, shards, body)
                if !found.failures.isEmpty || found.isStale { failed.rise(to: 1) }
                return found
            }
            group.addTask {
                _ = await failed.wait(for: 1, until: self.clock.now.advanced(by: self.options.hedgeAfter))
                try Task.checkCancellation()
                return try await self.attempt(shards, in: trip, deadline: deadline, body)
            }
            var best: ShardAnswers<Answer>?
            for try await found in group {
                if found.failures.isEmpty, !found.isStale {
                    best = found
                    break
                }
                if best.map({ found.isBetter(than: $0) }) ?? true { best = found }
            }
            group.cancelAll()
            return best ?? ShardAnswers()
        }
    }

    /// What `body` gives, with the errors that another replica may not have in the place of answers.
    private func answers<Answer: Sendable>(
        _ place: Place, _ shards: [Shard], _ body: @Sendable (Place, [Shard]) async throws -> ShardAnswers<Answer>
    ) async throws -> ShardAnswers<Answer> {
        do {
            return try await body(place, shards)
        } catch let error as ApusError where Self.isOfReplica(error.code) {
            return ShardAnswers(allOf: shards, failedWith: error)
        }
    }

    private static func isOfReplica(_ code: ErrorCode) -> Bool {
        code.rawValue.hasPrefix("peer.")
            || [
                .nodeUnready, .nodeUnreachable, .nodeDraining, .overloaded, .shardElsewhere, .segmentCorrupt,
                .segmentUnsupported, .catalogUnavailable, .deadlineExceeded, .logCorrupt, .objectCorrupt, .protocolInvalid,
                .methodUnknown,  // of an earlier version
            ].contains(code)
    }

    /// Where a shard is asked: here if it can be, else at one of the nodes that serve it; nil when all have been tried.
    private func route(_ shard: Shard, in trip: Trip) -> Place? {
        guard let peers else { return trip.tried.isEmpty ? .here : nil }
        let mayBeHere = shard.isServed && !trip.tried.contains(peers.node)
        if mayBeHere, shard.answers { return .here }
        let nodes = shard.replicas.states.filter { $0.value.answers && $0.key != peers.node && !trip.tried.contains($0.key) }.map(\.key)
        guard !nodes.isEmpty else { return mayBeHere ? .here : nil }
        let usable = nodes.filter(peers.isUsable)
        let choice = (usable.isEmpty ? nodes : usable).sorted()
        return .node(choice[trip.turn % choice.count])
    }

    private func unserved(_ shard: Shard) -> ApusError {
        ApusError(
            .shardUnserved, "no node serves shard \(shard.number) now", hint: "apus status", context: ["shard": shard.id.description])
    }
}

extension ShardAnswers {
    fileprivate func isBetter(than other: ShardAnswers) -> Bool {
        failures.count == other.failures.count ? !isStale && other.isStale : failures.count < other.failures.count
    }
}

extension Shard {
    /// Throws like `table()`.
    fileprivate func asked(_ question: some ShardQuestion) throws(ApusError) -> AskedShard {
        let ids = question.ids
        if type(of: question).wantsPosition {
            let (points, rows, position) = try positioned(finding: ids)
            return AskedShard(shard: self, points: points, rows: rows, position: position)
        }
        return AskedShard(shard: self, points: try table().snapshot(), rows: [], position: nil)
    }
}
