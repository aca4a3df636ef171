import Foundation

/// The benchmarks by name, with what `apus-bench` prints about them.
let benchmarks: [(name: String, summary: String, run: () async throws -> Void)] = [
    ("catalog", "appends to shard logs on SQLite and PostgreSQL, 1 and 16 writers", { try await CatalogBench.run() }),
    ("import", "points per second through `apus import`, and recall and rate of exact search", { try await ImportBench.run() }),
    (
        "vectors", "approximate search beside hnswlib, faiss and usearch: queries per CPU second at equal recall, build, memory, a plot",
        { try await VectorsBench.run() }
    ),
    (
        "filters", "search under filters that pass 50 % to 0.1 %, beside the exact scan of what passes, faiss and hnswlib",
        { try await FiltersBench.run() }
    ),
    ("vectors-http", "searches per second of a node over HTTP, beside hnswlib in process", { try await VectorsHTTPBench.run() }),
    (
        "vectors-mixed", "searches during 2,000 upserts/s, seals and merges; rate of upserts; a node's start and memory",
        { try await MixedBench.run() }
    ),
    ("ingest", "all points over REST, indexed and searchable, beside chromadb and lancedb", { try await IngestBench.run() }),
    ("embed", "MiniLM beside its reference vectors, and texts embedded per second", { try EmbeddingBench.run() }),
    ("http", "a small JSON reply beside nginx, memory per idle connection, a 500 MB upload", { try await HTTPBenchmark.run() }),
    ("rpc", "a call between nodes: CPU of both ends and latency, by payload and calls under way", { try await RPCBench.run() }),
    (
        "placement", "plans of which node serves which shard: time, balance, and moves when nodes join and leave",
        { try PlacementBench.run() }
    ),
    (
        "cluster", "three nodes beside one: CPU time of a search, and an acknowledgement's time above its commit",
        { try await ClusterBench.run() }
    ),
    ("limits", "what an idle cluster costs its catalog and its nodes, by nodes and by shards", { try await LimitsBench.run() }),
    ("graphql", "operations parsed, validated and found in the cache, beside graphql-core", { try GraphQLBench.run() }),
    ("plan", "operations planned, plans found in the cache, and rows written as JSON", { try await PlanBench.run() }),
    (
        "query", "GraphQL over HTTP beside pgbench with the same statements and a Python server, and replies that are kept",
        { try await QueryBench.run() }
    ),
    (
        "query-tables", "the tables of docs/benchmarks.md from results of `query`: their files after --data, with commas",
        { try QueryBench.printTables() }
    ),
    ("roles", "what a greedy role costs another one", { try await RolesBench.run() }),
    ("caches", "what requests notice of a Redis that freezes, dies, is emptied and comes back", { try await CachesBench.run() }),
    ("arrow", "a million rows to pandas through hugr-client, beside PostgreSQL's drivers", { try await ArrowBench.run() }),
    ("http-server", "what `http` measures, alone: prints its port and serves", { try await HTTPBenchmark.serve() }),
]

@MainActor func usage() -> String {
    let width = benchmarks.map(\.name.count).max() ?? 0
    return "usage: apus-bench NAME [--rounds N] [--data DIR]\n\n"
        + benchmarks.map { "  \($0.name.padding(toLength: width, withPad: " ", startingAt: 0))   \($0.summary)\n" }.joined() + """

            --rounds N   how often everything is measured, all in turn; each benchmark has its own number
            --data DIR   points.f16.npy, points.jsonl, queries.f16.npy and, if known, neighbours.i32.npy; else APUS_BENCH_DATA, else made up

            Run from the project's folder, where results are kept: `make bench-NAME ARGS="--rounds 3"` builds first. docs/benchmarks.md says more.

            """
}

if CommandLine.arguments.contains("--help") {
    print(usage(), terminator: "")
    exit(0)
}
do {
    let options = try BenchOptions(CommandLine.arguments.dropFirst())
    guard let bench = benchmarks.first(where: { $0.name == options.name }) else {
        print(usage(), terminator: "")
        exit(64)
    }
    try await bench.run()
} catch {
    FileHandle.standardError.write(Data("apus-bench: \(error)\n".utf8))
    exit(1)
}
