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
        let counts = try await values(name, filter, deadline: deadline) { path.scalars(in: $0) }
        var best = Best<(value: Scalar, count: Int)>(limit) { $0.count == $1.count ? $0.value < $1.value : $0.count > $1.count }
        for (value, count) in counts { best.offer((value, count)) }
        return best.sorted
    }

    /// How many points have something at the path that `isOne` accepts.
    public func countPoints(
        _ name: CollectionName, deadline: Instant, where isOne: @escaping @Sendable ([UInt8]) -> Bool
    ) async throws -> Int {
        let collection = try await find(name, deadline: deadline)
        return try await scan(collection, deadline: deadline) { snapshot in
            var count = 0
            snapshot.forEachRow { if let payload = snapshot.payload($0), isOne(payload) { count += 1 } }
            return count
        }.reduce(0, +)
    }

    private func values(
        _ name: CollectionName, _ filter: Filter, deadline: Instant, _ values: @escaping @Sendable ([UInt8]) -> Set<Scalar>
    ) async throws -> [Scalar: Int] {
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        let parts: [[Scalar: Int]] = try await scan(collection, deadline: deadline) { snapshot in
            var counts: [Scalar: Int] = [:]
            snapshot.forEachMatch(of: filter) { row in
                guard counts.count <= Self.mostValues, let payload = snapshot.payload(row) else { return }
                for value in values(payload) { counts[value, default: 0] += 1 }
            }
            return counts
        }
        let counts = parts.dropFirst().reduce(into: parts.first ?? [:]) { $0.merge($1, uniquingKeysWith: +) }
        guard parts.allSatisfy({ $0.count <= Self.mostValues }) else {
            throw ApusError(
                .requestInvalid, "there are more than \(Self.mostValues) different values", hint: "narrow the filter",
                context: ["field": "key"])
        }
        return counts
    }
}
