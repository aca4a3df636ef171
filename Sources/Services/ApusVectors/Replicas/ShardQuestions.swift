internal import ApusEmbedding
public import ApusTypes
internal import ApusVectorIndex

/// The points that have the ids.
struct LookupQuestion: ShardQuestion {
    static let name = "lookup/1"
    static let isInteractive = true
    static let wantsPosition = true
    var ids: [PointID]
    var projection: Projection
    var isQuick: Bool { ids.count <= VectorService.piece }

    /// One for each id; nil for those that are not there.
    func answer(_ shard: AskedShard) -> [FoundPoint?] {
        shard.rows.map { row in
            row.map { FoundPoint(point: shard.points.point($0, projection), version: shard.points.version($0)) }
        }
    }
}

/// The same with some members of payloads alone.
struct MembersQuestion: ShardQuestion {
    static let name = "members/1"
    static let isInteractive = true
    static let wantsPosition = true
    var lookup: LookupQuestion
    var ids: [PointID] { lookup.ids }
    var isQuick: Bool { lookup.isQuick }

    func answer(_ shard: AskedShard) -> [FoundPoint?] { lookup.answer(shard) }
}

/// A point, and the number of the operation in its shard's log that wrote this version of it.
struct FoundPoint: Sendable, Hashable {
    var point: Point
    var version: Int64
}

/// How many points match.
struct CountQuestion: ShardQuestion {
    static let name = "count/1"
    static let wantsPosition = true
    var filter: Filter
    var isQuick: Bool { filter.isEverything }
    var weight: Int { max(1, filter.conditions) }

    func answer(_ shard: AskedShard) -> Int {
        if filter.isEverything { return shard.points.count }
        var count = 0
        shard.points.forEachMatch(of: filter) { _ in count += 1 }
        return count
    }
}

/// The points that match, and the place in the log as of which they do.
struct MatchQuestion: ShardQuestion {
    static let name = "match/1"
    static let wantsPosition = true
    var filter: Filter
    /// What matched at an earlier moment, of the same memory: only points written since are looked at then. Other nodes are not told.
    var earlier: PointMatches?
    var weight: Int { max(1, filter.conditions) }

    func answer(_ shard: AskedShard) -> MatchAnswer { MatchAnswer(shard.points.matches(filter, since: earlier)) }
}

struct MatchAnswer: Sendable {
    var ids: [PointID]
    /// Nil from another node.
    var here: PointMatches?

    init(_ matches: PointMatches) {
        ids = matches.ids
        here = matches
    }
}

/// The first points that match in the order of their ids.
struct PageQuestion: ShardQuestion {
    static let name = "page/1"
    static let isInteractive = true
    var start: PointID?
    var limit: Int
    var filter: Filter
    var weight: Int { max(1, filter.conditions) }

    func answer(_ shard: AskedShard) -> [VectorService.Ranked] {
        shard.points.firstRows(min(limit, shard.points.count), from: start, filter: filter).map {
            VectorService.Ranked(id: $0.id, score: 1, version: shard.points.version($0.row))
        }
    }
}

/// The first points in the order of a payload value, with a place for each value.
struct OrderQuestion: ShardQuestion {
    static let name = "order/1"
    var order: PointOrder
    var limit: Int
    var filter: Filter
    var weight: Int { max(1, filter.conditions) }

    func answer(_ shard: AskedShard) -> [VectorService.Ranked] {
        var best = Best<VectorService.Ranked>(limit, by: order.precedes)
        shard.points.forEachMatch(of: filter) { row in
            guard let payload = shard.points.payload(row) else { return }
            for value in order.values(of: payload) {
                best.offer(VectorService.Ranked(id: shard.points.id(row), score: 1, version: shard.points.version(row), order: value))
            }
        }
        return best.sorted
    }
}

/// A sample of the points that match: the smallest of random numbers are a fair one of any size.
struct SampleQuestion: ShardQuestion {
    static let name = "sample/1"
    var limit: Int
    var filter: Filter
    var weight: Int { max(1, filter.conditions) }

    func answer(_ shard: AskedShard) -> [SampledPoint] {
        var random = SystemRandomNumberGenerator()
        var best = Best<SampledPoint>(limit) { $0.number < $1.number }
        shard.points.forEachMatch(of: filter) { row in
            let ranked = VectorService.Ranked(id: shard.points.id(row), score: 1, version: shard.points.version(row))
            best.offer(SampledPoint(number: random.next(), ranked: ranked))
        }
        return best.sorted
    }
}

struct SampledPoint: Sendable {
    var number: UInt64
    var ranked: VectorService.Ranked
}

/// The best points by how they stand to examples: every point that matches is compared.
struct ExamplesQuestion: ShardQuestion {
    static let name = "examples/1"
    var field: Int
    var examples: ExampleQuery<VectorValue>
    var limit: Int
    var filter: Filter
    var weight: Int { max(1, filter.conditions) + examples.count }

    func answer(_ shard: AskedShard) -> [VectorService.Ranked] {
        guard shard.points.fields.indices.contains(field) else { return [] }
        let scorer = ExampleScorer(shard.points.fields[field], examples)
        var best = Best<VectorService.Ranked>(limit) { scorer.precedes($0, $1) }
        shard.points.forEachMatch(of: filter) { row in
            guard let value = shard.points.value(row, field: field), let score = scorer.score(value) else { return }
            best.offer(VectorService.Ranked(id: shard.points.id(row), score: score, version: shard.points.version(row)))
        }
        return best.sorted
    }
}

/// How many of the points that match have each value at a path; of values beyond `limit` none is begun.
struct FacetQuestion: ShardQuestion {
    static let name = "facet/1"
    var path: PayloadPath
    var filter: Filter
    var limit: Int
    var weight: Int { max(1, filter.conditions) }

    func answer(_ shard: AskedShard) -> [Scalar: Int] {
        var counts: [Scalar: Int] = [:]
        shard.points.forEachMatch(of: filter) { row in
            guard counts.count <= limit, let payload = shard.points.payload(row) else { return }
            for value in path.scalars(in: payload) { counts[value, default: 0] += 1 }
        }
        return counts
    }
}

/// How many points have a value of a kind at a path.
struct KindQuestion: ShardQuestion {
    static let name = "kind/1"
    var path: PayloadPath
    var kind: PayloadKind

    func answer(_ shard: AskedShard) -> Int { shard.points.count(with: kind, at: path) }
}

/// The groups that points belong to by a path. Of many points only these are kept, not their payloads.
struct GroupQuestion: ShardQuestion {
    static let name = "group/1"
    var ids: Set<PointID>
    var path: PayloadPath

    func answer(_ shard: AskedShard) -> [PointID: [Scalar]] {
        var groups: [PointID: [Scalar]] = [:]
        shard.points.forEachRow { row in
            let id = shard.points.id(row)
            if ids.contains(id), let payload = shard.points.payload(row) { groups[id] = path.groups(in: payload) }
        }
        return groups
    }
}

/// In how many vectors of a sparse field each place has a number.
struct FrequencyQuestion: ShardQuestion {
    static let name = "frequency/1"
    var field: Int
    var places: [UInt32]

    func answer(_ shard: AskedShard) -> Frequencies {
        let found = shard.points.frequencies(of: places, field: field)
        return Frequencies(vectors: found.vectors, counts: found.counts)
    }
}

struct Frequencies: Sendable {
    /// All that are in the field.
    var vectors: Int
    var counts: [Int]
}

/// The texts that hold words of a query, and what their scores depend on.
struct WordsQuestion: ShardQuestion {
    static let name = "words/1"
    var words: String
    var member: String
    var filter: Filter
    var weight: Int { max(1, filter.conditions) }

    func answer(_ shard: AskedShard) -> LexicalMatches<PointID> {
        let query = LexicalQuery(words)
        let text = PayloadText(member: member)
        var matches = LexicalMatches<PointID>(query)
        var counts = [UInt32](repeating: 0, count: query.words)
        shard.points.forEachRow { row in
            guard let payload = shard.points.payload(row) else { return }
            text.read(payload) { bytes in
                for index in counts.indices { counts[index] = 0 }
                let length = query.count(in: bytes, into: &counts)
                matches.add(shard.points.id(row), length: length, counts: counts) {
                    filter.isEverything || shard.points.matches(row, filter)
                }
            }
        }
        return matches
    }
}

/// The sum of all points' digests.
struct DigestQuestion: ShardQuestion {
    static let name = "digest/1"
    static let wantsPosition = true

    func answer(_ shard: AskedShard) -> PointsDigest { shard.points.digest }
}

/// How the shard stands.
struct DescriptionQuestion: ShardQuestion {
    static let name = "description/1"
    static let isInteractive = true
    let isQuick = true

    func answer(_ shard: AskedShard) -> ShardDescription { shard.shard.description }
}

// MARK: Between nodes

extension DigestQuestion {
    func write(to writer: inout WireWriter) {}
    init(from reader: inout WireReader) throws(ApusError) { self.init() }
}

extension DescriptionQuestion {
    func write(to writer: inout WireWriter) {}
    init(from reader: inout WireReader) throws(ApusError) { self.init() }
}

extension ShardDescription: WireValue {
    public func write(to writer: inout WireWriter) {
        writer.write(id, number, points, memory.bytes, applied, isLoaded, segments, unsealed)
    }

    public init(from reader: inout WireReader) throws(ApusError) {
        self.init(
            id: try reader.read(), number: try reader.read(), points: try reader.read(), memory: ByteCount(try reader.read(Int.self)),
            applied: try reader.read(), isLoaded: try reader.read(), segments: try reader.read(), unsealed: try reader.read())
    }
}

extension LookupQuestion {
    func write(to writer: inout WireWriter) { writer.write(ids, projection.rawValue) }
    init(from reader: inout WireReader) throws(ApusError) {
        self.init(ids: try reader.read(), projection: Projection(rawValue: try reader.read()))
    }
}

extension MembersQuestion {
    func write(to writer: inout WireWriter) {
        lookup.write(to: &writer)
        writer.write(lookup.projection.members ?? [])
    }
    init(from reader: inout WireReader) throws(ApusError) {
        lookup = try LookupQuestion(from: &reader)
        lookup.projection = lookup.projection.members(try reader.read([String].self))
    }
}

extension FoundPoint: WireValue {
    func write(to writer: inout WireWriter) { writer.write(point, version) }
    init(from reader: inout WireReader) throws(ApusError) { self.init(point: try reader.read(), version: try reader.read()) }
}

extension Point: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(id, vectors, payload) }
    public init(from reader: inout WireReader) throws(ApusError) {
        self.init(id: try reader.read(), vectors: try reader.read(), payload: try reader.read())
    }
}

extension CountQuestion {
    func write(to writer: inout WireWriter) { writer.write(filter) }
    init(from reader: inout WireReader) throws(ApusError) { self.init(filter: try reader.read()) }
}

extension MatchQuestion {
    func write(to writer: inout WireWriter) { writer.write(filter) }
    init(from reader: inout WireReader) throws(ApusError) { self.init(filter: try reader.read()) }
}

extension MatchAnswer: WireValue {
    func write(to writer: inout WireWriter) { writer.write(ids) }
    init(from reader: inout WireReader) throws(ApusError) { ids = try reader.read() }
}

extension PageQuestion {
    func write(to writer: inout WireWriter) { writer.write(start, limit, filter) }
    init(from reader: inout WireReader) throws(ApusError) {
        self.init(start: try reader.read(), limit: try reader.readLimit(), filter: try reader.read())
    }
}

extension VectorService.Ranked: WireValue {
    func write(to writer: inout WireWriter) { writer.write(id, score, version, order) }
    init(from reader: inout WireReader) throws(ApusError) {
        self.init(id: try reader.read(), score: try reader.read(), version: try reader.read(), order: try reader.read())
    }
}

extension OrderQuestion {
    func write(to writer: inout WireWriter) { writer.write(order.path, order.isDescending, order.start, limit, filter) }
    init(from reader: inout WireReader) throws(ApusError) {
        let order = PointOrder(path: try reader.read(), isDescending: try reader.read(), start: try reader.read())
        self.init(order: order, limit: try reader.readLimit(), filter: try reader.read())
    }
}

extension SampleQuestion {
    func write(to writer: inout WireWriter) { writer.write(limit, filter) }
    init(from reader: inout WireReader) throws(ApusError) { self.init(limit: try reader.readLimit(), filter: try reader.read()) }
}

extension SampledPoint: WireValue {
    func write(to writer: inout WireWriter) { writer.write(number, ranked) }
    init(from reader: inout WireReader) throws(ApusError) { self.init(number: try reader.read(), ranked: try reader.read()) }
}

extension ExamplesQuestion {
    func write(to writer: inout WireWriter) { writer.write(field, examples, limit, filter) }
    init(from reader: inout WireReader) throws(ApusError) {
        self.init(field: try reader.read(), examples: try reader.read(), limit: try reader.readLimit(), filter: try reader.read())
    }
}

extension FacetQuestion {
    func write(to writer: inout WireWriter) { writer.write(path, filter, limit) }
    init(from reader: inout WireReader) throws(ApusError) {
        self.init(path: try reader.read(), filter: try reader.read(), limit: try reader.readLimit())
    }
}

extension KindQuestion {
    func write(to writer: inout WireWriter) { writer.write(path, kind.rawValue) }
    init(from reader: inout WireReader) throws(ApusError) {
        let path: PayloadPath = try reader.read()
        let name: String = try reader.read()
        guard let kind = PayloadKind(rawValue: name) else { throw WireReader.invalid("there is no kind of value '\(name)'") }
        self.init(path: path, kind: kind)
    }
}

extension GroupQuestion {
    func write(to writer: inout WireWriter) { writer.write(ids, path) }
    init(from reader: inout WireReader) throws(ApusError) { self.init(ids: try reader.read(), path: try reader.read()) }
}

extension FrequencyQuestion {
    func write(to writer: inout WireWriter) { writer.write(field, places) }
    init(from reader: inout WireReader) throws(ApusError) { self.init(field: try reader.read(), places: try reader.read()) }
}

extension Frequencies: WireValue {
    func write(to writer: inout WireWriter) { writer.write(vectors, counts) }
    init(from reader: inout WireReader) throws(ApusError) { self.init(vectors: try reader.read(), counts: try reader.read()) }
}

extension WordsQuestion {
    func write(to writer: inout WireWriter) { writer.write(words, member, filter) }
    init(from reader: inout WireReader) throws(ApusError) {
        self.init(words: try reader.read(), member: try reader.read(), filter: try reader.read())
    }
}

extension WireReader {
    /// What a caller has checked not to be negative.
    mutating func readLimit() throws(ApusError) -> Int {
        let limit: Int = try read()
        guard limit >= 0 else { throw Self.invalid("a limit is negative") }
        return limit
    }
}
