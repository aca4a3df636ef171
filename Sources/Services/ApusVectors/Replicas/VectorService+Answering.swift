internal import ApusCatalog
internal import ApusRuntime
public import ApusTypes
internal import ApusVectorIndex

/// What nodes ask each other about vectors. Another form of a message is another method.
enum PeerMethod: String, CaseIterable {
    case ask = "shards.ask/1"
    case search = "shards.search/1"
    case tell = "shards.tell/1"
    case progress = "shards.progress/1"
}

extension VectorService {
    /// The methods that `answer` knows.
    public static let peerMethods = PeerMethod.allCases.map(\.rawValue)

    /// Answers another node.
    public func answer(_ method: String, _ message: [UInt8], deadline: Instant) async throws -> [UInt8] {
        switch PeerMethod(rawValue: method) {
        case .ask: return try await answer(QuestionMessage(wireBytes: message), deadline: deadline)
        case .search:
            let message = try SearchMessage(wireBytes: message)
            let (collection, shards, unknown) = try await known(message.shards, deadline: deadline)
            var found = try await searchHere(message.search, collection, shards, deadline: deadline)
            found.failures.merge(unknown) { $1 }
            note(found.failures)
            return AnswersMessage(found, at: clock.now).wireBytes
        case .tell: return try await hear(TellMessage(wireBytes: message), deadline: deadline).wireBytes
        case .progress: return try await answer(ProgressMessage(wireBytes: message), deadline: deadline).wireBytes
        case nil:
            throw ApusError(.methodUnknown, "this node does not know the call \(method)", hint: "apus status tells the nodes' versions")
        }
    }

    /// A shard that could not be asked. One that has moved is asked for elsewhere.
    private func note(_ failures: [ShardID: ApusError]) {
        for (shard, error) in failures where ![.shardElsewhere, .shardUnserved, .nodeDraining].contains(error.code) {
            log.failure("a shard was not answered for", status: error.code.surface.http, ["shard": shard.description, "error": "\(error)"])
        }
    }

    private func answer(_ message: QuestionMessage, deadline: Instant) async throws -> [UInt8] {
        func answer<Question: ShardQuestion>(_: Question.Type) async throws -> [UInt8] {
            var questions: [ShardID: Question] = [:]
            for (shard, body) in zip(message.shards.shards, message.bodies) { questions[shard] = try Question(wireBytes: body) }
            let (_, shards, unknown) = try await known(message.shards, deadline: deadline)
            let asked = shards.filter { questions[$0.id] != nil }
            var found = try await askHere(asked, isCurrent: message.isCurrent, deadline: deadline) { [questions] in questions[$0.id]! }
            found.failures.merge(unknown) { $1 }
            note(found.failures)
            return AnswersMessage(found, at: clock.now).wireBytes
        }
        for question in Self.questions where question.name == message.question { return try await answer(question) }
        throw ApusError(
            .methodUnknown, "this node does not know the question \(message.question)", hint: "apus status tells the nodes' versions")
    }

    private static let questions: [any ShardQuestion.Type] = [
        LookupQuestion.self, MembersQuestion.self, CountQuestion.self, MatchQuestion.self, PageQuestion.self, OrderQuestion.self,
        SampleQuestion.self,
        ExamplesQuestion.self, FacetQuestion.self, KindQuestion.self, GroupQuestion.self, FrequencyQuestion.self, WordsQuestion.self,
        DigestQuestion.self,
        DescriptionQuestion.self,
    ]

    /// The shards that another node names, and errors for those that are not here. `areAsked`: they have to be served, so where they are not it is
    /// looked in the catalog whether they are by now.
    func known(
        _ list: ShardList, areAsked: Bool = true, deadline: Instant
    ) async throws -> (collection: LoadedCollection, shards: [Shard], unknown: [ShardID: ApusError]) {
        let collection = try await find(list.name, deadline: deadline)  // the other node has judged the caller
        guard collection.id == list.collection else { throw Self.unknown(list.name) }
        let wanted = Set(list.shards)
        if areAsked, collection.shards.contains(where: { wanted.contains($0.id) && !$0.isServed }) {
            try await readReplicas(of: collection, deadline: deadline)
        }
        let shards = collection.shards.filter { wanted.contains($0.id) }
        let unknown = wanted.subtracting(shards.map(\.id)).map { ($0, ApusError(.shardUnknown, "there is no shard \($0)")) }
        return (collection, shards, Dictionary(unknown, uniquingKeysWith: { first, _ in first }))
    }

    /// Has another node answer for its shards.
    func call<Answer: WireValue>(
        _ node: NodeName, _ method: PeerMethod, _ message: some WireValue, deadline: Instant
    ) async throws -> ShardAnswers<Answer> {
        guard let peers else { throw ApusError(.peerUnavailable, "this node has no peers") }
        let sent = clock.now
        let reply = try await peers.call(node, method.rawValue, message.wireBytes, deadline: deadline)
        return try AnswersMessage<Answer>(wireBytes: reply).received(sent: sent)
    }

    // MARK: Who serves what

    /// Reads from the catalog who serves a collection's shards; leaves it at what is known where the catalog does not answer.
    func readReplicas(of collection: LoadedCollection, deadline: Instant) async throws {
        guard peers != nil, !isCatalogAway else { return }
        do {
            let soon = min(deadline, clock.now.advanced(by: .seconds(1)))
            adopt(try await catalog.shards.list(of: collection.id, deadline: soon), for: collection.shards)
        } catch let error as ApusError where error.retry != .never {
            return
        }
    }

    /// Takes over what the catalog says of the replicas of these shards.
    func adopt(_ rows: [ShardRow], for shards: [Shard]) {
        guard peers != nil else { return }
        let byID = Dictionary(rows.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for shard in shards {
            guard let row = byID[shard.id] else { continue }
            shard.adopt(ReplicaMap(row), beginning: .beginning(of: catalog.incarnation))
        }
        wake.rise(by: 1)
    }
}
