import Foundation

/// The benchmarks by name, with what `apus-bench` prints about them.
let benchmarks: [(name: String, summary: String, run: () async throws -> Void)] = [
    ("catalog", "appends to shard logs on SQLite and PostgreSQL, 1 and 16 writers", { try await CatalogBench.run() }),
    ("import", "points per second through `apus import`, and recall and rate of exact search", { try await ImportBench.run() }),
    (
        "vectors", "approximate search beside hnswlib and faiss: queries per CPU second at equal recall, build, memory",
        {
            try await VectorsBench.run()
        }
    ),
    ("embed", "MiniLM beside its reference vectors, and texts embedded per second", { try EmbeddingBench.run() }),
    ("http", "a small JSON reply beside nginx, memory per idle connection, a 500 MB upload", { try await HTTPBenchmark.run() }),
    ("http-server", "what `http` measures, alone: prints its port and serves", { try await HTTPBenchmark.serve() }),
]

guard CommandLine.arguments.count > 1, let bench = benchmarks.first(where: { $0.name == CommandLine.arguments[1] }) else {
    print("usage: apus-bench NAME\n")
    for bench in benchmarks { print("  \(bench.name)   \(bench.summary)") }
    exit(64)
}
do {
    try await bench.run()
} catch {
    FileHandle.standardError.write(Data("apus-bench \(bench.name): \(error)\n".utf8))
    exit(1)
}
