public import ApusCatalog
public import ApusTypes

/// What nodes ask each other to find out whom they reach. The answer costs nothing and waits for nothing: a node that is short of processors or of
/// threads is reached, and taking its load away would only bring the others there too.
public enum NodeProbe {
    /// The name of the call.
    public static let method = "probe/1"

    /// The reply of a process: which registration of which node it is. Nothing before it has joined.
    public static func reply(_ node: NodeName, incarnation: Int64?) -> [UInt8] {
        Array(
            JSONValue.object(["node": .string(node.rawValue), "incarnation": incarnation.map(JSONValue.integer) ?? .null]).description.utf8)
    }

    /// Whether a reply is that node's, and of the process that has registered under its name. A node of a version before this one says nothing.
    public static func reaches(_ node: NodeRow, replying reply: [UInt8]) -> Bool {
        guard !reply.isEmpty else { return true }
        guard let value = try? JSONValue(parsing: reply) else { return false }
        return value["node"]?.asString == node.name.rawValue && value["incarnation"]?.asInteger == node.incarnation
    }

    /// Whether a failure of the call is that node's own answer: it takes no more work, it is about to stop, it does not know the call.
    public static func reaches(_ node: NodeRow, failing error: any Error) -> Bool {
        (error as? ApusError)?.context["node"] == node.name.rawValue
    }
}
