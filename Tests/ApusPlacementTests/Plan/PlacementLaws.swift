import ApusPlacement
import TestKit
import Testing

@Suite("laws of placement")
struct PlacementLaws {
    static let parts = 8
    static let seeds = UInt64(LawSize.scaled(400, full: 50_000))

    /// Seeds of full runs that short ones would miss: a chain of moves over several nodes.
    static let found: [UInt64] = [14208]

    @Test("whatever happens, plans are safe, moves are needed, and the second leads to rest", .computing, arguments: 0..<parts)
    func anything(part: Int) {
        for seed in Array(stride(from: UInt64(part), to: Self.seeds, by: Self.parts)) + (part == 0 ? Self.found : []) {
            var world = PlacementWorld(seed: seed)
            for step in 0..<6 {
                if step > 0 { world.happen() }
                let plan = world.plan
                #expect(world.problems(with: plan) == [], "seed \(seed), step \(step)")
                world.applySome(of: plan)
                world.load(0.5)
            }
            settle(&world, seed)
        }
    }

    private func settle(_ world: inout PlacementWorld, _ seed: UInt64) {
        let first = world.plan
        world.shuffle()
        #expect(world.plan.changes == first.changes && world.plan.placements == first.placements, "seed \(seed): depends on the order")

        world.apply(first.changes)
        #expect(world.hasKeepers || !world.plan.changes.contains { $0.action == .add }, "seed \(seed): adds while the first adds load")
        // Beside a node that keeps, what can be moved may turn up one by one.
        var rounds = world.hasKeepers ? 8 : 1
        world.load(1)
        while rounds > 0, !world.plan.changes.isEmpty {
            let plan = world.plan
            #expect(world.problems(with: plan) == [], "seed \(seed)")
            #expect(world.hasKeepers || !plan.changes.contains { $0.action == .add }, "seed \(seed): adds when the first adds have loaded")
            world.apply(plan.changes)
            world.load(1)
            rounds -= 1
        }
        #expect(world.plan.changes == [], "seed \(seed): no rest")
        #expect(world.problemsAtRest(world.plan) == [], "seed \(seed)")
    }

    @Test("with weights it comes to rest, too", .computing)
    func weights() {
        for seed in 0..<Self.seeds / 20 {
            var world = PlacementWorld(seed: seed, heaviest: 9)
            for _ in 0..<4 {
                world.happen()
                #expect(world.problems(with: world.plan) == [], "seed \(seed)")
                world.applySome(of: world.plan)
                world.load(0.5)
            }
            var rounds = 8
            while rounds > 0, !world.plan.changes.isEmpty {
                world.apply(world.plan.changes)
                world.load(1)
                rounds -= 1
            }
            #expect(world.plan.changes == [], "seed \(seed): no rest")
        }
    }
}
