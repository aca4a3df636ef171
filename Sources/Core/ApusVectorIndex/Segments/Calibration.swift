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

    /// The least slack that finds so many, between what was measured in proportion; the greatest if none does.
    func slack(for recall: Float) -> Float {
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

    /// The least recall of any of the samples counts.
    static func measured(_ graph: VectorGraph, _ codes: CodeTable, _ fine: CodeTable, _ samples: [NeighbourSample]) -> Calibration {
        let scratch = GraphScratch(rows: graph.count)
        var steps: [Step] = []
        for slack in slacks {
            let effort = VectorGraph.Effort(candidates: candidates, slack: slack)
            let recall =
                samples.map { sample in
                    sample.recall {
                        graph.nearest(
                            to: $0, limit: NeighbourSample.neighbours + 1, codes: codes, better: fine, effort: effort, scratch: scratch)
                            ?? []
                    }
                }.min() ?? 0
            if recall > steps.last?.recall ?? -1 { steps.append(Step(slack: slack, recall: recall)) }
            if recall >= 0.999 { break }
        }
        return Calibration(steps: steps)
    }

    /// 8 bytes for each step: slack and recall.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for step in steps { bytes.append(floats: [step.slack, step.recall]) }
        return bytes
    }

    init(steps: [Step]) { self.steps = steps }

    init(bytes: UnsafeRawBufferPointer) {
        steps = (0..<bytes.count / 8).map {
            Step(slack: Float(bitPattern: bytes.number(at: $0 * 8)), recall: Float(bitPattern: bytes.number(at: $0 * 8 + 4)))
        }
    }
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
    private var questions: [Question]

    /// Some of the rows themselves.
    init(_ rows: FloatRows, fine: CodeTable) {
        self.init(rows, fine: fine, Self.sample(of: rows, most: 10_000_000).map { Question(vector: Self.vector($0, rows), row: $0) })
    }

    /// Places beside rows, a third of the way to another one. What people ask for is seldom a row, and its neighbours are farther from it
    /// than those of rows are: a search that found 98 in 100 neighbours of rows found 87 of real questions' over the same rows, and nearly
    /// as few of these. Among tight clusters it is the other way round.
    init(beside rows: FloatRows, metric: Metric, fine: CodeTable) {
        let sample = Self.sample(of: rows, most: 20_000_000)
        let questions = sample.enumerated().map { number, row in
            let other = Self.vector(sample[(number * 7 + sample.count / 2) % sample.count], rows)
            let between = zip(Self.vector(row, rows), other).map { $0 + ($1 - $0) * 0.35 }
            return Question(vector: metric == .cosine ? DistanceKernel.normalised(between) : between)
        }
        self.init(rows, fine: fine, questions)
    }

    private init(_ rows: FloatRows, fine: CodeTable, _ questions: [Question]) {
        let all = Array(0..<UInt32(rows.count))
        let scratch = GraphScratch(rows: rows.count)
        self.rows = rows
        self.questions = questions.map { question in
            var question = question
            let nearest = fine.nearest(to: question.vector, among: all, limit: Self.neighbours + 1, scratch: scratch).map(\.row)
            question.truth = Set(nearest.filter { $0 != question.row }.prefix(Self.neighbours))
            return question
        }
    }

    /// The more rows there are, the fewer, so that comparing all takes a small part of the time that a graph takes.
    private static func sample(of rows: FloatRows, most distances: Int) -> [UInt32] {
        let count = min(rows.count, max(24, min(200, distances / max(1, rows.count))))
        return (0..<count).map { UInt32($0 * (rows.count / count)) }
    }

    /// The share of the neighbours that `search` finds.
    func recall(_ search: ([Float]) -> [VectorGraph.Found]) -> Float {
        let found = questions.reduce(0) { $0 + $1.truth.intersection(search($1.vector).map(\.row)).count }
        return Float(found) / Float(max(1, questions.reduce(0) { $0 + $1.truth.count }))
    }

    /// The narrowest codes by which so many candidates as a search compares again hold nearly all neighbours. Most sets do with the preferred
    /// ones; one of tight clusters far apart needs finer steps.
    func codes(_ metric: Metric, fine: CodeTable) -> CodeTable {
        let all = Array(0..<UInt32(rows.count))
        let scratch = GraphScratch(rows: rows.count)
        for kind in [CodeKind.preferred(metric, dimension: rows.dimension), .bits8] {
            let table = CodeTable(Coding(kind, metric, for: rows), of: rows)
            let coverage = recall { table.nearest(to: $0, among: all, limit: VectorGraph.Effort.rescoredRows, scratch: scratch) }
            if coverage >= 0.99 { return table }
        }
        return fine
    }

    private static func vector(_ row: UInt32, _ rows: FloatRows) -> [Float] {
        Array(UnsafeBufferPointer(start: rows.base + Int(row) * rows.stride, count: rows.dimension))
    }
}
