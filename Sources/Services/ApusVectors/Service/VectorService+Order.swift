public import ApusTypes
public import ApusVectorIndex

extension VectorService {
    /// The first points in the order of a payload value, each with the value that gave it its place; a point with several comes as often.
    public func scroll(
        _ name: CollectionName, by order: PointOrder, limit: Int, filter: Filter = .everything, with projection: Projection,
        within budget: ReplyBudget = .none, deadline: Instant
    ) async throws -> [(point: Point, order: OrderValue?)] {
        try filter.validate()
        let collection = try await find(name, deadline: deadline)
        let found = try await ordered(order, min(limit, budget.mostPoints + 1), filter, collection, deadline: deadline)
        return try await hits(found, collection, projection, within: budget, deadline: deadline).map { ($0.point, $0.order) }
    }

    func ordered(
        _ order: PointOrder, _ limit: Int, _ filter: Filter, _ collection: LoadedCollection, deadline: Instant
    ) async throws -> [Ranked] {
        let found = try await ask(collection, deadline: deadline) { _ in OrderQuestion(order: order, limit: limit, filter: filter) }
        return Array(found.flatMap(\.answer).sorted(by: order.precedes).prefix(limit))
    }
}

extension PointOrder {
    func values(of payload: [UInt8]) -> [OrderValue] { path.orderValues(in: payload).filter(admits) }

    /// Equal values in the order of ids.
    func precedes(_ left: VectorService.Ranked, _ right: VectorService.Ranked) -> Bool {
        guard let a = left.order, let b = right.order, a != b else { return left.id < right.id }
        return isDescending ? b < a : a < b
    }
}
