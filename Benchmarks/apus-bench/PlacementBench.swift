import ApusPlacement
import ApusTypes
import Foundation
import TestKit

/// Plans for clusters of many sizes: how long they take, how even the loads come out, and how much moves when a node joins or leaves, beside
/// the least that must. Nodes have random names, and each round has others.
enum PlacementBench {
    static let rounds = 5

    private struct Case {
        var nodes: Int
        var shards: Int
        var factor: Int
        /// Capacities between 1 and 4 instead of equal ones.
        var isUneven = false

        var label: String { "\(nodes) nodes, \(shards) shards × \(factor)" + (isUneven ? ", uneven" : "") }
        var key: String { "\(nodes)_\(shards)_\(factor)" + (isUneven ? "_uneven" : "") }
    }

    private static let cases = [
        Case(nodes: 3, shards: 100, factor: 2), Case(nodes: 3, shards: 10_000, factor: 1), Case(nodes: 10, shards: 1000, factor: 2),
        Case(nodes: 30, shards: 10_000, factor: 2), Case(nodes: 30, shards: 10_000, factor: 2, isUneven: true),
        Case(nodes: 100, shards: 100_000, factor: 2), Case(nodes: 300, shards: 100_000, factor: 3),
        Case(nodes: 1000, shards: 100_000, factor: 1), Case(nodes: 1000, shards: 100_000, factor: 2),
        Case(nodes: 1000, shards: 100_000, factor: 3), Case(nodes: 1000, shards: 100_000, factor: 2, isUneven: true),
    ]

    /// What one round measured.
    private struct Round {
        /// Milliseconds, the greatest load in relation to its share, and moves in relation to the least: from nothing, at a join, and when a
        /// node leaves.
        var times: [Double] = []
        var imbalances: [Double] = []
        var moves: [Double] = []
    }

    static func run() throws {
        var report = BenchReport("placement")
        let plans = ["new", "join", "leave"]
        report.row(["ms: min, median, max"] + plans.flatMap { [$0, "", ""] } + ["max/mean"] + plans.dropFirst().map { "moves, \($0)" })
        for test in cases {
            progress(test.label)
            let results = (0..<BenchOptions.rounds(rounds)).map { round(test, seed: UInt64($0)) }
            var cells = [test.label]
            for (index, plan) in plans.enumerated() {
                let times = results.map { $0.times[index] }
                let spread = Spread(times)
                cells += [spread.min, spread.median, spread.max].map(BenchReport.short)
                report.figure("\(test.key)_\(plan)_ms", times)
            }
            // The worst of all rounds and plans.
            let imbalance = results.flatMap(\.imbalances).max() ?? 0
            cells.append(String(format: "%.3f", imbalance))
            report.figure("\(test.key)_imbalance", imbalance)
            for (index, plan) in plans.dropFirst().enumerated() {
                let most = results.map { $0.moves[index] }.max() ?? 0
                cells.append(String(format: "%.3f", most))
                report.figure("\(test.key)_moves_\(plan)", most)
            }
            report.row(cells)
        }
        try report.finish()
    }

    private static func round(_ test: Case, seed: UInt64) -> Round {
        var generator = SeededGenerator(seed: seed)
        func node() -> PlacementNode {
            PlacementNode(
                NodeName(String(generator.next(), radix: 36)), capacity: test.isUneven ? .random(in: 1...4, using: &generator) : 1)
        }
        var nodes = (0..<test.nodes).map { _ in node() }
        var shards = (1...test.shards).map { PlacementShard(ShardID(Int64($0)), replicationFactor: test.factor) }
        var round = Round()
        /// Plans, measures, and brings the shards to where they should be. Returns how many replicas are added.
        func plan() -> Int {
            let start = ContinuousClock.now
            let plan = PlacementPlan(shards: shards, nodes: nodes)
            round.times.append((ContinuousClock.now - start) / .milliseconds(1))
            let summary = plan.summary
            round.imbalances.append(summary.imbalance)
            for (index, placement) in plan.placements.enumerated() {
                shards[index].replicas = placement.nodes.map { .init(on: $0, .serving) }
            }
            return summary.adds.values.reduce(0, +)
        }
        _ = plan()
        nodes.append(node())
        let share = Double(test.shards * test.factor) * (nodes.last?.capacity ?? 0) / nodes.reduce(0) { $0 + $1.capacity }
        round.moves.append(Double(plan()) / share.rounded(.down))
        let leaver = Int.random(in: 0..<nodes.count, using: &generator)
        nodes[leaver].state = .leaves
        let had = shards.count { $0.replicas.contains { $0.node == nodes[leaver].name } }
        round.moves.append(Double(plan()) / Double(had))
        return round
    }
}
