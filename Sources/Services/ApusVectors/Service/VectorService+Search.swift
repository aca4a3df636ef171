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
        let search = ShardSearch(
            field: field,
            query: NeighbourQuery(
                vector: try await weighted(request.vector, field, collection, deadline: deadline), limit: request.limit,
                filter: request.filter, scoreThreshold: request.scoreThreshold, isExact: request.isExact, candidates: request.candidates,
                recall: request.recall),
            projection: request.projection)
        let started = clock.now
        let found = try await scatter(collection, collection.shards, deadline: deadline) { place, shards in
            switch place {
            case .here: try await self.searchHere(search, collection, shards, deadline: deadline)
            case .node(let node):
                try await self.call(
                    node, .search, SearchMessage(ShardList(collection, shards), search),
                    deadline: min(deadline, self.clock.now.advanced(by: self.options.peerPatience)))
            }
        }
        if found.failures.count == collection.shards.count, let first = found.failures.min(by: { $0.key < $1.key }) { throw first.value }
        return SearchResult(
            hits: found.hits(request.limit, collection.configuration.fields[field].metric),
            missing: found.missing, asOf: found.asOf ?? started, isStale: found.isStale,
            trace: SearchTrace(
                compared: found.answers.reduce(0) { sum, part in sum.flatMap { sum in part.compared.map { sum + $0 } } },
                isExact: found.answers.allSatisfy(\.isExact), indexTime: started.duration(to: clock.now)))
    }

    /// Searches this node's own replicas.
    func searchHere(
        _ search: ShardSearch, _ collection: LoadedCollection, _ shards: [Shard], deadline: Instant
    ) async throws -> ShardAnswers<SearchPart> {
        guard collection.configuration.fields.indices.contains(search.field) else { throw WireReader.invalid("there is no such field") }
        var found = ShardAnswers<SearchPart>()
        let (asOf, isStale) = try await freshen(shards, deadline: deadline)
        var views: [(shard: Shard, view: ShardView)] = []
        for shard in shards {
            do throws(ApusError) {
                views.append((shard, try shard.view(field: search.field)))
            } catch {
                found.failures[shard.id] = error
            }
        }
        guard !views.isEmpty else { return found }
        (found.asOf, found.isStale) = (asOf, isStale)
        let (tops, failures) = try await neighbours(of: search.query, in: views.map(\.view), deadline: deadline)
        for (number, error) in failures { found.failures[views[number].shard.id] = error }
        let metric = collection.configuration.fields[search.field].metric
        let merged = tops.flatMap { number, found in found.map { (number: number, neighbour: $0) } }
            .sorted { $0.neighbour.precedes($1.neighbour, by: metric) }.prefix(search.query.limit)
        let hits = merged.map { number, neighbour in
            let snapshot = views[number].view.snapshot
            return SearchHit(
                score: neighbour.score, point: snapshot.point(neighbour.row, search.projection), version: snapshot.version(neighbour.row))
        }
        // How many points a walk of graphs compares is not counted.
        let isExact = search.query.isExact || views.allSatisfy { $0.view.snapshot.segments.isEmpty }
        let compared = search.query.limit > 0 ? views.reduce(0) { $0 + $1.view.snapshot.count } : 0
        found.answers = [SearchPart(hits: hits, compared: isExact ? compared : nil, isExact: isExact)]
        return found
    }

    /// A sparse query with each number weighed by how rare its place is among all points that answer (Robertson and Spärck Jones's idf, as
    /// BM25 has it), where the field wants that.
    func weighted(_ vector: VectorValue, _ field: Int, _ collection: LoadedCollection, deadline: Instant) async throws -> VectorValue {
        guard case .sparse(idf: true) = collection.configuration.fields[field].kind, case .sparse(let query) = vector else { return vector }
        let found = try await askAny(collection, deadline: deadline) { _ in FrequencyQuestion(field: field, places: query.indices) }
        let vectors = Double(found.answers.reduce(0) { $0 + $1.answer.vectors })
        let weights = query.indices.indices.map { place in
            let count = Double(found.answers.reduce(0) { $0 + $1.answer.counts[place] })
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

    /// Asks each shard, in parts that run at the same time. Gives what was found by shard, and the shards that failed.
    private func neighbours(
        of query: NeighbourQuery, in views: [ShardView], deadline: Instant
    ) async throws -> (found: [(Int, [Neighbour])], failures: [Int: ApusError]) {
        if views.reduce(0, { $0 + $1.index.work(of: query) }) <= Self.workInPlace {
            return (views.enumerated().map { ($0.offset, $0.element.index.neighbours(of: query, part: 0, of: 1)) }, [:])
        }
        let threads = max(1, options.threadsPerSearch / views.count)
        return await withTaskGroup(of: (Int, Result<[Neighbour], any Error>).self) { group in
            for (number, view) in views.enumerated() {
                let (index, snapshot) = (view.index, view.snapshot)
                let parts = index.parts(atMost: threads)
                for part in 0..<parts {
                    group.addTask { [pool] in
                        do {
                            return (
                                number,
                                .success(try await pool.run(deadline: deadline) { index.neighbours(of: query, part: part, of: parts) })
                            )
                        } catch {
                            snapshot.abandon()  // the pool's thread goes on until it sees that
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

extension ShardAnswers {
    /// Shards that did not answer, in their order.
    var missing: [MissingShard] { failures.sorted { $0.key < $1.key }.map { MissingShard(shard: $0.key, error: $0.value) } }
}

extension ShardAnswers<SearchPart> {
    /// The best of all parts.
    fileprivate func hits(_ limit: Int, _ metric: Metric) -> [SearchHit] {
        if answers.count == 1 { return answers[0].hits }
        return Array(answers.flatMap(\.hits).sorted { $0.precedes($1, by: metric) }.prefix(limit))
    }
}

extension SearchHit {
    fileprivate func precedes(_ other: SearchHit, by metric: Metric) -> Bool {
        score == other.score ? point.id < other.point.id : metric.isNearer(score, than: other.score)
    }
}
