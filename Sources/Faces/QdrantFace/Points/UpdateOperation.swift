internal import ApusCatalog
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// One write, as a route of its own or as one of many in a batch.
enum UpdateOperation: Sendable {
    case upsert([Point])
    case delete(PointSelection)
    case payload([PayloadChange], PointSelection)
    case updateVectors([PointUpdate])
    case deleteVectors(Set<String>, PointSelection)

    /// One of a batch: `{"upsert": {…}}`. Throws for what is no operation at all, before any of the batch is done.
    init(_ element: JSONElement, _ reading: VectorReading) throws(ApusError) {
        guard let members = element.members else { throw element.mismatch("an operation") }
        let said = members.filter { !$0.value.isNull }
        guard said.count == 1, let (kind, value) = said.first else { throw .format(element.path, "expected exactly one operation") }
        try self.init(kind, value, reading)
    }

    init(_ kind: String, _ value: JSONElement, _ reading: VectorReading) throws(ApusError) {
        guard value.kind == .object else { throw value.mismatch("an object") }
        switch kind {
        case "upsert": self = .upsert(try reading.points(value))
        case "delete": self = .delete(try PointSelection(value))
        case "set_payload":
            let path = try value.member("key")?.expectPath()
            self = .payload([.assign(try value.required("payload").expectPayload(), at: path)], try PointSelection(value))
        case "overwrite_payload":
            if value.member("key") != nil { throw .wrong("key is not supported for an overwrite", "key") }
            self = .payload([.replace(try value.required("payload").expectPayload())], try PointSelection(value))
        case "delete_payload":
            var paths: [PayloadPath] = []
            for key in try value.required("keys").expectElements() { paths.append(try key.expectPath()) }
            self = .payload(paths.isEmpty ? [] : [.removePaths(paths)], try PointSelection(value))
        case "clear_payload": self = .payload([.clear], try PointSelection(value))
        case "update_vectors":
            if value.member("update_filter") != nil { throw .wrong("update_filter is not supported here", "update_filter") }
            var updates: [PointUpdate] = []
            for element in try value.required("points").expectElements() {
                let id = try element.expectObject().required("id").expectPointID()
                updates.append(PointUpdate(id: id, vectors: try reading.vectors(try element.required("vector"))))
            }
            guard !updates.isEmpty else { throw .validation("points", "must specify points to update") }
            self = .updateVectors(updates)
        case "delete_vectors":
            var names: Set<String> = []
            let list = try value.required("vector")
            for name in try list.expectElements() { names.insert(try name.expectString()) }
            guard !names.isEmpty else { throw .validation("vector", "must specify vector names to delete") }
            for name in names.sorted() { _ = try reading.field(name, list) }
            self = .deleteVectors(names, try PointSelection(value))
        default: throw .format(value.path, "unknown variant `\(kind)`")
        }
    }
}

extension QdrantFace {
    /// Carries one write out. Points that are not there do not keep the others from it; the first of them is the error afterwards.
    func perform(_ operation: UpdateOperation, on name: CollectionName, _ id: OperationID?, deadline: Instant) async throws {
        switch operation {
        case .upsert(let points): _ = try await vectors.upsert(points, into: name, operation: id, deadline: deadline)
        case .delete(.ids(let ids)): _ = try await vectors.delete(ids, from: name, operation: id, deadline: deadline)
        case .delete(.filter(let filter)): _ = try await vectors.delete(matching: filter, from: name, operation: id, deadline: deadline)
        case .payload(let changes, .ids(let ids)):
            let updates = ids.flatMap { point in changes.map { PointUpdate(id: point, payload: $0) } }
            try await update(updates, in: name, id, deadline: deadline)
        case .payload(let changes, .filter(let filter)):
            guard !changes.isEmpty else { return }
            _ = try await vectors.update(matching: filter, with: changes, in: name, operation: id, deadline: deadline)
        case .updateVectors(let updates): try await update(updates, in: name, id, deadline: deadline)
        case .deleteVectors(let names, .ids(let ids)):
            try await update(ids.map { PointUpdate(id: $0, removedFields: names) }, in: name, id, deadline: deadline)
        case .deleteVectors(let names, .filter(let filter)):
            // Page by page, in the order of ids: what was done is not selected again because the place moves on.
            var place: PointID?
            repeat {
                let page = try await vectors.scroll(name, from: place, limit: 1000, filter: filter, with: [], deadline: deadline)
                let updates = page.points.map { PointUpdate(id: $0.id, removedFields: names) }
                if !updates.isEmpty { _ = try await vectors.update(updates, in: name, mode: .eachItem, deadline: deadline) }
                place = page.next
            } while place != nil
        }
    }

    private func update(_ updates: [PointUpdate], in name: CollectionName, _ id: OperationID?, deadline: Instant) async throws {
        guard !updates.isEmpty else { return }
        let outcome = try await vectors.update(updates, in: name, mode: .eachItem, operation: id, deadline: deadline)
        if var error = outcome.errors.lazy.compactMap(\.self).first {
            // The first reply to a repeated request has kept nothing but the words.
            if error.code == .pointUnknown, error.context["id"] == nil, let index = outcome.errors.firstIndex(where: { $0 != nil }) {
                error.context["id"] = updates[index].id.description
            }
            throw error
        }
    }
}
