internal import ApusTypes
internal import ApusVectorIndex

extension CollectionConfiguration {
    /// Throws `vector.unknown_field`.
    func fieldNumber(_ name: String) throws(ApusError) -> Int {
        if let number = fields.firstIndex(where: { $0.name == name }) { return number }
        let names = fields.map { "'\($0.name)'" }.joined(separator: ", ")
        throw ApusError(
            .vectorUnknownField, name.isEmpty ? "the collection has named vectors; say which" : "Not existing vector name error: \(name)",
            hint: "the collection has \(names)", context: ["field": name])
    }

    /// Throws `vector.unknown_field`, `vector.wrong_dimension`, or `vector.invalid` naming the number at fault. `place` is where the vectors
    /// are in the request.
    func check(_ vectors: PointVectors, at place: String) throws(ApusError) {
        for entry in vectors.entries {
            try fields[try fieldNumber(entry.field)].check(entry.value, at: entry.field.isEmpty ? place : "\(place).\(entry.field)")
        }
        guard Set(vectors.entries.map(\.field)).count == vectors.entries.count else {
            throw ApusError(.vectorInvalid, "\(place) names a field twice", context: ["field": place])
        }
    }
}

extension VectorField {
    /// Whether a point may have this value here. Throws like `CollectionConfiguration.check`.
    func check(_ value: VectorValue, at place: String) throws(ApusError) {
        switch (kind, value) {
        case (.dense, .dense(let vector)): try check(vector, at: place)
        case (.multiple, .multiple(let vectors)):
            guard !vectors.isEmpty else { throw ApusError(.vectorInvalid, "\(place) holds no vector", context: ["field": place]) }
            for (index, vector) in vectors.enumerated() { try check(vector, at: "\(place)[\(index)]") }
        case (.sparse, .sparse(let vector)):
            if let index = firstNotFinite(vector.values) {
                throw ApusError(
                    .vectorInvalid, "\(place).values[\(index)] is not a finite number", context: ["field": "\(place).values[\(index)]"])
            }
            if let (first, _) = zip(vector.indices, vector.indices.dropFirst()).first(where: { $0 == $1 }) {
                throw ApusError(
                    .vectorInvalid, "\(place).indices must be unique: \(first) is there twice", context: ["field": "\(place).indices"])
            }
        default:
            throw ApusError(.vectorInvalid, "\(place) is not a \(kind.noun)", context: ["field": place])
        }
    }

    /// Whether one can search here with this value: one vector may ask among multiple ones.
    func check(query value: VectorValue, at place: String) throws(ApusError) {
        if case (.multiple, .dense(let vector)) = (kind, value) { try check(vector, at: place) } else { try check(value, at: place) }
    }

    private func check(_ vector: [Float], at place: String) throws(ApusError) {
        guard vector.count == dimension else {
            let dimension = dimension ?? 0
            throw ApusError(
                .vectorWrongDimension, "vector dimension \(vector.count) does not match collection dimension \(dimension)",
                context: ["field": place, "expected": String(dimension), "actual": String(vector.count)])
        }
        if let index = firstNotFinite(vector) {
            throw ApusError(.vectorInvalid, "\(place)[\(index)] is not a finite number", context: ["field": "\(place)[\(index)]"])
        }
    }
}

extension VectorField.Kind {
    fileprivate var noun: String {
        switch self {
        case .dense: "dense vector"
        case .multiple: "list of vectors"
        case .sparse: "sparse vector"
        }
    }
}
