/// A query that scores points by how they stand to examples. Larger scores are better, except for `nearest` with a distance.
///
/// Its vectors are values, or what stands for them until they are looked up.
public enum ExampleQuery<Vector: Sendable & Hashable>: Sendable, Hashable {
    case nearest(Vector)
    /// The likeness to the most alike positive example, or its negative where a negative one is more alike; both through a sigmoid.
    case bestScore(positive: [Vector], negative: [Vector])
    /// The likenesses to the positive examples, less those to the negative ones.
    case sumScores(positive: [Vector], negative: [Vector])
    /// How many pairs the point is on the positive side of less those where it is not, then the likeness to the target.
    case discover(target: Vector, pairs: [ExamplePair<Vector>])
    /// 0 for a point on the positive side of all pairs, less the further it is on the other side.
    case context([ExamplePair<Vector>])

    /// Vectors in it.
    public var count: Int {
        switch self {
        case .nearest: 1
        case .bestScore(let positive, let negative), .sumScores(let positive, let negative): positive.count + negative.count
        case .discover(_, let pairs): 1 + 2 * pairs.count
        case .context(let pairs): 2 * pairs.count
        }
    }

    /// The same query with each vector changed, in their order.
    public func map<Other, Failure: Error>(_ change: (Vector) throws(Failure) -> Other) throws(Failure) -> ExampleQuery<Other> {
        func all(_ values: [Vector]) throws(Failure) -> [Other] {
            var changed: [Other] = []
            for value in values { changed.append(try change(value)) }
            return changed
        }
        func each(_ pairs: [ExamplePair<Vector>]) throws(Failure) -> [ExamplePair<Other>] {
            var changed: [ExamplePair<Other>] = []
            for pair in pairs { changed.append(ExamplePair(positive: try change(pair.positive), negative: try change(pair.negative))) }
            return changed
        }
        switch self {
        case .nearest(let vector): return .nearest(try change(vector))
        case .bestScore(let positive, let negative): return .bestScore(positive: try all(positive), negative: try all(negative))
        case .sumScores(let positive, let negative): return .sumScores(positive: try all(positive), negative: try all(negative))
        case .discover(let target, let pairs): return .discover(target: try change(target), pairs: try each(pairs))
        case .context(let pairs): return .context(try each(pairs))
        }
    }
}

public struct ExamplePair<Vector: Sendable & Hashable>: Sendable, Hashable {
    public var positive: Vector
    public var negative: Vector

    public init(positive: Vector, negative: Vector) {
        self.positive = positive
        self.negative = negative
    }
}

/// Scores vectors of one field against a query by examples, exactly.
public struct ExampleScorer: Sendable {
    private enum Query {
        case nearest(Likeness)
        case bestScore([Likeness], [Likeness])
        case sumScores([Likeness], [Likeness])
        case discover(Likeness, [(positive: Likeness, negative: Likeness)])
        case context([(positive: Likeness, negative: Likeness)])
    }

    private let query: Query
    /// Whether larger scores come first.
    public let isDescending: Bool

    /// Every vector of the query is one of the field: the caller checks that.
    public init(_ field: VectorField, _ query: ExampleQuery<VectorValue>) {
        func likeness(_ value: VectorValue) -> Likeness { Likeness(field, to: value) }
        func pairs(_ pairs: [ExamplePair<VectorValue>]) -> [(positive: Likeness, negative: Likeness)] {
            pairs.map { (likeness($0.positive), likeness($0.negative)) }
        }
        isDescending = if case .nearest = query { field.metric.isSimilarity } else { true }
        self.query =
            switch query {
            case .nearest(let value): .nearest(likeness(value))
            case .bestScore(let positive, let negative): .bestScore(positive.map(likeness), negative.map(likeness))
            case .sumScores(let positive, let negative): .sumScores(positive.map(likeness), negative.map(likeness))
            case .discover(let target, let context): .discover(likeness(target), pairs(context))
            case .context(let context): .context(pairs(context))
            }
    }

    /// Nil for a sparse vector that has no place in common with the one whose neighbours are wanted.
    public func score(_ value: VectorValue) -> Float? {
        switch query {
        case .nearest(let likeness): return likeness.distance(value)
        case .bestScore(let positive, let negative):
            let best = positive.map { $0.of(value) }.max() ?? -.infinity
            let worst = negative.map { $0.of(value) }.max() ?? -.infinity
            return best > worst ? Self.sigmoid(best) : -Self.sigmoid(worst)
        case .sumScores(let positive, let negative):
            return positive.reduce(0) { $0 + $1.of(value) } - negative.reduce(0) { $0 + $1.of(value) }
        case .discover(let target, let pairs):
            let rank = pairs.reduce(Float(0)) { rank, pair in
                let (positive, negative) = (pair.positive.of(value), pair.negative.of(value))
                return rank + (positive > negative ? 1 : positive == negative ? 0 : -1)
            }
            return rank + Self.sigmoid(target.of(value))
        case .context(let pairs):
            return pairs.reduce(0) { sum, pair in
                sum + Self.unscaledSigmoid(min(pair.positive.of(value) - pair.negative.of(value) - Float.ulpOfOne, 0))
            }
        }
    }

    /// x / (1 + |x|): as good as the logistic function for an order, and cheap.
    private static func unscaledSigmoid(_ x: Float) -> Float { x.isFinite ? x / (1 + abs(x)) : x }
    private static func sigmoid(_ x: Float) -> Float { 0.5 * (unscaledSigmoid(x) + 1) }
}
