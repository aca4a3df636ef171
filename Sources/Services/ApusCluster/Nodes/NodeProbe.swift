public import ApusCatalog
public import ApusTypes

/// What nodes ask each other to find out whom they reach. The answer costs nothing and waits for nothing: a node that is short of processors or of
/// threads is reached, and taking its load away would only bring the others there too.
public enum NodeProbe {
    /// The name of the call.
    public static let method = "probe/1"

    /// Whether a failure of the call is that node's own answer: it takes no more work, it is about to stop, it does not know the call.
    public static func reaches(_ node: NodeRow, failing error: any Error) -> Bool {
        (error as? ApusError)?.context["node"] == node.name.rawValue
    }
}
