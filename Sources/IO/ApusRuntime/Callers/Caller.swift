public import ApusTypes

/// On whose behalf a task works, and the tasks that it waits for.
///
/// Bound where a request's credential was judged, on every protocol; asked where a service looks a collection up. So no route and no
/// command passes it on, and none can forget to. A node's own work has no caller and reaches everything.
public enum Caller {
    public static var scope: CollectionScope { current.scope }
    /// The id of the request that a task works for, by which logs of several nodes are brought together; empty where there is none.
    public static var request: String { current.request }

    /// Both in one: binding costs each request.
    public struct Facts: Sendable {
        var scope: CollectionScope = .everything
        var request = ""

        public init(scope: CollectionScope, request: String) {
            self.scope = scope
            self.request = request
        }

        init() {}
    }

    @TaskLocal public static var current = Facts()
}
