import ApusTypes
import TestKit
import Testing

@testable import ApusCache

/// Random orders of everything that two nodes, a writer and a shared cache do: who asks after a change was told to its node gets what is so since.
///
/// The steps are those of `Cache`, one lock's hold or one message each.
@Suite("a cache in any order of events", .computing)
struct CacheModelTests {
    private static let history = Digest(of: "one history")
    private static let key = CacheKey([Array("the question".utf8)])
    private static let tags = ["orders"]

    private struct Node {
        var invalidations = Invalidations()
        var table = CacheTable(bytes: 1 << 20)
        var read = 0  // of the feed
    }

    fileprivate enum Phase {
        case asks, leads(CacheTable.Flight), hasNothingShared(CacheTable.Flight), computed(CacheTable.Flight, UInt8), waits(
            CacheTable.Flight)
        case has(UInt8), isDone
    }

    fileprivate struct Reader {
        var node: Int
        var phase = Phase.asks
        /// The value that it has to see at least.
        var least: UInt8 = 0
    }

    private struct World {
        var nodes = [Node(), Node()]
        var shared: SharedEntry?
        var source: UInt8 = 1
        /// For each change of the source that was published, the value since.
        var feed: [UInt8] = []
        var unpublished: UInt8?
        var readers: [Reader] = []
        /// Landed flights and what they gave, by node and flight.
        var landed: [Int: [CacheTable.Flight: UInt8]] = [0: [:], 1: [:]]
        /// The fault that is planted: the moment is taken after the computation instead of before it.
        var takesMomentLate = false
        let time = Instant(nanosecondsSinceBoot: 0)

        init() { for index in nodes.indices { nodes[index].invalidations.begin(at: Moment(history: history, version: 0)) } }

        mutating func step(_ random: inout SeededGenerator) {
            switch Int.random(in: 0..<10, using: &random) {
            case 0 where unpublished == nil && source < 4:
                source += 1
                unpublished = source
            case 1 where unpublished != nil:
                feed.append(source)
                unpublished = nil
            case 2, 3:
                let node = Int.random(in: 0...1, using: &random)
                guard nodes[node].read < feed.count else { return }
                nodes[node].read += 1
                nodes[node].invalidations.invalidate(tags[0], at: Int64(nodes[node].read))
            case 4 where readers.count < 8: readers.append(Reader(node: Int.random(in: 0...1, using: &random)))
            case 5 where Int.random(in: 0..<20, using: &random) == 0:
                // A node starts anew, and reads the feed from its end.
                let node = Int.random(in: 0...1, using: &random)
                guard !readers.contains(where: { $0.node == node && !$0.isDone }) else { return }
                nodes[node] = Node()
                nodes[node].read = feed.count
                nodes[node].invalidations.begin(at: Moment(history: history, version: Int64(feed.count)))
            default:
                guard let index = readers.indices.filter({ !readers[$0].isDone }).randomElement(using: &random) else { return }
                go(index)
            }
        }

        mutating func go(_ index: Int) {
            let node = readers[index].node
            switch readers[index].phase {
            case .asks:
                readers[index].least = max(readers[index].least, nodes[node].read == 0 ? 1 : feed[nodes[node].read - 1])
                switch nodes[node].table.lookUp(key, tags, at: time, nodes[node].invalidations) {
                case .hit(let entry): readers[index].phase = .has(entry.value[0])
                case .join(let flight): readers[index].phase = .waits(flight)
                case .lead(let flight): readers[index].phase = .leads(flight!)  // the feed was read
                }
            case .leads(let flight):
                if let entry = shared, nodes[node].invalidations.holds(entry.moment, tags) {
                    land(flight, entry.value[0], entry.moment, node)
                    readers[index].phase = .has(entry.value[0])
                } else {
                    readers[index].phase = .hasNothingShared(flight)
                }
            case .hasNothingShared(let flight): readers[index].phase = .computed(flight, source)
            case .computed(let flight, let value):
                let moment = takesMomentLate ? nodes[node].invalidations.now! : flight.moment
                land(flight, value, moment, node)
                shared = SharedEntry(moment: moment, tags: tags, value: [value])
                readers[index].phase = .has(value)
            case .waits(let flight):
                if let value = landed[node]![flight] { readers[index].phase = .has(value) }
            case .has, .isDone: readers[index].phase = .isDone
            }
        }

        mutating func land(_ flight: CacheTable.Flight, _ value: UInt8, _ moment: Moment, _ node: Int) {
            let entry = CacheEntry(value: [value], tags: tags, moment: moment, expires: .distantFuture)
            nodes[node].table.land(flight, of: key, with: entry, nodes[node].invalidations)
            landed[node]![flight] = value
        }

        /// Readers that have an older value than they must.
        var violations: Int {
            readers.count { if case .has(let value) = $0.phase { value < $0.least } else { false } }
        }
        var reads: Int { readers.count { if case .has = $0.phase { true } else { false } } }
    }

    private func run(_ seed: UInt64, takesMomentLate: Bool) -> (violations: Int, reads: Int) {
        var random = SeededGenerator(seed: seed)
        var world = World()
        world.takesMomentLate = takesMomentLate
        var (violations, reads) = (0, 0)
        for _ in 0..<120 {
            world.step(&random)
            violations += world.violations
            reads += world.reads
            world.readers.removeAll { if case .has = $0.phase { true } else { false } }
        }
        return (violations, reads)
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
        invalidations.begin(at: Moment(history: Self.history, version: 0))
        let old = Moment(history: Self.history, version: 1)
        for version in 1...Int64(Invalidations.tagLimit) { invalidations.invalidate("tag \(version)", at: version) }
        #expect(invalidations.holds(old, ["other"]) && invalidations.holds(old, ["tag 1"]) && !invalidations.holds(old, ["tag 2"]))
        invalidations.invalidate("one more", at: Int64(Invalidations.tagLimit) + 1)
        #expect(!invalidations.holds(old, ["other"]) && !invalidations.holds(old, ["tag 1"]))
        #expect(
            invalidations.holds(Moment(history: Self.history, version: Int64(Invalidations.tagLimit) + 1), ["tag 2", "other", "one more"]))
        #expect(!invalidations.holds(Moment(history: Digest(of: "another"), version: 1 << 40), []))
    }
}

extension CacheModelTests.Reader {
    fileprivate var isDone: Bool { if case .isDone = phase { true } else { false } }
}
