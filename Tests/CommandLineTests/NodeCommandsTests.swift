import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// The commands against a real node, each as a process of its own.
@Suite("Commands against a node")
struct NodeCommandsTests {
    private func start(_ folder: TemporaryDirectory) async throws -> NodeProcess {
        try await NodeProcess.start(directory: folder.path + "/data", loops: TestLoops.shared)
    }

    private func apus(_ node: NodeProcess, _ arguments: String...) async throws -> Finished {
        try await Program.apus(arguments, ["APUS_URL": node.url])
    }

    private func count(_ node: NodeProcess, _ collection: String) async throws -> Int64? {
        try await node.send(.get, "/collections/\(collection)").body["vector_count"]?.asInteger
    }

    /// `count` points of four numbers; the id is the row, the payload says so.
    private func points(_ count: Int, in folder: TemporaryDirectory) throws -> (vectors: String, payloads: String) {
        let values: [Float] = (0..<count * 4).map { index in Float(index / 4 * 31 + index % 4 * 7) }
        let header = Array("{'descr': '<f4', 'fortran_order': False, 'shape': (\(count), 4), }\n".utf8)
        var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.count), 0]
        bytes += header
        bytes += values.withUnsafeBytes { Array($0) }
        try Program.write(bytes, to: folder.path + "/points.npy")
        let lines: [String] = (0..<count).map { row in "{\"id\": \(row), \"row\": \(row)}\n" }
        try Program.write(lines.joined(), to: folder.path + "/points.jsonl")
        return (folder.path + "/points.npy", folder.path + "/points.jsonl")
    }

    @Test("forecast, verify, reindex behind an alias, and a key for some collections")
    func careOfCollections() async throws {
        let folder = try TemporaryDirectory()
        let node = try await start(folder)
        let file = try points(2500, in: folder)
        func json(_ finished: Finished) throws -> JSONValue { try JSONValue(parsing: Array(finished.output.utf8)) }

        let forecast = try await apus(node, "collection", "forecast", "--points", "1000000", "--dimension", "384", "--json")
        let told = try json(forecast)
        #expect(forecast.status == 0 && (told["disk_bytes"]?.asInteger ?? 0) > 1_500_000_000 && told["verdict"] != "unknown")
        #expect((told["machine"]?["memory_bytes"]?.asInteger ?? 0) > 1 << 26)
        let dry = try await apus(node, "collection", "create", "old", "-d", "4", "--points", "1000", "--dry-run")
        #expect(dry.status == 0 && dry.output.contains("would create 'old'") && dry.output.contains("EACH POINT"), "\(dry)")
        #expect(try await apus(node, "collection", "forecast", "--points", "5").status == 64)

        #expect(try await apus(node, "collection", "create", "twice", "-d", "4", "--replication-factor", "2").status == 0)
        #expect(try await apus(node, "collection", "show", "twice").output.contains("replication_factor: 2"))
        let more = try await apus(node, "import", "thrice", file.vectors, "--create", "--replication-factor", "3")
        #expect(more.status == 0, "\(more)")
        #expect(try await apus(node, "collection", "show", "thrice").output.contains("replication_factor: 3"))
        let other = try await apus(node, "import", "thrice", file.vectors, "--create", "--replication-factor", "2")
        #expect(other.status != 0 && other.errors.contains("with replication-factor 3 and not 2"), "\(other)")

        let imported = try await apus(node, "import", "old", file.vectors, "--payload", file.payloads, "--create", "--metric", "euclidean")
        #expect(imported.status == 0, "\(imported.errors)")
        let verified = try await apus(node, "collection", "verify", "old")
        #expect(verified.status == 0 && verified.output.contains("2,500") && verified.output.contains("whole"), "\(verified)")

        let copied = try await apus(node, "collection", "reindex", "old", "new", "--shards", "3", "--alias", "current")
        #expect(copied.status == 0, "\(copied.errors)")
        #expect(copied.output == "'new' holds all 2,500 points of 'old', and 'current' leads to it\n")
        #expect(try await count(node, "current") == 2500)
        let shown = try await apus(node, "collection", "show", "new")
        #expect(shown.output.contains("shard_count: 3") && shown.output.contains("metric: euclidean"))
        let same = try await node.send(.get, "/collections/new/vectors/17")
        #expect(same.body["payload"]?["row"] == 17)
        // What holds points is taken only when it is said to be the same copy.
        let refused = try await apus(node, "collection", "reindex", "old", "new", "--shards", "3")
        #expect(refused.status != 0 && refused.errors.contains("2500 points already"), "\(refused)")
        let again = try await apus(node, "collection", "reindex", "old", "new", "--shards", "3", "--resume", "--json")
        let repeated = try json(again)
        #expect(again.status == 0 && repeated["points"] == 2500, "\(again)")
        let shards = try await apus(node, "collection", "verify", "new", "--json")
        let whole = try json(shards)
        #expect(shards.status == 0 && whole["is_whole"] == true && whole["shards"]?.asArray?.count == 3)
        #expect(try await apus(node, "collection", "verify", "nowhere").status != 0)

        let made = try await apus(node, "key", "create", "shop", "--role", "reader", "--collections", "new,shop-*", "--json")
        let key = try #require(try json(made)["secret"]?.asString)
        #expect(try json(made)["collections"] == ["new", "shop-*"])
        #expect(try await apus(node, "key", "list").output.contains("new, shop-*"))
        let bad = try await apus(node, "key", "create", "x", "--role", "reader", "--collections", "a,,b")
        #expect(bad.status == 64, "\(bad)")
        let environment = ["APUS_URL": node.url, "APUS_KEY": key]
        let list = try await Program.apus(["collection", "list"], environment)
        #expect(list.status == 0 && list.output.contains("new") && !list.output.contains("old"))
        let denied = try await Program.apus(["collection", "show", "old"], environment)
        #expect(denied.status == 77 && denied.errors.contains("no access to the collection 'old'"), "\(denied)")
        #expect(try await Program.apus(["collection", "verify", "new"], environment).status == 77)
    }

    @Test("import, search, show, delete: a first hour")
    func firstHour() async throws {
        let folder = try TemporaryDirectory()
        let node = try await start(folder)
        let file = try points(500, in: folder)

        let missing = try await apus(node, "import", "words", file.vectors)
        #expect(missing.status == 65 && missing.errors.contains("--create"))
        let refused = try await apus(node, "import", "words", file.vectors, "--dry-run")
        #expect(refused.status == 65 && refused.errors.contains("--create"))
        let dry = try await apus(node, "import", "words", file.vectors, "--payload", file.payloads, "--create", "--dry-run")
        #expect(dry.status == 0 && dry.output.hasPrefix("checked 500 points"))
        #expect(dry.errors.contains("would create collection 'words' (4 dimensions)"))
        let unasked = try await Program.apus(["import", "words", file.vectors, "--dry-run"], ["APUS_URL": "http://127.0.0.1:1"])
        #expect(unasked.status == 0 && unasked.errors.contains("only the file is checked"))
        let made = try await apus(node, "import", "words", file.vectors, "--payload", file.payloads, "--create", "--metric", "euclidean")
        #expect(made.status == 0 && made.output.hasPrefix("imported 500 points"), "\(made.errors)")
        #expect(try await count(node, "words") == 500)
        #expect(TemporaryDirectory.entries(folder.path).allSatisfy { !$0.hasSuffix(".import") })

        let search = try await apus(node, "search", "words", "--npy", file.vectors, "--row", "7", "--limit", "3", "--json")
        let hits = try JSONValue(parsing: Array(search.output.utf8))["results"]?.asArray
        #expect(hits?.count == 3 && hits?[0]["id"] == "7" && hits?[0]["payload"]?["row"] == 7)
        let near = try await apus(node, "search", "words", "--id", "7", "--limit", "2", "--filter", "{\"row\": {\"lt\": 7}}")
        #expect(near.status == 0 && near.output.split(separator: "\n").count == 2 && !near.output.contains("\"row\":7}"))
        #expect(near.output.contains("  1  ") && near.output.contains("{\"id\":6,\"row\":6}"))
        let nothing = try await apus(node, "search", "words", "--id", "7", "--filter", "{\"row\": -1}")
        #expect(nothing.status == 1 && nothing.output == "no point matches\n")

        let list = try await apus(node, "collection", "list")
        #expect(list.output.contains("words") && list.output.contains("500") && list.output.contains("euclidean"))
        let shown = try await apus(node, "collection", "show", "words")
        #expect(shown.output.contains("dimension: 4") && shown.output.contains("shard_count: 1"))
        let status = try await apus(node, "status")
        #expect(status.status == 0 && status.output.contains("writes       ready") && status.output.contains("words"))
        #expect(status.output.contains(" at \(node.url),"), "\(status.output)")

        let unconfirmed = try await apus(node, "collection", "delete", "words")
        #expect(unconfirmed.status == 3 && unconfirmed.errors.contains("--yes"))
        #expect(try await count(node, "words") == 500)
        let deleted = try await apus(node, "collection", "delete", "words", "--yes")
        #expect(deleted.status == 0)
        // A new import of the same rows is a new one, though their requests are the same.
        let again = try await apus(node, "import", "words", file.vectors, "--create")
        #expect(again.status == 0, "\(again.errors)")
        #expect(try await count(node, "words") == 500)
        try await node.stopCleanly()
    }

    @Test("an import whose node was killed goes on where it stopped, and every point is there once")
    func resumes() async throws {
        let folder = try TemporaryDirectory()
        let file = try points(20_000, in: folder)
        let state = "\(file.vectors).words.import"
        let node = try await start(folder)
        let first = Task {
            try await apus(
                node, "import", "words", file.vectors, "--payload", file.payloads, "--create", "--batch", "50", "--patience", "0")
        }
        func rows() throws -> Int64 {
            guard access(state, R_OK) == 0 else { return 0 }
            return try JSONValue(parsing: Array(try Program.read(state).utf8))["rows"]?.asInteger ?? 0
        }
        try await eventually("the import has begun") { try rows() >= 500 }
        await node.kill()
        let cut = try await first.value
        #expect(cut.status == 69, "\(cut.output) \(cut.errors)")
        let reached = try rows()
        #expect((500..<20_000).contains(reached))

        let restarted = try await start(folder)
        let second = try await apus(restarted, "import", "words", file.vectors, "--payload", file.payloads, "--json")
        #expect(second.status == 0, "\(second.errors)")
        #expect(second.errors.contains("going on after row"))
        let summary = try JSONValue(parsing: Array(second.output.utf8))
        #expect(summary["resumed_after"]?.asInteger == reached && summary["rows"] == 20_000 && summary["inserted"] == 20_000)
        #expect(try await count(restarted, "words") == 20_000)
        #expect(access(state, F_OK) != 0)
        await restarted.kill()
    }

    @Test("bad lines stop an import with their number, or are left out by flag")
    func badLines() async throws {
        let folder = try TemporaryDirectory()
        let node = try await start(folder)
        let path = folder.path + "/points.jsonl"
        var lines = (0..<100).map { "{\"id\": \($0), \"vector\": [\($0), 1]}" }
        lines[30] = "{\"id\": 30, \"vector\": [1, 2, 3]}"
        lines[60] = "nonsense"
        try Program.write(lines.joined(separator: "\n"), to: path)

        let stopped = try await apus(node, "import", "words", path, "--create")
        #expect(stopped.status == 65)
        #expect(stopped.errors.contains("points.jsonl:31: ") && stopped.errors.contains("--on-error skip"))
        let skipped = try await apus(node, "import", "words", path, "--on-error", "skip")
        #expect(skipped.status == 1)
        #expect(skipped.output.hasPrefix("imported 98 points, 2 skipped"))
        #expect(skipped.errors.contains("skipped \(path):31: ") && skipped.errors.contains("skipped \(path):61: "))
        #expect(try await count(node, "words") == 98)
        await node.kill()
    }

    @Test("an import keeps to the collection that is there: its settings, its dimension, the node's rules about ids")
    func existingCollection() async throws {
        let folder = try TemporaryDirectory()
        let node = try await start(folder)
        #expect(try await apus(node, "collection", "create", "c", "--dimension", "2", "--metric", "dot", "--shards", "2").status == 0)
        let path = folder.path + "/points.jsonl"
        let lines = [
            #"{"id": 1, "vector": [1, 2, 3]}"#, #"{"id": " sp", "vector": [1, 2]}"#, #"{"id": "a", "vector": [1, 2]}"#,
            #"{"id": "b#", "vector": [1, 2]}"#, #"{"id": 5, "vector": [3, 4]}"#,
        ]
        try Program.write(lines.joined(separator: "\n"), to: path)

        for (option, value, has) in [
            ("--metric", "cosine", "dot"), ("--shards", "3", "2"), ("--virtual-nodes", "7", "100"), ("--dimension", "3", "2"),
        ] {
            let refused = try await apus(node, "import", "c", path, "--on-error", "skip", "--create", option, value)
            #expect(refused.status != 0 && refused.errors.contains("\(has) and not \(value)"), "\(option): \(refused.errors)")
        }
        #expect(try await count(node, "c") == 0)
        let same = try await apus(node, "import", "c", path, "--on-error", "skip", "--metric", "dot", "--shards", "2", "--json")
        let summary = try JSONValue(parsing: Array(same.output.utf8))
        #expect(same.status == 1 && summary["inserted"] == 2 && summary["bad"] == 3, "\(same)")
        #expect(
            same.errors.contains("points.jsonl:1: ") && same.errors.contains("points.jsonl:2: the point id begins or ends with a space"))
        #expect(try await count(node, "c") == 2)
        let dry = try await apus(node, "import", "c", path, "--on-error", "skip", "--dimension", "2", "--dry-run", "--json")
        let checked = try JSONValue(parsing: Array(dry.output.utf8))
        #expect(checked["inserted"] == 2 && checked["bad"] == 3)
        let strict = try await apus(node, "import", "c", path)
        #expect(strict.status == 65 && strict.errors.contains("points.jsonl:1: ") && strict.errors.contains("--on-error skip"))
        await node.kill()
    }

    @Test("a search that the node cuts short says so")
    func clamped() async throws {
        let folder = try TemporaryDirectory()
        let node = try await start(folder)
        let file = try points(300, in: folder)
        #expect(try await apus(node, "import", "words", file.vectors, "--create").status == 0)
        func search(_ arguments: String...) async throws -> (hits: Int?, warns: Bool) {
            let done = try await Program.apus(["search", "words", "--json"] + arguments, ["APUS_URL": node.url])
            return (
                try JSONValue(parsing: Array(done.output.utf8))["results"]?.asArray?.count,
                done.errors.contains("the node gives 100 points at most")
            )
        }
        #expect(try await search("--vector", "[1,2,3,4]", "-n", "100") == (100, false))
        #expect(try await search("--vector", "[1,2,3,4]", "-n", "150") == (100, true))
        #expect(try await search("--id", "7", "-n", "99") == (99, false))
        #expect(try await search("--id", "7", "-n", "100") == (99, true))
        await node.kill()
    }

    @Test("keys are made through the node, and on its catalog when it does not run; a key gets its holder in")
    func keys() async throws {
        let folder = try TemporaryDirectory()
        let node = try await start(folder)
        let made = try await apus(node, "key", "create", "laptop", "--role", "reader")
        #expect(made.status == 0 && made.output.hasPrefix("apus_"))
        let secret = made.output.filter { !$0.isNewline }
        let refused = try await Program.apus(
            ["collection", "create", "x", "--dimension", "2"], ["APUS_URL": node.url, "APUS_KEY": secret])
        #expect(refused.status == 77, "a reader's key creates nothing: \(refused.errors)")
        let wrong = try await Program.apus(["collection", "list"], ["APUS_URL": node.url, "APUS_KEY": "apus_0_0"])
        #expect(wrong.status == 77)
        try await node.stopCleanly()

        let elsewhere = ["APUS_URL": "http://127.0.0.1:\(try freePort())"]
        let data = folder.path + "/data"
        let direct = try await Program.apus(["key", "create", "offline", "--data", data], elsewhere)
        #expect(direct.status == 0, "\(direct.errors)")
        let list = try await Program.apus(["key", "list", "--data", data, "--json"], elsewhere)
        let keys = try JSONValue(parsing: Array(list.output.utf8))["keys"]?.asArray?.filter { $0["name"] != "tests" } ?? []
        #expect(keys.map { $0["name"] } == ["laptop", "offline"])
        #expect(!list.output.contains(secret))
        let id = keys[0]["id"]?.asString ?? ""
        #expect(try await Program.apus(["key", "revoke", id, "--data", data], elsewhere).status == 0)
        #expect(try await Program.apus(["key", "revoke", id, "--data", data], elsewhere).status == 65)
    }
}
