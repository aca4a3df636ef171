import Testing

@testable import apus

@Suite("the node's store")
struct NodeStoreTests {
    @Test("a store that hangs is missed within five seconds, though the last look at it has just ended")
    func bound() { #expect(NodeStore.lookInterval + NodeStore.lookPatience <= .milliseconds(4500)) }
}
