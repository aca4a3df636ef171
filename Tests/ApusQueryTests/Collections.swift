import ApusTypes
import ApusVectorIndex

@testable import ApusQuery

/// Collections in memory, searched exactly. Remembers what it was asked.
final class Collections: PointCollections, @unchecked Sendable {  // one request at a time
    struct Asked: Equatable {
        var what: String
        var count: Int
        var parts: PointParts
    }

    private let facts: CollectionFacts
    private let stored: [FoundPoint]
    private(set) var asked: [Asked] = []
    /// Fails every search.
    var isIncomplete = false

    init(_ facts: CollectionFacts, _ points: [(id: String, vector: [Float], payload: String)]) throws {
        self.facts = facts
        stored = try points.map {
            FoundPoint(id: try PointID($0.id), payload: Array($0.payload.utf8), vectors: ["": $0.vector])
        }.sorted { $0.id < $1.id }
    }

    /// Articles, with lists, dates, nothing, and values of other types among their payloads.
    static func articles(provider: String? = "bm25") throws -> Collections {
        try Collections(
            CollectionFacts(
                name: "articles", description: "What was written", fields: [.init(name: "", dimension: 2, metric: .cosine)],
                provider: provider,
                providerField: provider.map { _ in "" }, indexes: ["author.name": "keyword", "written": "datetime", "tags": "keyword"]),
            [
                (
                    "1", [1, 0],
                    #"{"title":"north","product":1,"tags":["a","b"],"price":1.5,"written":"2026-01-02","author":{"name":"Ann"}}"#
                ),
                (
                    "2", [0.8, 0.6],
                    #"{"title":"south","product":2,"tags":["b"],"price":2,"written":"2026-03-01T10:00:00+01:00","author":{"name":"Bo"}}"#
                ),
                ("3", [0, 1], #"{"title":"east","product":1,"tags":"c","price":null,"draft":true,"author":{}}"#),
                ("4", [-1, 0], #"{"title":"west wind","product":3}"#),
                ("5", [0.6, 0.8], #"{"title":"no number","product":2,"price":7.25,"draft":false}"#),
            ])
    }

    private func note(_ what: String, _ points: [FoundPoint], _ parts: PointParts) -> [FoundPoint] {
        asked.append(Asked(what: what, count: points.count, parts: parts))
        return points.map { point in
            FoundPoint(
                id: point.id, score: point.score,
                payload: parts.members?.isEmpty == true
                    ? nil : point.payload.map { payload in parts.members.map { PayloadMembers.picked($0, of: payload) } ?? payload },
                vectors: parts.vectors ? point.vectors : [:])
        }
    }

    private func matching(_ filter: Filter) throws -> [FoundPoint] {
        try filter.validate()
        return stored.filter { point in
            (point.payload ?? []).withUnsafeBytes { filter.matches(id: point.id, payload: $0, hasVector: { point.vectors[$0] != nil }) }
        }
    }

    func names(deadline: Instant) async throws -> [String] { [facts.name] }

    func facts(of collection: String, deadline: Instant) async throws -> CollectionFacts {
        guard collection == facts.name else { throw ApusError(.collectionUnknown, "there is no collection '\(collection)'") }
        return facts
    }

    func search(
        _ collection: String, _ vector: [Float], field: String, limit: Int, filter: Filter, _ parts: PointParts, deadline: Instant
    ) async throws -> [FoundPoint] {
        if isIncomplete { throw ApusError(.searchIncomplete, "1 shard(s) did not answer") }
        let found = try matching(filter).map { point in
            var point = point
            point.score = zip(point.vectors[field] ?? [], vector).reduce(0) { $0 + $1.0 * $1.1 }
            return point
        }
        return note("search", Array(found.sorted { ($0.score ?? 0) > ($1.score ?? 0) }.prefix(limit)), parts)
    }

    func embed(_ text: String, for collection: String, deadline: Instant) async throws -> [Float] { text == "northern" ? [1, 0] : [0, 1] }

    func count(_ collection: String, matching filter: Filter, deadline: Instant) async throws -> Int {
        note("count", try matching(filter), PointParts()).count
    }

    func points(
        _ collection: String, matching filter: Filter, limit: Int, _ parts: PointParts, deadline: Instant
    ) async throws -> [FoundPoint] { note("points", Array(try matching(filter).prefix(limit)), parts) }

    func points(
        _ collection: String, by path: String, isDescending: Bool, matching filter: Filter, limit: Int, _ parts: PointParts,
        deadline: Instant
    ) async throws -> [FoundPoint] {
        let valued = try matching(filter).flatMap { point in
            PayloadPath(path).orderValues(in: point.payload ?? []).sorted().map { (point, $0) }
        }
        let sorted = valued.sorted { $0.1 == $1.1 ? $0.0.id < $1.0.id : isDescending ? $1.1 < $0.1 : $0.1 < $1.1 }
        return note("ordered", Array(sorted.prefix(limit).map(\.0)), parts)
    }

    func points(_ collection: String, _ ids: [PointID], _ parts: PointParts, deadline: Instant) async throws -> [FoundPoint] {
        note("ids", try matching(.hasID(Set(ids))), parts)
    }
}
