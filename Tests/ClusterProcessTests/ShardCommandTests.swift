import ApusHTTP
import ApusRuntime
import ApusTypes
import NodeProcessKit
import TestKit
import Testing

/// What operators do with shards, each command as a process of its own against nodes that are processes too.
@Suite("commands about shards, against three nodes")
struct ShardCommandTests {
    @Test("shards are moved, replicated and explained, deletions taken back, rebalancing paused; a node that is removed stops by itself")
    func commands() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        try await nodes[0].create("c", shards: 6, replicas: 1)
        for number in 0..<60 { #expect(try await nodes[number % 3].insert(number, into: "c") == 200) }
        try await moves(nodes)
        try await factors(nodes)
        try await deletions(nodes)
        try await removal(nodes)
        for node in nodes { _ = await node.terminate() }
    }

    private func moves(_ nodes: [NodeProcess]) async throws {
        let listed = try await nodes[1].apus("shard", "list", "c")
        #expect(listed.status == 0 && listed.output.contains("c/5") && listed.output.split(separator: "\n").count == 7, "\(listed)")
        let created = try await nodes[0].apus("shard", "why", "c/0")
        #expect(created.status == 0 && created.output.contains("because collection 'c' was created"), "\(created)")
        #expect(created.output.contains("is chosen") && created.output.contains("  shard c/0: "), "\(created)")

        let before = try await nodes[0].replicas(of: "c", 0)
        let source = try #require(before.first)
        let target = try #require(["n1", "n2", "n3"].first { $0 != source })
        #expect(try await nodes[2].apus("rebalance", "pause", "--dry-run").output == "would pause rebalancing\n")
        #expect(try await nodes[2].apus("rebalance", "pause").output == "rebalancing is paused\n")
        #expect(try await nodes[0].apus("rebalance").status == 3)
        // On a machine that is busy with other tests a node is suspect for a moment, and is given nothing then.
        try await eventually(within: 40, "the move can be made") {
            let trial = try await nodes[1].apus("shard", "move", "c/0", "--to", target, "--dry-run")
            return trial.status == 0 && trial.output == "would move c/0 from \(source) to \(target)\n"
        }
        #expect(try await nodes[0].replicas(of: "c", 0) == before)
        for (arguments, status) in [
            (["c/0", "--to", source], 3), (["c/0", "--to", "nobody"], 65), (["c/9", "--to", target], 65),
            (["nowhere/0", "--to", target], 65),
            (["c", "--to", target], 64), (["c/0"], 64), (["c/0", "--to", target, "--from", target], 65),
        ] as [([String], Int32)] {
            let refused = try await nodes[0].apus(["shard", "move"] + arguments)
            #expect(refused.status == status, "\(arguments): \(refused)")
        }
        try await eventually(within: 40, "the move begins") { try await nodes[1].apus("shard", "move", "c/0", "--to", target).status == 0 }
        try await eventually(within: 40, "the shard is where it was to go") { try await nodes[0].replicas(of: "c", 0) == [target] }
        for number in 0..<60 { #expect(try await nodes[number % 3].completeSearch(number, in: "c").nearest == "p\(number)") }
        let why = try await nodes[2].apus("why", "shard", "c/0")
        #expect(
            why.output.contains("\(target): loading, \(source): retiring, because key") && why.output.contains("another one serves"),
            "\(why)")
        let would = try await nodes[0].apus("rebalance", "--dry-run", "--json")
        let plan = try JSONValue(parsing: Array(would.output.utf8))
        #expect(plan["is_paused"] == true && plan["planned"]?.asArray?.count == 1, "\(plan)")
        // Not paused any more, the loads are evened out.
        #expect(try await nodes[0].apus("rebalance", "resume").output == "rebalancing goes on\n")
        try await eventually(within: 40, "each node has two shards") {
            try await nodes[0].send(.get, "/api/v1/cluster/shard-distribution").body["shards_per_node"] == ["n1": 2, "n2": 2, "n3": 2]
        }
        let status = try await nodes[1].apus("rebalance", "status")
        #expect(status.status == 0 && status.output.contains("nothing moves, and nothing is to be moved"), "\(status)")
        #expect(try await nodes[0].apus("why", "rebalance").output.contains("rebalancing is paused, because key"))

        let synced = try await nodes[0].send(.post, "/api/v1/cluster/sync").body
        #expect(synced["message"] == "Every node is up to date", "\(synced)")
        let places = (synced["nodes"]?.asArray ?? []).map { [$0["feed_version"], $0["feed_digest"], $0["shards"], $0["is_synchronized"]] }
        #expect(places == Array(repeating: [synced["feed_version"], synced["feed_digest"], 2, true], count: 3))
        let counts = try await nodes[1].send(.get, "/api/v1/cluster/nodes").body["nodes"]?.asArray ?? []
        #expect(counts.reduce(0) { $0 + ($1["metadata"]?["vector_count"]?.asInteger ?? 0) } == 60)
    }

    /// Draining, and not draining any more; what forbids it is said before.
    private func reasons(_ nodes: [NodeProcess]) async throws {
        for (arguments, missing) in [(["why", "node"], "which node"), (["why", "shard"], "which shard")] {
            let told = try await nodes[0].apus(arguments)
            #expect(told.status == 64 && told.errors.contains(missing) && told.errors.contains("try: "), "\(told)")
        }
        let unknown = try await nodes[0].apus("why", "node", "nobody")
        #expect(unknown.status == 65 && unknown.errors.contains("node.unknown") && unknown.errors.contains("apus node list"), "\(unknown)")
        #expect(try await nodes[0].apus("node", "undrain", "n2").output == "node 'n2' does not drain: nothing to change\n")

        #expect(try await nodes[0].apus("node", "drain", "n2").status == 0)
        #expect(try await nodes[0].apus("node", "undrain", "n2").output == "node 'n2' takes work again\n")
        let why = try await nodes[1].apus("why", "node", "n2").output
        #expect(why.contains("node n2: takes work again, because key"), "\(why)")
        #expect(why.contains(#/node n2: drains, and \d+ replicas move, because key/#), "\(why)")
    }

    private func factors(_ nodes: [NodeProcess]) async throws {
        let trial = try await nodes[0].apus("collection", "set", "c", "--replication-factor", "2", "--dry-run", "--json")
        let told = try JSONValue(parsing: Array(trial.output.utf8))
        #expect(told["replicas_to_load"] == 6 && told["replicas_to_drop"] == 0 && told["replication_factor_before"] == 1, "\(told)")
        let raised = try await nodes[0].apus("collection", "set", "c", "--replication-factor", "2")
        #expect(raised.status == 0, "\(raised)")
        try await eventually(within: 60, "each shard has two replicas") { try await nodes[2].distinctReplicas(of: "c") == [2] }
        #expect(try await nodes[1].send(.get, "/collections/c?detail=true").body["replication_factor"] == 2)
        let info = try await nodes[2].send(.get, "/qdrant/collections/c").body
        #expect(info["result"]?["config"]?["params"]?["replication_factor"] == 2)
        let missing = try await nodes[0].apus("collection", "set", "c", "--replication-factor", "5", "--dry-run")
        #expect(missing.output.contains("replicas that no node can have: 12"), "\(missing)")
        #expect(try await nodes[0].apus("collection", "set", "c", "--replication-factor", "17").status == 64)
        // The other API's way.
        let lowered = try await nodes[1].send(.patch, "/qdrant/collections/c", #"{"params":{"replication_factor":1}}"#)
        #expect(lowered.status == 200, "\(lowered)")
        // Everybody is needed while each shard is to have three replicas; a dry run says what would, and exits with what would be.
        #expect(try await nodes[0].apus("collection", "set", "c", "--replication-factor", "3").status == 0)
        try await eventually(within: 60, "each shard has three replicas") { try await nodes[2].distinctReplicas(of: "c") == [3] }
        for command in ["drain", "remove"] {
            let trial = try await nodes[0].apus("node", command, "n2", "--dry-run")
            #expect(trial.status == 3 && trial.output.contains("(c/0, c/1, c/2, c/3, c/4)\nwould be refused: without n2"), "\(trial)")
            #expect(trial.output.contains("(node.needed)\ntry: add a node, or insist with --force"), "\(trial)")
            let forced = try await nodes[0].apus("node", command, "n2", "--dry-run", "--force")
            #expect(forced.status == 0 && !forced.output.contains("refused"), "\(forced)")
        }
        let drain = try await nodes[0].apus("node", "drain", "n2")
        #expect(drain.status == 3 && drain.errors.contains("(c/0, c/1"), "\(drain)")
        #expect(try await nodes[0].apus("collection", "set", "c", "--replication-factor", "1").status == 0)
        try await eventually(within: 60, "each shard has one replica") { try await nodes[0].distinctReplicas(of: "c") == [1] }
        let why = try await nodes[0].apus("why", "collection", "c")
        #expect(why.output.contains("replication factor 2 instead of 1") && why.output.contains("replication factor 1 instead of 2"))
        #expect(try await nodes[1].completeSearch(7, in: "c", limit: 60).count == 60)
    }

    private func deletions(_ nodes: [NodeProcess]) async throws {
        let deleted = try await nodes[0].apus("collection", "delete", "c", "--yes")
        #expect(deleted.status == 0)
        #expect(try await nodes[1].search(7, in: "c").status == 404)
        let list = try await nodes[2].apus("collection", "list", "--deleted")
        #expect(list.status == 0 && list.output.contains("c ") && list.output.contains("SHARDS"), "\(list)")
        #expect(try await nodes[1].apus("collection", "undelete", "d").status == 65)
        #expect(try await nodes[1].apus("collection", "undelete", "c", "--dry-run").output.hasPrefix("would bring 'c' back as 'c'"))
        let back = try await nodes[1].apus("collection", "undelete", "c")
        #expect(back.status == 0, "\(back)")
        try await eventually(within: 40, "all points are back") {
            let found = try await nodes[0].search(7, in: "c", limit: 100)
            return found.status == 200 && found.isComplete && found.count == 60
        }
        #expect(try await nodes[2].insert(60, into: "c") == 200)
        try await nodes[0].create("gone", shards: 2, replicas: 1)
        #expect(try await nodes[0].apus("collection", "delete", "gone", "--yes", "--forever").status == 0)
        #expect(try await nodes[0].apus("collection", "undelete", "gone").status == 65)
    }

    private func removal(_ nodes: [NodeProcess]) async throws {
        try await reasons(nodes)
        #expect(try await nodes[0].send(.delete, "/api/v1/cluster/nodes/n3").body["status"] == "leaving")
        try await eventually(within: 60, "the node that was removed has stopped") { nodes[2].ended != nil }
        #expect(nodes[2].ended == .status(0) && nodes[2].log.contains("node.removed"), "\(nodes[2].log)")
        #expect(try await nodes[0].statuses() == ["n1": "active", "n2": "active"])
        #expect(try await nodes[1].completeSearch(7, in: "c", limit: 100).count == 61)
        let strict = try await nodes[0].send(.post, "/collections/c/search", #"{"vector":[1,1],"strict":true}"#)
        #expect(strict.status == 200 && strict.body["complete"] == true && strict.body["as_of"]?.asString != nil)
    }
}

extension NodeProcess {
    /// The nodes that have a replica of a shard.
    func replicas(of collection: String, _ number: Int) async throws -> [String] {
        let shards = try await send(.get, "/api/shards?collection=\(collection)").body["shards"]?.asArray ?? []
        let shard = shards.first { $0["number"] == .integer(Int64(number)) }
        return (shard?["replicas"]?.asArray ?? []).compactMap { $0["node"]?.asString }
    }

    /// How many replicas the shards have, all of which serve.
    func distinctReplicas(of collection: String) async throws -> Set<Int> {
        let shards = try await send(.get, "/api/shards?collection=\(collection)").body["shards"]?.asArray ?? []
        return Set(shards.map { ($0["replicas"]?.asArray ?? []).count { $0["state"] == "serving" } })
    }

    func apus(_ arguments: String...) async throws -> (status: Int32, output: String, errors: String) { try await apus(arguments) }

    /// Runs a command of the program with this node.
    func apus(_ arguments: [String]) async throws -> (status: Int32, output: String, errors: String) {
        let folder = try TemporaryDirectory()
        let command = ChildProcess.Command(
            "/bin/sh", ["-c", "exec \"$0\" \"$@\" 2>\(folder.path)/errors", try Self.program()] + arguments,
            environment: ["PATH": "/usr/bin:/bin", "APUS_URL": url, "APUS_KEY": key], output: .file(folder.path + "/output"))
        let process = try await ChildProcess.start(command, on: TestLoops.shared.any)
        guard case .status(let status) = await process.wait() else { throw NodeFailure("the command was killed") }
        return (status, Self.text(of: folder.path + "/output"), Self.text(of: folder.path + "/errors"))
    }
}
