import ApusCatalog
import ApusMembership
import ApusTypes
import TestKit
import Testing

@testable import ApusCluster

@Suite("membership, leases and placement in simulated worlds", .computing)
struct SimulationTests {
    /// Lets everything find its place, and tells of a world that does not.
    private func expectRest(_ world: SimulatedWorld, within time: Duration = .seconds(120), seed: Int) {
        world.run(time) { world.problems.isEmpty }
        #expect(world.problems == [], "seed \(seed): \(world.timeline.suffix(60).joined(separator: "\n"))")
    }

    private func expectKept(_ world: SimulatedWorld, seed: Int) {
        #expect(world.broken == [], "seed \(seed): \(world.timeline.suffix(60).joined(separator: "\n"))")
    }

    @Test("random deaths, pauses, cuts, losses, outages and jumps of the catalog's clock: every promise is kept, and all comes to rest")
    func random() {
        for seed in 0..<LawSize.scaled(60, full: 10_000) {
            let world = SimulatedWorld(seed: UInt64(seed), nodes: 3 + seed % 3, shards: 6, factor: 1 + seed % 2)
            expectRest(world, seed: seed)
            for _ in 0..<5 {
                for _ in 0..<Int.random(in: 1...2, using: &world.random) { strike(world) }
                world.run(.milliseconds(Int64.random(in: 500...15_000, using: &world.random)))
                world.heal()
                if world.chance(0.5) { world.run(.milliseconds(Int64.random(in: 100...5_000, using: &world.random))) }
            }
            expectRest(world, seed: seed)
            expectKept(world, seed: seed)
        }
    }

    private func strike(_ world: SimulatedWorld) {
        let node = world.nodes.randomElement(using: &world.random)!  // there are three at least
        let others = world.nodes.filter { $0 !== node }
        let other = others.randomElement(using: &world.random)!
        switch Int.random(in: 0..<9, using: &world.random) {
        case 0: node.kill()
        case 1: node.pause(.milliseconds(Int64.random(in: 100...12_000, using: &world.random)))
        case 2: world.cut(node.name, other.name)
        case 3:
            world.cut(node.name, other.name)
            world.cut(other.name, node.name)
        case 4:
            for name in others.map(\.name) + [SimulatedWorld.catalogName] {
                world.cut(node.name, name)
                world.cut(name, node.name)
            }
        case 5: world.cut(node.name, SimulatedWorld.catalogName)
        case 6: world.setCatalogAway(true)
        case 7: world.disturb(loss: 0.15, slowest: .milliseconds(700))
        default: world.jumpCatalogClock(.milliseconds(Int64.random(in: -20_000...20_000, using: &world.random)))
        }
    }

    @Test("whoever leads is killed, stopped or cut off: another one leads in six seconds, and the first has no effect any more")
    func leaders() throws {
        for seed in 0..<LawSize.scaled(60, full: 3_000) {
            let world = SimulatedWorld(seed: UInt64(seed), nodes: 3, shards: 6, factor: 2)
            expectRest(world, seed: seed)
            let leader = try #require(world.nodes.first { $0.leadership.held(at: world.now) != nil })
            switch seed % 3 {
            case 0: leader.kill()
            case 1: leader.pause(.seconds(12))
            default:
                for name in world.nodes.map(\.name).filter({ $0 != leader.name }) + [SimulatedWorld.catalogName] {
                    world.cut(leader.name, name)
                    world.cut(name, leader.name)
                }
            }
            world.run(.seconds(6))
            let leaders = world.nodes.filter { $0 !== leader && $0.leadership.held(at: world.now) != nil }
            #expect(leaders.count == 1, "seed \(seed): \(world.timeline.suffix(20))")
            world.run(.seconds(6))
            world.heal()
            expectRest(world, seed: seed)
            expectKept(world, seed: seed)
        }
    }

    @Test("a restart, an outage of the catalog and another leader move nothing; a node that stays away or joins moves its share")
    func moves() {
        for seed in 0..<LawSize.scaled(20, full: 500) {
            let world = SimulatedWorld(seed: UInt64(seed), nodes: 4, shards: 12, factor: 2)
            expectRest(world, seed: seed)
            world.nodes[seed % 4].kill()
            world.run(.seconds(12))
            world.heal()
            expectRest(world, seed: seed)
            world.setCatalogAway(true)
            world.run(.seconds(60))
            world.heal()
            expectRest(world, seed: seed)
            world.nodes.first { $0.leadership.held(at: world.now) != nil }?.kill()
            world.run(.seconds(10))
            world.heal()
            expectRest(world, seed: seed)
            #expect(world.adds == 0, "seed \(seed): \(world.timeline.suffix(60).joined(separator: "\n"))")

            world.add("n9")
            expectRest(world, seed: seed)
            #expect((4...6).contains(world.adds), "seed \(seed): \(world.adds) of 24 replicas moved to the fifth node")
            let before = world.adds
            let lost = world.catalog.shards.count { shard in shard.replicas.contains { $0.node == "n1" } }
            world.nodes[0].kill()
            world.run(.seconds(60))
            #expect(world.adds - before == lost, "seed \(seed): \(world.timeline.suffix(60).joined(separator: "\n"))")
            expectKept(world, seed: seed)
        }
    }

    @Test("the simulation finds a leader that drops what nobody else serves, and one that acts under another's epoch")
    func finds() {
        let world = SimulatedWorld(seed: 1, nodes: 3, shards: 3, factor: 1)
        expectRest(world, seed: 1)
        let epoch = world.catalog.leases["leader"]?.epoch ?? Epoch(0)
        let change = ReplicaChange(ShardID(0), on: "n1", from: [.serving], to: .leaving)
        var catalog = world.catalog
        _ = world.change([change], by: world.nodes[0], life: 1, epoch: epoch, &catalog)
        _ = world.change([], by: world.nodes[1], life: 1, epoch: epoch, &catalog)
        #expect(world.broken.count == 2, "\(world.broken)")
        #expect(world.change([change], by: world.nodes[0], life: 1, epoch: Epoch(epoch.value - 1), &catalog) == nil)
    }
}
