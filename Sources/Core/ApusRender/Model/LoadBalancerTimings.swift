/// How long a balancer waits for what. One value goes into the rendered files and into a drain, so that the two cannot disagree.
public struct LoadBalancerTimings: Sendable, Hashable {
    /// Until a node has taken the connection.
    public var connect = Duration.seconds(1)
    /// For the next bytes of the answer to an interactive call. Longer than the nodes' own deadline for these (2 s), so that their answer
    /// that they are late comes through. Two nodes that hang take twice this: below the 6 s that an interactive call may take.
    public var interactive = Duration.milliseconds(2500)
    /// For the answer to everything else: longer than `http.request_timeout` of the nodes, for the same reason.
    public var answer = Duration.seconds(35)
    /// Between two bytes of a stream, an upload or a WebSocket.
    public var stream = Duration.seconds(3600)
    /// How long nginx keeps away from a node that failed it. By then the membership has noticed a dead node.
    public var failureMemory = Duration.seconds(5)

    /// HAProxy asks each node this often whether it is ready, waits this long, and stops sending after so many failures.
    public var checkInterval = Duration.seconds(1)
    public var checkTimeout = Duration.seconds(1)
    public var checksToFall = 2

    /// How often `apus render --watch` looks at the membership.
    public var look = Duration.seconds(1)
    /// Between two reloads of a balancer at least: each leaves behind worker processes that finish what they have.
    public var reloadInterval = Duration.seconds(2)
    /// What testing a file and reloading takes at most.
    public var reload = Duration.seconds(1)

    public init() {}

    /// After this long no balancer sends a new request to a node that says that it is not ready and is not listed as active: what a drain
    /// waits before the node may refuse work.
    public var unreadyWait: Duration { max(look + reloadInterval + reload, (checkInterval + checkTimeout) * checksToFall) }

    /// A second try begins only until then after the first: a moment more than a hanging node takes.
    var retryWindow: Duration { interactive + .milliseconds(100) }
}

extension Duration {
    /// `1s`, `2500ms`: as nginx and HAProxy read it.
    var configured: String {
        let milliseconds = components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }
}
