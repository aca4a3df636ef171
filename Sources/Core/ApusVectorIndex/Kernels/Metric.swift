/// How the likeness of two vectors is measured.
///
/// A *score* is what users see and what thresholds compare: for `cosine` and `dot` a similarity, where larger is nearer and a
/// threshold is a minimum; for `euclidean` and `manhattan` a distance, where smaller is nearer and a threshold is a maximum.
public enum Metric: String, Sendable, Hashable, CaseIterable {
    /// Cosine of the angle, -1...1. A zero vector has no direction: its score is 0 against everything.
    case cosine
    /// Inner product.
    case dot
    /// Length of the difference (not squared).
    case euclidean
    /// Sum of the absolute differences.
    case manhattan

    public var isSimilarity: Bool { self == .cosine || self == .dot }

    /// Whether a result with `score` comes before one with `other`.
    public func isNearer(_ score: Float, than other: Float) -> Bool { isSimilarity ? score > other : score < other }

    /// Whether `score` is within `threshold`, the bound itself included.
    public func passes(_ score: Float, threshold: Float) -> Bool { isSimilarity ? score >= threshold : score <= threshold }
}
