internal import ApusCatalog
internal import ApusConfig
internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// The keys that secrets in the catalog are sealed under, as this node has them now. Their file is read again while the node runs, so that a
/// key can be exchanged without a restart: first the new one is put in front of the old one on every node, then `apus secret rotate`, then the
/// old one is taken away.
final class SecretKeys: Sendable {
    private static let fileName = "secrets.key"
    private static let interval: Duration = .seconds(2)
    private let path: String?
    private let ring: Mutex<SecretRing?>
    private let pool = BlockingPool(name: "keys", threads: 1, queueLimit: 4)

    /// The keys of a file, one a line; else the cluster's secret; else one that this node makes for itself at its first start.
    init(_ configuration: Configuration) throws(ApusError) {
        if let path = configuration.query.secretKeyFile {
            self.path = path
            ring = Mutex(try Self.read(path))
        } else if let secret = configuration.cluster.secret {
            path = nil
            ring = Mutex(SecretRing([secret]))
        } else {
            let path = "\(configuration.node.data)/\(Self.fileName)"
            self.path = path
            if !FileContents.exists(path) {
                var generator = SystemRandomNumberGenerator()
                let key = "\(ObjectKey.random(using: &generator))\(ObjectKey.random(using: &generator))\n"
                try FileContents.write(Array(key.utf8), to: path, mode: 0o600)
            }
            ring = Mutex(try Self.read(path))
        }
    }

    var current: SecretRing? { ring.withLock { $0 } }

    private static func read(_ path: String) throws(ApusError) -> SecretRing {
        let text = String(decoding: try FileContents.readPrivate(path, limit: .kibibytes(64)), as: UTF8.self)
        let lines = text.split(whereSeparator: \.isNewline).map(String.init)
        guard lines.allSatisfy({ $0.count >= 16 }), let ring = SecretRing(lines.map { Redacted($0) }) else {
            throw ApusError(
                .configurationInvalid, "\(path): each line must be a key of 16 characters or more",
                hint: "openssl rand -hex 32 makes one; the first line seals, all lines open")
        }
        return ring
    }

    /// Reads the file again from time to time, and says when the catalog holds secrets that no key of this node opens: then the node is unready.
    func run(_ catalog: Catalog, _ health: Health) async {
        for await now in BootClock().ticks(every: Self.interval) {
            do {
                if let path {
                    let found = try await pool.run(deadline: now.advanced(by: .seconds(2))) { try Self.read(path) }
                    ring.withLock { $0 = found }
                }
                try current?.requireKeys(of: await catalog.served.secrets(deadline: now.advanced(by: .seconds(2))))
                health.recover("secrets")
            } catch let error as ApusError where [.catalogUnavailable, .deadlineExceeded].contains(error.code) {
                // The catalog's absence is said by whoever watches it.
            } catch let error as ApusError {
                health.report("secrets", error, blocks: Set(Health.Ability.allCases))
            } catch { return }  // cancelled
        }
    }
}
