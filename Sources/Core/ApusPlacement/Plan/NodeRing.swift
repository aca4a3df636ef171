internal import ApusTypes
internal import CXXHash

/// Consistent hashing of shards over nodes: each shard has an order in which it prefers them, which depends on nothing but the shard's id and
/// the nodes' names and capacities (Karger et al., "Consistent Hashing and Random Trees", 1997).
struct NodeRing: Sendable {
    /// Entries of a node of mean capacity: 64 make the nodes' shares of the ring differ by some 12 % before the load's bound evens them out.
    static let meanEntries = 64.0
    /// So that one enormous node cannot make the ring enormous.
    static let entries = 1.0...4096.0

    /// Numbers of the nodes in the order of their entries.
    let owners: [Int]
    private let hashes: [UInt64]

    /// Nodes are numbered as they are listed. `names` must be in an order of their own for the ring to be independent of the caller's.
    init(_ nodes: [PlacementNode]) {
        let mean = nodes.reduce(0) { $0 + $1.capacity } / Double(max(1, nodes.count))
        var entries: [(hash: UInt64, owner: Int)] = []
        for (number, node) in nodes.enumerated() {
            let count = (Self.meanEntries * node.capacity / mean).rounded()
            var name = node.name.rawValue
            name.withUTF8 { bytes in
                for entry in 0..<UInt64(min(max(count, Self.entries.lowerBound), Self.entries.upperBound)) {
                    entries.append((XXH3_64bits_withSeed(bytes.baseAddress, bytes.count, entry), number))
                }
            }
        }
        entries.sort { ($0.hash, $0.owner) < ($1.hash, $1.owner) }
        hashes = entries.map(\.hash)
        owners = entries.map(\.owner)
    }

    /// The first entry at or after the shard's hash; the number of entries if there is none.
    func position(of shard: ShardID) -> Int {
        let hash = withUnsafeBytes(of: shard.value.littleEndian) { XXH3_64bits($0.baseAddress, $0.count) }
        return hashes.start { $0 >= hash }
    }

    /// The nodes in the order in which the shard prefers them, as long as `isWanted` asks for more.
    func preference(of shard: ShardID, while isWanted: ([Int]) -> Bool) -> [Int] {
        let start = position(of: shard)
        var (nodes, seen): ([Int], Set<Int>) = ([], [])
        for entry in owners.indices where isWanted(nodes) {
            let node = owners[(start + entry) % owners.count]
            if seen.insert(node).inserted { nodes.append(node) }
        }
        return nodes
    }
}

/// The part of a ring whose nodes have room. Closing nodes one by one costs little more than one pass over the ring, however full it gets:
/// each closed entry points to the next that may be open (union by skipping, with path halving).
struct OpenRing {
    private let ring: NodeRing
    private var next: [Int]
    private var isOpen: [Bool]

    init(_ ring: NodeRing, open isOpen: [Bool]) {
        self.ring = ring
        self.isOpen = isOpen
        next = Array(0...ring.owners.count)
    }

    mutating func close(_ node: Int) { isOpen[node] = false }

    /// The first open node from the position on, around the end, that is not among `others`.
    mutating func first(from position: Int, except others: ArraySlice<Int>) -> Int? {
        first(in: position..<ring.owners.count, except: others) ?? first(in: 0..<position, except: others)
    }

    private mutating func first(in range: Range<Int>, except others: ArraySlice<Int>) -> Int? {
        var entry = open(from: range.lowerBound)
        while entry < range.upperBound {
            if !others.contains(ring.owners[entry]) { return ring.owners[entry] }
            entry = open(from: entry + 1)
        }
        return nil
    }

    private mutating func open(from position: Int) -> Int {
        var entry = position
        while true {
            while next[entry] != entry {
                next[entry] = next[next[entry]]
                entry = next[entry]
            }
            guard entry < ring.owners.count, !isOpen[ring.owners[entry]] else { return entry }
            next[entry] = entry + 1
        }
    }
}
