/// Makes one ranking of several.
public enum Fusion: Sendable, Hashable {
    /// The sum of 1 / (k + place / weight), places counted from 0 (reciprocal rank fusion; Cormack and others, 2009, weighted as Qdrant
    /// does). No weights are weights of 1.
    case reciprocalRank(k: Int, weights: [Float])
    /// The sum of scores, each put between 0 and 1 by the mean and three standard deviations of its ranking.
    case distribution

    public struct Entry: Sendable, Hashable {
        public var id: PointID
        public var score: Float

        public init(id: PointID, score: Float) {
            self.id = id
            self.score = score
        }
    }

    /// Best first, equal ones in the order of their ids.
    public func fused(_ rankings: [[Entry]], limit: Int) -> [Entry] {
        var scores: [PointID: Double] = [:]
        for (number, ranking) in rankings.enumerated() {
            switch self {
            case .reciprocalRank(let k, let weights):
                let weight = weights.isEmpty ? 1 : Double(weights[number])
                for (place, entry) in ranking.enumerated() {
                    scores[entry.id, default: 0] += weight <= 0 ? 0 : 1 / ((Double(place) + 1) / weight + Double(k) - 1)
                }
            case .distribution:
                for (entry, score) in zip(ranking, Self.normalised(ranking.map { Double($0.score) })) {
                    scores[entry.id, default: 0] += score
                }
            }
        }
        let entries = scores.map { Entry(id: $0.key, score: Float($0.value)) }
        return Array(entries.sorted { $0.score == $1.score ? $0.id < $1.id : $0.score > $1.score }.prefix(limit))
    }

    private static func normalised(_ scores: [Double]) -> [Double] {
        guard scores.count > 1 else { return scores.map { _ in 0.5 } }
        let mean = scores.reduce(0, +) / Double(scores.count)
        let variance = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(scores.count - 1)
        guard variance > 0 else { return scores.map { _ in 0.5 } }
        let low = mean - 3 * variance.squareRoot()
        return scores.map { ($0 - low) / (6 * variance.squareRoot()) }
    }
}
