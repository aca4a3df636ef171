import ApusPlacement
import ApusTypes
import Testing

/// Nodes and shards in words, so that a case is read at a glance: `"a b:keeps c:leaves"`, and `"7/2 a* b~"`, shard 7 with a factor of 2, which
/// serves on a and is loading on b.
func plan(_ nodes: String, _ shards: [String]) -> PlacementPlan {
    PlacementPlan(
        shards: shards.map { text in
            let words = text.split(separator: " ")
            let numbers = words[0].split(separator: "/").compactMap { Int($0) }
            return PlacementShard(
                ShardID(Int64(numbers[0])), replicationFactor: numbers[1],
                replicas: words.dropFirst().map { .init(on: NodeName(String($0.dropLast())), $0.hasSuffix("*") ? .serving : .loading) })
        },
        nodes: nodes.split(separator: " ").map { word in
            let parts = word.split(separator: ":")
            return PlacementNode(NodeName(String(parts[0])), state: parts.count > 1 ? .init(rawValue: String(parts[1])) ?? .takes : .takes)
        })
}

extension PlacementPlan {
    var lines: [String] { changes.map(\.description) }
    /// How many shards each node is to have, by name.
    var counts: [Int] { summary.nodes.map(\.after) }
    /// The shards as they will be once everything has been carried out.
    func settled(_ shards: [PlacementShard]) -> [PlacementShard] {
        zip(shards.sorted { $0.id < $1.id }, placements).map { shard, placement in
            var shard = shard
            shard.replicas = placement.nodes.map { .init(on: $0, .serving) }
            return shard
        }
    }
}

func shards(_ count: Int, factor: Int) -> [PlacementShard] {
    (1...count).map { PlacementShard(ShardID(Int64($0)), replicationFactor: factor) }
}

func nodes(_ count: Int) -> [PlacementNode] { (1...count).map { PlacementNode(NodeName("node-\($0)")) } }
