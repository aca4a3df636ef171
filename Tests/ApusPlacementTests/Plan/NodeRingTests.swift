import ApusTypes
import TestKit
import Testing

@testable import ApusPlacement

@Suite("node ring")
struct NodeRingTests {
    private static let nodes = (1...20).map { PlacementNode(NodeName("node-\($0)")) }

    @Test("a shard's order of preference has every node once, and is that of the others where one is missing")
    func preference() {
        let ring = NodeRing(Self.nodes)
        let without = NodeRing(Array(Self.nodes.dropLast()))
        for shard in (1...50).map({ ShardID($0) }) {
            let order = ring.preference(of: shard) { _ in true }
            #expect(order.sorted() == Array(0..<20))
            #expect(without.preference(of: shard) { _ in true } == order.filter { $0 != 19 })
            #expect(ring.preference(of: shard) { $0.count < 3 } == Array(order.prefix(3)))
        }
    }

    @Test("an open ring finds what a look at every entry finds, while nodes are closed one by one")
    func open() {
        var generator = SeededGenerator(seed: 7)
        let ring = NodeRing(Self.nodes)
        var isOpen = Self.nodes.indices.map { $0 % 5 != 0 }
        var open = OpenRing(ring, open: isOpen)
        for step in 0..<400 {
            let shard = ShardID(Int64(step))
            let others = (0..<3).map { _ in Int.random(in: 0..<20, using: &generator) }
            let expected = ring.preference(of: shard) { _ in true }.first { isOpen[$0] && !others.contains($0) }
            #expect(open.first(from: ring.position(of: shard), except: others[...]) == expected)
            if step % 20 == 0 {
                open.close(step / 20)
                isOpen[step / 20] = false
            }
        }
    }
}
