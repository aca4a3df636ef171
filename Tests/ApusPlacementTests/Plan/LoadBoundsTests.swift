import TestKit
import Testing

@testable import ApusPlacement

@Suite("bounds of load")
struct LoadBoundsTests {
    @Test(
        "max(⌈share⌉, 1.15 × share) above, 0.85 × share below, and never nothing where the share is 1",
        arguments: [(3, 9, 3, 2, 3), (4, 10, 2, 2, 3), (10, 1000, 100, 85, 115), (10, 15, 1, 1, 2), (10, 5, 0, 0, 1)])
    func equal(nodes: Int, load: Int, quota: Int, lower: Int, upper: Int) {
        let bounds = LoadBounds(capacities: Array(repeating: 1, count: nodes), demand: [load], heaviest: 1)
        #expect(bounds.quota.min() == quota)
        #expect(bounds.quota.reduce(0, +) == load)
        #expect(bounds.lower.allSatisfy { $0 == lower })
        #expect(bounds.upper.allSatisfy { $0 == upper })
    }

    @Test("no node's share is more than its replicas of all shards, nor that of some nodes more than theirs")
    func capped() {
        #expect(LoadBounds(capacities: [1, 10, 1], demand: [120, 120], heaviest: 1).share == [60, 120, 60])
        // Ten shards have three replicas, ten have one: the third node must have ten, whatever its capacity.
        #expect(LoadBounds(capacities: [10, 10, 1], demand: [20, 10, 10], heaviest: 1).share == [15, 15, 10])
        #expect(LoadBounds(capacities: [1, 0, 1], demand: [5, 5, 5], heaviest: 1).share == [5, 0, 5])
    }

    @Test("quotas add up to the load")
    func sums() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            let capacities = (0..<Int.random(in: 1...9, using: &generator)).map { _ in Double.random(in: 0.1...9, using: &generator) }
            var demand = [Int.random(in: 1...50, using: &generator)]
            for _ in 0..<3 { demand.append(Int.random(in: 0...demand[demand.count - 1], using: &generator)) }
            let bounds = LoadBounds(capacities: capacities, demand: demand, heaviest: 1)
            #expect(bounds.quota.reduce(0, +) == demand.prefix(capacities.count).reduce(0, +))
            for (quota, share) in zip(bounds.quota, bounds.share) { #expect(abs(Double(quota) - share) < 1) }
            #expect(bounds.quota.allSatisfy { $0 <= demand[0] })
        }
    }
}
