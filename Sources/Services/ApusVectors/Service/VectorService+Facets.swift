public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    /// Most different values that are counted.
    private static let mostValues = 1_000_000

    /// How many of the points that match have each value at the path: the most frequent first, equally frequent ones by value.
    ///
    /// Throws `request.invalid` for more different values than can be kept at a time.
    public func facet(
        _ name: CollectionName, at path: PayloadPath, filter: Filter = .everything, limit: Int, deadline: Instant
    ) async throws -> [(value: Scalar, count: Int)] {
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        let parts = try await ask(collection, deadline: deadline) { _ in
            FacetQuestion(path: path, filter: filter, limit: Self.mostValues)
        }.map(\.answer)
        let counts = parts.dropFirst().reduce(into: parts.first ?? [:]) { $0.merge($1, uniquingKeysWith: +) }
        guard parts.allSatisfy({ $0.count <= Self.mostValues }) else {
            throw ApusError(
                .requestInvalid, "there are more than \(Self.mostValues) different values", hint: "narrow the filter",
                context: ["field": "key"])
        }
        var best = Best<(value: Scalar, count: Int)>(limit) { $0.count == $1.count ? $0.value < $1.value : $0.count > $1.count }
        for (value, count) in counts { best.offer((value, count)) }
        return best.sorted
    }

    /// How many points have a value of the kind at the path, in the shards that answer.
    public func countPoints(_ name: CollectionName, with kind: PayloadKind, at path: PayloadPath, deadline: Instant) async throws -> Int {
        let collection = try await find(name, deadline: deadline)
        return try await askAny(collection, deadline: deadline) { _ in KindQuestion(path: path, kind: kind) }.answers.reduce(0) {
            $0 + $1.answer
        }
    }
}
