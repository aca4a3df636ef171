/// Picks points that are near to a query and not near to each other (maximal marginal relevance; Carbonell and Goldstein, 1998).
public enum Diversity {
    /// Numbers of at most `limit` of `candidates`, in the order in which they are picked. `diversity` of 0 orders by nearness alone, 1 by
    /// difference alone. Of equally good ones the one that was moved last is picked, as Qdrant does.
    public static func picked(
        _ candidates: [VectorValue], near query: VectorValue, in field: VectorField, diversity: Float, limit: Int
    ) -> [Int] {
        guard !candidates.isEmpty, limit > 0 else { return [] }
        let relevance = candidates.map(Likeness(field, to: query).of)
        // Of multiple vectors it matters who asks: the one that may be picked does.
        let likeness = candidates.map { Likeness(field, to: $0) }
        var pending = Array(candidates.indices)
        var picked: [Int] = []
        var nearest = [Float](repeating: -.infinity, count: candidates.count)
        while picked.count < limit, !pending.isEmpty {
            let scores = pending.map { candidate in
                picked.isEmpty ? relevance[candidate] : (1 - diversity) * relevance[candidate] - diversity * nearest[candidate]
            }
            var best = 0
            for place in scores.indices where scores[place] >= scores[best] { best = place }
            let choice = pending[best]
            pending.swapAt(best, pending.count - 1)
            pending.removeLast()
            picked.append(choice)
            for candidate in pending { nearest[candidate] = max(nearest[candidate], likeness[candidate].of(candidates[choice])) }
        }
        return picked
    }
}
