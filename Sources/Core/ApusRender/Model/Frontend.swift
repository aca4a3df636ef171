public import ApusTypes

/// One address that a balancer listens on, and the nodes' listeners behind it.
public struct Frontend: Sendable, Hashable {
    /// Names the listener in the file; `main`, `qdrant`.
    public var name: String
    public var listen: Endpoint
    public var upstreams: [Upstream]
    public var routes: RouteTable
    /// What a node is asked when the balancer is asked `/health`: 200 where it answers reads.
    public var health: String
    /// Of a request's body, except those of streams, which the nodes bound. The nodes' own limit, or nginx would keep what they refuse.
    public var maxBody: ByteCount

    public init(
        name: String, listen: Endpoint, upstreams: [Upstream], routes: RouteTable, health: String = "/health/ready?role=read",
        maxBody: ByteCount
    ) {
        self.name = name
        self.listen = listen
        self.upstreams = upstreams
        self.routes = routes
        self.health = health
        self.maxBody = maxBody
    }

    /// In front of the listeners that a node has unless it is told otherwise: Vectorizer's API, Apus's own, and Qdrant's below `/qdrant`.
    public static func main(listen: Endpoint, upstreams: [Upstream], maxBody: ByteCount = .mebibytes(64)) -> Frontend {
        Frontend(
            name: "main", listen: listen, upstreams: upstreams, routes: .vectorizer + .qdrant.below("/qdrant"), health: "/health",
            maxBody: maxBody)
    }

    /// In front of listeners that have Qdrant's API at their root.
    public static func qdrant(listen: Endpoint, upstreams: [Upstream], maxBody: ByteCount = .mebibytes(32)) -> Frontend {
        Frontend(name: "qdrant", listen: listen, upstreams: upstreams, routes: .qdrant, maxBody: maxBody)
    }
}

extension Frontend {
    /// What the file calls it; nginx's variables have no `-`.
    var identifier: String { "apus_" + ApusRender.identifier(name).replacing("-", with: "_") }

    /// One line of the file for a node, whose name no other line has.
    struct Server {
        var name: String
        var upstream: Upstream
    }

    /// In the order of their names: the file does not depend on the order in which somebody listed them.
    private var servers: [Server] {
        var names: Set<String> = []
        return upstreams.sorted { ($0.node, $0.endpoint.description) < ($1.node, $1.endpoint.description) }.map { upstream in
            var name = ApusRender.identifier(upstream.node.rawValue)
            while !names.insert(name).inserted { name += "_" }  // two names may differ in what became `_`
            return Server(name: name, upstream: upstream)
        }
    }

    /// Who is asked, who is asked only when those fail, and who is not asked at all.
    var pool: (active: [Server], reserve: [Server], out: [Server]) {
        let byState = Dictionary(grouping: servers, by: \.upstream.state)
        func all(_ states: some Sequence<Upstream.State>) -> [Server] { states.flatMap { byState[$0] ?? [] } }
        let states = Upstream.State.allCases
        guard let best = states.dropLast().first(where: { byState[$0] != nil }) else { return ([], [], all(states)) }
        let reserve: [Upstream.State] = best == .ready ? [.suspect] : []
        return (all([best]), all(reserve), all(states.filter { $0 != best && !reserve.contains($0) }))
    }
}
