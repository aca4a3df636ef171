internal import ApusCatalog
internal import ApusCluster
internal import ApusHTTP
internal import ApusQuery
internal import ApusRPC
internal import ApusRuntime
internal import ApusTypes
internal import ConsoleFace

extension Node {
    /// What nodes ask each other for their operators: none of it is about users' data.
    var operatorCalls: [String: @Sendable ([UInt8]) async throws -> [UInt8]] {
        [
            ConsoleFace.logCall: { try ConsoleFace.logPage($0) },
            ConsoleFace.vitalsCall: { [metrics] _ in ConsoleFace.vitals(metrics) },
            ConsoleFace.slowCall: { [query] message in
                if !message.isEmpty { query.slow.clear() }
                return query.slow.document.serialized()
            },
        ]
    }

    /// Puts a question to every node that has not left, this one included, or to one of them, all at once.
    func askNodes(
        _ method: String, _ message: @Sendable (NodeName) -> [UInt8], only: NodeName?, deadline: Instant
    ) async throws -> [NodeAnswer] {
        let own = cluster.identity.name
        // Logs are wanted most while the catalog is away: then of those who were there when it was read last.
        let rows = (try? await cluster.nodes(deadline: min(deadline, clock.now.advanced(by: .milliseconds(500))))) ?? cluster.knownNodes
        var nodes = Set(rows.filter { $0.status != .left }.map(\.name)).union([own])
        if let only {
            guard nodes.contains(only) else {
                throw ApusError(.nodeUnknown, "there is no node \(only), or it has left", hint: "apus node list")
            }
            nodes = [only]
        }
        return await withTaskGroup(of: NodeAnswer.self) { group in
            for node in nodes {
                let message = message(node)
                group.addTask {
                    do {
                        let reply =
                            node == own
                            ? try await operatorCalls[method]?(message) ?? []
                            : try await ClusterPeers(cluster: cluster, calls: calls).call(node, method, message, deadline: deadline)
                        return NodeAnswer(node: node, result: .success(reply))
                    } catch {
                        return NodeAnswer(node: node, result: .failure(error as? ApusError ?? ApusError(.internalError, "\(error)")))
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }.sorted { $0.node < $1.node }
        }
    }
}
