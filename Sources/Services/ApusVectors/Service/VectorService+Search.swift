internal import ApusRuntime
public import ApusTypes
internal import ApusVectorIndex

extension VectorService {
    /// Less work than this (in numbers compared) is done where the request is, without a change of thread.
    private static let workInPlace = 1 << 17

    /// The nearest points that match. A shard that cannot answer is named in `missing`; throws only if none can.
    ///
    /// Throws `vector.wrong_dimension` and `vector.invalid`, `request.invalid` for a bad filter, threshold or limit.
    public func search(_ request: SearchRequest, in name: CollectionName, deadline: Instant) async throws -> SearchResult {
        let collection = try await find(name, deadline: deadline)
        try check(request, for: collection)
        let (asOf, isStale) = try await freshen(collection.shards, deadline: deadline)
        var answers: [(shard: Shard, view: ShardView)] = []
        var missing: [MissingShard] = []
        for shard in collection.shards {
            do throws(ApusError) {
                answers.append((shard, try shard.view()))
            } catch {
                missing.append(MissingShard(shard: shard.id, error: error))
            }
        }
        let query = NeighbourQuery(
            vector: request.vector, limit: request.limit, filter: request.filter, scoreThreshold: request.scoreThreshold,
            isExact: request.isExact)
        let started = clock.now
        let (tops, failures) = try await neighbours(of: query, in: answers.map(\.view.index), deadline: deadline)
        let trace = SearchTrace(answers.map(\.view), request, indexTime: started.duration(to: clock.now))
        for (answer, error) in failures { missing.append(MissingShard(shard: answers[answer].shard.id, error: error)) }
        if missing.count == collection.shards.count, let first = missing.first { throw first.error }

        let metric = collection.configuration.metric
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

    private func check(_ request: SearchRequest, for collection: LoadedCollection) throws(ApusError) {
        try collection.configuration.check(request.vector, field: "vector")
        try request.filter.validate()
        guard request.limit >= 0 else { throw ApusError(.requestInvalid, "'limit' cannot be negative", context: ["field": "limit"]) }
        if let threshold = request.scoreThreshold, threshold.isNaN {
            throw ApusError(.requestInvalid, "'score_threshold' is not a number", context: ["field": "score_threshold"])
        }
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

extension CollectionConfiguration {
    /// Throws `vector.wrong_dimension`, or `vector.invalid` naming the number at fault.
    func check(_ vector: [Float], field: String) throws(ApusError) {
        guard vector.count == dimension else {
            throw ApusError(
                .vectorWrongDimension, "vector dimension \(vector.count) does not match collection dimension \(dimension)",
                context: ["field": field, "expected": String(dimension), "actual": String(vector.count)])
        }
        if let index = firstNotFinite(vector) {
            throw ApusError(.vectorInvalid, "\(field)[\(index)] is not a finite number", context: ["field": "\(field)[\(index)]"])
        }
    }
}

extension SearchTrace {
    /// A scan compares every point of its snapshot, once.
    fileprivate init(_ views: [ShardView], _ request: SearchRequest, indexTime: Duration) {
        isExact = views.allSatisfy { $0.index is FlatIndex }
        compared = isExact ? request.limit > 0 ? views.reduce(0) { $0 + $1.snapshot.count } : 0 : nil
        self.indexTime = indexTime
    }
}
