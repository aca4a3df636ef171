public import ApusCatalog
internal import ApusDatabase
public import ApusTypes
internal import TestKit

extension Workload {
    /// Each writer appends one request after another to one to three shards, and says each acknowledgement as soon as it is there, so that it
    /// is known even if the process is killed at once.
    public func appendOneByOne(
        to catalog: Catalog, shards: [ShardID], _ acknowledged: @escaping @Sendable (Acknowledged) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    var random = generator(writer)
                    for number in 0..<requests {
                        let name = "\(process)/\(writer)/\(number)"
                        let appends = draw(shards, &random).map { shard, padding in
                            LogAppend(shard: shard, operation: Array("\(name)/\(shard)".utf8) + [UInt8](repeating: 32, count: padding))
                        }
                        let request = AppendRequest(
                            operationID: OperationID(scope: "law", id: name, bodyDigest: Digest(of: name)), appends: appends)
                        let outcome = try await catalog.log.append(request, deadline: deadline)
                        for append in appends {
                            acknowledged(
                                Acknowledged(
                                    shard: append.shard, operation: append.operation, upTo: outcome.positions[append.shard]?.sequence ?? 0))
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// The shards of a request of `appendOneByOne`: what its process would draw again.
    public func shards(ofRequest number: Int, writer: Int, among shards: [ShardID]) -> Set<ShardID> {
        var random = generator(writer)
        var drawn: [(ShardID, Int)] = []
        for _ in 0...number { drawn = draw(shards, &random) }
        return Set(drawn.map(\.0))
    }

    private func generator(_ writer: Int) -> SeededGenerator { SeededGenerator(seed: seed &+ UInt64(writer) &* 0x9E37_79B9) }

    private func draw(_ shards: [ShardID], _ random: inout SeededGenerator) -> [(ShardID, Int)] {
        let chosen = shards.shuffled(using: &random).prefix(Int.random(in: 1...min(3, shards.count), using: &random))
        return chosen.map { ($0, Int.random(in: 0...2000, using: &random)) }
    }
}
