internal import ApusConfig
internal import ApusHTTP
internal import ApusMembership
internal import ApusRuntime
internal import ApusTypes

/// Makes this machine's directory that of a node of a running cluster.
enum JoinCommand {
    static let command: Command = Command(
        name: "join", summary: "Set this machine up as a node of a running cluster.",
        discussion: """
            Asks the cluster that made the token, checks that this machine reaches every node and the catalog, and writes what a node \
            needs into its directory: 'apus node --data DIR' then starts it. Nothing is written, and the token stays good, when something is \
            not reached. Begun again after it was interrupted, it goes on.
            """,
        arguments: [Argument(name: "TOKEN", help: "As 'apus node token' printed it; '-' reads it from standard input.")],
        options: [data, listen, name, ClientOptions.dryRun],
        examples: [
            .init("apus join apus1.… --data /var/lib/apus --listen 192.168.1.11:15002", "then 'apus node --data /var/lib/apus'"),
            .init("apus join apus1.… --dry-run", "only what is reached from here"),
        ],
        run: { invocation in
            let text = try invocation.required(0)
            guard let token = JoinToken(text: trimmedWord(text == "-" ? readLine() ?? "" : text)) else {
                throw ApusError(.usage, "this is no join token, or part of it is missing", hint: "'apus node token' on a node makes one")
            }
            let joining = Joining(
                token: token, directory: FileContents.absolute(invocation.text(data) ?? Configuration().node.data),
                listen: invocation.text(listen), name: invocation.text(name), terminal: invocation.terminal)
            let isTrial = invocation.isSet(ClientOptions.dryRun)
            let found = try await joining.run(isTrial: isTrial)
            return invocation.answer(
                found,
                isTrial ? "everything is reached; nothing was changed" : "start the node: apus node --data \(joining.directory)")
        })

    private static let data = Option.value("data", "DIR", .directory, "The new node's directory (apus-data).")
    private static let listen = Option.value("listen", "HOST:PORT", "Where it will listen; others reach it there.")
    private static let name = Option.value("name", "NAME", "Its name in the cluster.")

    private static func trimmedWord(_ text: String) -> String { String(text.filter { !$0.isWhitespace }) }
}

/// One attempt to join.
private struct Joining {
    let token: JoinToken
    let directory: String
    let listen: String?
    let name: String?
    let terminal: Terminal
    private let http = HTTPClient(loops: EventLoops(count: 1))
    private let clock = BootClock()

    init(token: JoinToken, directory: String, listen: String?, name: String?, terminal: Terminal) {
        self.token = token
        self.directory = directory
        self.listen = listen
        self.name = name
        self.terminal = terminal
    }

    private var configurationPath: String { directory + "/apus.yml" }
    private var secretPath: String { directory + "/" + ClusterSecret.fileName }
    private var urlPath: String { directory + "/catalog.url" }
    /// The request under way, so that an interrupted one is the same when it is made again.
    private var requestPath: String { directory + "/join.json" }

    func run(isTrial: Bool) async throws -> JSONObject {
        for path in [configurationPath, directory + "/node"] where FileContents.exists(path) {
            throw ApusError(.inputInvalid, "\(directory) is a node's already: it holds \(path)", hint: "give the new node another --data")
        }
        if let listen, SocketAddress(listen) == nil { throw ApusError(.usage, "--listen must be HOST:PORT, not '\(listen)'") }
        var generator = SystemRandomNumberGenerator()
        let trial = try await ask(JoinRequest(token, isTrial: true, using: &generator))
        try refuseTwin(of: trial["nodes"]?.asArray ?? [])
        try await check(trial)
        if isTrial { return ["nodes": trial["nodes"] ?? .null, "catalog_address": trial["catalog_address"] ?? .null] }

        let isNew = !FileContents.exists(directory)
        try DataDirectory.create(directory)
        let kept =
            FileContents.exists(requestPath)
            ? try JoinRequest(JSONValue(parsing: FileContents.readPrivate(requestPath, limit: .kibibytes(4)))) : nil
        let request =
            kept?.id == token.id
            ? kept ?? JoinRequest(token, isTrial: false, using: &generator)
            : JoinRequest(token, isTrial: false, using: &generator)
        try FileContents.write(Array(request.value.description.utf8), to: requestPath, mode: 0o600)
        do {
            try write(try await ask(request))
        } catch let error as ApusError where error.code.surface.http == 403 {
            FileContents.remove(requestPath)  // asking again would be no use
            if isNew { FileTree.remove(directory) }
            throw error
        }
        FileContents.remove(requestPath)
        return ["directory": .string(directory), "nodes": trial["nodes"] ?? .null]
    }

    /// Asks the token's nodes, in their order, until one answers.
    private func ask(_ request: JoinRequest) async throws -> JSONValue {
        var failure: (any Error)?
        for url in token.nodes {
            do {
                let response = try await http.send(
                    ClientRequest(
                        .post, url + "/api/join", headers: ["Content-Type": "application/json"],
                        body: .bytes(Array(request.value.description.utf8)), deadline: clock.now.advanced(by: .seconds(10))))
                let reply = NodeClient.Reply(
                    status: response.status, body: try JSONValue(parsing: try await response.collect(limit: .mebibytes(4))), retryAfter: nil
                )
                guard reply.status < 400 else {
                    let error = NodeClient.error(reply, "/api/join")
                    // A node that is not ready says nothing about the token.
                    if reply.status >= 500 { failure = error } else { throw JoinRefused(error: error) }
                    continue
                }
                guard let sealed = reply.body["sealed"]?.asString.flatMap({ bytes(ofHexadecimal: $0) }),
                    let opened = request.replyKey(token.key).open(sealed)
                else {
                    throw JoinRefused(
                        error: ApusError(
                            .joinTokenInvalid, "\(url) answered, but does not know this token's key: it is none of its cluster's"))
                }
                return try JSONValue(parsing: opened)
            } catch let refusal as JoinRefused {
                throw refusal.error
            } catch {
                failure = error
            }
        }
        throw ApusError(
            .nodeUnreachable, "none of the cluster's nodes answers: \(token.nodes.joined(separator: ", "))",
            hint: "check the network and firewalls from this machine to there", cause: failure)
    }

    /// Throws `node.alive` where a node that is not down has the name or the address: this one could not run beside it.
    private func refuseTwin(of nodes: [JSONValue]) throws {
        let address = listen.flatMap { SocketAddress($0) }
        for node in nodes where node["status"]?.asString != "down" {
            let other = node["name"]?.asString ?? ""
            if let name, name == other {
                throw ApusError(
                    .nodeAlive, "the cluster has a node \(name), which is \(node["status"]?.asString ?? "there")",
                    hint: "give this one another --name; the token is still good")
            }
            let addresses = [
                node["url"]?.asString.flatMap { Reachability.address(ofURL: $0) },
                node["rpc_address"]?.asString.flatMap { SocketAddress($0) },
            ]
            if let address, addresses.contains(address) {
                throw ApusError(
                    .nodeAlive, "\(address) is where node \(other) listens", hint: "give this one another --listen; the token is still good"
                )
            }
        }
    }

    /// Throws `node.unreachable`, naming everything that is not reached from here.
    private func check(_ reply: JSONValue) async throws {
        var places: [(what: String, address: SocketAddress)] = []
        for node in reply["nodes"]?.asArray ?? [] {
            let name = node["name"]?.asString ?? ""
            if let url = node["url"]?.asString, let address = Reachability.address(ofURL: url) { places.append(("node \(name)", address)) }
            if let rpc = node["rpc_address"]?.asString, let address = SocketAddress(rpc) {
                places.append(("node \(name), between nodes", address))
            }
        }
        if let catalog = reply["catalog_address"]?.asString.flatMap({ SocketAddress($0) }) { places.append(("the catalog", catalog)) }
        let failures = await Reachability.unreached(places.map(\.address), within: .seconds(3))
        for (what, address) in places {
            if let reason = failures[address] {
                terminal.print("not reached: \(what) at \(address): \(reason)")
            } else {
                terminal.note("reached: \(what) at \(address)")
            }
        }
        guard failures.isEmpty else {
            throw ApusError(
                .nodeUnreachable, "\(failures.count) of \(places.count) addresses of the cluster are not reached from this machine",
                hint: "open the ports named above; the token is still good")
        }
    }

    private func write(_ reply: JSONValue) throws {
        guard let secret = reply["secret"]?.asString else { throw ApusError(.inputInvalid, "the reply of the cluster holds no secret") }
        try FileContents.write(Array((secret + "\n").utf8), to: secretPath, mode: 0o600)
        var lines = ["# Written by 'apus join'.", "node:", "  data: \(quoted(directory))"]
        if let name { lines.append("  name: \(quoted(name))") }
        if let listen { lines += ["listeners:", "  - {name: main, address: \(quoted(listen))}"] }
        lines.append("catalog:")
        if let address = reply["catalog_address"]?.asString {
            lines.append("  address: \(quoted(address))")
        } else if let url = reply["catalog_url"]?.asString {
            try FileContents.write(Array((url + "\n").utf8), to: urlPath, mode: 0o600)
            lines.append("  url_file: \(quoted(urlPath))")
        }
        if let store = reply["store_directory"]?.asString { lines += ["store:", "  directory: \(quoted(store))"] }
        // Last: with it the node is set up.
        try FileContents.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: configurationPath)
    }

    private func quoted(_ text: String) -> String { "'" + text.map { $0 == "'" ? "''" : String($0) }.joined() + "'" }
}

/// What the cluster has decided: asking another node would not help.
private struct JoinRefused: Error {
    let error: ApusError
}
