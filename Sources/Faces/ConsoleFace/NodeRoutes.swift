internal import ApusCatalog
internal import ApusCluster
internal import ApusHTTP
internal import ApusTypes

extension ConsoleFace {
    /// What operators do with nodes. `?dry_run=true` changes nothing and says what would be done, or why it would not.
    func mountNodes(on router: inout Router) {
        router.on(.post, "/api/nodes/{name}/drain") { request in
            let (name, isForced, isTrial) = try Self.node(request)
            let plan =
                isTrial
                ? try await cluster.drainPlan(of: name, isForced: isForced, deadline: request.deadline)
                : try await cluster.drain(name, isForced: isForced, by: Self.person(request), deadline: request.deadline)
            return try await reply(name, plan, isTrial, request)
        }
        router.on(.post, "/api/nodes/{name}/undrain") { request in
            let (name, _, isTrial) = try Self.node(request)
            let hasChanged = try await cluster.undrain(name, by: Self.person(request), isTrial: isTrial, deadline: request.deadline)
            return .json(
                JSONValue.object(["node": .string(name.rawValue), "has_changed": .bool(hasChanged), "is_dry_run": .bool(isTrial)])
                    .serialized())
        }
        router.on(.delete, "/api/nodes/{name}") { request in
            let (name, isForced, isTrial) = try Self.node(request)
            let plan =
                isTrial
                ? try await cluster.drainPlan(of: name, removing: true, isForced: isForced, deadline: request.deadline)
                : try await cluster.remove(name, isForced: isForced, deadline: request.deadline)
            return try await reply(name, plan, isTrial, request)
        }
        router.on(.get, "/api/doctor") { request in
            try request.require(.administrator)
            let (nodes, findings) = try await cluster.examine(deadline: min(request.deadline, clock.now.advanced(by: .seconds(8))))
            return .json(
                JSONValue.object([
                    "nodes": .array(nodes.map { .string($0.rawValue) }),
                    "findings": .array(
                        findings.map { finding in
                            [
                                "code": .string(finding.facts["code"] ?? finding.kind.rawValue), "node": .string(finding.node.rawValue),
                                "text": .string(finding.text), "remedy": .string(finding.remedy),
                                "facts": .object(JSONObject(finding.facts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
                            ]
                        }),
                ]).serialized())
        }
        router.on(.get, "/api/records") { request in
            try request.require(.reader)
            let limit: Int = try request.query.value("limit") ?? 50
            let records = try await cluster.catalog.records.list(
                subject: request.query["subject"], limit: min(max(limit, 1), 1000), deadline: request.deadline)
            // There are records of nodes that were removed, too.
            if records.isEmpty, let subject = request.query["subject"], subject.hasPrefix("node ") {
                let name = NodeName(String(subject.dropFirst("node ".count)))
                guard try await cluster.catalog.nodes.find(name, deadline: request.deadline) != nil else {
                    throw ApusError(.nodeUnknown, "there is no node \(name)", hint: "'apus node list' lists them")
                }
            }
            return .json(
                JSONValue.object([
                    "records": .array(
                        records.map { record in
                            [
                                "number": .integer(record.number), "at": .string(record.at.description),
                                "kind": .string(record.kind.rawValue),
                                "subject": .string(record.subject), "summary": .string(record.summary),
                                "inputs": (try? JSONValue(parsing: Array(record.inputs.utf8))) ?? .string(record.inputs),
                            ]
                        })
                ]).serialized())
        }
    }

    private static func node(_ request: Request) throws -> (NodeName, isForced: Bool, isTrial: Bool) {
        try request.require(.administrator)
        return (
            NodeName(try request.parameter("name")), try request.query.value("force") ?? false, try request.query.value("dry_run") ?? false
        )
    }

    private func reply(_ name: NodeName, _ plan: DrainPlan?, _ isTrial: Bool, _ request: Request) async throws -> Response {
        let view = try await cluster.view(deadline: request.deadline)
        func names(_ shards: [ShardID]) -> JSONValue { .array(shards.map { .string(view.name(of: $0)) }) }
        let refusal: JSONValue? = plan?.refusal.map { error in
            ["code": .string(error.code.rawValue), "message": .string(error.summary), "hint": error.hint.map(JSONValue.string) ?? .null]
        }
        return .json(
            JSONValue.object([
                "node": .string(name.rawValue), "is_dry_run": .bool(isTrial),
                "moves": .array(
                    (plan?.moves ?? []).map { ["shard": .string(view.name(of: $0.shard)), "to": .string($0.to.rawValue)] }),
                "short": names(plan?.short ?? []), "unserved": names(plan?.unserved ?? []), "refusal": refusal ?? .null,
            ]).serialized())
    }
}
