import ApusRuntime
import ApusTypes
import TestKit
import Testing

@testable import ApusVectorIndex
@testable import ApusVectors

/// The forecast beside what was really made.
@Suite("forecast", .computing)
struct ForecastTests {
    static func isNear(_ forecast: Int, _ real: Int, percent: Int = 3) -> Bool { abs(forecast - real) * 100 <= real * percent }

    @Test(
        "a sealed segment and the points before it have the forecast's size within 3 %",
        arguments: [(Metric.cosine, 96, 0), (.euclidean, 40, 12), (.dot, 384, 0), (.manhattan, 17, 20)])
    func sizes(metric: Metric, dimension: Int, idBytes: Int) async throws {
        let count = 4000
        let payload = Array(#"{"text":"what a payload may say","number":1234}"#.utf8)
        var options = VectorService.Options(threadsPerSearch: 2)
        options.sealInterval = .milliseconds(10)
        options.sealPolicy.points = count
        options.sealPolicy.leastPoints = count
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/catalog.db", options: options, copies: directory + "/copies") { node in
                let deadline = node.deadline
                _ = try await node.service.createCollection("c", .init(dimension: dimension, metric: metric), deadline: deadline)
                var random = SeededGenerator(seed: 3)
                func id(_ number: Int) throws -> PointID {
                    guard idBytes > 0 else { return .integer(UInt64(number)) }
                    let digits = String(number)
                    return try PointID("i" + String(repeating: "-", count: idBytes - 1 - digits.count) + digits)
                }
                func points(_ numbers: Range<Int>) throws -> [Point] {
                    try numbers.map { Point(id: try id($0), vector: random.vector(dimension), payload: payload) }
                }
                let kind = MemoryForecast(dimension: dimension, metric: metric, payloadBytes: payload.count, idBytes: idBytes)
                _ = try await node.service.upsert(try points(0..<count - 1), into: "c", deadline: deadline)
                let before = try node.service.collections()[0].shards[0]
                // The table does not count what long strings take beside it.
                var counted = kind
                counted.idBytes = 0
                let unsealed = counted.unsealedBytes(points: count - 1)
                #expect(Self.isNear(unsealed, before.memory.bytes, percent: 5), "\(unsealed), \(before.memory)")
                _ = try await node.service.upsert(try points(count - 1..<count), into: "c", deadline: deadline)
                try await eventually("the points are sealed") { try node.service.collections()[0].shards[0].segments.count == 1 }
                let segment = try node.service.collections()[0].shards[0].segments[0]
                #expect(segment.rows == count)
                // Random numbers may get finer codes than the usual ones, by what the builder measured.
                let table = try #require(try node.service.loaded()["c"]?.shards[0].table().segments.first?.field(0).codes)
                let usual = Coding.Size(.preferred(metric, dimension: dimension), metric, dimension: dimension)
                let finer = count * (table.coding.stride - usual.stride)
                let forecast = kind.sealedBytes(points: count) + finer
                #expect(Self.isNear(forecast, segment.bytes.bytes), "\(forecast), \(segment.bytes), \(finer)")

                _ = try await node.service.upsert(try points(count..<2 * count - 1), into: "c", deadline: deadline)
                let after = try node.service.collections()[0].shards[0]
                let searched = unsealed + kind.searchedBytes(points: count) + finer
                #expect(Self.isNear(searched, after.memory.bytes, percent: 5), "\(searched), \(after.memory)")
            }
        }
    }

    @Test("a small segment has no graph, and is forecast so too; what is out of bounds is refused by name")
    func bounds() async throws {
        let kind = MemoryForecast(dimension: 100, metric: .cosine)
        #expect(kind.buildingBytes(points: 2047) == 0 && kind.buildingBytes(points: 2048) > 0 && kind.sealedBytes(points: 0) == 0)
        try await withTemporaryDirectory { directory in
            try await TestNode.onSQLite(directory + "/catalog.db") { node in
                let forecast = try node.service.forecast(kind, points: 1_000_000, shards: 4)
                #expect(forecast.unsealedPoints == 4 * SealPolicy().points)
                #expect(forecast.whole.bytes > forecast.disk.bytes && forecast.searched < forecast.whole)
                #expect(try node.service.forecast(kind, points: 0, shards: 1).disk.bytes == 0)
                let largest = MemoryForecast(dimension: 65_536, metric: .euclidean, payloadBytes: 64 << 20, idBytes: 1024)
                for shards in [1, 256] {
                    let most = try node.service.forecast(largest, points: CollectionForecast.mostPoints, shards: shards)
                    #expect(most.disk.bytes > 1 << 58 && most.whole > most.disk)
                }
                // Beyond the largest segment there are several.
                let large = try node.service.forecast(kind, points: 9_000_000, shards: 1)
                #expect(large.building.bytes == kind.buildingBytes(points: SealPolicy().mostRows))
                for (points, shards, dimension, field) in [
                    (-1, 1, 2, "points"), (1, 0, 2, "sharding.shard_count"), (1, 1, 0, "dimension"), (1, 1, 70_000, "dimension"),
                ] {
                    let error = #expect(throws: ApusError.self) {
                        try node.service.forecast(MemoryForecast(dimension: dimension, metric: .dot), points: points, shards: shards)
                    }
                    #expect(error?.code == .requestInvalid && error?.context["field"] == field)
                }
            }
        }
    }
}
