internal import ApusConfig
internal import ApusHTTP
internal import ApusRender
internal import ApusTypes

/// `apus render`: files for the programs around a cluster, made of its members as they are now.
enum RenderCommand {
    static let command: Command = Command(
        name: "render", summary: "Print a load balancer's configuration for the cluster's nodes.",
        discussion: """
            Asks a node who the members are. The same members give the same bytes. Let the balancer's own program check a file before it reads \
            it: nginx -t, haproxy -c -f FILE.
            """,
        arguments: [
            Argument(name: "KIND", help: "nginx or haproxy.", values: .choice(Kind.allCases.map(\.rawValue)))
        ],
        options: ClientOptions.all + [listen, output],
        examples: [
            .init("apus render nginx --url http://10.0.0.1:15002 --output /etc/nginx/conf.d/apus.conf", "for a balancer on another host"),
            .init("apus render haproxy --listen 0.0.0.0:80", "to look at"),
        ],
        run: { invocation in
            guard let kind = Kind(rawValue: try invocation.required(0)) else { throw ApusError(.usage, "unknown kind") }
            let status = try await NodeClient(invocation).call(.get, "/api/status", timeout: .seconds(5))
            guard let nodes = status["nodes"]?.asArray else {
                throw ApusError(.catalogUnavailable, "the node cannot say who the members are: its catalog is away", hint: "apus status")
            }
            let address = invocation.text(listen) ?? "0.0.0.0:80"
            let balancer = try LoadBalancer(
                frontends: [.main(listen: try endpoint(address), upstreams: try nodes.map(upstream))])
            let text = try kind == .nginx ? balancer.nginx() : balancer.haproxy()
            if let path = invocation.text(output) {
                try FileContents.write(Array(text.utf8), to: path)
            } else {
                invocation.terminal.print(text.hasSuffix("\n") ? String(text.dropLast()) : text)
            }
            return .success
        })

    private enum Kind: String, CaseIterable { case nginx, haproxy }

    private static let listen = Option.value("listen", "HOST:PORT", "Where the balancer listens (default 0.0.0.0:80).")
    private static let output = Option.value("output", "FILE", .file([]), "Write here, all or nothing, instead of printing.")

    private static func upstream(_ node: JSONValue) throws(ApusError) -> Upstream {
        guard let name = node["name"]?.asString, let url = node["url"]?.asString,
            let authority = url.split(separator: "/").dropFirst().first
        else { throw ApusError(.peerInvalid, "the node's list of members cannot be read", hint: "is it an apus of this version?") }
        let state: Upstream.State =
            switch node["status"]?.asString {
            case "active", "joining": .ready
            case "suspect": .suspect
            case "draining": .draining
            case "left": .left
            default: .down
            }
        return Upstream(node: NodeName(name), endpoint: try endpoint(String(authority)), state: state)
    }

    private static func endpoint(_ text: String) throws(ApusError) -> Endpoint {
        guard let address = SocketAddress(text) else {
            throw ApusError(.usage, "'\(text)' is no HOST:PORT", hint: "--listen 0.0.0.0:80")
        }
        return try Endpoint(host: address.host, port: address.port)
    }
}
