internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// Nodes of one cluster, of which any can answer: the one that did last is asked first.
final class AnyNode: Sendable {
    /// Those that were given, then those that were learned.
    private let known: Mutex<(clients: [NodeClient], first: Int)>
    private let given: Int
    private let key: Redacted<String>?
    private let http: HTTPClient

    init(_ invocation: Invocation, loops: EventLoops) throws(ApusError) {
        let key = try ClientOptions.key(invocation)
        let http = HTTPClient(loops: loops)
        let clients = try ClientOptions.baseURLs(invocation).map { NodeClient(url: $0, key: key, http: http) }
        (self.key, self.http) = (key, http)
        given = clients.count
        known = Mutex((clients, 0))
    }

    /// Asks these too from now on, which one of them has named as members: whoever goes on for long outlives the nodes that were given. A key that
    /// was given for encrypted connections goes over no other.
    func learn(_ urls: [String]) {
        known.withLock { known in
            let asked = known.clients.indices.contains(known.first) ? known.clients[known.first].url : nil
            let given = known.clients.prefix(given)
            let isEncrypted = given.contains { $0.url.hasPrefix("https:") }
            let new = urls.filter { url in !given.contains { $0.url == url } && (!isEncrypted || url.hasPrefix("https:")) }.map {
                NodeClient(url: $0, key: key, http: http)
            }
            known.clients = given + new
            known.first = known.clients.firstIndex { $0.url == asked } ?? 0
        }
    }

    /// Asks one after the other, each for so long. Throws what a node answered, rather than that another one did not.
    func get(_ path: String, timeout: Duration) async throws(ApusError) -> JSONValue {
        var failures: [ApusError] = []
        let (clients, start) = known.withLock { $0 }
        for index in clients.indices.map({ ($0 + start) % clients.count }) {
            do throws(ApusError) {
                let reply = try await clients[index].call(.get, path, timeout: timeout)
                known.withLock { known in known.first = known.clients.firstIndex { $0.url == clients[index].url } ?? 0 }
                return reply
            } catch { failures.append(error) }
        }
        if let answer = failures.first(where: { $0.code != .nodeUnreachable }) { throw answer }
        guard failures.count > 1 else { throw failures[0] }  // there is one URL at least
        throw ApusError(.nodeUnreachable, failures.map(\.summary).joined(separator: "; "), hint: "apus status --url URL says more of one")
    }
}
