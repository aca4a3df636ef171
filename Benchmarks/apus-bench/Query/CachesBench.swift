import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit

/// What requests notice of a shared cache that freezes, dies, is emptied and comes back: a real Redis behind a node under a steady load.
struct CachesBench {
    private static let rounds = 5

    /// With what the node keeps replies: as it does by itself, or in Redis alone.
    private enum Keeping: String, CaseIterable {
        case both = "l1 and redis"
        case shared = "redis alone"

        var environment: [String: String] { self == .shared ? ["APUS_QUERY_CACHE_BYTES": "1"] : [:] }
    }

    private enum Phase: String, CaseIterable {
        case baseline
        case freezing = "frozen, first second"
        case frozen = "frozen, after it"
        case thawed = "thawed"
        case dying = "killed, first second"
        case dead = "killed, after it"
        case returned = "back, empty"
        case flushed = "emptied"

        var seconds: Double {
            switch self {
            case .freezing, .dying: 1
            // Compared with each other: the slowest of a hundred are those behind the writes, of which there must be some.
            case .baseline, .frozen: 15
            case .thawed, .dead, .returned, .flushed: 3
            }
        }
    }

    private struct Measurement {
        var p50: Double
        var p99: Double
        var most: Double
        var perSecond: Double
        var failed: Int
        var wrong: Int

        init(_ samples: [PacedLoad.Sample], over seconds: Double) {
            let times = samples.map(\.milliseconds).sorted()
            func percentile(_ part: Double) -> Double {
                times.isEmpty ? .nan : times[min(times.count - 1, Int(part * Double(times.count)))]
            }
            (p50, p99, most) = (percentile(0.5), percentile(0.99), times.last ?? .nan)
            perSecond = Double(samples.count) / seconds
            failed = samples.count { $0.outcome == .failed }
            wrong = samples.count { $0.outcome == .wrong }
        }
    }

    private let directory: TemporaryFolder
    private let loops: EventLoops
    private let server: PostgreSQLServer

    static func run() async throws {
        let loops = EventLoops(count: 1)
        let directory = try TemporaryFolder()
        defer { directory.remove() }
        var report = BenchReport("caches")
        report.describeMachine()
        progress("making the shop")
        let bench = CachesBench(directory: directory, loops: loops, server: try await QueryShop.start())
        report.row("kept in", "Redis", "per s", "p50, ms", "p99, ms: min", "median", "max", "slowest", "failed", "wrong")
        for keeping in Keeping.allCases {
            var found: [Phase: [Measurement]] = [:]
            let redis = try await BenchRedis(in: directory, on: loops.first)
            let node = try await ShopNodes.node(
                "\(keeping)", schema: QueryShop.schema, bench.server, redis.settings.merging(keeping.environment) { $1 }, in: directory,
                loops: loops)
            for round in 0..<BenchOptions.rounds(rounds) {
                progress("\(keeping.rawValue), round \(round + 1)")
                for (phase, measured) in try await bench.round(node, redis) { found[phase, default: []].append(measured) }
            }
            bench.tell(found, keeping, &report)
            _ = await node.terminate()
            await redis.kill()
        }
        await bench.server.stop()
        try report.finish()
    }

    private func round(_ node: NodeProcess, _ redis: BenchRedis) async throws -> [Phase: Measurement] {
        let load = PacedLoad(node)
        let running = Task { await load.run() }
        defer { running.cancel() }
        try await BootClock().sleep(for: .seconds(3))  // connections are open, and what is kept is kept
        var found: [Phase: Measurement] = [:]
        let asked = try await redis.commands()
        for phase in Phase.allCases {
            switch phase {
            case .freezing: redis.freeze()
            case .thawed: redis.thaw()
            case .dying: await redis.kill()
            case .returned: try await redis.start()
            case .flushed: try await redis.empty()
            case .baseline, .frozen, .dead: break
            }
            let start = BootClock.now
            try await BootClock().sleep(for: .seconds(phase.seconds))
            let end = BootClock.now
            if phase == .baseline, try await redis.commands() < asked + 100 {
                throw ApusError(.processFailed, "the node does not use Redis")
            }
            // What was due in its last moments has been answered, or is late.
            found[phase] = Measurement(load.samples(from: start, to: end.advanced(by: .milliseconds(-100))), over: phase.seconds - 0.1)
        }
        guard try await redis.commands() > 100 else { throw ApusError(.processFailed, "the node does not use the Redis that came back") }
        running.cancel()
        await running.value
        return found
    }

    private func tell(_ found: [Phase: [Measurement]], _ keeping: Keeping, _ report: inout BenchReport) {
        let baseline = (found[.baseline] ?? []).map(\.p99)
        for phase in Phase.allCases {
            let all = found[phase] ?? []
            let key = "\(keeping)_\(phase)"
            let p99 = Spread(all.map(\.p99))
            let (failed, wrong) = (all.reduce(0) { $0 + $1.failed }, all.reduce(0) { $0 + $1.wrong })
            report.figure("\(key)_p99_ms", all.map(\.p99))
            report.figure("\(key)_failed", Double(failed))
            report.figure("\(key)_wrong", Double(wrong))
            if phase == .freezing || phase == .dying {
                report.figure("\(key)_above_baseline_ms", zip(all.map(\.p99), baseline).map { $0 - $1 })
            }
            if phase == .frozen || phase == .dead { report.ratio("\(key)_to_baseline", zip(all.map(\.p99), baseline).map { $0 / $1 }) }
            let numbers = [
                Spread(all.map(\.perSecond)).median, Spread(all.map(\.p50)).median, p99.min, p99.median, p99.max,
                all.map(\.most).max() ?? 0,
            ]
            report.row([keeping.rawValue, phase.rawValue] + numbers.map(BenchReport.short) + ["\(failed)", "\(wrong)"])
        }
    }
}

/// A Redis that is frozen, killed, emptied and started again on one port.
final class BenchRedis {
    private let port: UInt16
    private let directory: TemporaryFolder
    private let loop: EventLoop
    private var process: ChildProcess

    init(in directory: TemporaryFolder, on loop: EventLoop) async throws {
        port = try freePort()
        (self.directory, self.loop) = (directory, loop)
        process = try await Self.start(port, directory, loop)
    }

    private static func start(_ port: UInt16, _ directory: TemporaryFolder, _ loop: EventLoop) async throws -> ChildProcess {
        try await ChildProcess.start(
            .init(
                "/usr/bin/redis-server", ["--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--dir", directory.path],
                environment: [:], output: .file(directory.path + "/redis.log")), on: loop)
    }

    var settings: [String: String] {
        ["APUS_QUERY_CACHE_SHARED_KIND": "redis", "APUS_QUERY_CACHE_SHARED_SERVERS": "127.0.0.1:\(port)"]
    }

    func freeze() { process.send(signal: SIGSTOP) }
    func thaw() { process.send(signal: SIGCONT) }

    func kill() async {
        process.send(signal: SIGKILL)
        _ = await process.wait()
    }

    func start() async throws { process = try await Self.start(port, directory, loop) }

    func empty() async throws { _ = try await cli("FLUSHALL") }

    /// Those that it has answered since it started.
    func commands() async throws -> Int {
        let line = try await cli("INFO", "stats").split(whereSeparator: \.isNewline).first { $0.hasPrefix("total_commands_processed:") }
        return line.flatMap { Int($0.split(separator: ":")[1]) } ?? 0
    }

    private func cli(_ words: String...) async throws -> String {
        let output = directory.path + "/redis-cli.out"
        let process = try await ChildProcess.start(
            .init("/usr/bin/redis-cli", ["-p", "\(port)"] + words, environment: [:], output: .file(output)), on: loop)
        _ = await process.wait()
        defer { unlink(output) }
        return readText(output)
    }
}
