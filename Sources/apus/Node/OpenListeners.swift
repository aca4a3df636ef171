internal import Synchronization

/// Where the node listens, as it is known once everything is open: for its status, its run file and its log.
final class OpenListeners: Sendable {
    private let urls = Mutex<[(name: String, url: String)]>([])

    func add(_ name: String, _ url: String) { urls.withLock { $0.append((name, url)) } }

    var all: [(name: String, url: String)] { urls.withLock { $0 } }
}
