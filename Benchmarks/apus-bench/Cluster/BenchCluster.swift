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
    let directory: TemporaryDirectory
    private let loops: EventLoops
    private(set) var nodes: [NodeProcess] = []

    /// With so many nodes, of at most so many that there will be.
    init(nodes count: Int, most: Int? = nil, loops: EventLoops) async throws {
        self.loops = loops
        directory = try TemporaryDirectory()
        server = try await PostgreSQLServer.start(settings: ["max_connections": "\(30 + 5 * (most ?? count))"], isDurable: true)
        try await grow(to: count)
    }

    /// Starts nodes until there are so many and each sees all as active.
    mutating func grow(to count: Int) async throws {
        while nodes.count < count {
            let name = "n\(nodes.count + 1)"
            let environment = [
                "APUS_NODE_NAME": name, "APUS_CATALOG_URL": server.url().reveal(), "APUS_STORE_KIND": "catalog",
                "APUS_CLUSTER_ADDRESS": "127.0.0.1:0", "APUS_CLUSTER_SECRET": "a secret of this benchmark",
            ]
            nodes.append(try await NodeProcess.start(directory: directory.path + "/" + name, environment: environment, loops: loops))
        }
        for node in nodes {
            try await wait("\(count) nodes are active") {
                let seen = try await node.send(.get, "/api/v1/cluster/nodes").body["nodes"]?.asArray ?? []
                return seen.count == count && seen.allSatisfy { $0["status"] == "active" }
            }
        }
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

    func wait(_ what: String, _ condition: () async throws -> Bool) async throws {
        let deadline = BootClock.now.advanced(by: .seconds(300))
        while try await !condition() {
            guard BootClock.now < deadline else { throw ApusError(.deadlineExceeded, "not within 300 s: \(what)") }
            try await BootClock().sleep(for: .milliseconds(50))
        }
    }
}

enum ProcessTimes {
    /// CPU time of a process and its children, those that have ended included.
    static func seconds(of process: Int32) -> Double {
        let children = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { Int32($0) } ?? []
        let ticks = children.reduce(0.0) { sum, child in
            let fields = fields(of: child)
            guard fields.count > 14 else { return sum }  // gone meanwhile
            if child == process { return sum + fields[11...14].reduce(0) { $0 + (Double($1) ?? 0) } }
            return Int32(fields[1]) == process ? sum + fields[11...14].reduce(0) { $0 + (Double($1) ?? 0) } : sum
        }
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
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

    init(_ name: String, of node: NodeProcess, loops: EventLoops) async throws {
        let client = HTTPClient(loops: loops)
        let request = ClientRequest(
            .get, node.url + "/metrics", headers: ["X-API-Key": node.key], deadline: BootClock.now.advanced(by: .seconds(10)))
        let text = String(decoding: try await client.send(request).collect(limit: .mebibytes(4)), as: UTF8.self)
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
