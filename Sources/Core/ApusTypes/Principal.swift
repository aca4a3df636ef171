/// Who a request comes from, as its credentials or its connection prove.
public struct Principal: Sendable, Hashable {
    /// What it may do; each role may do what those before it may.
    public enum Role: Int, Sendable, Hashable, Comparable, CaseIterable {
        case reader, writer, administrator

        public static func < (left: Role, right: Role) -> Bool { left.rawValue < right.rawValue }
    }

    /// What a call reads or changes.
    public enum Reach: Sendable, Hashable {
        /// Nothing but collections (or nothing at all), each of which the service judges when it looks it up, lists or counts it.
        case collections
        /// The node or the cluster, and so all collections: nothing for a key that is for some.
        case everything
    }

    /// A key's public part, or `local` for the node's own user over loopback. Safe to log.
    public var id: String
    public var role: Role
    /// The collections that it may do it with.
    public var scope: CollectionScope

    public init(id: String, role: Role, scope: CollectionScope = .everything) {
        self.id = id
        self.role = role
        self.scope = scope
    }

    /// The node's own user, or root, on the node's own machine.
    public static let local = Principal(id: "local", role: .administrator)

    /// Throws `auth.forbidden` for who may do less than `role`, and for a key for some collections where everything is reached.
    public func require(_ role: Role, over reach: Reach) throws(ApusError) {
        guard self.role >= role else {
            throw ApusError(.forbidden, "this needs a key with the role \(role), and this one has the role \(self.role)")
        }
        guard reach == .collections || scope.isEverything else {
            throw ApusError(
                .forbidden, "this needs a key for all collections, and this one is for \(scope)",
                hint: "apus key create, without --collections")
        }
    }
}
