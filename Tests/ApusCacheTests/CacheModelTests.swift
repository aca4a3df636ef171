import ApusTypes
import TestKit
import Testing

@testable import ApusCache
@testable import CacheModelKit

/// Random orders of everything that two nodes, a writer and a shared cache do: who asks after a change was told to its node gets what is so since.
///
/// The steps are those of `Cache`, one lock's hold or one message each.
@Suite("a cache in any order of events", .computing)
struct CacheModelTests {
    private struct World {
        var cache = CacheModel(tags: ["orders"])
        /// For each change of the source that was published, the value since.
        var feed: [Int] = []
        var unpublished: Int?

        mutating func step(_ random: inout SeededGenerator) {
            let node = Int.random(in: 0...1, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0 where unpublished == nil && cache.source < 4:
                cache.source += 1
                unpublished = cache.source
            case 1 where unpublished != nil:
                feed.append(cache.source)
                unpublished = nil
            case 2, 3: if cache.nodes[node].read < feed.count { cache.hear(node) }
            case 4 where cache.count < 8: cache.ask(node)
            case 5 where Int.random(in: 0..<20, using: &random) == 0:
                // A node starts anew, and reads the feed from its end.
                guard !cache.isAsked(node) else { return }
                cache.nodes[node] = CacheModel.Node(at: Int64(feed.count))
                cache.nodes[node].read = feed.count
            default:
                cache.step(by: &random, least: { [feed, nodes = cache.nodes] in nodes[$0].read == 0 ? 1 : feed[nodes[$0].read - 1] })
            }
        }
    }

    private func run(_ seed: UInt64, takesMomentLate: Bool) -> CacheModel {
        var random = SeededGenerator(seed: seed)
        var world = World()
        world.cache.takesMomentLate = takesMomentLate
        for _ in 0..<160 { world.step(&random) }
        return world.cache
    }

    @Test("nothing that was computed before a change is read after it")
    func order() {
        var reads = 0
        for seed in 0..<UInt64(LawSize.scaled(5_000, full: 200_000)) {
            let result = run(seed, takesMomentLate: false)
            #expect(result.violations == 0, "seed \(seed)")
            reads += result.reads
        }
        #expect(reads > 20_000)
    }

    @Test("the model finds a planted fault: a moment that is taken after the computation")
    func planted() { #expect((0..<1_000).contains { run(UInt64($0), takesMomentLate: true).violations > 0 }) }

    @Test("many tags: the oldest are forgotten, and with them what was computed before")
    func tagLimit() {
        var invalidations = Invalidations()
        invalidations.begin(at: Moment(history: CacheModel.history, version: 0))
        let old = Moment(history: CacheModel.history, version: 1)
        for version in 1...Int64(Invalidations.tagLimit) { invalidations.invalidate("tag \(version)", at: version) }
        #expect(invalidations.holds(old, ["other"]) && invalidations.holds(old, ["tag 1"]) && !invalidations.holds(old, ["tag 2"]))
        invalidations.invalidate("one more", at: Int64(Invalidations.tagLimit) + 1)
        #expect(!invalidations.holds(old, ["other"]) && !invalidations.holds(old, ["tag 1"]))
        #expect(
            invalidations.holds(
                Moment(history: CacheModel.history, version: Int64(Invalidations.tagLimit) + 1), ["tag 2", "other", "one more"]))
        #expect(!invalidations.holds(Moment(history: Digest(of: "another"), version: 1 << 40), []))
    }
}
