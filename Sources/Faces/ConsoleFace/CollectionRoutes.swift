internal import ApusCluster
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectorIndex
internal import ApusVectors

/// What operators do with collections: compare a node's memory with the log, copy one into another, and know what one will take.
extension ConsoleFace {
    /// How long one shard may take to be verified, whatever a short request may.
    private static let verificationTime: Duration = .seconds(3600)
    private static let copyTime: Duration = .seconds(120)
    /// Points of one step of a copy.
    private static let mostCopied = 1000

    func mountCollections(on router: inout Router) {
        router.on(.post, "/api/collections/{name}/verify") { request in
            try request.require(.administrator)
            let name = CollectionName(try request.parameter("name"))
            let shards = try await vectors.collection(name, deadline: request.deadline).shards.count
            let found = try await vectors.verify(
                name, shard: try request.query.value("shard"),
                deadline: max(request.deadline, clock.now.advanced(by: Self.verificationTime)))
            var writer = JSONWriter()
            writer.object {
                $0.member("collection", name.rawValue)
                $0.member("node", cluster.identity.name.rawValue)
                $0.member("is_whole", found.allSatisfy(\.isWhole))
                $0.member("shard_count", shards)
                $0.key("shards")
                $0.array { for shard in found { Self.write(shard, to: &$0) } }
            }
            return .json(writer.bytes)
        }
        router.on(.post, "/api/collections/{name}/copy", copy)
        router.on(.patch, "/api/collections/{name}", change)
        mountDeleted(on: &router)
        router.on(.get, "/api/forecast", forecast)
    }

    private static func write(_ shard: ShardVerification, to writer: inout JSONWriter) {
        func write(_ digest: PointsDigest, to writer: inout JSONWriter) {
            writer.object {
                $0.member("points", digest.count)
                $0.member("digest", digest.description)
            }
        }
        writer.object {
            $0.member("shard_id", shard.id.value)
            $0.member("number", shard.number)
            $0.member("is_whole", shard.isWhole)
            $0.member("sequence", shard.sequence)
            $0.key("memory")
            write(shard.memory, to: &$0)
            $0.key("log")
            write(shard.log, to: &$0)
            $0.member("segments", shard.segments)
            $0.member("operations", shard.operations)
            $0.key("differences")
            if let differences = shard.differences {
                $0.object {
                    $0.member("missing", differences.missing)
                    $0.member("extra", differences.extra)
                    $0.member("changed", differences.changed)
                    $0.member("examples", .array(differences.examples.map { .string($0.description) }))
                }
            } else {
                $0.null()
            }
            $0.key("problems")
            $0.array {
                for problem in shard.problems {
                    $0.object {
                        $0.member("code", problem.code.rawValue)
                        $0.member("message", problem.summary)
                    }
                }
            }
        }
    }

    /// `{"to", "shards"?, "from"?, "resume"?}`: one step of a copy. The first, without `from`, makes the destination; one that holds points
    /// already is taken only with `resume`, because points that the source does not have are deleted from it.
    private func copy(_ request: Request) async throws -> Response {
        try request.require(.administrator)
        let source = CollectionName(try request.parameter("name"))
        let body = try JSONValue(parsing: await request.body.collect(limit: options.maxBody))
        let deadline = max(request.deadline, clock.now.advanced(by: Self.copyTime))
        guard let text = body["to"]?.asString else { throw ApusError.field("to", "it is missing, or no string") }
        let destination = CollectionName(text)
        if let from = body["from"], from != .null {
            guard let text = from.asString else { throw ApusError.field("from", "it is no string") }
            return try await step(source, destination, try PointID(text), deadline)
        }
        let shards = body["shards"].flatMap { $0 == .null ? nil : $0.asInteger ?? -1 }.map { Int(clamping: $0) }
        if let shards, !Sharding.shardCounts.contains(shards) {
            throw ApusError.field("shards", "it must be from \(Sharding.shardCounts.lowerBound) to \(Sharding.shardCounts.upperBound)")
        }
        let made = try await vectors.createCollection(
            destination, like: source, shards: shards, deadline: deadline)
        guard body["resume"]?.asBool == true || made.points == 0 else {
            throw ApusError(
                .collectionExists, "collection '\(destination)' holds \(made.points) points already",
                hint: "resume a copy, which deletes from it what '\(source)' does not hold, or choose another name",
                context: ["collection": destination.rawValue])
        }
        return try await step(source, destination, nil, deadline)
    }

    private func step(
        _ source: CollectionName, _ destination: CollectionName, _ start: PointID?, _ deadline: Instant
    ) async throws -> Response {
        let step = try await vectors.copy(from: source, to: destination, startingAt: start, limit: Self.mostCopied, deadline: deadline)
        let (from, to) = (
            try await vectors.wholeCollection(source, deadline: deadline),
            try await vectors.wholeCollection(destination, deadline: deadline)
        )
        return .json(
            JSONValue.object([
                "compared": .integer(Int64(step.compared)), "written": .integer(Int64(step.written)),
                "deleted": .integer(Int64(step.deleted)), "next": step.next.map { .string($0.description) } ?? .null,
                "source_points": .integer(Int64(from.points)), "destination_points": .integer(Int64(to.points)),
                "destination_shards": .integer(Int64(to.shards.count)),
                "source_before": .array(step.before.map(JSONValue.integer)), "source_after": .array(step.after.map(JSONValue.integer)),
            ]).serialized())
    }

    /// `?points=&dimension=&metric=&shards=&payload_bytes=&id_bytes=`.
    private func forecast(_ request: Request) async throws -> Response {
        try request.require(.reader)
        func count(_ name: String) throws -> Int? { try request.query.value(name) }
        guard let points = try count("points") else { throw ApusError.field("points", "it is missing") }
        guard let dimension = try count("dimension") else { throw ApusError.field("dimension", "it is missing") }
        let metric = request.query["metric"] ?? Metric.cosine.rawValue
        guard let metric = Metric(rawValue: metric) else {
            throw ApusError.field("metric", "it is none of \(Metric.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        let kind = MemoryForecast(
            dimension: dimension, metric: metric, payloadBytes: try count("payload_bytes") ?? 0, idBytes: try count("id_bytes") ?? 0)
        let forecast = try vectors.forecast(kind, points: points, shards: try count("shards") ?? 1)
        let machine = MachineMemory.current()
        func bytes(_ count: ByteCount?) -> JSONValue { count.map { .integer(Int64($0.bytes)) } ?? .null }
        func perPoint(_ count: ByteCount) -> JSONValue { points == 0 ? .null : .integer(Int64((count.bytes + points / 2) / points)) }
        return .json(
            JSONValue.object([
                "points": .integer(Int64(forecast.points)), "shards": .integer(Int64(forecast.shards)),
                "per_point": ["searched_bytes": perPoint(forecast.searched), "disk_bytes": perPoint(forecast.disk)],
                "searched_bytes": bytes(forecast.searched), "whole_bytes": bytes(forecast.whole),
                "unsealed": ["points": .integer(Int64(forecast.unsealedPoints)), "bytes": bytes(forecast.unsealed)],
                "building_bytes": bytes(forecast.building), "disk_bytes": bytes(forecast.disk),
                "machine": [
                    "node": .string(cluster.identity.name.rawValue), "memory_bytes": bytes(machine?.total),
                    "limit_bytes": bytes(machine?.limit), "available_bytes": bytes(machine?.available),
                ],
                "verdict": .string(machine.map { forecast.verdict(on: $0) }?.rawValue ?? "unknown"),
            ]).serialized())
    }
}

extension CollectionForecast {
    enum Verdict: String {
        /// All of it, also while segments are made.
        case fits
        /// What searches look at; of what they find, the vectors as written and payloads may come from disk.
        case searchedFits = "searched_fits"
        case tooLarge = "too_large"
    }

    /// What is free for it elsewhere on the machine is not asked: what is there now may not be there then.
    func verdict(on machine: MachineMemory) -> Verdict {
        if whole.bytes + building.bytes <= machine.usable.bytes { return .fits }
        return searched.bytes + building.bytes <= machine.usable.bytes ? .searchedFits : .tooLarge
    }
}

extension ApusError {
    static func field(_ name: String, _ reason: String) -> ApusError {
        ApusError(.requestInvalid, "'\(name)': \(reason)", context: ["field": name])
    }
}
