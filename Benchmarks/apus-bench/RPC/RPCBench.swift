import ApusRPC
import ApusRuntime
import ApusTypes
import Glibc

/// What a call between two nodes costs over loopback: CPU time of both ends and all their threads, and latency, by payload and by how many
/// calls are under way. Client and server are one process with two event loops; the handler returns what it got.
enum RPCBench {
    private static let sizes = [(64, "64 B"), (4096, "4 KiB"), (65536, "64 KiB")]
    private static let widths = [1, 16, 64]

    static func run() async throws {
        let loops = EventLoops(count: 2)
        let secret = Redacted("benchmark")
        let server = RPCServer(
            identity: RPCIdentity(node: "server", clusterSecret: secret), security: .plaintext, loops: loops, metrics: MetricsRegistry(),
            health: { _ in .serving }, handlers: ["echo": { $0.payload }])
        let address = "127.0.0.1:\(try server.start(host: "127.0.0.1", port: 0, setting: "the address"))"
        let peers = RPCPeers(
            identity: RPCIdentity(node: "client", clusterSecret: secret), security: .plaintext, metrics: MetricsRegistry())
        var found: [String: (cpu: [Double], latency: [Double], rate: [Double])] = [:]
        for round in 1...BenchOptions.rounds(5) {
            for (size, sizeName) in sizes {
                for width in widths {
                    progress("round \(round): \(sizeName), \(width) in flight")
                    let once = try await measure(peers, address, loops, size: size, width: width)
                    let key = "\(size)b_\(width)_in_flight"
                    found[key, default: ([], [], [])].cpu.append(once.cpu)
                    found[key, default: ([], [], [])].latency.append(once.latency)
                    found[key, default: ([], [], [])].rate.append(once.rate)
                }
            }
        }
        peers.close()
        await server.drain(deadline: BootClock.now.advanced(by: .seconds(2)))
        try report(found)
    }

    /// Microseconds of CPU for one call, and of its median latency; calls per second.
    private static func measure(
        _ peers: RPCPeers, _ address: String, _ loops: EventLoops, size: Int, width: Int
    ) async throws -> (cpu: Double, latency: Double, rate: Double) {
        let payload = [UInt8](repeating: 7, count: size)
        let each = (size > 4096 ? 4_000 : 12_000) / width
        let start = (time: BootClock.now, cpu: cpuSeconds())
        let latencies = try await withThrowingTaskGroup(of: [Double].self) { group in
            for worker in 0..<width {
                group.addTask(executorPreference: loops.all[worker % loops.all.count]) {
                    var latencies: [Double] = []
                    for _ in 0..<each {
                        let begin = BootClock.now
                        let reply = try await peers.call(address, "echo", payload, deadline: begin.advanced(by: .seconds(30)))
                        precondition(reply.count == size)
                        latencies.append(begin.duration(to: BootClock.now).seconds * 1e6)
                    }
                    return latencies
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        let calls = Double(each * width)
        return (
            (cpuSeconds() - start.cpu) / calls * 1e6, Spread(latencies).median, calls / start.time.duration(to: BootClock.now).seconds
        )
    }

    private static func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func report(_ found: [String: (cpu: [Double], latency: [Double], rate: [Double])]) throws {
        var report = BenchReport("rpc")
        report.row("a call", "CPU µs: min", "median", "max", "latency µs: min", "median", "max", "calls/s")
        for (size, sizeName) in sizes {
            for width in widths {
                let key = "\(size)b_\(width)_in_flight"
                guard let one = found[key] else { continue }
                let spreads = [Spread(one.cpu), Spread(one.latency)].flatMap { [$0.min, $0.median, $0.max] }
                report.row(
                    ["\(sizeName), \(width) in flight"] + (spreads + [Spread(one.rate).median]).map(BenchReport.short))
                report.figure("\(key)_cpu_us", one.cpu)
                report.figure("\(key)_latency_us", one.latency)
                report.figure("\(key)_calls_per_second", one.rate)
            }
        }
        try report.finish()
    }
}
