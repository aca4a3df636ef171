internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// What a new collection is made with.
enum CollectionReading {
    static func configuration(_ root: JSONElement, _ sharding: Sharding) throws(ApusError) -> CollectionConfiguration {
        var fields: [VectorField] = []
        if let vectors = root.member("vectors") {
            guard let members = vectors.members else { throw vectors.mismatch("the parameters of vectors") }
            if vectors.member("size") != nil || vectors.member("distance") != nil {
                fields.append(try dense("", vectors))
            } else {
                for (name, element) in members {
                    try check(vector: name, "dense")
                    fields.append(try dense(name, element))
                }
            }
        }
        for (name, element) in root.member("sparse_vectors")?.entries ?? [] {
            guard !name.isEmpty else { throw .wrong("Sparse vector name cannot be empty", "sparse_vectors") }
            try check(vector: name, "sparse")
            guard element.kind == .object else { throw element.mismatch("an object") }
            var hasIDF = false
            if let modifier = element.member("modifier") {
                switch try modifier.expectString() {
                case "idf": hasIDF = true
                case "none": break
                default: throw .format(modifier.path, "unknown variant, expected `none` or `idf`")
                }
            }
            fields.append(VectorField(name, .sparse(idf: hasIDF)))
        }
        guard !fields.isEmpty else { throw .wrong("a collection needs at least one vector, dense or sparse, here", "vectors") }
        guard Set(fields.map(\.name)).count == fields.count else {
            throw .wrong("a sparse vector has the name of a dense one", "sparse_vectors")
        }
        if let method = root.member("sharding_method")?.string, method != "auto" {
            throw .wrong("sharding by keys is not supported here: points go to shards by their ids", "sharding_method")
        }
        var sharding = sharding
        if let shards = root.member("shard_number") { sharding.shards = try shards.expectCount(atLeast: 1) }
        guard Sharding.shardCounts.contains(sharding.shards) else {
            throw .validation("shard_number", "value \(sharding.shards) invalid, must be from 1 to \(Sharding.shardCounts.upperBound)")
        }
        return CollectionConfiguration(fields, sharding: sharding)
    }

    private static func dense(_ name: String, _ element: JSONElement) throws(ApusError) -> VectorField {
        guard element.kind == .object else { throw element.mismatch("an object") }
        let sizes = CollectionConfiguration.dimensions
        let size = try element.required("size").expectCount()
        guard sizes.contains(size) else {
            throw .validation(
                element.path + ".size", "value \(size) invalid, must be from \(sizes.lowerBound) to \(sizes.upperBound)")
        }
        let metric: Metric
        let distance = try element.required("distance")
        switch try distance.expectString() {
        case "Cosine": metric = .cosine
        case "Dot": metric = .dot
        case "Euclid": metric = .euclidean
        case "Manhattan": metric = .manhattan
        case let other:
            throw .format(distance.path, "unknown variant `\(other)`, expected one of `Cosine`, `Euclid`, `Dot`, `Manhattan`")
        }
        guard let multiple = element.member("multivector_config") else { return VectorField(name, .dense(dimension: size, metric)) }
        guard try multiple.expectObject().required("comparator").expectString() == "max_sim" else {
            throw .format(multiple.path, "unknown variant, expected `max_sim`")
        }
        return VectorField(name, .multiple(dimension: size, metric))
    }

    private static func check(vector name: String, _ kind: String) throws(ApusError) {
        guard name.utf8.count <= CollectionConfiguration.longestFieldName else {
            throw .wrong("Invalid \(kind) vector name `\(name.prefix(32))…`: must be at most 200 bytes long", name)
        }
        if let character = forbidden(in: name) {
            throw .wrong("Invalid \(kind) vector name `\(name)`: cannot contain \"\(character)\" char", name)
        }
    }

    /// The rules for names of new collections.
    static func check(collection name: CollectionName) throws(ApusError) {
        let count = name.rawValue.unicodeScalars.count
        guard (1...255).contains(count), name.rawValue.utf8.count <= 255 else {
            throw .invalidPath("name", "value \"\(name.rawValue.prefix(32))\" invalid, length must be from 1 to 255 characters")
        }
        if let character = forbidden(in: name.rawValue) {
            throw .invalidPath("name", "collection name cannot contain \"\(character)\" char")
        }
        guard name.rawValue != ".", name.rawValue != ".." else {
            throw .invalidPath("name", "collection name cannot be \"\(name.rawValue)\"")
        }
    }

    private static func forbidden(in name: String) -> String? {
        name.unicodeScalars.first { #"<>:"/\|?*"#.unicodeScalars.contains($0) || $0.properties.generalCategory == .control }
            .map { $0.properties.generalCategory == .control ? "U+" + String($0.value, radix: 16, uppercase: true) : String($0) }
    }
}
