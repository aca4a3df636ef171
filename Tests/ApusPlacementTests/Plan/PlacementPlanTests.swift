import ApusPlacement
import ApusTypes
import Testing

@Suite("placement plan")
struct PlacementPlanTests {
    @Test("from nothing: the same on every machine and in every version")
    func pinned() {
        let plan = plan("a b c d e", (1...8).map { "\($0)/2" })
        #expect(plan.placements.map { $0.nodes.map(\.rawValue).joined() } == ["ab", "ab", "ce", "ad", "ac", "ce", "bd", "de"])
        #expect(plan.counts == [4, 3, 3, 3, 3])
        #expect(plan.lines.first == "add shard 1 on a: 0 of 2 replicas were placed")
    }

    @Test("a node leaves: its replicas are placed elsewhere, nothing else moves, and it keeps them until the others serve")
    func leave() {
        #expect(plan("a:leaves b c", ["1/2 a* b*", "2/2 b* c*"]).lines == ["add shard 1 on c: a leaves"])
        #expect(plan("a:leaves b c", ["1/2 a* b* c~", "2/2 b* c*"]).lines == [])
        #expect(plan("a:leaves b c", ["1/2 a* b* c*", "2/2 b* c*"]).lines == ["drop shard 1 on a: the node leaves"])
        #expect(plan("a:leaves b c", ["1/2 b* c*", "2/2 b* c*"]).lines == [])
    }

    @Test("a node that is not listed is one that leaves")
    func unlisted() {
        #expect(plan("b c", ["1/2 a* b*"]).lines == ["add shard 1 on c: a leaves"])
        #expect(plan("b c", ["1/2 a* b* c*"]).lines == ["drop shard 1 on a: the node leaves"])
    }

    @Test("a replica that only loads is dropped at once where it is not wanted")
    func loading() {
        #expect(plan("a:leaves b", ["1/1 a~"]).lines == ["add shard 1 on b: a leaves", "drop shard 1 on a: the node leaves"])
        #expect(plan("a b", ["1/1 a* b~"]).lines == ["drop shard 1 on b: the replicas on a are enough"])
    }

    @Test("a node that keeps loses nothing, is given nothing, and is not trusted with the last replica")
    func keeps() {
        #expect(plan("a:keeps b c", ["1/2 a* b*", "2/2 a* c*"]).lines == [])
        #expect(plan("a:keeps b", ["1/2 b*"]).lines == [])
        #expect(plan("a:keeps b", ["1/2 b*"]).placements[0].missing == 1)
        #expect(plan("a:keeps b", ["1/1 a* b*"]).lines == [])
        #expect(plan("a:keeps b:leaves c:leaves", ["1/1 a* b*"]).lines == [])
        #expect(plan("a:keeps b:leaves c", ["1/2 a* b* c*"]).lines == ["drop shard 1 on b: the node leaves"])
    }

    @Test("a node whose place could be taken by one that keeps does not drop yet: that one will be back, or leave")
    func waits() {
        #expect(plan("a b:leaves c:keeps", ["1/2 a* b*"]).lines == [])
        #expect(plan("a b:leaves", ["1/2 a* b*"]).lines == ["drop shard 1 on b: the node leaves"])
    }

    @Test("a factor that falls drops, and adds nothing: loads come out even")
    func factorFalls() {
        let shards = shards(12, factor: 3)
        var settled = PlacementPlan(shards: shards, nodes: nodes(3)).settled(shards)
        for index in settled.indices { settled[index].replicationFactor = 1 }
        let plan = PlacementPlan(shards: settled, nodes: nodes(3))
        #expect(plan.summary.adds == [:])
        #expect(plan.summary.drops == [.balance: 24])
        #expect(plan.counts == [4, 4, 4])
    }

    @Test("a factor that rises adds")
    func factorRises() {
        #expect(
            plan("a b", ["1/2 a*", "2/2 b*"]).lines == [
                "add shard 1 on b: 1 of 2 replicas were placed", "add shard 2 on a: 1 of 2 replicas were placed",
            ])
    }

    @Test("with fewer nodes than the factor every node has one, and the plan says how many are missing, without unrest")
    func fewNodes() {
        let two = plan("a b", ["1/3 a* b*"])
        #expect(two.lines == [])
        #expect(two.placements[0].nodes == ["a", "b"])
        #expect(two.summary.missing == 1)
        #expect(plan("a b c", ["1/3 a* b*"]).lines == ["add shard 1 on c: 2 of 3 replicas were placed"])
        #expect(plan("", ["1/1 a*"]).lines == [])
    }

    @Test(
        "a join brings the new node its fair share and moves nothing else",
        arguments: [(3, 12, 1), (3, 100, 2), (4, 10, 1), (7, 50, 3), (20, 1000, 2), (100, 1000, 1)])
    func join(count: Int, shardCount: Int, factor: Int) {
        let shards = shards(shardCount, factor: factor)
        let settled = PlacementPlan(shards: shards, nodes: nodes(count)).settled(shards)
        let plan = PlacementPlan(shards: settled, nodes: nodes(count + 1))
        #expect(plan.summary.adds == [.balance: shardCount * factor / (count + 1)])
        #expect(plan.changes.allSatisfy { $0.node == NodeName("node-\(count + 1)") })
        #expect(plan.summary.nodes.allSatisfy { $0.load <= $0.bound })
    }

    @Test("a departure moves what the node had; where bounds are tight, one replica more in one case of a hundred")
    func departure() {
        var more = 0
        for count in 4...8 {
            for (shardCount, factor) in (4...24).flatMap({ count in (1...3).map { (count, $0) } }) + [(1000, 2)] {
                let shards = shards(shardCount, factor: factor)
                let first = PlacementPlan(shards: shards, nodes: nodes(count))
                var nodes = nodes(count)
                nodes[1].state = .leaves
                let plan = PlacementPlan(shards: first.settled(shards), nodes: nodes)
                let had = first.summary.nodes.first { $0.name == nodes[1].name }?.after ?? 0
                more += plan.summary.adds.values.reduce(0, +) - had
                #expect(plan.summary.nodes.allSatisfy { $0.load <= $0.bound })
            }
        }
        #expect(more <= 3)
    }

    @Test("a node that returns before its replicas were loaded elsewhere has them again, and nothing moves")
    func returns() {
        let shards = shards(60, factor: 2)
        var nodes = nodes(5)
        var held = PlacementPlan(shards: shards, nodes: nodes).settled(shards)
        nodes[0].state = .leaves
        for change in PlacementPlan(shards: held, nodes: nodes).changes {
            held[Int(change.shard.value) - 1].replicas.append(.init(on: change.node, .loading))
        }
        nodes[0].state = .takes
        let plan = PlacementPlan(shards: held, nodes: nodes)
        #expect(plan.summary.adds == [:])
        #expect(plan.changes.count { $0.action == .drop && $0.node != nodes[0].name } >= 20)
        #expect(plan.counts.allSatisfy { (23...25).contains($0) })
    }

    @Test("load follows capacity, as far as replicas of one shard are on different nodes")
    func capacities() {
        func counts(_ capacities: [Double], factor: Int) -> [Int] {
            let nodes = capacities.enumerated().map { PlacementNode(NodeName("n\($0)"), capacity: $1) }
            return PlacementPlan(shards: shards(120, factor: factor), nodes: nodes).counts
        }
        #expect(counts([1, 2, 3], factor: 1) == [20, 40, 60])
        #expect(counts([10, 1, 1], factor: 2) == [120, 60, 60])
    }

    @Test("heavy shards count for more")
    func weights() {
        var shards = shards(40, factor: 1)
        for index in 0..<4 { shards[index].weight = 9 }
        let plan = PlacementPlan(shards: shards, nodes: nodes(4))
        #expect(plan.summary.nodes.map(\.load) == [18, 18, 18, 18])
    }

    @Test("changes come in order of urgency: unserved, short, leaving, balance")
    func urgency() {
        let plan = plan(
            "a b c:leaves d",
            ["1/1 a*", "2/1 a*", "3/1 a*", "4/1 a*", "5/2 a* c*", "6/2 b*", "7/1 c*", "8/1", "9/1 a* b~"])
        #expect(plan.changes.map(\.urgency) == [.unserved, .unserved, .short, .leaving, .balance])
        #expect(
            plan.lines == [
                "add shard 7 on d: c leaves", "add shard 8 on b: 0 of 1 replicas were placed",
                "add shard 6 on d: 1 of 2 replicas were placed",
                "add shard 5 on d: c leaves", "add shard 1 on b: a had a load of 5, above its bound of 4",
            ])
    }

    @Test("an explanation says of each candidate what became of it")
    func explanation() throws {
        let plan = plan(
            "a b c:keeps d:leaves e",
            ["1/2 a* d*", "2/2 c* e~ d*", "3/1 b*", "4/2", "5/1 a*", "6/2 b*", "7/2 d*", "8/1", "9/1 e~ b*", "10/2 c*"])
        func text(_ shard: Int64) throws -> String { try #require(plan.explanation(of: ShardID(shard))).description }
        #expect(
            try text(7)
                == "factor 2: a is chosen; c is given nothing for now; d leaves; b is full (5 of 5); e is chosen")
        #expect(
            try text(9)
                == "factor 1: a is full (5 of 5); d leaves; e has a replica too many; c is given nothing for now; "
                + "b has a replica and keeps it")
        #expect(plan.explanation(of: ShardID(11)) == nil)
    }

    @Test("from nothing every candidate before the last chosen is chosen or full")
    func explanations() throws {
        let shards = shards(200, factor: 2)
        let plan = PlacementPlan(shards: shards, nodes: nodes(12))
        for placement in plan.placements {
            let candidates = try #require(plan.explanation(of: placement.shard)).candidates
            #expect(Set(candidates.filter { $0.verdict == .chosen }.map(\.node)) == Set(placement.nodes))
            for candidate in candidates where candidate.verdict != .chosen {
                guard case .full(let load, let quota) = candidate.verdict else {
                    Issue.record("\(placement.shard): \(candidate)")
                    continue
                }
                #expect(load >= quota)
            }
        }
    }
}
