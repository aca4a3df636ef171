internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// Vectors as clients write them, read for the fields of a collection.
struct VectorReading {
    let fields: [VectorField]

    /// A point's vectors: one for the unnamed field, or an object of them by name.
    func vectors(_ element: JSONElement) throws(ApusError) -> PointVectors {
        guard let members = element.members else { return PointVectors([.init("", try value(element, try field("", element)))]) }
        var vectors = PointVectors()
        for (name, element) in members {
            let value = try value(element, try field(name, element))
            guard vectors[name] == nil else { throw .format(element.path, "duplicate field `\(name)`") }
            vectors.entries.append(.init(name, value))
        }
        return vectors
    }

    func field(_ name: String, _ element: JSONElement) throws(ApusError) -> VectorField {
        guard let field = fields.first(where: { $0.name == name }) else {
            if element.member("text") != nil || element.member("image") != nil { throw .inference(element) }
            throw ApusError(.vectorUnknownField, "there is no vector '\(name)'", context: ["field": name])
        }
        return field
    }

    /// A vector of the field. One that is compared by the cosine is kept with length 1, and read back so.
    func value(_ element: JSONElement, _ field: VectorField) throws(ApusError) -> VectorValue {
        switch field.kind {
        case .dense(let dimension, let metric): return .dense(Self.prepared(try element.floats(dimension: dimension), metric))
        case .multiple(let dimension, let metric):
            let rows = try element.expectElements()
            guard element.count > 0 else { throw .validation(element.path, "multivector must not be empty") }
            var vectors: [[Float]] = []
            for row in rows { vectors.append(Self.prepared(try row.floats(dimension: dimension), metric)) }
            return .multiple(vectors)
        case .sparse: return .sparse(try Self.sparse(element))
        }
    }

    /// What a query compares with: of any kind, since the field is not known here.
    static func query(_ element: JSONElement) throws(ApusError) -> QueryVector {
        switch element.kind {
        case .integer, .unsigned, .string: return .point(try element.expectPointID())
        case .object: return .value(.sparse(try sparse(element)))
        case .array:
            guard var rows = element.elements, let first = rows.next() else { throw .validation(element.path, "vector must not be empty") }
            guard first.kind == .array else { return .value(.dense(try element.floats(dimension: element.count))) }
            var vectors: [[Float]] = []
            for row in try element.expectElements() {
                guard row.kind == .array, row.count > 0 else { throw row.mismatch("a vector") }
                let vector = try row.floats(dimension: row.count)
                if let first = vectors.first, first.count != vector.count {
                    throw .validation(element.path, "all vectors of a multivector must have the same size")
                }
                vectors.append(vector)
            }
            return .value(.multiple(vectors))
        default: throw element.mismatch("a vector or a point's id")
        }
    }

    private static func sparse(_ element: JSONElement) throws(ApusError) -> SparseVector {
        guard element.kind == .object else { throw element.mismatch("a sparse vector") }
        if element.member("text") != nil || element.member("image") != nil || element.member("object") != nil { throw .inference(element) }
        let indices = try element.required("indices")
        let values = try element.required("values")
        guard values.kind == .array else { throw values.mismatch("a list") }
        var places: [UInt32] = []
        places.reserveCapacity(indices.count)
        for index in try indices.expectElements() {
            guard let place = index.uint.flatMap(UInt32.init(exactly:)) else { throw index.mismatch("an unsigned integer of 32 bits") }
            places.append(place)
        }
        guard values.count == places.count else { throw .validation(values.path, "must be the same length as indices") }
        guard Set(places).count == places.count else { throw .validation(indices.path, "must be unique") }
        return SparseVector(indices: places, values: places.isEmpty ? [] : try values.floats(dimension: places.count))
    }

    private static func prepared(_ vector: [Float], _ metric: Metric) -> [Float] {
        guard metric == .cosine else { return vector }
        let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        return length > Double(Float.ulpOfOne) ? vector.map { Float(Double($0) / length) } : vector
    }
}

extension ApusError {
    static func inference(_ element: JSONElement) -> ApusError {
        .wrong("\(element.path): this server makes no vectors of texts or images here; send numbers", element.path)
    }
}
