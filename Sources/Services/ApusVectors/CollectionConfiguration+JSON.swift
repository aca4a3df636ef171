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
        try check(fields.count, 1...Self.mostFields, "vectors")
        for field in fields {
            if let dimension = field.dimension {
                try check(dimension, Self.dimensions, field.name.isEmpty ? "dimension" : "vectors.\(field.name).size")
            }
            try check(field.name.utf8.count, 0...Self.longestFieldName, "vectors.\(field.name.prefix(32))")
        }
        guard Set(fields.map(\.name)).count == fields.count else {
            throw ApusError(.requestInvalid, "two vector fields have the same name", context: ["field": "vectors"])
        }
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
            if case .dense(let dimension, let metric) = fields[0].kind, fields.count == 1, fields[0].name.isEmpty {
                $0.member("dimension", dimension)
                $0.member("metric", metric.rawValue)
            } else {
                $0.key("fields")
                $0.array { writer in for field in fields { field.write(to: &writer) } }
            }
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
        let fields = value["fields"]?.asArray?.map(VectorField.init(json:)) ?? [VectorField(json: value)]
        guard !fields.isEmpty, !fields.contains(nil),
            let virtualNodes = value["virtual_nodes"]?.asInteger, Sharding.virtualNodeCounts.contains(Int(virtualNodes)),
            let shards = value["shards"]?.asInteger, let threshold = value["rebalance_threshold"]?.asDouble
        else {
            throw ApusError(
                .catalogIncompatible, "the catalog holds a collection with a configuration that this program does not know: \(json)")
        }
        self.init(
            fields.compactMap(\.self),
            sharding: Sharding(shards: Int(shards), virtualNodes: Int(virtualNodes), rebalanceThreshold: threshold),
            description: value["description"]?.asString)
        if let provider = value["embedding"] {
            do { embedding = try EmbeddingProvider(json: provider, field: "embedding") } catch {
                throw ApusError(.catalogIncompatible, "the catalog holds a collection whose embedding is not understood: \(error.summary)")
            }
        }
    }
}

extension VectorField {
    fileprivate func write(to writer: inout JSONWriter) {
        writer.object {
            $0.member("name", name)
            switch kind {
            case .dense(let dimension, let metric):
                $0.member("dimension", dimension)
                $0.member("metric", metric.rawValue)
            case .multiple(let dimension, let metric):
                $0.member("dimension", dimension)
                $0.member("metric", metric.rawValue)
                $0.member("multiple", true)
            case .sparse(let idf): $0.member("sparse", idf ? "idf" : "plain")
            }
        }
    }

    /// Nil for what a newer Apus may have written.
    fileprivate init?(json: JSONValue) {
        let name = json["name"]?.asString ?? ""
        if let sparse = json["sparse"]?.asString {
            guard sparse == "idf" || sparse == "plain" else { return nil }
            self.init(name, .sparse(idf: sparse == "idf"))
        } else {
            guard let number = json["dimension"]?.asInteger, let dimension = Int(exactly: number),
                CollectionConfiguration.dimensions.contains(dimension),
                let metric = json["metric"]?.asString.flatMap(Metric.init(rawValue:))
            else { return nil }
            let isMultiple = json["multiple"]?.asBool ?? false
            self.init(name, isMultiple ? .multiple(dimension: dimension, metric) : .dense(dimension: dimension, metric))
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
