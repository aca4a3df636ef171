internal import ApusRuntime
internal import ApusTypes
internal import Glibc

/// `apus up`: a whole cluster on this machine, for development.
enum UpCommand {
    static let command: Command = Command(
        name: "up", summary: "Run a whole cluster on this machine, for development.",
        discussion: """
            Starts PostgreSQL (from the distribution's package; its files are made at the first run) and the nodes, on loopback addresses, and \
            shows what they log under their names. Ctrl-C drains and stops the nodes one after the other and PostgreSQL last; a second one \
            ends everything at once. What ends by itself is started again. Everything is kept in one directory, and there at the next run; its \
            file apus.yml holds settings for all nodes. With one node the catalog is SQLite, and PostgreSQL is not needed.
            """,
        options: [nodes, directory, port, fresh, ClientOptions.dryRun],
        examples: [
            .init("apus up", "three nodes, on 127.0.0.1, 127.0.0.2 and 127.0.0.3"),
            .init("apus up --nodes 5 --data-dir /tmp/five --port 16002", "five of them, elsewhere"),
            .init("apus up --nodes 3 --fresh", "forget what earlier runs have kept"),
        ],
        hasResult: false,
        run: { invocation in
            let plan = LocalClusterPlan(
                directory: try absolute(invocation.text(directory) ?? "apus-cluster"), nodes: invocation.integer(nodes) ?? 3,
                port: invocation.integer(port) ?? 15_002, hasAddresses: LoopbackPort.hasManyAddresses)
            if invocation.isSet(ClientOptions.dryRun) {
                if invocation.isSet(fresh) {
                    let parts = plan.parts(among: FileTree.entries(plan.directory))
                    if !parts.isEmpty { invocation.terminal.print("would remove in \(plan.directory): \(parts.joined(separator: ", "))") }
                }
                invocation.terminal.print("would run")
                for line in plan.lines { invocation.terminal.print("  \(line)") }
                try LocalFiles.refuseForeign(plan)
                if let problem = LocalCluster.portProblem(of: plan) { throw problem }
                return .success
            }
            LogOutput.start(format: .text, level: .notice)
            let loops = EventLoops(count: 1)
            let (stop, now) = (StopRequest(), StopRequest())
            let signals = Signals.stream([.interrupt, .terminate, .hangUp], on: loops.first)
            Task {
                for await _ in signals { if stop.isRequested { now.request() } else { stop.request() } }
            }
            let cluster = LocalCluster(
                plan: plan, program: try ownProgram(), environment: invocation.environment, terminal: invocation.terminal, loops: loops,
                readerLeft: { stop.request() })
            try await cluster.run(until: stop, now: now, isFresh: invocation.isSet(fresh))
            return now.isRequested ? .temporary : .success
        })

    private static let nodes = Option.value("nodes", "N", .integer(1...9), "How many nodes; default 3.")
    private static let directory = Option.value("data-dir", "DIR", .directory, "Where everything is kept; default ./apus-cluster.")
    private static let port = Option.value(
        "port", "PORT", .integer(1024...60_000), "The nodes' port; the other ports are counted from it. Default 15002.")
    private static let fresh = Option.flag("fresh", "Remove what earlier runs have kept, and begin anew.")

    private static func absolute(_ path: String) throws(ApusError) -> String {
        guard let current = getcwd(nil, 0) else { throw ApusError(.inputUnreadable, "the current directory is gone") }
        defer { free(current) }
        let whole = path.hasPrefix("/") ? path : String(cString: current) + "/" + path
        return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    /// The nodes are this program too.
    private static func ownProgram() throws(ApusError) -> String {
        var target = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &target, target.count)
        guard count > 0 else { throw ApusError(.processFailed, "this program's own file cannot be found") }
        return String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
