import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// What an operator sees of three real nodes.
@Suite("status, logs and metrics of three nodes")
struct OperatorTests {
    /// A run of the command line; its standard output and error in one.
    private func apus(_ node: NodeProcess, _ arguments: String...) async throws -> (status: ChildProcess.Exit, text: String) {
        let folder = try TemporaryDirectory()
        let process = try await ChildProcess.start(
            .init(
                try NodeProcess.program(), arguments, environment: ["PATH": "/usr/bin:/bin", "APUS_URL": node.url, "APUS_KEY": node.key],
                output: .file(folder.path + "/out")), on: TestLoops.shared.first)
        let exit = await process.wait(atMost: .seconds(60))
        return (exit, try String(contentsOfFile: folder.path + "/out", encoding: .utf8))
    }

    @Test("a request whose work is done on another node and fails there is found on both by its id, at the default level")
    func trail() async throws {
        let primary = try await PostgreSQLServer.start()
        let cluster = try await ProcessCluster(on: primary)
        // The second node reaches the catalog through a relay, and is cut off from it alone.
        let port = try freePort()
        let file = cluster.directory.path + "/relay.cfg"
        try Data(
            """
            defaults
                mode tcp
                timeout connect 5s
                timeout client 1h
                timeout server 1h
            listen catalog
                bind 127.0.0.1:\(port)
                server primary 127.0.0.1:\(primary.port)

            """.utf8
        ).write(to: URL(fileURLWithPath: file))
        let relay = try await ChildProcess.start(
            .init("/usr/bin/setpriv", ["--pdeathsig=KILL", "/usr/sbin/haproxy", "-db", "-f", file], output: .discarded),
            on: TestLoops.shared.first)
        defer { relay.send(signal: SIGKILL) }
        let url = "postgresql://apus@127.0.0.1:\(port)/postgres?sslmode=disable"
        let nodes = [try await cluster.start(0), try await cluster.start(1, more: ["APUS_CATALOG_URL": url])]
        try await cluster.settle(nodes)
        try await nodes[0].create("c", shards: 2, replicas: 1)
        try await nodes[0].create("d", shards: 1, replicas: 1)
        for number in 0..<20 { #expect(try await nodes[0].insert(number, into: "c") == 200) }
        try await eventually(within: 60, "each node serves a shard of it") {
            let shards = try await nodes[0].send(.get, "/api/v1/cluster/shard-distribution").body["distribution"]
            return (shards?["n1"]?.asArray ?? []).contains(1) != (shards?["n1"]?.asArray ?? []).contains(2)
        }
        relay.send(signal: SIGKILL)
        _ = await relay.wait()
        // To move points away, each node has to say what is current.
        let ids = (0..<20).map { "\"p\($0)\"" }.joined(separator: ",")
        let reply = try await nodes[0].send(
            .post, "/collections/c/vectors/move", #"{"destination":"d","ids":[\#(ids)]}"#, headers: ["X-Request-Id": "trail-7"])
        #expect(reply.status == 503, "\(reply)")
        for name in ["n1", "n2"] {
            try await eventually(within: 30, "it is found on \(name)") {
                let found = try await apus(nodes[0], "logs", name, "--request", "trail-7")
                return found.status == .status(0) && found.text.contains("\(name) | ") && found.text.contains("request=trail-7")
            }
        }
        for node in nodes { await node.kill() }
        await primary.stop(.immediate)
    }

    @Test("the failure tolerance and why, the nodes' logs through any of them, and every metric in the reference")
    func operators() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        try await nodes[0].create("c", shards: 3, replicas: 1)

        // PostgreSQL and all nodes have one address here: the first of them is taken for its host. The store is in the catalog.
        let status = try await apus(nodes[1], "status")
        #expect(status.status == .status(0))
        #expect(status.text.contains("failure tolerance 0: catalog and store are on n1\n"), "\(status.text)")
        #expect(status.text.contains("  without n1: catalog and store are on it"))
        #expect(status.text.contains("  without n3: 1 shard is missing from searches until others have loaded them"), "\(status.text)")
        #expect(status.text.contains("3 of 3 served"))

        let logs = try await apus(nodes[2], "logs", "--since", "1h")
        #expect(logs.status == .status(0))
        for name in ["n1", "n2", "n3"] {
            let line = logs.text.split(separator: "\n").first { $0.hasPrefix("\(name) | ") && $0.contains("the node has joined") }
            let parts = line?.split(separator: " ") ?? []
            #expect(parts.count > 4 && parts[2].wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z/) != nil, "\(logs.text)")
        }
        let one = try await apus(nodes[0], "logs", "n2", "--request", "n2", "--tail", "1000")
        let mentions = one.text.split(separator: "\n").map { $0.split(separator: "Z ", maxSplits: 1) }
        #expect(
            !mentions.isEmpty && mentions.allSatisfy { $0.count == 2 && $0[0].hasPrefix("n2 | ") && $0[1].contains("n2") }, "\(one.text)")
        let nobody = try await apus(nodes[0], "logs", "n9")
        #expect(nobody.status == .status(65) && nobody.text.contains("there is no node n9"), "\(nobody)")
        let nothing = try await apus(nodes[0], "logs", "--request", "no line has these words")
        #expect(nothing.status == .status(1) && nothing.text.contains("no line mentions 'no line has these words'"), "\(nothing)")
        #expect(try await apus(nodes[0], "node", "token", "--expires", "1h").text.hasPrefix("apus1."))
        #expect(try await apus(nodes[0], "node", "token", "--expires", "1y").status == .status(64))

        nodes[2].send(signal: SIGSTOP)
        let without = try await apus(nodes[0], "logs")
        #expect(without.status == .status(0) && without.text.contains("n3 did not answer"), "\(without.text)")
        try await eventually(within: 40, "it counts as a failure") {
            let text = try await nodes[0].metrics()
            return text.contains(#"apus_node_health_failures_total{node="n3",kind="down"} 1"#)
        }
        // By the leader, which may be another one since.
        try await eventually(within: 40, "why says that it is down") {
            try await apus(nodes[0], "why", "node", "n3").text.contains("node n3: down, because its heartbeats stand still for")
        }
        nodes[2].send(signal: SIGCONT)
        try await eventually(within: 40, "and that it is back") {
            try await apus(nodes[0], "why", "node", "n3").text.contains("node n3: back: its heartbeats go on")
        }

        let scraped = try await nodes[0].metrics()
        let names = Set(
            scraped.split(separator: "\n").filter { $0.hasPrefix("# TYPE apus_") }.map { String($0.split(separator: " ")[2]) })
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let reference = try String(contentsOf: root.appending(path: "docs/reference/metrics.md"), encoding: .utf8)
        let described = Set(reference.split(separator: "`").map(String.init).filter { $0.wholeMatch(of: /apus_[a-z_]+/) != nil })
        #expect(names.subtracting(described).isEmpty && names.count > 20, "not in the reference: \(names.subtracting(described).sorted())")
        // Those of what did not happen here have no series.
        let absent = described.subtracting(names)
        #expect(
            absent.isSubset(of: [
                "apus_http_connections_refused_total", "apus_vectorizer_rpc_calls_total", "apus_vectorizer_rpc_call_duration_seconds",
                "apus_stream_connections_refused_total", "apus_catalog_replica_usable", "apus_catalog_replica_lag_seconds",
                "apus_catalog_routed_reads_total", "apus_query_slow_statements_total", "apus_query_connections",
            ]), "\(absent.sorted())")
        #expect(scraped.contains("\napus_failure_tolerance 0\n") && scraped.contains("\napus_feed_lag_changes 0\n"))
        #expect(
            scraped.contains(#"apus_node_probe_duration_seconds_count{node="n2"}"#)
                || scraped.contains(#"apus_node_probe_duration_seconds_count{node="n3"}"#))
        for node in nodes { _ = await node.terminate() }
    }

    @Test("a node that would keep objects elsewhere than the cluster does is refused at its start, and is given nothing")
    func foreignStore() async throws {
        let cluster = try await ProcessCluster()
        let first = try await cluster.start(0)
        let failure = await #expect(throws: NodeFailure.self) {
            try await cluster.start(
                1, more: ["APUS_STORE_KIND": "directory", "APUS_STORE_DIRECTORY": cluster.directory.path + "/store"])
        }
        #expect(failure?.description.contains("this cluster keeps its objects in its catalog") == true, "\(String(describing: failure))")
        #expect(failure?.description.contains("store.foreign") == true)
        #expect(try await first.statuses() == ["n1": "active"])
        _ = await first.terminate()
    }

    @Test("status --watch is a line a second in a pipe, and goes on when a node goes and the next one is asked")
    func watched() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 2)
        let folder = try TemporaryDirectory()
        let watch = try await ChildProcess.start(
            .init(
                try NodeProcess.program(), ["status", "--watch", "--url", nodes.map(\.url).joined(separator: ",")],
                environment: ["PATH": "/usr/bin:/bin", "APUS_KEY": nodes[0].key], output: .file(folder.path + "/out")),
            on: TestLoops.shared.first)
        defer { watch.send(signal: SIGKILL) }
        func text() throws -> String { try String(contentsOfFile: folder.path + "/out", encoding: .utf8) }
        try await eventually(within: 30, "rates") {
            try text().contains(
                #/ 2 of 2 nodes active, 0 of 0 shards served, 0 moves, \d+ requests/s, \d+ failures/s, failure tolerance 0\n/#)
        }
        await nodes[0].kill()
        try await eventually(within: 40, "the other one is asked") { try text().contains(" 1 of 2 nodes active") }
        #expect(try !text().contains("\u{1B}"))
        watch.send(signal: SIGINT)
        _ = await watch.wait()
        _ = await nodes[1].terminate()
    }
}
