public import ApusTypes
internal import ApusVectorIndex

/// A search of some shards of one node.
struct SearchMessage: WireValue {
    var shards: ShardList
    var search: ShardSearch

    init(_ shards: ShardList, _ search: ShardSearch) {
        self.shards = shards
        self.search = search
    }

    func write(to writer: inout WireWriter) { writer.write(shards, search) }

    init(from reader: inout WireReader) throws(ApusError) {
        shards = try reader.read()
        search = try reader.read()
    }
}

/// What a shard is searched for.
struct ShardSearch: Sendable {
    /// Number of the field.
    var field: Int
    var query: NeighbourQuery
    var projection: Projection
}

/// What a search found in the shards of one node.
struct SearchPart: Sendable {
    /// The best of all of them, nearest first.
    var hits: [SearchHit] = []
    /// Points that were compared; nil where an index does not count them.
    var compared: Int?
    var isExact = false
}

extension ShardSearch: WireValue {
    func write(to writer: inout WireWriter) {
        writer.write(
            field, projection.rawValue, query.vector, query.limit, query.filter, query.scoreThreshold, query.isExact, query.candidates,
            query.recall)
    }

    init(from reader: inout WireReader) throws(ApusError) {
        field = try reader.read()
        projection = Projection(rawValue: try reader.read())
        query = NeighbourQuery(
            vector: try reader.read(), limit: try reader.readLimit(), filter: try reader.read(), scoreThreshold: try reader.read(),
            isExact: try reader.read(), candidates: try reader.read(), recall: try reader.read())
    }
}

extension SearchPart: WireValue {
    func write(to writer: inout WireWriter) { writer.write(hits, compared, isExact) }

    init(from reader: inout WireReader) throws(ApusError) {
        hits = try reader.read()
        compared = try reader.read()
        isExact = try reader.read()
    }
}

extension SearchHit: WireValue {
    public func write(to writer: inout WireWriter) { writer.write(score, point, version) }

    public init(from reader: inout WireReader) throws(ApusError) {
        self.init(score: try reader.read(), point: try reader.read(), version: try reader.read())
    }
}
