/// How far a search of a graph has to look for a share of the true neighbours: measured on the graph itself when it was built.
struct Calibration: Sendable, Hashable {
    struct Step: Sendable, Hashable {
        /// `VectorGraph.Effort.slack`.
        var slack: Float
        /// Of the 10 nearest, on average over the sample.
        var recall: Float
    }

    /// Both rise.
    var steps: [Step]
    /// Of what a search finds by the codes, how many are compared again by better ones.
    var rescored: Int

    /// The least slack that finds so many, between what was measured in proportion; the greatest if none does.
    ///
    /// Where the least slack of all finds most, rows lie in clusters: a search is short, and what it misses are whole clusters, of which a
    /// sample knows few. A few steps more find them.
    func slack(for recall: Float) -> Float {
        let isClustered = (steps.first?.recall ?? 0) > 0.95
        return max(measuredSlack(for: recall), isClustered ? 0.12 : 0)
    }

    private func measuredSlack(for recall: Float) -> Float {
        guard let index = steps.firstIndex(where: { $0.recall >= recall }) else { return steps.last?.slack ?? Self.slacks[0] }
        let step = steps[index]
        guard index > 0 else { return step.slack * max(0.25, recall / max(step.recall, 0.01)) }
        let below = steps[index - 1]
        return below.slack + (step.slack - below.slack) * (recall - below.recall) / (step.recall - below.recall)
    }

    private static let slacks: [Float] = [
        0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.23, 0.26, 0.3, 0.35, 0.4, 0.5, 0.7, 1, 1.5,
    ]
    private static let candidates = 400
    /// A graph that finds less is of no use.
    private static let leastRecall: Float = 0.5

    var isUseful: Bool { steps.last.map { $0.recall >= Self.leastRecall } ?? false }

    /// The least recall of any of the samples counts.
    static func measured(_ graph: VectorGraph, _ codes: SampledCodes, _ samples: [NeighbourSample]) -> Calibration {
        let scratch = GraphScratch(rows: graph.count)
        var steps: [Step] = []
        for slack in slacks {
            var effort = VectorGraph.Effort(candidates: candidates, slack: slack)
            effort.rescored = codes.rescored
            let recall =
                samples.map { sample in
                    sample.recall { query, limit in
                        graph.nearest(to: query, limit: limit, codes: codes.table, better: codes.fine, effort: effort, scratch: scratch)
                            ?? []
                    }
                }.min() ?? 0
            if recall > steps.last?.recall ?? -1 { steps.append(Step(slack: slack, recall: recall)) }
            if recall >= 0.999 { break }
        }
        return Calibration(steps: steps, rescored: codes.rescored)
    }

    /// 8 bytes for each step: slack and recall.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for step in steps { bytes.append(floats: [step.slack, step.recall]) }
        return bytes
    }

    init(steps: [Step], rescored: Int = 0) {
        self.steps = steps
        self.rescored = max(rescored, VectorGraph.Effort.rescoredRows)
    }

    init(bytes: UnsafeRawBufferPointer, rescored: Int) {
        let steps = (0..<bytes.count / 8).map {
            Step(slack: Float(bitPattern: bytes.number(at: $0 * 8)), recall: Float(bitPattern: bytes.number(at: $0 * 8 + 4)))
        }
        self.init(steps: steps, rescored: min(rescored, 1024))
    }
}

/// Codes that were found to be good enough if so many candidates are compared again, by finer ones first where there are any.
struct SampledCodes {
    var table: CodeTable
    var fine: CodeTable?
    var rescored: Int
}

/// Questions with their true neighbours.
struct NeighbourSample {
    static let neighbours = 10

    private struct Question {
        let vector: [Float]
        /// The row that it is, which does not count as its own neighbour.
        var row: UInt32?
        var truth: Set<UInt32> = []
    }

    private let rows: FloatRows
    /// Gives the distances of codes.
    private let coding: Coding
    private let kernel: DistanceKernel
    private var questions: [Question]

    /// Some of the rows themselves.
    init(_ rows: FloatRows, _ metric: Metric) {
        let sample = Self.sample(of: rows, most: 10_000_000)
        self.init(rows, Coding(.float, metric, for: rows), sample.map { Question(vector: Self.vector($0, rows), row: $0) })
    }

    /// As far from rows of this sample as a neighbour is, on the other side. A row's own links lead to its neighbours, and not to those of a
    /// place beside it: a search that found 99 in 100 neighbours of rows in tight clusters found 94 of other places there.
    func amongRows() -> NeighbourSample {
        NeighbourSample(
            rows, coding,
            questions.compactMap { question in question.truth.min().map { place(from: question.vector, towards: $0, by: -0.7) } })
    }

    /// Places beside rows, a third of the way to another one. What people ask for is seldom a row, and its neighbours are farther from it
    /// than those of rows are: a search that found 98 in 100 neighbours of rows found 87 of real questions' over the same rows, and nearly
    /// as few of these. Among tight clusters it is the other way round.
    func besideRows() -> NeighbourSample {
        let sample = Self.sample(of: rows, most: 20_000_000)
        return NeighbourSample(
            rows, coding,
            sample.enumerated().map { number, row in
                place(from: Self.vector(row, rows), towards: sample[(number * 7 + sample.count / 2) % sample.count], by: 0.35)
            })
    }

    /// So much of the way from a place to a row.
    private func place(from vector: [Float], towards row: UInt32, by share: Float) -> Question {
        let place = zip(vector, Self.vector(row, rows)).map { $0 + ($1 - $0) * share }
        return Question(vector: coding.metric == .cosine ? DistanceKernel.normalised(place) : place)
    }

    private init(_ rows: FloatRows, _ coding: Coding, _ questions: [Question]) {
        self.rows = rows
        self.coding = coding
        // The rows have length 1 where that counts.
        let metric = coding.metric == .cosine ? Metric.dot : coding.metric
        kernel = DistanceKernel(metric)
        self.questions = questions
        // All questions while some rows are in the processor's cache.
        let block = 64
        var nearest = questions.map { _ in NearestRows(limit: Self.neighbours + 1) }
        for first in stride(from: 0, to: rows.count, by: block) {
            for (number, question) in questions.enumerated() {
                for (offset, score) in scores(question.vector, first..<min(first + block, rows.count)).enumerated() {
                    nearest[number].offer(UInt32(first + offset), metric.isSimilarity ? -score : score)
                }
            }
        }
        for (number, question) in questions.enumerated() {
            self.questions[number].truth = Set(nearest[number].rows.map(\.row).filter { $0 != question.row }.prefix(Self.neighbours))
        }
    }

    private func scores(_ query: [Float], _ range: Range<Int>) -> [Float] {
        [Float](unsafeUninitializedCapacity: range.count) { out, count in
            let first = rows.base + range.lowerBound * rows.stride
            kernel.scores(
                of: query, rows: first, stride: rows.stride, count: range.count, dimension: rows.dimension, scales: first,
                into: out.baseAddress!)  // ranges are not empty; without the cosine nobody reads the scales
            count = range.count
        }
    }

    /// So many that measuring takes a small part of the time that the graph takes: few of few rows, fewer of very many.
    private static func sample(of rows: FloatRows, most distances: Int) -> [UInt32] {
        let count = min(rows.count, max(24, min(200, rows.count / 100, distances / max(1, rows.count))))
        return (0..<count).map { UInt32($0 * (rows.count / count)) }
    }

    /// The share of the neighbours that are found by `search`, which is given a query and how many are wanted.
    func recall(_ search: ([Float], Int) -> [VectorGraph.Found]) -> Float {
        share(
            questions.map { question in
                let limit = Self.neighbours + (question.row == nil ? 0 : 1)
                return search(question.vector, limit).settled(limit, coding.metric) { row in
                    scores(question.vector, Int(row)..<Int(row) + 1)[0]
                }.map(\.row)
            })
    }

    /// Of all questions' neighbours, those that are among the first that were found for each.
    private func share(_ found: [[UInt32]], best: Int = .max) -> Float {
        let count = zip(questions, found).reduce(0) { $0 + $1.0.truth.intersection($1.1.prefix(best)).count }
        return Float(count) / Float(max(1, questions.reduce(0) { $0 + $1.truth.count }))
    }

    /// What a search walks on: the narrowest codes of which the best hold nearly all neighbours. Those of less than 8 bits are compared again
    /// by finer ones, all by the numbers themselves in the end.
    func codes() -> SampledCodes {
        let few = VectorGraph.Effort.rescoredRows
        func table(_ kind: CodeKind) -> CodeTable { CodeTable(Coding(kind, coding.metric, for: rows), of: rows) }
        /// How many have to be compared again; nil if more than are worth it.
        func enough(_ found: [[UInt32]]) -> Int? { [few, 2 * few, 3 * few].first { share(found, best: $0) >= 0.99 } }
        let bytes = table(.bits8), byBytes = nearest(3 * few, by: bytes)
        let preferred = CodeKind.preferred(coding.metric, dimension: rows.dimension)
        if preferred != .bits8 {
            let codes = table(preferred)
            if let rescored = enough(nearest(3 * few, by: codes)) {
                let fine = share(byBytes, best: few / 2) >= 0.995 ? bytes : table(.half)
                return SampledCodes(table: codes, fine: fine, rescored: rescored)
            }
        }
        if let rescored = enough(byBytes) { return SampledCodes(table: bytes, fine: nil, rescored: rescored) }
        let halves = table(.half)
        if let rescored = enough(nearest(3 * few, by: halves)) { return SampledCodes(table: halves, fine: nil, rescored: rescored) }
        return SampledCodes(table: table(.float), fine: nil, rescored: few)
    }

    /// For each question, the nearest of all rows.
    private func nearest(_ count: Int, by codes: CodeTable) -> [[UInt32]] {
        let all = Array(0..<UInt32(rows.count))
        let scratch = GraphScratch(rows: rows.count)
        return questions.map { codes.nearest(to: $0.vector, among: all, limit: 1, wanted: count, scratch: scratch).map(\.row) }
    }

    private static func vector(_ row: UInt32, _ rows: FloatRows) -> [Float] {
        Array(UnsafeBufferPointer(start: rows.base + Int(row) * rows.stride, count: rows.dimension))
    }
}
