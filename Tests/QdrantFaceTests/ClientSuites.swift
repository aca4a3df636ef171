import ApusRuntime
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// A real node, asked by the unmodified `qdrant-client` 1.20.
@Suite("qdrant-client", .serialized)
struct ClientSuites {
    /// A failure prints the seed of its collection; `APUS_SEED` begins there.
    static let seed = getenv("APUS_SEED").map { String(cString: $0) } ?? "20261121"
    /// Each case is a random write, six random questions and now and then a change of aliases, all compared.
    static let cases = LawSize.scaled(200, full: 2000)

    /// The node's URL with the place of the face, and a key.
    static func withNode(
        atRoot: Bool = false, environment: [String: String] = [:], _ body: (_ url: String, _ key: String) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        // The first listener is how the tests' kit makes its key; a second one has Qdrant's paths at its root.
        let arguments = atRoot ? ["--listen", "127.0.0.2:0=qdrant"] : []
        let node = try await NodeProcess.start(
            directory: directory.path + "/data", arguments: arguments, environment: environment, loops: EventLoops(count: 1))
        let url = atRoot ? try #require(node.otherURLs.first) : node.url + "/qdrant"
        try await body(url, node.key)
        try await node.stopCleanly()
    }

    @Test("gets the answers of its own in-memory mode, call by call")
    func comparison() async throws {
        // So few points are sealed that what is asked is mostly in segments, of which many are merged.
        try await Self.withNode(environment: ["APUS_VECTORS_SEAL_POINTS": "16"]) { url, key in
            let (status, output) = try await PythonClient.shared.run("compare", [url, key, Self.seed, String(Self.cases)])
            print(output)
            #expect(status == 0, "\(output)")
            #expect(output.contains("\(Self.cases) cases"))
            #expect(!output.contains(", 0 with graphs"))
        }
    }

    @Test("sees the effect of each call that the in-memory mode lacks")
    func effects() async throws {
        try await Self.withNode { url, key in
            let (status, output) = try await PythonClient.shared.run("effects", [url, key, Self.seed])
            #expect(status == 0 && output.contains("all effects are there"), "\(output)")
        }
    }

    @Test("finds each of a thousand writes through the next of three nodes")
    func rotation() async throws {
        let cluster = try await ProcessCluster()
        let nodes = try await cluster.start(nodes: 3)
        let (status, output) = try await PythonClient.shared.run("rotation", ["1000", nodes[0].key] + nodes.map { $0.url + "/qdrant" })
        #expect(status == 0 && output.contains("1000 searches, 0 misses"), "\(output)")
    }

    @Test("is refused what the real server refuses, in its words")
    func badInput() async throws {
        try await Self.withNode(environment: ["APUS_FACES_QDRANT_MAX_REPLY_BYTES": "64 KiB", "APUS_VECTORS_DEFAULT_REPLICAS": "2"]) {
            url, key in
            let (status, output) = try await PythonClient.shared.run("bad_input", [url, key])
            #expect(status == 0 && output.contains("0 failures"), "\(output)")
        }
    }

    @Test("finds the same at the root of a listener of its own")
    func root() async throws {
        try await Self.withNode(atRoot: true, environment: ["APUS_VECTORS_SEAL_POINTS": "16"]) { url, key in
            let (status, output) = try await PythonClient.shared.run("compare", [url, key, Self.seed, "10"])
            #expect(status == 0, "\(output)")
            let effects = try await PythonClient.shared.run("effects", [url, key, Self.seed])
            #expect(effects.status == 0, "\(effects.output)")
        }
    }
}
