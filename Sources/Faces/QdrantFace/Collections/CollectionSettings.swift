internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// What a client said about a collection that the engine does not act on: it is kept with the collection and told back, put over the
/// defaults of the real server.
///
/// One JSON object, with the names of Qdrant's API: `hnsw_config`, `optimizer_config`, `wal_config`, `quantization_config`, `params`,
/// `vectors` and `sparse_vectors` by name, `strict_mode_config`, `metadata`.
struct CollectionSettings {
    private(set) var object: JSONObject

    /// Empty where nothing was kept, or where it is of a kind that a newer Apus wrote.
    init(_ text: String?) {
        object = text.flatMap { try? JSONValue(parsing: Array($0.utf8)) }?["qdrant"]?.asObject ?? JSONObject()
    }

    var text: String { JSONValue.object(["qdrant": .object(object)]).description }

    static let hnsw: JSONObject = [
        "m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0, "on_disk": false,
    ]
    static let optimizers: JSONObject = [
        "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0, "max_segment_size": nil,
        "memmap_threshold": nil, "indexing_threshold": 20_000, "flush_interval_sec": 5, "max_optimization_threads": nil,
    ]
    static let wal: JSONObject = ["wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1]
    static let params: JSONObject = ["write_consistency_factor": 1, "on_disk_payload": true]

    subscript(name: String) -> JSONObject { object[name]?.asObject ?? JSONObject() }

    /// A part put over the defaults.
    func told(_ name: String, _ defaults: JSONObject) -> JSONObject { defaults.merged(with: self[name]) }

    // MARK: Changes

    /// Of a new collection.
    init(creating root: JSONElement) throws(ApusError) {
        object = JSONObject()
        try Self.check(root)
        for name in ["hnsw_config", "wal_config", "quantization_config", "strict_mode_config", "metadata"] {
            if let part = root.member(name) { object[name] = try part.expectObject().value.withoutNulls }
        }
        if let part = root.member("optimizers_config") { object["optimizer_config"] = try part.expectObject().value.withoutNulls }
        var params = JSONObject()
        for name in ["write_consistency_factor", "on_disk_payload", "read_fan_out_factor", "payload", "id_tracker"] {
            if let value = root.member(name) { params[name] = value.value.withoutNulls }
        }
        if !params.isEmpty { object["params"] = .object(params) }
        try keepVectors(root)
    }

    /// Each vector's own settings.
    private mutating func keepVectors(_ root: JSONElement) throws(ApusError) {
        func extras(_ element: JSONElement, without names: Set<String>) -> JSONValue? {
            guard let object = element.value.withoutNulls.asObject else { return nil }
            let kept = JSONObject(object.filter { !names.contains($0.key) }.map { ($0.key, $0.value) })
            return kept.isEmpty ? nil : .object(kept)
        }
        let own: Set = ["size", "distance", "multivector_config"]
        var dense = self["vectors"]
        if let vectors = root.member("vectors") {
            if vectors.member("size") != nil {
                dense[""] = extras(vectors, without: own)
            } else {
                for (name, element) in vectors.entries { dense[name] = extras(element, without: own) }
            }
        }
        if !dense.isEmpty { object["vectors"] = .object(dense) }
        var sparse = self["sparse_vectors"]
        for (name, element) in root.member("sparse_vectors")?.entries ?? [] {
            sparse[name] = extras(element, without: [])
        }
        if !sparse.isEmpty { object["sparse_vectors"] = .object(sparse) }
    }

    /// What a `PATCH` says. Throws for vectors that the collection does not have.
    mutating func update(_ root: JSONElement, _ fields: [VectorField]) throws(ApusError) {
        try Self.check(root)
        for (name, kept) in [
            ("hnsw_config", "hnsw_config"), ("optimizers_config", "optimizer_config"), ("params", "params"),
            ("strict_mode_config", "strict_mode_config"),
        ] {
            guard let part = root.member(name) else { continue }
            object[kept] = .object(self[kept].merged(with: try part.expectObject().value.asObject ?? JSONObject()))
        }
        if let quantization = root.member("quantization_config") {
            object["quantization_config"] =
                quantization.string == "Disabled" ? Optional.none : try quantization.expectObject().value.withoutNulls
        }
        if let metadata = root.member("metadata") {
            var merged = self["metadata"]
            for (key, value) in try metadata.expectObject().value.asObject ?? JSONObject() {
                merged[key] = value.isNull ? Optional.none : value
            }
            object["metadata"] = .object(merged)
        }
        for (group, isSparse) in [("vectors", false), ("sparse_vectors", true)] {
            for (name, element) in root.member(group)?.entries ?? [] {
                let field = fields.first { $0.name == name }
                guard let field, field.isSparse == isSparse else {
                    throw ApusError(.vectorUnknownField, "there is no vector '\(name)'", context: ["field": name])
                }
                if let modifier = element.member("modifier"), (modifier.string == "idf") != field.hasIDF {
                    throw .wrong("the modifier of a sparse vector cannot be changed", modifier.path)
                }
                var all = self[group]
                var change = element.value.asObject ?? JSONObject()
                change["modifier"] = nil
                all[name] = .object((all[name]?.asObject ?? JSONObject()).merged(with: change))
                object[group] = .object(all)
            }
        }
    }

    /// The bounds of the real server.
    private static func check(_ root: JSONElement) throws(ApusError) {
        func count(_ element: JSONElement?, _ name: String, atLeast least: Int) throws(ApusError) {
            _ = try element?.member(name)?.expectCount(atLeast: least)
        }
        try count(root, "shard_number", atLeast: 1)
        try count(root, "replication_factor", atLeast: 1)
        try count(root, "write_consistency_factor", atLeast: 1)
        let params = root.member("params")
        try count(params, "replication_factor", atLeast: 1)
        try count(params, "write_consistency_factor", atLeast: 1)
        try check(hnsw: root.member("hnsw_config"))
        try check(quantization: root.member("quantization_config"))
        let optimizers = root.member("optimizers_config")
        _ = try optimizers?.member("deleted_threshold")?.expectNumber(in: 0...1)
        try count(optimizers, "vacuum_min_vector_number", atLeast: 100)
        let wal = root.member("wal_config")
        try count(wal, "wal_capacity_mb", atLeast: 1)
        try count(wal, "wal_segments_ahead", atLeast: 0)
        let vectors = root.member("vectors")
        let each = vectors?.member("size") != nil ? [vectors].compactMap(\.self) : vectors?.entries.map(\.value) ?? []
        for vector in each {
            try check(hnsw: vector.member("hnsw_config"))
            try check(quantization: vector.member("quantization_config"))
        }
    }

    private static func check(hnsw: JSONElement?) throws(ApusError) {
        _ = try hnsw?.member("m")?.expectCount()
        _ = try hnsw?.member("ef_construct")?.expectCount(atLeast: 4)
        _ = try hnsw?.member("full_scan_threshold")?.expectCount(atLeast: 10)
    }

    private static func check(quantization: JSONElement?) throws(ApusError) {
        _ = try quantization?.member("scalar")?.member("quantile")?.expectNumber(in: 0.5...1)
    }
}

extension VectorField {
    var isSparse: Bool { if case .sparse = kind { true } else { false } }
    var hasIDF: Bool { if case .sparse(idf: true) = kind { true } else { false } }
}

extension JSONObject {
    /// Members of `other` over these; null ones, which a client's library writes for what was not said, change nothing.
    func merged(with other: JSONObject) -> JSONObject {
        var merged = self
        for (key, value) in other where !value.isNull { merged[key] = value.withoutNulls }
        return merged
    }
}

extension JSONValue {
    var withoutNulls: JSONValue {
        guard case .object(let object) = self else { return self }
        return .object(JSONObject(object.filter { !$0.value.isNull }.map { ($0.key, $0.value.withoutNulls) }))
    }
}
