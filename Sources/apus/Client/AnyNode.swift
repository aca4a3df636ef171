internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// Nodes of one cluster, of which any can answer: the one that did last is asked first.
final class AnyNode: Sendable {
    private let nodes: [NodeClient]
    private let first = Mutex(0)

    init(_ invocation: Invocation, loops: EventLoops) throws(ApusError) {
        let key = try ClientOptions.key(invocation)
        let http = HTTPClient(loops: loops)
        nodes = try ClientOptions.baseURLs(invocation).map { NodeClient(url: $0, key: key, http: http) }
    }

    /// Asks one after the other, each for so long. Throws what a node answered, rather than that another one did not.
    func get(_ path: String, timeout: Duration) async throws(ApusError) -> JSONValue {
        var failures: [ApusError] = []
        let start = first.withLock { $0 }
        for index in nodes.indices.map({ ($0 + start) % nodes.count }) {
            do throws(ApusError) {
                let reply = try await nodes[index].call(.get, path, timeout: timeout)
                first.withLock { $0 = index }
                return reply
            } catch { failures.append(error) }
        }
        if let answer = failures.first(where: { $0.code != .nodeUnreachable }) { throw answer }
        guard failures.count > 1 else { throw failures[0] }  // there is one URL at least
        throw ApusError(.nodeUnreachable, failures.map(\.summary).joined(separator: "; "), hint: "apus status --url URL says more of one")
    }
}
