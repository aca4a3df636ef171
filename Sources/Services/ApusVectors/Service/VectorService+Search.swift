internal import ApusRuntime
public import ApusTypes
internal import ApusVectorIndex
internal import Glibc

extension VectorService {
    /// Less work than this (in numbers compared: some 0.2 ms) is done where the request is. A change of thread costs less only while a
    /// processor is idle.
    private static let workInPlace = 2 << 20

    /// The nearest points that match. A shard that cannot answer is named in `missing`; throws only if none can.
    ///
    /// Throws `vector.wrong_dimension` and `vector.invalid`, `request.invalid` for a bad filter, threshold or limit.
    public func search(_ request: SearchRequest, in name: CollectionName, deadline: Instant) async throws -> SearchResult {
        let collection = try await find(name, deadline: deadline)
        let field = try check(request, for: collection)
        let (asOf, isStale) = try await freshen(collection.shards, deadline: deadline)
        var answers: [(shard: Shard, view: ShardView)] = []
        var missing: [MissingShard] = []
        for shard in collection.shards {
            do throws(ApusError) {
                answers.append((shard, try shard.view(field: field)))
            } catch {
                missing.append(MissingShard(shard: shard.id, error: error))
            }
        }
        let query = NeighbourQuery(
            vector: try await weighted(request.vector, field, collection, answers.map(\.view.snapshot), deadline: deadline),
            limit: request.limit, filter: request.filter, scoreThreshold: request.scoreThreshold,
            isExact: request.isExact, candidates: request.candidates, recall: request.recall)
        let started = clock.now
        let (tops, failures) = try await neighbours(of: query, in: answers.map(\.view.index), deadline: deadline)
        let trace = SearchTrace(answers.map(\.view), request, indexTime: started.duration(to: clock.now))
        for (answer, error) in failures { missing.append(MissingShard(shard: answers[answer].shard.id, error: error)) }
        if missing.count == collection.shards.count, let first = missing.first { throw first.error }

        let metric = collection.configuration.fields[field].metric
        let merged = tops.flatMap { answer, found in found.map { (answer: answer, neighbour: $0) } }
            .sorted { $0.neighbour.precedes($1.neighbour, by: metric) }.prefix(request.limit)
        return SearchResult(
            hits: merged.map { answer, neighbour in
                let snapshot = answers[answer].view.snapshot
                return SearchHit(
                    score: neighbour.score, point: snapshot.point(neighbour.row, request.projection),
                    version: snapshot.version(neighbour.row))
            },
            missing: missing, asOf: asOf, isStale: isStale, trace: trace)
    }

    /// A sparse query with each number weighed by how rare its place is among all points that answer (Robertson and Spärck Jones's idf, as
    /// BM25 has it), where the field wants that.
    func weighted(
        _ vector: VectorValue, _ field: Int, _ collection: LoadedCollection, _ snapshots: [PointSnapshot], deadline: Instant
    ) async throws -> VectorValue {
        guard case .sparse(idf: true) = collection.configuration.fields[field].kind, case .sparse(let query) = vector else { return vector }
        let found = try await eachInPool(snapshots, deadline: deadline) { $0.frequencies(of: query.indices, field: field) }
        let vectors = Double(found.reduce(0) { $0 + $1.vectors })
        let weights = query.indices.indices.map { place in
            let count = Double(found.reduce(0) { $0 + $1.counts[place] })
            return Float(log1p((vectors - count + 0.5) / (count + 0.5)))
        }
        return .sparse(SparseVector(indices: query.indices, values: zip(query.values, weights).map(*)))
    }

    /// Gives the number of the field that is searched.
    private func check(_ request: SearchRequest, for collection: LoadedCollection) throws(ApusError) -> Int {
        let field = try collection.configuration.fieldNumber(request.field)
        try collection.configuration.fields[field].check(query: request.vector, at: "vector")
        try request.filter.validate()
        guard request.limit >= 0 else { throw ApusError(.requestInvalid, "'limit' cannot be negative", context: ["field": "limit"]) }
        if let threshold = request.scoreThreshold, threshold.isNaN {
            throw ApusError(.requestInvalid, "'score_threshold' is not a number", context: ["field": "score_threshold"])
        }
        return field
    }

    /// Asks each index, in parts that run at the same time. Gives what was found by index, and the indexes that failed.
    private func neighbours(
        of query: NeighbourQuery, in indexes: [any NeighbourIndex], deadline: Instant
    ) async throws -> (found: [(Int, [Neighbour])], failures: [Int: ApusError]) {
        if indexes.reduce(0, { $0 + $1.work(of: query) }) <= Self.workInPlace {
            return (indexes.enumerated().map { ($0.offset, $0.element.neighbours(of: query, part: 0, of: 1)) }, [:])
        }
        let threads = max(1, options.threadsPerSearch / indexes.count)
        return await withTaskGroup(of: (Int, Result<[Neighbour], any Error>).self) { group in
            for (number, index) in indexes.enumerated() {
                let parts = index.parts(atMost: threads)
                for part in 0..<parts {
                    group.addTask { [pool] in
                        do {
                            return (
                                number,
                                .success(try await pool.run(deadline: deadline) { index.neighbours(of: query, part: part, of: parts) })
                            )
                        } catch {
                            return (number, .failure(error))
                        }
                    }
                }
            }
            var found: [(Int, [Neighbour])] = []
            var failures: [Int: ApusError] = [:]
            for await (number, result) in group {
                switch result {
                case .success(let neighbours): found.append((number, neighbours))
                case .failure(let error):
                    failures[number] = error as? ApusError ?? ApusError(.deadlineExceeded, "the search was given up", cause: error)
                }
            }
            // Half of a shard's answer is none.
            return (found.filter { failures[$0.0] == nil }, failures)
        }
    }
}

extension SearchTrace {
    /// How many points a walk of graphs compares is not counted.
    fileprivate init(_ views: [ShardView], _ request: SearchRequest, indexTime: Duration) {
        isExact = request.isExact || views.allSatisfy { $0.snapshot.segments.isEmpty }
        compared = isExact ? request.limit > 0 ? views.reduce(0) { $0 + $1.snapshot.count } : 0 : nil
        self.indexTime = indexTime
    }
}
