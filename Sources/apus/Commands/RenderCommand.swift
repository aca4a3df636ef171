internal import ApusConfig
internal import ApusHTTP
internal import ApusRender
internal import ApusRuntime
internal import ApusTypes

/// `apus render`: files for the programs around a cluster, made of its members as they are now.
enum RenderCommand {
    static let command: Command = Command(
        name: "render", summary: "Write a load balancer's configuration for the cluster's nodes, and keep it true.",
        discussion: """
            Asks any node who the members are. The same members give the same bytes. With --watch it goes on asking, on any host, also those \
            that it has heard of since: a new file is checked by the balancer's own program, takes the place of the old one at once and \
            whole, and the balancer is reloaded, at most every two seconds. While nobody answers the file stays as it is.
            """,
        arguments: [
            Argument(name: "KIND", help: "nginx or haproxy.", values: .choice(BalancerKind.allCases.map(\.rawValue)))
        ],
        options: [ClientOptions.urls, ClientOptions.keyFile, listen, status, output, watch, once, reload, ClientOptions.dryRun],
        examples: [
            .init("apus render haproxy --listen 0.0.0.0:80", "to look at"),
            .init(
                "apus render nginx --url http://10.0.0.1:15002,http://10.0.0.2:15002 --output /etc/nginx/conf.d/apus.conf --watch",
                "as a service on the balancer's host; another one may do the same"),
            .init(
                "apus render haproxy --output /etc/haproxy/haproxy.cfg --once --reload-command 'service haproxy reload'",
                "from a timer, or after a change"),
            .init("apus render nginx --output /etc/nginx/conf.d/apus.conf --once --dry-run", "whether nginx would accept it"),
        ],
        hasResult: false,
        run: { invocation in
            guard let kind = BalancerKind(rawValue: try invocation.required(0)) else { throw ApusError(.usage, "unknown kind") }
            let path = invocation.text(output)
            let isKept = invocation.isSet(watch) || invocation.isSet(once)
            guard !isKept || path != nil else {
                throw ApusError(.usage, "--watch and --once need the file to keep", hint: "--output /etc/nginx/conf.d/apus.conf")
            }
            let loops = EventLoops(count: 1)
            let nodes = try AnyNode(invocation, loops: loops)
            let address = try endpoint(invocation.text(listen) ?? "0.0.0.0:80")
            let statusAddress = try invocation.text(status).map { text throws(ApusError) in try endpoint(text) }
            let render: @Sendable ([Upstream]) throws(ApusError) -> String = { upstreams throws(ApusError) in
                try kind.text(LoadBalancer(frontends: [.main(listen: address, upstreams: upstreams)]), status: statusAddress)
            }
            let ask: @Sendable () async throws(ApusError) -> [Upstream] = { () async throws(ApusError) in
                let reply = try await nodes.get("/api/nodes", timeout: .seconds(isKept ? 1 : 5))
                let upstreams = try ListedMembers.upstreams(reply)
                nodes.learn(ListedMembers.urls(reply))
                return upstreams
            }
            guard let path, isKept || invocation.isSet(ClientOptions.dryRun) else {
                let text = try render(try await ask())
                if let path {
                    try FileContents.write(Array(text.utf8), to: path)
                } else {
                    invocation.terminal.print(text.hasSuffix("\n") ? String(text.dropLast()) : text)
                }
                return .success
            }
            LogOutput.start(format: .automatic, level: .info)
            let file = BalancerFile(
                kind: kind, path: path, reloadCommand: invocation.text(reload) ?? kind.reloadCommand,
                tool: Tool(environment: invocation.environment, loop: loops.first))
            var keeper = BalancerWatch(file: file, isTrial: invocation.isSet(ClientOptions.dryRun), members: ask, render: render)
            guard invocation.isSet(watch) else {
                try await keeper.look()
                return .success
            }
            let stop = StopRequest()
            let signals = Signals.stream([.interrupt, .terminate], on: loops.first)
            Task { for await _ in signals { stop.request() } }
            _ = try await stop.racing { [keeper] in
                var keeper = keeper
                await keeper.run()
            }
            return .success
        })

    private static let listen = Option.value("listen", "HOST:PORT", "Where the balancer listens (default 0.0.0.0:80).")
    private static let status = Option.value("status", "HOST:PORT", "Where HAProxy shows what it does; keep it on loopback.")
    private static let output = Option.value("output", "FILE", .file([]), "Write here, all or nothing, instead of printing.")
    private static let watch = Option.flag("watch", "Go on: check, replace and reload whenever the members change.")
    private static let once = Option.flag("once", "Check, replace and reload one time.")
    private static let reload = Option.value(
        "reload-command", "COMMAND", "What has the balancer read its file again (default 'nginx -s reload', 'systemctl reload haproxy').")

    private static func endpoint(_ text: String) throws(ApusError) -> Endpoint {
        guard let address = SocketAddress(text) else {
            throw ApusError(.usage, "'\(text)' is no HOST:PORT", hint: "--listen 0.0.0.0:80")
        }
        return try Endpoint(host: address.host, port: address.port)
    }
}
