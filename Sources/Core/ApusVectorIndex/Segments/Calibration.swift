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

    static func measured(_ graph: VectorGraph, _ codes: CodeTable, _ fine: CodeTable, _ sample: NeighbourSample) -> Calibration {
        let scratch = GraphScratch(rows: graph.count)
        var steps: [Step] = []
        for slack in slacks {
            let recall = sample.recall { vector in
                graph.nearest(
                    to: vector, limit: NeighbourSample.neighbours + 1, codes: codes, better: fine,
                    effort: VectorGraph.Effort(candidates: candidates, slack: slack), scratch: scratch) ?? []
            }
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

/// Some rows of a table, each with the other rows that are nearest to it.
struct NeighbourSample {
    static let neighbours = 10

    private let rows: FloatRows
    private let questions: [UInt32]
    private let truths: [Set<UInt32>]

    /// The more rows there are, the fewer questions, so that it takes a small part of the time that a graph takes.
    init(_ rows: FloatRows, fine: CodeTable) {
        let count = min(rows.count, max(24, min(200, 10_000_000 / max(1, rows.count))))
        let all = Array(0..<UInt32(rows.count))
        let scratch = GraphScratch(rows: rows.count)
        self.rows = rows
        questions = (0..<count).map { UInt32($0 * (rows.count / count)) }
        truths = questions.map { row in
            Set(fine.nearest(to: Self.vector(row, rows), among: all, limit: Self.neighbours + 1, scratch: scratch).map(\.row))
                .subtracting([row])
        }
    }

    /// The share of the neighbours that `search` finds for a row's vector; the row itself does not count.
    func recall(_ search: ([Float]) -> [VectorGraph.Found]) -> Float {
        var found = 0
        for (row, truth) in zip(questions, truths) { found += truth.intersection(search(Self.vector(row, rows)).map(\.row)).count }
        return Float(found) / Float(max(1, truths.reduce(0) { $0 + $1.count }))
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
