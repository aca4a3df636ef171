import ApusTypes
import TestKit
import Testing

@testable import ApusCache
@testable import ApusQuery

/// Random orders of what two nodes that mutate, a feed that may or may not take what is published, and readers do: who asks after a mutation of
/// its node was answered, or after its node heard of another's, gets what is so since.
///
/// The steps are those of `QueryCache` and `Cache`, one lock's hold or one message each.
@Suite("mutations and kept replies in any order of events", .computing)
struct StaleTagsModelTests {
    private static let history = Digest(of: "one history")
    private static let key = CacheKey([Array("the question".utf8)])
    private static let tags = ["s shop"]

    private struct Node {
        var invalidations = Invalidations()
        var table = CacheTable(bytes: 1 << 20)
        var stale = StaleTags()
        var read = 0  // of the feed
        /// What whoever asks here now must see at least.
        var least = 1
        /// Batches that are on their way into the feed, and the least value for whoever hears of them.
        var sent: [(batch: UInt64, least: Int)] = []
    }

    private enum Phase {
        case asks, leads(CacheTable.Flight), hasNothingShared(CacheTable.Flight), computed(CacheTable.Flight?, Int)
        case waits(CacheTable.Flight), computesAlone, has(Int)
    }

    private struct Reader {
        var node: Int
        var phase = Phase.asks
        var least = 0
    }

    private struct World {
        var nodes = [Node(), Node()]
        var shared: SharedEntry?
        var source = 1
        var feed: [(batch: UInt64, least: Int)] = []
        var batches: UInt64 = 0
        var readers: [Reader] = []
        var landed: [Int: [CacheTable.Flight: Int]] = [0: [:], 1: [:]]
        /// The fault that is planted: any change that names a tag ends its being stale, also one that was published before.
        var forgetsEarly = false
        let time = Instant(nanosecondsSinceBoot: 0)
        var reads = 0
        var violations = 0

        init() { for index in nodes.indices { nodes[index].invalidations.begin(at: Moment(history: history, version: 0)) } }

        mutating func step(_ random: inout SeededGenerator) {
            let node = Int.random(in: 0...1, using: &random)
            switch Int.random(in: 0..<12, using: &random) {
            case 0 where source < 9:
                // The mutation is committed; its answer goes out when the tags are noted.
                source += 1
                nodes[node].stale.add(tags)
                nodes[node].least = source
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
            case 5, 6, 7: hear(node)
            case 8 where readers.count < 6: readers.append(Reader(node: node))
            default:
                guard let index = readers.indices.randomElement(using: &random) else { return }
                go(index)
            }
        }

        private mutating func hear(_ node: Int) {
            guard nodes[node].read < feed.count else { return }
            let change = feed[nodes[node].read]
            nodes[node].read += 1
            nodes[node].invalidations.invalidate(tags[0], at: Int64(nodes[node].read))
            if forgetsEarly { nodes[node].stale = StaleTags() } else { nodes[node].stale.came(tags[0], of: change.batch) }
            nodes[node].least = max(nodes[node].least, change.least)
        }

        private mutating func go(_ index: Int) {
            let node = readers[index].node
            switch readers[index].phase {
            case .asks:
                readers[index].least = nodes[node].least
                if nodes[node].stale.contains(any: tags) { return readers[index].phase = .computesAlone }
                switch nodes[node].table.lookUp(key, tags, at: time, nodes[node].invalidations) {
                case .hit(let entry): readers[index].phase = .has(Int(entry.value[0]))
                case .join(let flight): readers[index].phase = .waits(flight)
                case .lead(let flight): readers[index].phase = .leads(flight!)  // the feed was read
                }
            case .leads(let flight):
                if let entry = shared, nodes[node].invalidations.holds(entry.moment, tags) {
                    land(flight, Int(entry.value[0]), entry.moment, node)
                    readers[index].phase = .has(Int(entry.value[0]))
                } else {
                    readers[index].phase = .hasNothingShared(flight)
                }
            case .hasNothingShared(let flight): readers[index].phase = .computed(flight, source)
            case .computesAlone: readers[index].phase = .computed(nil, source)
            case .computed(let flight, let value):
                if let flight {
                    land(flight, value, flight.moment, node)
                    shared = SharedEntry(moment: flight.moment, tags: tags, value: [UInt8(value)])
                }
                readers[index].phase = .has(value)
            case .waits(let flight):
                if let value = landed[node]?[flight] { readers[index].phase = .has(value) }
            case .has(let value):
                reads += 1
                if value < readers[index].least { violations += 1 }
                readers.remove(at: index)
            }
        }

        private mutating func land(_ flight: CacheTable.Flight, _ value: Int, _ moment: Moment, _ node: Int) {
            let entry = CacheEntry(value: [UInt8(value)], tags: tags, moment: moment, expires: .distantFuture)
            nodes[node].table.land(flight, of: key, with: entry, nodes[node].invalidations)
            landed[node]?[flight] = value
        }
    }

    private func run(_ seed: UInt64, forgetsEarly: Bool) -> (violations: Int, reads: Int) {
        var random = SeededGenerator(seed: seed)
        var world = World()
        world.forgetsEarly = forgetsEarly
        for _ in 0..<200 { world.step(&random) }
        return (world.violations, world.reads)
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
