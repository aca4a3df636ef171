import ApusHTTP
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Foundation
import NodeProcessKit
import TestKit

/// How much a role that asks with 48 connections delays another that asks with four: without any sharing of places, and with the default; and
/// what the greedy one gets when it asks alone.
struct RolesBench {
    private static let seconds = 4
    private static let greedy = QueryShop.cases[1], modest = QueryShop.cases[0]

    private struct Round {
        /// Of the modest role: milliseconds.
        var alone: Double
        var beside: Double
        /// Of the greedy one: requests per second.
        var greedyAlone: Double
        var greedyBeside: Double
    }

    private let node: NodeProcess
    private let folders: [String]
    private let loop: EventLoop

    static func run() async throws {
        let loops = EventLoops(count: 1)
        let directory = try TemporaryFolder()
        defer { directory.remove() }
        var report = BenchReport("roles")
        report.describeMachine()
        progress("making the shop")
        let server = try await QueryShop.start()
        let benches = [
            ("unshared", try await start("unshared", ["APUS_QUERY_MAX_SHARED_IN_FLIGHT": "100000"], server, directory, loops)),
            ("shared", try await start("shared", [:], server, directory, loops)),
        ]
        var found: [String: [Round]] = [:]
        for round in 0..<BenchOptions.rounds(5) {
            for (name, bench) in round % 2 == 0 ? benches : benches.reversed() {
                progress("round \(round + 1), \(name)")
                found[name, default: []].append(try await bench.measure())
            }
        }
        report.row(
            "places", "modest alone: p99, ms", "beside", "ratio: min", "median", "max", "greedy alone, per s", "beside")
        for (name, bench) in benches {
            let rounds = found[name] ?? []
            let ratios = rounds.map { $0.beside / $0.alone }
            report.ratio("\(name)_p99_beside_to_alone", ratios)
            report.figure("\(name)_p99_alone_ms", rounds.map(\.alone))
            report.figure("\(name)_p99_beside_ms", rounds.map(\.beside))
            report.figure("\(name)_greedy_alone_per_second", rounds.map(\.greedyAlone))
            report.figure("\(name)_greedy_beside_per_second", rounds.map(\.greedyBeside))
            let spread = Spread(ratios)
            report.row(
                [name]
                    + [
                        Spread(rounds.map(\.alone)).median, Spread(rounds.map(\.beside)).median, spread.min, spread.median, spread.max,
                        Spread(rounds.map(\.greedyAlone)).median, Spread(rounds.map(\.greedyBeside)).median,
                    ].map(BenchReport.short))
            _ = await bench.node.terminate()
        }
        await server.stop()
        try report.finish()
    }

    private static func start(
        _ name: String, _ environment: [String: String], _ server: PostgreSQLServer, _ directory: TemporaryFolder, _ loops: EventLoops
    ) async throws -> RolesBench {
        let node = try await ShopNodes.node(name, schema: QueryShop.schema, server, environment, in: directory, loops: loops)
        for role in ["greedy", "modest"] {
            let mutation = """
                mutation { core {
                  insert_roles(data: {name: "\(role)", description: "of the benchmark"}) { name }
                  insert_api_keys(data: {name: "\(role)", key: "\(role)-0123456789", default_role: "\(role)"}) { name }
                } }
                """
            let reply = try await node.send(.post, "/query", JSONValue.object(["query": .string(mutation)]).description)
            guard reply.status == 200, reply.body["errors"] == nil else {
                throw ApusError(.processFailed, "a role was not made: \(reply.body)")
            }
        }
        let folders = ["greedy", "modest"].map { "\(directory.path)/\(name)-\($0)" }
        for folder in folders { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false) }
        return RolesBench(node: node, folders: folders, loop: loops.first)
    }

    private func measure() async throws -> Round {
        let greedy = try load("greedy", Self.greedy, in: folders[0]), modest = try load("modest", Self.modest, in: folders[1])
        let alone = try await modest.run(connections: 4, seconds: Self.seconds)
        let greedyAlone = try await greedy.run(connections: 48, seconds: Self.seconds)
        let other = Task { try await greedy.run(connections: 48, seconds: Self.seconds + 2) }
        try await BootClock().sleep(for: .seconds(1))
        let beside = try await modest.run(connections: 4, seconds: Self.seconds)
        return Round(
            alone: alone.p99, beside: beside.p99, greedyAlone: greedyAlone.perSecond, greedyBeside: try await other.value.perSecond)
    }

    private func load(_ role: String, _ test: QueryShop.Case, in folder: String) throws -> SearchLoad {
        try SearchLoad(
            test.bodies(test.text, count: 5000, seed: 1), to: node.url + "/query", key: "\(role)-0123456789", in: folder, on: loop)
    }
}
