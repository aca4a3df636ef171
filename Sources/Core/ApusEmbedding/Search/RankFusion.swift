/// How two rankings of the same points become one.
public enum RankFusion: Sendable, Hashable {
    /// The sum of 1 / (k + rank), ranks from 1 (Cormack, Clarke and Büttcher, 2009): needs no scores that can be compared.
    case reciprocal(k: Double = 60)
    /// `alpha` × dense + (1 - alpha) × lexical, each list's scores spread over 0 to 1 from its least to its greatest.
    case weighted(alpha: Double)
    /// `alpha` × dense + (1 - alpha) × lexical, each list's scores divided by its greatest: what is weak in both stays weak.
    case blended(alpha: Double)

    /// Both lists best first, a higher score better, each id once in a list. A point that a list does not hold gets nothing from it. Best
    /// first; equal scores in the order of ids, so that the same lists always give the same.
    public func fuse<ID: Hashable & Comparable>(
        dense: [(id: ID, score: Double)], lexical: [(id: ID, score: Double)]
    ) -> [(id: ID, score: Double)] {
        var sums: [ID: Double] = [:]
        for (parts, list) in [(shares(of: dense, isDense: true), dense), (shares(of: lexical, isDense: false), lexical)] {
            for (part, entry) in zip(parts, list) { sums[entry.id, default: 0] += part }
        }
        return sums.map { (id: $0.key, score: $0.value) }.sorted { $0.score != $1.score ? $0.score > $1.score : $0.id < $1.id }
    }

    private func shares<ID>(of list: [(id: ID, score: Double)], isDense: Bool) -> [Double] {
        let scores = list.map(\.score)
        guard let least = scores.min(), let greatest = scores.max() else { return [] }
        switch self {
        case .reciprocal(let k):
            return scores.indices.map { 1 / (k + Double($0 + 1)) }
        case .weighted(let alpha):
            let weight = isDense ? alpha : 1 - alpha
            return scores.map { weight * (greatest > least ? ($0 - least) / (greatest - least) : 1) }
        case .blended(let alpha):
            let weight = isDense ? alpha : 1 - alpha
            return scores.map { weight * (greatest > 0 ? max(0, $0) / greatest : 0) }
        }
    }
}
