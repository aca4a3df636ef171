import ApusCatalog
import ApusCluster
import ApusTypes
import ApusVectorIndex
import ApusVectors

extension TestNode {
    /// For keys that are for `mine` alone: the collections `mine` and `other` of three points each, `secret` in the payloads of `other`, and an
    /// alias of each, `of-mine` and `mine-not`.
    public func makeMineAndOther(secret: String) async throws {
        for (name, word) in [("mine", "own"), ("other", secret)] {
            _ = try await vectors.createCollection(
                CollectionName(name), .init(dimension: 2, metric: .dot), deadline: deadline)
            let points = (1...3).map { number in
                Point(id: .integer(UInt64(number)), vector: [Float(number), 1], payload: Array(#"{"word":"\#(word)"}"#.utf8))
            }
            _ = try await vectors.upsert(points, into: CollectionName(name), deadline: deadline)
        }
        try await vectors.changeAliases(
            [.set(alias: "of-mine", collection: "mine"), .set(alias: "mine-not", collection: "other")], deadline: deadline)
    }
}
