internal import ApusDatabase
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Glibc

/// Runs the processes of a local cluster until it is told to stop.
struct LocalCluster: Sendable {
    let plan: LocalClusterPlan
    let program: String
    let environment: [String: String]
    let terminal: Terminal
    let loops: EventLoops
    private let log: MergedLog
    private let http: HTTPClient
    private static let own = "up"

    /// `readerLeft`: whoever reads the output has gone away, and the cluster is to be stopped.
    init(
        plan: LocalClusterPlan, program: String, environment: [String: String], terminal: Terminal, loops: EventLoops,
        readerLeft: @escaping @Sendable () -> Void
    ) {
        self.plan = plan
        self.program = program
        // Settings of the whole cluster belong into its file: what else is in the environment is for commands, or for another node.
        self.environment = environment.filter { ["PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR"].contains($0.key) }
        self.terminal = terminal
        self.loops = loops
        log = MergedLog(names: plan.nodes.map(\.name) + [Self.own], terminal: terminal, readerLeft: readerLeft)
        http = HTTPClient(loops: loops)
    }

    /// Throws what forbids a start; what ends later is started again. A second stop request (`now`) ends everything at once.
    func run(until stop: StopRequest, now: StopRequest, isFresh: Bool) async throws {
        let lock = try LocalFiles.lock(plan)
        defer { close(lock) }
        try await endLeftovers()
        if isFresh {
            if FileContents.exists(plan.databaseDirectory) { try await hosted(port: 0, password: "").stop() }
            try LocalFiles.removeAll(of: plan)
        }
        if let problem = Self.portProblem(of: plan) { throw problem }
        let password = try LocalFiles.prepare(plan)
        let database = try plan.catalogPort.map { port throws(ApusError) in try hosted(port: port, password: password) }
        if let database {
            log.print("starting PostgreSQL", as: Self.own)
            do { try await database.start() } catch let error as ApusError { throw Self.ofOptions(error) }
        }
        do { try await run(database, until: stop, now: now) } catch {
            try await database?.stop()
            throw error
        }
        if let database {
            log.print("stopping PostgreSQL", as: Self.own)
            try await database.stop()
        }
    }

    /// Of the first address that is taken; nil where all are free.
    static func portProblem(of plan: LocalClusterPlan) -> ApusError? {
        for address in plan.addresses {
            guard let problem = LoopbackPort.problem(host: address.host, port: address.port) else { continue }
            return ApusError(
                .listenerUnavailable, "\(address.owner) cannot listen on \(address.host):\(address.port): \(problem)",
                hint: "stop what is there, or choose others with --port")
        }
        return nil
    }

    private func run(_ database: HostedPostgreSQL?, until stop: StopRequest, now: StopRequest) async throws {
        var nodes: [(node: LocalClusterPlan.Node, supervisor: Supervisor)] = []
        for node in plan.nodes {
            let command = ChildProcess.Command(
                program, ["node", "--data", node.directory], environment: environment.merging(plan.environment(of: node)) { $1 },
                directory: plan.directory, output: .descriptor(try log.descriptor(for: node.name)))
            nodes.append((node, supervisor(OrphanedProcess.endingWithParent(command, signal: "TERM"), as: node.name)))
        }
        await run(nodes, database, until: stop, now: now)
        await log.finish()
    }

    private func run(
        _ nodes: [(node: LocalClusterPlan.Node, supervisor: Supervisor)], _ database: HostedPostgreSQL?, until stop: StopRequest,
        now: StopRequest
    ) async {
        await withTaskGroup(of: Void.self) { group in
            if let database {
                group.addTask {
                    do { try await database.supervise() } catch { return }  // cancelled
                }
            }
            let isFirstRun = !FileContents.exists(plan.storeDirectory)
            for (number, entry) in nodes.enumerated() {
                group.addTask { await entry.supervisor.run() }
                // The first node of all makes the store; the others would warn that it is half made.
                if isFirstRun, number == 0 { _ = try? await stop.racing { try await becomesReady(entry.node) } }
            }
            let greeting = Task { try await stop.racing { try await greet() } }
            await stop.wait()
            _ = await greeting.result
            group.addTask {
                await now.wait()
                guard now.isRequested else { return }
                for entry in nodes { entry.supervisor.process?.send(signal: SIGKILL) }
            }
            for entry in nodes {
                log.print("stopping \(entry.node.name)", as: Self.own)
                await entry.supervisor.stop(grace: .seconds(40))
            }
            group.cancelAll()
        }
    }

    private func supervisor(_ command: ChildProcess.Command, as name: String) -> Supervisor {
        var command = command
        // Ctrl-C is for us: we say who ends when.
        command.isDetached = true
        return Supervisor(command, on: loops.first) { [log] event in
            switch event {
            case .started(let process): log.print("\(name) runs as process \(process)", as: Self.own)
            case .ended(let exit, let pause): log.print("\(name) ended (\(exit)); started again in \(pause)", as: Self.own)
            case .failed(let error, let pause): log.print("\(error.summary); tried again in \(pause)", as: Self.own)
            }
        }
    }

    /// The cluster's PostgreSQL, which outlives an `apus up` that is killed and is taken over by the next one.
    private func hosted(port: Int, password: String) throws(ApusError) -> HostedPostgreSQL {
        do throws(ApusError) {
            return try HostedPostgreSQL(
                .init(directory: plan.databaseDirectory, host: "127.0.0.1", port: port, password: Redacted(password)), loops: loops)
        } catch { throw Self.ofOptions(error) }
    }

    /// What a node's setting is the matter of is this command's option.
    private static func ofOptions(_ error: ApusError) -> ApusError {
        ApusError(
            error.code, error.summary, hint: error.hint?.replacing("node.data", with: "--data-dir"), context: error.context, cause: error)
    }

    /// Nodes of a run that was killed: they end by themselves where the system tells them, and are ended here where it does not.
    private func endLeftovers() async throws {
        for name in plan.parts(among: FileTree.entries(plan.directory)) where name.hasPrefix("n") {
            let directory = "\(plan.directory)/\(name)"
            guard let process = RunFile.process(in: directory) else { continue }
            let left = OrphanedProcess(identifier: process, argument: directory)
            if left.isRunning { log.print("ending \(name) of an earlier run (process \(process))", as: Self.own) }
            try await left.end(SIGTERM, grace: .seconds(30))
        }
    }

    /// Says what to do with the cluster as soon as all nodes are ready.
    private func greet() async throws {
        for node in plan.nodes { try await becomesReady(node) }
        if !FileContents.exists(plan.keyFile) {
            let body = Array(#"{"name":"apus up","role":"administrator"}"#.utf8)
            if let secret = await status(.post, plan.nodes[0].url + "/api/keys", body)?.body["secret"]?.asString {
                try FileContents.write(Array("\(secret)\n".utf8), to: plan.keyFile, mode: 0o600)
            }
        }
        let first = plan.nodes[0].url
        let lines = [
            "ready: " + plan.nodes.map { "\($0.name) \($0.url)" }.joined(separator: ", "),
            "this machine's own user needs no key; others use the administrator's, in \(plan.keyFile)",
            "try:   curl \(first)/api/v1/cluster/nodes",
            "       curl \(first)/collections -H 'Content-Type: application/json' -d '{\"name\": \"first\", \"dimension\": 4, \"replication_factor\": \(min(2, plan.nodes.count))}'",
            "       apus status --watch --url \(first)",
            "Ctrl-C stops it; everything is kept in \(plan.directory)",
        ]
        for line in lines { log.print(line, as: Self.own) }
    }

    private func becomesReady(_ node: LocalClusterPlan.Node) async throws {
        while await status(.get, node.url + "/health/ready", nil)?.status != 200 { try await BootClock().sleep(for: .milliseconds(100)) }
    }

    /// Nil while nobody answers.
    private func status(_ method: Method, _ url: String, _ body: [UInt8]?) async -> (status: Int, body: JSONValue)? {
        do {
            let headers: Headers = body == nil ? [:] : ["Content-Type": "application/json"]
            let response = try await http.send(
                ClientRequest(
                    method, url, headers: headers, body: body.map { .bytes($0) } ?? .none, deadline: BootClock.now.advanced(by: .seconds(5))
                ))
            return (response.status, try JSONValue(parsing: try await response.collect(limit: .mebibytes(1))))
        } catch { return nil }
    }
}
