import ApusTypes
import Testing

@testable import ApusVectorIndex
@testable import ApusVectors

@Suite("which segments become one")
struct SealPolicyTests {
    private let policy = SealPolicy()

    private func standing(_ rows: [Int], living: [Int]? = nil, quiet: Duration = .zero) -> SealPolicy.Standing {
        SealPolicy.Standing(
            unsealed: 0, unsealedBytes: ByteCount(0), quiet: quiet,
            segments: rows.enumerated().map { number, rows in
                SegmentDescription(
                    key: ObjectKey(high: 0, low: UInt64(number)), rows: rows, living: living?[number] ?? rows, bytes: ByteCount(0),
                    sealedAt: 0)
            })
    }

    private func merged(_ standing: SealPolicy.Standing) -> [Int] {
        policy.merged(standing).map { key in standing.segments.first { $0.key == key }?.rows ?? 0 }.sorted()
    }

    @Test("four alike; a larger one takes part when the others are an eighth of it")
    func tiers() {
        #expect(merged(standing([8192, 8192, 8192])).isEmpty)
        #expect(merged(standing([8192, 8192, 8192, 8192])) == [8192, 8192, 8192, 8192])
        #expect(merged(standing([117_000, 8192, 8192])).isEmpty)
        #expect(merged(standing([117_000, 8192, 8192, 8192])) == [8192, 8192, 8192, 117_000])
        #expect(merged(standing([900_000, 8192, 8192, 8192])).isEmpty)
        #expect(merged(standing([900_000, 8192, 8192, 8192, 8192])) == [8192, 8192, 8192, 8192])
        #expect(merged(standing([900_000, 100_000, 8192, 8192])) == [8192, 8192, 100_000, 900_000])
        #expect(merged(standing([2_000_000, 2_000_000, 2_000_000, 2_000_000])).isEmpty, "they are large enough")
    }

    @Test("when nothing was written for a while all become one, unless that writes a large one anew for the sake of little")
    func quiet() {
        #expect(merged(standing([110_000, 8192], quiet: .seconds(10))) == [8192, 110_000])
        #expect(merged(standing([1_000_000, 1000], quiet: .seconds(10))).isEmpty)
        #expect(merged(standing([1_000_000, 1000, 1000], quiet: .seconds(10))) == [1000, 1000])
    }

    @Test("of which more than a fifth is dead is written anew")
    func dead() {
        #expect(merged(standing([1_000_000, 8192], living: [850_000, 8192])).isEmpty)
        #expect(merged(standing([1_000_000, 8192], living: [750_000, 8192])) == [1_000_000])
    }

    @Test(
        "a steady stream of points leaves few segments, and writes each point anew a bounded number of times", arguments: [250, 500, 750])
    func stream(sealed: Int) {
        var segments: [Int] = [], written = 0, most = 0
        for _ in 0..<sealed {
            segments.append(8192)
            let standing = standing(segments), keys = policy.merged(standing)
            if !keys.isEmpty {
                let union = standing.segments.filter { keys.contains($0.key) }.reduce(0) { $0 + $1.living }
                segments = standing.segments.filter { !keys.contains($0.key) }.map(\.rows) + [union]
                written += union
            }
            most = max(most, segments.count { $0 < policy.mostRows / policy.width })
        }
        let times = Double(written) / Double(sealed * 8192)
        #expect(most <= 8 && times <= 12, "\(most) segments, written \(times) times")
    }
}
