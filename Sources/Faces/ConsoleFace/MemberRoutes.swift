internal import ApusCatalog
internal import ApusCluster
internal import ApusHTTP
internal import ApusTypes

extension ConsoleFace {
    /// Who is in the cluster, at the price of one query: whoever keeps a balancer's file asks each second, also while nodes are frozen.
    func mountMembers(on router: inout Router) {
        router.on(.get, "/api/nodes") { request in
            try request.require(.reader)
            let nodes = try await cluster.nodes(deadline: min(request.deadline, clock.now.advanced(by: .seconds(1))))
            return .json(
                JSONValue.object([
                    "nodes": .array(
                        nodes.map { node in
                            [
                                "name": .string(node.name.rawValue), "url": .string(node.url), "status": .string(node.status.rawValue),
                                "roles": .array(node.roles.map(\.rawValue).sorted().map(JSONValue.string)),
                                "version": .string(node.version),
                            ]
                        })
                ]).serialized())
        }
    }
}
