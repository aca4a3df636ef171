import TestKit
import Testing

@testable import ApusQuery
@testable import CacheModelKit

/// Random orders of what two nodes that mutate, a feed that may or may not take what is published, and readers do: who asks after a mutation of
/// its node was answered, or after its node heard of another's, gets what is so since.
///
/// The steps are those of `QueryCache` and `Cache`, one lock's hold or one message each.
@Suite("mutations and kept replies in any order of events", .computing)
struct StaleTagsModelTests {
    private struct Node {
        var stale = StaleTags()
        /// What whoever asks here now must see at least.
        var least = 1
        /// Batches that are on their way into the feed, and the least value for whoever hears of them.
        var sent: [(batch: UInt64, least: Int)] = []
    }

    private struct World {
        var cache = CacheModel(tags: ["s shop"])
        var nodes = [Node(), Node()]
        var feed: [(batch: UInt64, least: Int)] = []
        var batches: UInt64 = 0
        /// The fault that is planted: any change that names a tag ends its being stale, also one that was published before.
        var forgetsEarly = false

        mutating func step(_ random: inout SeededGenerator) {
            let node = Int.random(in: 0...1, using: &random)
            switch Int.random(in: 0..<12, using: &random) {
            case 0 where cache.source < 9:
                // The mutation is committed; its answer goes out when the tags are noted.
                cache.source += 1
                nodes[node].stale.add(cache.tags)
                nodes[node].least = cache.source
            case 1, 2:
                batches += 1
                if !nodes[node].stale.take(as: batches).isEmpty { nodes[node].sent.append((batches, nodes[node].least)) }
            case 3, 4:
                guard !nodes[node].sent.isEmpty else { return }
                let sent = nodes[node].sent.removeFirst()
                // The catalog takes it, takes it without our knowing, or does not.
                let outcome = Int.random(in: 0..<4, using: &random)
                if outcome != 0 { feed.append(sent) }
                if outcome < 2 { nodes[node].stale.lose(sent.batch) }
            case 5, 6, 7:
                guard cache.nodes[node].read < feed.count else { return }
                let change = feed[cache.nodes[node].read]
                cache.hear(node)
                if forgetsEarly { nodes[node].stale = StaleTags() } else { nodes[node].stale.came(cache.tags[0], of: change.batch) }
                nodes[node].least = max(nodes[node].least, change.least)
            case 8 where cache.count < 6: cache.ask(node)
            default:
                cache.step(
                    by: &random, least: { [nodes] in nodes[$0].least },
                    mayKeep: { [nodes, tags = cache.tags] in !nodes[$0].stale.contains(any: tags) })
            }
        }
    }

    private func run(_ seed: UInt64, forgetsEarly: Bool) -> CacheModel {
        var random = SeededGenerator(seed: seed)
        var world = World()
        world.forgetsEarly = forgetsEarly
        for _ in 0..<200 { world.step(&random) }
        return world.cache
    }

    @Test("nothing that was computed before a mutation is read after it")
    func order() {
        var reads = 0
        for seed in 0..<UInt64(LawSize.scaled(2_000, full: 200_000)) {
            let result = run(seed, forgetsEarly: false)
            #expect(result.violations == 0, "seed \(seed)")
            reads += result.reads
        }
        #expect(reads > 20_000)
    }

    @Test("the model finds a planted fault: a change of an earlier mutation ends the time in which nothing is kept")
    func planted() { #expect((0..<2_000).contains { run(UInt64($0), forgetsEarly: true).violations > 0 }) }
}
