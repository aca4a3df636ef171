internal import CVectorGraph

/// The nearest points of one segment.
///
/// Chooses by cost: walks the graph where there is one, walks it looking only for rows that match, or compares the query with the rows that
/// match alone. A walk that finds too little for what it costs is given up for the comparison, so that `limit` points are found whenever so
/// many match. Measured on 117,659 rows: comparing is the better where fewer than some 7,000 rows match, and one distance of a walk costs as
/// much as two of a comparison.
struct SegmentIndex {
    static let comparedRows = 7000
    /// Of the neighbours that there are, how many are to be found where nobody says.
    static let recall: Float = 0.98
    static let candidates = 400

    let part: SealedRows
    /// The snapshot's number of the segment's first row.
    let first: UInt32
    let snapshot: PointSnapshot
    let number: Int
    let kernel: DistanceKernel

    private let segment: Segment
    private let field: SegmentField
    private var moment: UInt64 { snapshot.exactMoment }

    init(_ part: SealedRows, first: UInt32, of snapshot: PointSnapshot, field number: Int, kernel: DistanceKernel) {
        self.part = part
        self.first = first
        self.snapshot = snapshot
        self.number = number
        self.kernel = kernel
        segment = part.segment
        field = segment.field(number)
    }

    func work(of query: NeighbourQuery) -> Int {
        let known = query.filter.isEverything ? nil : segment.filters[query.filter]?.rows
        let filtering = known == nil ? query.work(filtering: segment.count) : 0
        if let lists = field.sparseLists, case .sparse(let vector) = query.vector {
            return field.count + 16 * (lists.entries(of: vector) + 32 * vector.indices.count) + filtering
        }
        let all = query.work(comparing: field.count, numbers: field.numbers)
        guard isWalked(query) else { return all + filtering }
        guard let known else { return walk(candidates(for: query)) + filtering }
        return max(walk(candidates(for: query)), 2 * known.count * (field.description.dimension ?? 0))
    }

    /// What a walk takes that keeps so many candidates, in numbers compared. Some 12 codes are looked at for each, as measured; each takes as
    /// long as two comparisons of all numbers that lie one after another. And each moves those behind it in the order of candidates.
    private func walk(_ candidates: Int) -> Int {
        (300 + 12 * candidates) * (field.description.dimension ?? 0) * 2 + 2 * candidates * candidates
    }

    /// How many candidates it comes to. What stops by itself looks at as many codes as if it kept few more than are wanted.
    private func candidates(for query: NeighbourQuery) -> Int {
        max(query.limit + 48, min(query.candidates ?? 0, NeighbourQuery.mostCandidates, field.count))
    }

    /// Whether the graph is walked. So many candidates, or results, may be wanted that comparing with all takes less.
    private func isWalked(_ query: NeighbourQuery) -> Bool {
        guard !query.isExact, field.graph != nil, query.limit < field.count / 4, case .dense = query.vector else { return false }
        let candidates = candidates(for: query)
        return candidates <= Self.candidates || walk(candidates) <= field.numbers
    }

    func neighbours(of query: NeighbourQuery) -> [Neighbour] {
        guard query.limit > 0, field.count > 0 else { return [] }
        let scorer = RowScorer(field.description, query.vector, kernel)
        guard isWalked(query), let vector = scorer.dense, isInRange(vector) else {
            return compared(query, scorer)
        }
        return ScratchPool.shared.with(rows: field.count) { scratch in
            withLongRows(scored(walked(query, vector, scratch), query, scorer), query, scorer)
        }
    }

    /// Whether distances by codes stay within a float's range.
    private func isInRange(_ vector: [Float]) -> Bool {
        field.description.metric == .cosine || vector.reduce(0) { $0 + $1 * $1 } < 1e30
    }

    // MARK: By the graph

    /// Places in the field's tables.
    private func walked(_ query: NeighbourQuery, _ vector: [Float], _ scratch: GraphScratch) -> [VectorGraph.Found] {
        guard let graph = field.graph, let codes = field.codes else { return [] }
        var effort = VectorGraph.Effort(
            candidates: max(min(query.candidates ?? Self.candidates, NeighbourQuery.mostCandidates, field.count), query.limit + 32),
            slack: field.calibration.slack(for: query.recall ?? Self.recall))
        if query.candidates != nil { effort.slack = nil }
        if let bound = query.bound { effort.bound = codes.coding.metric.distance(ofScore: bound) }
        effort.rescored = max(field.calibration.rescored, query.limit + query.limit / 4)
        func walk(_ effort: VectorGraph.Effort, _ acceptance: Acceptance?) -> [VectorGraph.Found]? {
            graph.nearest(
                to: vector, limit: query.limit, codes: codes, better: field.fineCodes, effort: effort, scratch: scratch,
                accepting: acceptance)
        }
        func compare(_ rows: [UInt32]) -> [VectorGraph.Found] {
            codes.nearest(
                to: vector, among: rows, limit: query.limit, better: field.fineCodes, wanted: effort.rescored, scratch: scratch)
        }
        func lives(_ index: UInt32) -> Bool { part.lives(Int(field.row(Int(index))), at: moment) }

        if query.filter.isEverything {
            if !part.hasDeaths { return walk(effort, nil) ?? [] }
            // The dead often lie together, and fill the pool of a query among them.
            widen(&effort, Double(part.living) / Double(part.count) / 2)
            if let found = walk(effort, Acceptance(lives)), found.count >= query.limit { return found }
            return compare((0..<UInt32(field.count)).filter(lives))
        }
        let known = segment.estimate(query.filter)
        if known.rows == nil, known.share > 0.2 {
            // Many match: only those that are near are asked.
            widen(&effort, known.share)
            effort.budget = field.count / 4
            let found = walk(
                effort,
                Acceptance { index in
                    let row = Int(field.row(Int(index)))
                    return !snapshot.isAbandoned && lives(index) && segment.matches(row, query.filter, known)
                })
            if let found, found.count >= query.limit { return found }
        }
        let rows = known.rows ?? segment.matching(query.filter, until: snapshot.stops)
        if rows.count > Self.comparedRows {
            widen(&effort, Double(rows.count) / Double(segment.count))
            effort.budget = rows.count / 2
            let found = walk(effort, Acceptance { lives($0) && rows.contains(Int(field.row(Int($0)))) })
            if let found, found.count >= query.limit { return found }
        }
        var indices: [UInt32] = []
        indices.reserveCapacity(rows.count)
        rows.forEach { row in if part.lives(row, at: moment), let index = field.index(of: row) { indices.append(UInt32(index)) } }
        return compare(indices)
    }

    /// The fewer match, the more candidates are needed to come by enough of them.
    private func widen(_ effort: inout VectorGraph.Effort, _ share: Double) {
        // Where no slack ends the search all of them are kept in order.
        let most = effort.slack == nil ? max(effort.candidates, NeighbourQuery.mostCandidates) : field.count
        effort.candidates = min(field.count, most, max(effort.candidates, Int(Double(Self.candidates) / max(share, 0.02))))
    }

    /// The nearest of them, with their exact scores.
    private func scored(_ found: [VectorGraph.Found], _ query: NeighbourQuery, _ scorer: RowScorer) -> [Neighbour] {
        let metric = field.description.metric
        // They lie anywhere in the file: all are on their way before the first is needed.
        for point in found.prefix(query.limit + 2) {
            field.prefetch(Int(point.row))
            segment.ids.prefetch(Int(field.row(Int(point.row))))
        }
        let settled = found.settled(query.limit, metric) { exactScore(Int($0), scorer) }
        var neighbours: [Neighbour] = []
        neighbours.reserveCapacity(settled.count)
        for point in settled {
            if let threshold = query.scoreThreshold, !metric.passes(point.score, threshold: threshold) { continue }
            let row = field.row(Int(point.row))
            neighbours.append(Neighbour(id: segment.ids[Int(row)], score: point.score, row: first + row))
        }
        return neighbours.sorted { $0.precedes($1, by: metric) }
    }

    /// With the rows that the graph does not know as they are.
    private func withLongRows(_ found: [Neighbour], _ query: NeighbourQuery, _ scorer: RowScorer) -> [Neighbour] {
        guard !field.longRows.isEmpty else { return found }
        let metric = field.description.metric
        var top = TopNeighbours(limit: query.limit, metric: metric)
        found.forEach { top.offer($0) }
        let known = query.filter.isEverything ? nil : segment.estimate(query.filter)
        for index in field.longRows {
            let row = Int(field.row(Int(index))), score = exactScore(Int(index), scorer)
            if let threshold = query.scoreThreshold, !metric.passes(score, threshold: threshold) { continue }
            guard part.lives(row, at: moment), known.map({ segment.matches(row, query.filter, $0) }) ?? true,
                !found.contains(where: { $0.row == first + UInt32(row) })
            else { continue }
            top.offer(Neighbour(id: segment.ids[row], score: score, row: first + UInt32(row)))
        }
        return top.sorted()
    }

    private func exactScore(_ index: Int, _ scorer: RowScorer) -> Float {
        var score: Float = .nan
        exactScores(index, 1, scorer, into: &score)
        return score
    }

    /// Of dense vectors that lie together, from `index` on.
    private func exactScores(_ index: Int, _ count: Int, _ scorer: RowScorer, into out: UnsafeMutablePointer<Float>) {
        guard let originals = field.originals, let dimension = field.description.dimension else { return }
        scorer.scores(
            originals.assumingMemoryBound(to: Float.self).baseAddress! + index * dimension, stride: dimension,
            scales: field.scales.map { $0.assumingMemoryBound(to: Float.self).baseAddress! + index }, count: count, into: out)  // not empty
    }

    // MARK: By comparing with all

    private func compared(_ query: NeighbourQuery, _ scorer: RowScorer) -> [Neighbour] {
        let metric = field.description.metric
        let filter = query.filter.isEverything ? nil : query.filter
        let known = filter.map(segment.estimate)
        var top = TopNeighbours(limit: query.limit, metric: metric)
        var worst: Float?
        func offer(_ row: Int, _ score: Float) {
            if score.isNaN || snapshot.isAbandoned { return }
            if let worst, metric.isNearer(worst, than: score) { return }
            if let threshold = query.scoreThreshold, !metric.passes(score, threshold: threshold) { return }
            guard part.lives(row, at: moment) else { return }
            if let filter, let known, !segment.matches(row, filter, known) { return }
            top.offer(Neighbour(id: segment.ids[row], score: score, row: first + UInt32(row)))
            worst = top.worstScore
        }
        if let lists = field.sparseLists, let vector = scorer.sparse {
            let (vectors, products) = lists.products(with: vector)
            vectors.forEach { offer(Int(field.row($0)), products[$0]) }
            return top.sorted()
        }
        if let rows = known?.rows, rows.count < field.count / 4, field.originals != nil {
            rows.forEach { row in if !snapshot.isAbandoned, let index = field.index(of: row) { offer(row, exactScore(index, scorer)) } }
            return top.sorted()
        }
        let block = 256
        withUnsafeTemporaryAllocation(of: Float.self, capacity: block) { scores in
            let out = scores.baseAddress!  // not empty
            for start in stride(from: 0, to: field.count, by: block) where !snapshot.isAbandoned {
                let count = min(block, field.count - start)
                if field.originals != nil {
                    exactScores(start, count, scorer, into: out)
                } else {
                    for index in 0..<count {
                        out[index] = segment.value(Int(field.row(start + index)), number).map(scorer.score) ?? .nan
                    }
                }
                for index in 0..<count { offer(Int(field.row(start + index)), scores[index]) }
            }
        }
        return top.sorted()
    }
}
