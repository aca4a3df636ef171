internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

extension VectorReading {
    /// The points of an upsert: `{"points": […]}`, or columns in `{"batch": {"ids", "vectors", "payloads"}}`.
    func points(_ root: JSONElement) throws(ApusError) -> [Point] {
        for name in ["update_filter", "update_mode"] where root.member(name) != nil {
            throw .wrong("\(name) is not supported here: every upsert replaces", name)
        }
        var points: [Point] = []
        if let list = root.member("points") {
            points.reserveCapacity(list.count)
            for element in try list.expectElements() {
                points.append(
                    Point(
                        id: try element.expectObject().required("id").expectPointID(), vectors: try vectors(try element.required("vector")),
                        payload: try element.member("payload")?.expectPayload()))
            }
        } else if let batch = root.member("batch") {
            points = try columns(batch)
        } else {
            throw .format(root.path, "missing field `points`")
        }
        guard !points.isEmpty else { throw .wrong("Empty update request") }
        return points
    }

    private func columns(_ batch: JSONElement) throws(ApusError) -> [Point] {
        let ids = try batch.required("ids").expectPointIDs()
        let vectors = try batch.required("vectors")
        var points = ids.map { Point(id: $0, vectors: PointVectors()) }
        func fill(_ column: JSONElement, _ name: String) throws(ApusError) {
            guard column.kind == .array else { throw column.mismatch("a list") }
            guard column.count == ids.count else {
                throw .validation(column.path, "number of ids and vectors must be equal: \(ids.count) and \(column.count)")
            }
            let field = try field(name, column)
            for (index, element) in try column.expectElements().enumerated() {
                points[index].vectors.entries.append(.init(name, try value(element, field)))
            }
        }
        if let members = vectors.members {
            for (name, column) in members { try fill(column, name) }
        } else {
            try fill(vectors, "")
        }
        if let payloads = batch.member("payloads") {
            guard payloads.kind == .array, payloads.count == ids.count else {
                throw .validation(payloads.path, "number of ids and payloads must be equal")
            }
            for (index, payload) in try payloads.expectElements().enumerated() where !payload.isNull {
                points[index].payload = try payload.expectPayload()
            }
        }
        return points
    }
}

/// Which points an operation is about.
enum PointSelection: Sendable {
    case ids([PointID])
    case filter(Filter)

    /// `{"points": […]}` or `{"filter": {…}}`; ids win where both are given.
    init(_ element: JSONElement) throws(ApusError) {
        if let points = element.member("points") {
            let ids = try points.expectPointIDs()
            guard !ids.isEmpty else { throw .wrong("Empty update request") }
            self = .ids(ids)
        } else if let filter = element.member("filter") {
            self = .filter(try QdrantFilter(filter).filter)
        } else {
            throw .format(element.path, "No filter or points provided")
        }
    }
}
