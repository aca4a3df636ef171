/// Who a request comes from, as its credentials or its connection prove.
public struct Principal: Sendable, Hashable {
    /// What it may do; each role may do what those before it may.
    public enum Role: Int, Sendable, Hashable, Comparable, CaseIterable {
        case reader, writer, administrator

        public static func < (left: Role, right: Role) -> Bool { left.rawValue < right.rawValue }
    }

    /// A key's public part, or `local` for the node's own user over loopback. Safe to log.
    public var id: String
    public var role: Role

    public init(id: String, role: Role) {
        self.id = id
        self.role = role
    }

    /// The node's own user, or root, on the node's own machine.
    public static let local = Principal(id: "local", role: .administrator)
}
