import ApusTypes

@testable import ApusCache

/// Two nodes that are asked one thing again and again, what they keep, and a cache that they share. A reader's step is one lock's hold or one
/// message of `Cache`.
struct CacheModel {
    struct Node {
        var invalidations = Invalidations()
        var table = CacheTable(bytes: 1 << 20)
        var read = 0  // of the feed

        /// One that follows the feed from there on.
        init(at version: Int64) { invalidations.begin(at: Moment(history: CacheModel.history, version: version)) }
    }

    private enum Phase {
        case asks, leads(CacheTable.Flight), hasNothingShared(CacheTable.Flight), computed(CacheTable.Flight?, Int)
        case waits(CacheTable.Flight), computesAlone, has(Int)
    }

    private struct Reader {
        var node: Int
        var phase = Phase.asks
        /// What it has to see at least.
        var least = 0
    }

    static let history = Digest(of: "one history")
    private static let key = CacheKey([Array("the question".utf8)])

    let tags: [CacheTag]
    var nodes = [Node(at: 0), Node(at: 0)]
    /// What is computed: it rises.
    var source = 1
    /// The fault that may be planted: the moment is taken after the computation instead of before it.
    var takesMomentLate = false
    private(set) var reads = 0
    /// Readers that had an older value than they must.
    private(set) var violations = 0
    private var shared: SharedEntry?
    private var readers: [Reader] = []
    /// Landed flights and what they gave, by node and flight.
    private var landed: [Int: [CacheTable.Flight: Int]] = [0: [:], 1: [:]]

    init(tags: [CacheTag]) { self.tags = tags }

    var count: Int { readers.count }
    func isAsked(_ node: Int) -> Bool { readers.contains { $0.node == node } }
    mutating func ask(_ node: Int) { readers.append(Reader(node: node)) }

    /// The node reads on in the feed.
    mutating func hear(_ node: Int) {
        nodes[node].read += 1
        nodes[node].invalidations.invalidate(tags[0], at: Int64(nodes[node].read))
    }

    /// A step of a reader. `least`: what whoever asks a node now must see at least; `mayKeep`: whether the node asks its cache.
    mutating func step(by random: inout some RandomNumberGenerator, least: (Int) -> Int, mayKeep: (Int) -> Bool = { _ in true }) {
        guard let index = readers.indices.randomElement(using: &random) else { return }
        let node = readers[index].node
        switch readers[index].phase {
        case .asks:
            readers[index].least = least(node)
            guard mayKeep(node) else { return readers[index].phase = .computesAlone }
            switch nodes[node].table.lookUp(Self.key, tags, at: Instant(nanosecondsSinceBoot: 0), nodes[node].invalidations) {
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
                let moment = takesMomentLate ? nodes[node].invalidations.now! : flight.moment  // the feed was read
                land(flight, value, moment, node)
                shared = SharedEntry(moment: moment, tags: tags, value: [UInt8(value)])
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
        nodes[node].table.land(flight, of: Self.key, with: entry, nodes[node].invalidations)
        landed[node]?[flight] = value
    }
}
