import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit

/// Real nodes on loopback on a durable PostgreSQL of their own; objects are in the catalog.
struct BenchCluster {
    let server: PostgreSQLServer
    private let cluster: ProcessCluster
    private(set) var nodes: [NodeProcess] = []

    /// With so many nodes, of at most so many that there will be.
    init(nodes count: Int, most: Int? = nil) async throws {
        server = try await PostgreSQLServer.start(settings: ["max_connections": "\(30 + 5 * (most ?? count))"], isDurable: true)
        cluster = try await ProcessCluster(on: server)
        try await grow(to: count)
    }

    /// Starts nodes until there are so many and each sees all as active.
    mutating func grow(to count: Int) async throws {
        while nodes.count < count { nodes.append(try await cluster.start(nodes.count)) }
        try await cluster.settle(nodes)
    }

    func stop() async {
        for node in nodes { _ = await node.terminate() }
        await server.stop(.fast)
    }

    /// On the first node. Throws what a node refused.
    @discardableResult
    func ask(
        _ method: Method, _ path: String, _ body: String? = nil, node: Int = 0, timeout: Duration = .seconds(60)
    ) async throws -> JSONValue {
        let reply = try await nodes[node].send(method, path, body, timeout: timeout)
        guard (200..<300).contains(reply.status) else {
            throw ApusError(.processFailed, "\(method) \(path) was answered with \(reply.status): \(reply.body)")
        }
        return reply.body
    }

    func create(_ name: String, dimension: Int, shards: Int, replicas: Int = 1) async throws {
        let sharding = #"{"shard_count":\#(shards)}"#
        try await ask(
            .post, "/collections",
            #"{"name":"\#(name)","dimension":\#(dimension),"metric":"cosine","replication_factor":\#(replicas),"sharding":\#(sharding)}"#)
    }

    /// What the nodes have used of processors, in seconds.
    var cpuSeconds: Double { nodes.reduce(0) { $0 + ProcessTimes.seconds(of: $1.identifier) } }

    /// The same of PostgreSQL with all its processes.
    var catalogCPUSeconds: Double {
        ProcessTimes.seconds(of: Int32(readText(server.dataDirectory + "/postmaster.pid").split(separator: "\n").first ?? "") ?? -1)
    }

    func wait(_ what: String, _ condition: () async throws -> Bool) async throws { try await eventually(within: 300, what, condition) }
}

enum ProcessTimes {
    /// CPU time of a process and its children, those that have ended included.
    static func seconds(of process: Int32) -> Double {
        let ticks = family(of: process).reduce(0.0) { sum, member in
            let fields = fields(of: member)
            // Fewer: it has gone meanwhile.
            return fields.count > 14 ? sum + fields[11...14].reduce(0) { $0 + (Double($1) ?? 0) } : sum
        }
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// A process and its children.
    static func family(of process: Int32) -> [Int32] {
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { Int32($0) } ?? []
        return processes.filter { $0 == process || fields(of: $0).dropFirst().first.flatMap { Int32($0) } == process }
    }

    /// Of /proc/PID/stat, those after the name, which may hold anything.
    private static func fields(of process: Int32) -> [Substring] {
        let stat = readText("/proc/\(process)/stat")
        return stat.lastIndex(of: ")").map { stat[stat.index(after: $0)...].split(separator: " ") } ?? []
    }
}

/// A histogram of a node's metrics, from one moment to another.
struct HistogramReading {
    private var counts: [(bound: Double, count: Double)]

    init(_ name: String, of node: NodeProcess) async throws {
        let text = try await node.metrics()
        counts = text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix(name + "_bucket{"), let bound = line.split(separator: "\"").dropFirst().first,
                let count = line.split(separator: " ").last.flatMap({ Double($0) })
            else { return nil }
            return (Double(bound) ?? .infinity, count)
        }
    }

    /// Adds what another node counted.
    mutating func add(_ other: HistogramReading, sign: Double = 1) {
        for index in counts.indices where index < other.counts.count { counts[index].count += sign * other.counts[index].count }
    }

    /// In milliseconds, in proportion between the bounds of a bucket.
    func quantile(_ share: Double) -> Double {
        guard let total = counts.last?.count, total > 0 else { return .nan }
        var below = (bound: 0.0, count: 0.0)
        for bucket in counts {
            if bucket.count >= share * total {
                let width = bucket.bound.isFinite ? bucket.bound - below.bound : 0
                return (below.bound + width * (share * total - below.count) / max(bucket.count - below.count, 1)) * 1000
            }
            below = bucket
        }
        return .nan
    }
}
