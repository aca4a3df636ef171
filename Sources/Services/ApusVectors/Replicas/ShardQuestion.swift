internal import ApusCatalog
internal import ApusTypes
internal import ApusVectorIndex

/// What can be asked of one shard wherever it is served.
protocol ShardQuestion: WireValue {
    associatedtype Answer: WireValue

    /// Names the question between nodes; another form of it has another name.
    static var name: String { get }
    /// Whether the answer comes with its place in the log. Reading it waits for a write under way.
    static var wantsPosition: Bool { get }
    /// Whether a person waits for the answer, which takes no longer than a search.
    static var isInteractive: Bool { get }
    /// Points whose rows the answer needs.
    var ids: [PointID] { get }
    /// Whether the answer takes less than a change of thread does; others are found in a pool of threads where there is much to read.
    var isQuick: Bool { get }
    /// With about how much each point is compared.
    var weight: Int { get }

    func answer(_ shard: AskedShard) -> Answer
}

extension ShardQuestion {
    static var wantsPosition: Bool { false }
    static var isInteractive: Bool { false }
    var ids: [PointID] { [] }
    var isQuick: Bool { false }
    var weight: Int { 1 }
}

/// What a question is answered from.
struct AskedShard: Sendable {
    let shard: Shard
    let points: PointSnapshot
    /// Of each of the question's ids; nil for those that are not there.
    let rows: [UInt32?]
    let position: LogPosition?
}

/// What a shard answered.
struct ShardAnswer<Answer: Sendable>: Sendable {
    var shard: ShardID
    var answer: Answer
    /// Of the points that were asked; only for questions that want it.
    var position: LogPosition?
}

/// What came back from some shards. Those that are in neither list were not asked.
struct ShardAnswers<Answer: Sendable>: Sendable {
    var answers: [Answer] = []
    var failures: [ShardID: ApusError] = [:]
    /// The oldest moment at which one that answered was known to be up to date with the catalog; nil where none did.
    var asOf: Instant?
    /// Whether that is too long ago.
    var isStale = false

    init() {}

    init(allOf shards: [Shard], failedWith error: ApusError) {
        failures = Dictionary(shards.lazy.map { ($0.id, error) }, uniquingKeysWith: { first, _ in first })
    }

    /// With those of other shards.
    mutating func add(_ others: ShardAnswers) {
        answers += others.answers
        failures.merge(others.failures) { $1 }
        if let other = others.asOf { asOf = asOf.map { min($0, other) } ?? other }
        isStale = isStale || others.isStale
    }
}

// MARK: Between nodes

/// Shards of a collection, as one node names them to another, which may not have heard of the collection yet.
struct ShardList: WireValue {
    var collection: CollectionID
    var name: CollectionName
    var shards: [ShardID]

    init(_ collection: LoadedCollection, _ shards: [Shard]) {
        self.collection = collection.id
        name = collection.name
        self.shards = shards.map(\.id)
    }

    func write(to writer: inout WireWriter) { writer.write(collection, name, shards) }

    init(from reader: inout WireReader) throws(ApusError) {
        collection = try reader.read()
        name = try reader.read()
        shards = try reader.read()
    }
}

/// A question of some shards of one node.
struct QuestionMessage: WireValue {
    var shards: ShardList
    /// Whether the answers have to show all that was in the logs when this arrives.
    var isCurrent: Bool
    var question: String
    /// A question for each shard.
    var bodies: [[UInt8]]

    init(_ shards: ShardList, isCurrent: Bool, question: String, bodies: [[UInt8]]) {
        self.shards = shards
        self.isCurrent = isCurrent
        self.question = question
        self.bodies = bodies
    }

    func write(to writer: inout WireWriter) { writer.write(shards, isCurrent, question, bodies) }

    init(from reader: inout WireReader) throws(ApusError) {
        shards = try reader.read()
        isCurrent = try reader.read()
        question = try reader.read()
        bodies = try reader.read()
        guard bodies.count == shards.shards.count else { throw WireReader.invalid("there is not one question for each shard") }
    }
}

/// Answers on their way. Instants mean nothing elsewhere, so it is said how long ago they are.
struct AnswersMessage<Answer: WireValue>: WireValue {
    var answers: [Answer]
    var failures: [ShardID: ApusError]
    var age: Int64?
    var isStale: Bool

    init(_ answers: ShardAnswers<Answer>, at now: Instant) {
        self.answers = answers.answers
        failures = answers.failures
        age = answers.asOf?.duration(to: now).nanoseconds
        isStale = answers.isStale
    }

    /// As they are here, for a question that was asked at `sent`.
    func received(sent: Instant) -> ShardAnswers<Answer> {
        var answers = ShardAnswers<Answer>()
        answers.answers = self.answers
        answers.failures = failures
        answers.asOf = age.map { sent.advanced(by: .nanoseconds(-max(0, $0))) }
        answers.isStale = isStale
        return answers
    }

    func write(to writer: inout WireWriter) { writer.write(answers, failures, age, isStale) }

    init(from reader: inout WireReader) throws(ApusError) {
        answers = try reader.read()
        failures = try reader.read()
        age = try reader.read()
        isStale = try reader.read()
    }
}

extension ShardAnswer: WireValue where Answer: WireValue {
    func write(to writer: inout WireWriter) { writer.write(shard, answer, position) }

    init(from reader: inout WireReader) throws(ApusError) {
        self.init(shard: try reader.read(), answer: try reader.read(), position: try reader.read())
    }
}
