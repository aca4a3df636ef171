public import ApusTypes

/// On whose behalf a task works, and the tasks that it waits for.
///
/// Bound where a request's credential was judged, on every protocol; asked where a service looks a collection up. So no route and no
/// command passes it on, and none can forget to. A node's own work has no caller and reaches everything.
public enum Caller {
    @TaskLocal public static var scope: CollectionScope = .everything
}
