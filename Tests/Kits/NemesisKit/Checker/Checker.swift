internal import ApusTypes

/// Compares a history with what was promised. Pure: the same history gives the same violations.
public struct Checker {
    /// Of distances in single precision.
    static let tolerance: Float = 1e-3

    let history: History
    private var points: [String: [String: PointHistory]] = [:]
    /// Where each value was written.
    private var owners: [Int: (collection: String, id: String)] = [:]
    private var found: [Violation] = []

    /// All that is wrong, in the order of time.
    public static func violations(of history: History) -> [Violation] {
        var checker = Checker(history)
        checker.checkOperations()
        checker.checkPoints()
        return (checker.found + Liveness(history).violations).sorted { $0.at < $1.at }
    }

    private init(_ history: History) {
        self.history = history
        for operation in history.operations.filter(\.isWrite).sorted(by: { $0.invoked < $1.invoked }) { add(operation) }
    }

    private mutating func add(_ write: Operation) {
        let id: String
        let value: Int?
        switch write.action {
        case .put(let point, let number), .update(let point, let number):
            (id, value) = (point, number)
            owners[number] = (write.collection, point)
        case .delete(let point): (id, value) = (point, nil)
        case .read, .search, .list: return
        }
        var point = points[write.collection]?[id] ?? PointHistory(id: id)
        let isDone = write.completion?.outcome == .done
        let isInTurn = point.add(
            .init(
                number: write.number, value: value, vector: value.map(history.values.vector) ?? [], invoked: write.invoked,
                acknowledged: isDone ? write.completion?.at : nil))
        precondition(isInTurn, "the history is not one of a writer at a time: operation \(write.number) of \(id)")
        points[write.collection, default: [:]][id] = point
    }

    private mutating func checkOperations() {
        for operation in history.operations {
            guard let completion = operation.completion else { continue }
            if completion.outcome == .refused {
                found.append(
                    Violation(.refused, "\(operation.action): \(completion.note)", operations: [operation.number], at: completion.at))
            }
            guard completion.outcome == .done else { continue }
            switch operation.action {
            case .put, .update, .delete: break
            case .read(let id): see(completion.hits.first.map { .value($0.value) } ?? .nothing, id, operation, completion)
            case .list:
                let ids = Set(completion.hits.map(\.id))
                if ids.count != completion.hits.count {
                    found.append(Violation(.wrongReply, "a point is there twice", operations: [operation.number], at: completion.at))
                }
                for hit in completion.hits { see(.value(hit.value), hit.id, operation, completion) }
                for id in (points[operation.collection] ?? [:]).keys where !ids.contains(id) { see(.nothing, id, operation, completion) }
            case .search(let query, let limit, let isExact): checkSearch(operation, completion, query, limit, isExact)
            }
        }
    }

    private mutating func checkSearch(
        _ operation: Operation, _ completion: Operation.Completion, _ query: [Float], _ limit: Int, _ isExact: Bool
    ) {
        func wrong(_ what: String) -> Violation { Violation(.wrongReply, what, operations: [operation.number], at: completion.at) }
        let hits = completion.hits
        let ids = Set(hits.map(\.id))
        if ids.count != hits.count { found.append(wrong("a point is there twice")) }
        if hits.count > limit { found.append(wrong("\(hits.count) hits of \(limit)")) }
        if zip(hits, hits.dropFirst()).contains(where: { $0.score > $1.score + Self.tolerance }) {
            found.append(wrong("it is not in order"))
        }
        for hit in hits {
            if let value = hit.value, abs(distance(query, history.values.vector(of: value)) - hit.score) > Self.tolerance {
                found.append(wrong("\(hit.id) with value \(value) has the score \(hit.score)"))
            }
            see(.value(hit.value), hit.id, operation, completion)
        }
        // What is not there says something only where all of it should be.
        guard completion.isComplete, !completion.isStale, isExact else { return }
        let farthest = hits.count < limit ? Float.infinity : hits.last?.score ?? 0
        for (id, point) in points[operation.collection] ?? [:] where !ids.contains(id) {
            let window = point.window(operation.invoked, completion.at)
            // Where the point was one thing all the time, this is all that can be asked; else it also must not fall behind other readings.
            if window.first == window.last, point.mayBeBeyond(farthest, of: query, window) { continue }
            see(.beyond(farthest, of: query), id, operation, completion)
        }
    }

    private mutating func see(
        _ sight: PointHistory.Sight, _ id: String, _ operation: Operation, _ completion: Operation.Completion
    ) {
        if case .value(let value?) = sight, let owner = owners[value], owner != (operation.collection, id) {
            found.append(
                Violation(
                    .inventedValue, "\(id) of \(operation.collection) shows value \(value) of \(owner.id)", operations: [operation.number],
                    at: completion.at))
            return
        }
        let reading = PointHistory.Reading(
            number: operation.number, from: operation.invoked, until: completion.at, isStale: completion.isStale, shows: sight)
        points[operation.collection, default: [:]][id, default: PointHistory(id: id)].add(reading)
    }

    private mutating func checkPoints() {
        for collection in points.values {
            for point in collection.values { found += point.violations() }
        }
    }
}
