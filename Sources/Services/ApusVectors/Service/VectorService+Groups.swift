public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    /// The best groups of points that share a value at `path`, each with its best `size` points. A point belongs to as many groups as it has
    /// values there; values are integers and strings, and a point with anything else there belongs to none.
    ///
    /// The query is run for more and more points until the groups are full or no points are left.
    public func groups(
        _ query: PointQuery, by path: PayloadPath, limit: Int, size: Int, in name: CollectionName, with projection: Projection,
        within budget: ReplyBudget = .none, deadline: Instant
    ) async throws -> [PointGroup] {
        let collection = try await find(name, deadline: deadline)
        let total = min(max(1, try await count(name, deadline: deadline)), query.mostPicked)
        var query = query.widened(to: total)
        var wanted = min(total, max(64, limit.multipliedClamped(by: size).multipliedClamped(by: 4)))
        while true {
            query.limit = wanted
            let ranked = try await run(query, collection, deadline: deadline)
            let values = try await groups(of: Set(ranked.map(\.id)), path, collection, deadline: deadline)
            var order: [Scalar] = []
            var groups: [Scalar: [Ranked]] = [:]
            for point in ranked {
                for value in values[point.id] ?? [] {
                    if groups[value] == nil { order.append(value) }
                    if groups[value, default: []].count < size { groups[value, default: []].append(point) }
                }
            }
            let chosen = order.prefix(limit)
            let isFull = chosen.count == limit && chosen.allSatisfy { groups[$0]?.count == size }
            if isFull || ranked.count < wanted || wanted >= total {
                var found: [PointGroup] = []
                for value in chosen {
                    let hits = try await hits(groups[value] ?? [], collection, projection, within: budget, deadline: deadline)
                    found.append(PointGroup(value: value, hits: hits))
                }
                return found
            }
            wanted = min(total, wanted.multipliedClamped(by: 4))
        }
    }
}

extension VectorService {
    /// The groups of each point. Of many points only these are kept, not their payloads.
    private func groups(
        of ids: Set<PointID>, _ path: PayloadPath, _ collection: LoadedCollection, deadline: Instant
    ) async throws -> [PointID: [Scalar]] {
        if ids.count <= Self.piece {
            let points = try await points(Array(ids), in: collection.name, with: .payload, deadline: deadline)
            return Dictionary(points.map { ($0.id, path.groups(in: $0.payload ?? [])) }, uniquingKeysWith: { first, _ in first })
        }
        let parts = try await ask(collection, deadline: deadline) { _ in GroupQuestion(ids: ids, path: path) }
        return parts.reduce(into: [:]) { $0.merge($1.answer) { first, _ in first } }
    }
}

extension PointQuery {
    /// Where points are compared with each other, so many may be wanted.
    fileprivate var mostPicked: Int {
        guard case .nearest(_, let relevance?) = kind else { return .max }
        return relevance.candidates.map { Self.mostPairs / max(1, $0) } ?? Int(Double(Self.mostPairs).squareRoot())
    }

    /// Stages before the last one keep all points: which groups are the best is not known before.
    fileprivate func widened(to limit: Int) -> PointQuery {
        var query = self
        query.prefetch = prefetch.map {
            var stage = $0.widened(to: limit)
            stage.limit = limit
            return stage
        }
        return query
    }
}

extension Int {
    fileprivate func multipliedClamped(by other: Int) -> Int {
        let (product, isOverflow) = multipliedReportingOverflow(by: other)
        return isOverflow ? .max : product
    }
}
