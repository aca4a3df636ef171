internal import ApusEmbedding
internal import ApusTypes
internal import ApusVectorIndex

extension CollectionConfiguration {
    /// Throws `request.invalid`, naming the field and what would be accepted.
    func validate() throws(ApusError) {
        func check(_ value: Int, _ range: ClosedRange<Int>, _ field: String) throws(ApusError) {
            guard !range.contains(value) else { return }
            throw ApusError(
                .requestInvalid, "'\(field)' is \(value); it must be from \(range.lowerBound) to \(range.upperBound)",
                context: ["field": field])
        }
        try check(dimension, Self.dimensions, "dimension")
        try check(sharding.shards, Sharding.shardCounts, "sharding.shard_count")
        try check(sharding.virtualNodes, Sharding.virtualNodeCounts, "sharding.virtual_nodes_per_shard")
        guard Sharding.rebalanceThresholds.contains(sharding.rebalanceThreshold) else {
            throw ApusError(
                .requestInvalid, "'sharding.rebalance_threshold' must be from 0 to 1", context: ["field": "sharding.rebalance_threshold"])
        }
    }

    /// As the catalog keeps it.
    var json: String {
        var writer = JSONWriter()
        writer.object {
            $0.member("dimension", dimension)
            $0.member("metric", metric.rawValue)
            $0.member("virtual_nodes", sharding.virtualNodes)
            $0.member("rebalance_threshold", sharding.rebalanceThreshold)
            $0.member("shards", sharding.shards)
            if let description { $0.member("description", description) }
            if let embedding { $0.member("embedding", embedding.json) }
        }
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// Throws `catalog.incompatible` for what a newer Apus may have written.
    init(json: String) throws(ApusError) {
        let value = try JSONValue(parsing: Array(json.utf8))
        guard let dimension = value["dimension"]?.asInteger, Self.dimensions.contains(Int(dimension)),
            let metric = value["metric"]?.asString.flatMap(Metric.init(rawValue:)),
            let virtualNodes = value["virtual_nodes"]?.asInteger, Sharding.virtualNodeCounts.contains(Int(virtualNodes)),
            let shards = value["shards"]?.asInteger, let threshold = value["rebalance_threshold"]?.asDouble
        else {
            throw ApusError(
                .catalogIncompatible, "the catalog holds a collection with a configuration that this program does not know: \(json)")
        }
        self.init(
            dimension: Int(dimension), metric: metric,
            sharding: Sharding(shards: Int(shards), virtualNodes: Int(virtualNodes), rebalanceThreshold: threshold),
            description: value["description"]?.asString)
        if let provider = value["embedding"] {
            do { embedding = try EmbeddingProvider(json: provider, field: "embedding") } catch {
                throw ApusError(.catalogIncompatible, "the catalog holds a collection whose embedding is not understood: \(error.summary)")
            }
        }
    }
}

extension CollectionName {
    /// Throws `request.invalid` with what is wrong. The rules are Qdrant's for new collections, and no name that a file system reads
    /// as a directory: 1 to 255 bytes, none of `< > : " / \ | ? *`, no control characters, not `.` or `..`.
    func validate() throws(ApusError) {
        func refuse(_ reason: String) -> ApusError {
            ApusError(
                .requestInvalid, reason, hint: #"1 to 255 bytes, none of < > : " / \ | ? * and no control characters"#,
                context: ["field": "name"])
        }
        guard !rawValue.isEmpty else { throw refuse("collection name cannot be empty") }
        guard rawValue.utf8.count <= 255 else { throw refuse("collection name cannot be longer than 255 bytes") }
        guard rawValue != ".", rawValue != ".." else { throw refuse("collection name cannot be '\(rawValue)'") }
        for scalar in rawValue.unicodeScalars {
            if #"<>:"/\|?*"#.unicodeScalars.contains(scalar) { throw refuse("collection name cannot contain '\(scalar)'") }
            if scalar.properties.generalCategory == .control { throw refuse("collection name cannot contain control characters") }
        }
    }
}
