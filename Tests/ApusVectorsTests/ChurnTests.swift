import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusStore
import ApusTypes
import ApusVectorIndex
import DatabaseTestKit
import Foundation
import TestKit
import Testing

@testable import ApusVectors

/// What a cluster does for weeks, with the catalog's clock moved from day to day, and the leader's duties after each.
@Suite("the catalog's size over weeks of churn", .serialized)
struct ChurnTests {
    private struct Life {
        let node: TestNode
        let database: any Database
        let collector: ObjectCollector
        /// The points of the one collection that stays.
        var model: [PointID: Point] = [:]
        var random = SeededGenerator(seed: 21)

        private var deadline: Instant { node.deadline }

        private func run(_ statements: Statement...) async throws -> [Rows] {
            try await database.run(statements, on: .write, deadline: deadline)
        }

        mutating func begin() async throws {
            _ = try await node.service.createCollection("c", .init(dimension: 8, metric: .dot), deadline: deadline)
            // What takes longer than these weeks to reach its bound is put there at once: the feed, and the digests of a shard's past.
            _ = try await run(
                Statement(
                    """
                    INSERT INTO apus.change (version, topic, key, digest, at)
                    WITH RECURSIVE n (v) AS (SELECT -9999 UNION ALL SELECT v + 1 FROM n WHERE v < 0)
                    SELECT v, 'x', 'y', (SELECT digest FROM apus.feed_head), 0 FROM n
                    """),
                Statement(
                    """
                    INSERT INTO apus.shard_past (shard, seq, digest)
                    WITH RECURSIVE n (v) AS (SELECT -9999 UNION ALL SELECT v + 1 FROM n WHERE v < 0)
                    SELECT shard, v, (SELECT digest FROM apus.feed_head) FROM n, apus.shard_head
                    """))
        }

        mutating func live(day: Int) async throws {
            // Collections that come, are sealed, and go.
            for number in 0..<3 {
                let name = CollectionName("day-\(day)-\(number)")
                _ = try await node.service.createCollection(
                    name, .init(dimension: 8, metric: .dot, sharding: .init(shards: 2)), deadline: deadline)
                let points = (0..<60).map { Point(id: .integer(UInt64($0)), vector: random.vector(8), payload: nil) }
                let id = OperationID(scope: "test", id: "\(name)", bodyDigest: .origin)
                _ = try await node.service.upsert(points, into: name, operation: id, deadline: deadline)
                try await eventually("it is sealed") {
                    try await node.service.collection(name, deadline: deadline).shards.allSatisfy {
                        $0.unsealed == 0 && !$0.segments.isEmpty
                    }
                }
                try await node.service.deleteCollection(name, deadline: deadline)
            }
            // One that stays, and is written over and over.
            for _ in 0..<8 { try await SealingTests.write(node, &model, &random) }
            try await eventually("its points are sealed") {
                try await node.service.collection("c", deadline: deadline).shards[0].unsealed < 5
            }
            // Nodes that join under names of their own making, and leave, or are never heard of again.
            for (number, status) in [NodeStatus.left, .active].enumerated() {
                let name = NodeName("node-\(day)-\(number)")
                _ = try await node.catalog.nodes.register(
                    NodeRegistration(name: name, url: "http://x", hasGeneratedName: true), status: status, deadline: deadline)
                try await node.catalog.records.add(.event, subject: "node \(name)", summary: "joined", deadline: deadline)
            }
            let (key, _) = try await node.catalog.keys.create(name: "k\(day)", role: .reader, deadline: deadline)
            _ = try await node.catalog.keys.revoke(id: key.id, deadline: deadline)
            try await node.catalog.settings.set("weather", to: "\(day)", deadline: deadline)
        }

        /// A day passes, and the leader does what it does each few seconds.
        func sleep() async throws {
            _ = try await run(Statement("UPDATE apus.clock_offset SET milliseconds = milliseconds + 86400000"))
            for _ in 0..<2 {  // what the first round drops, the second one collects
                _ = try await node.catalog.retention.sweep(deadline: deadline)
                while try await collector.collect(watermark: .max, leader: nil, deadline: deadline).isCut {}
            }
            // The server's own keeper of its house, which has no day to wait for.
            if database.dialect == .postgreSQL { _ = try await run(.once("VACUUM")) }
        }

        /// Rows of each table, and bytes of all.
        func sizes() async throws -> [String: Int64] {
            let names = try await run(
                database.dialect == .postgreSQL
                    ? Statement("SELECT tablename FROM pg_tables WHERE schemaname = 'apus'")
                    : Statement("SELECT name FROM apus.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"))[0]
            var sizes: [String: Int64] = [:]
            for row in names {
                let name = try row.text(0)
                sizes[name] = try await run(.once("SELECT count(*) FROM apus." + StaticSQL.identifier(name)))[0][0].integer(0)
            }
            let bytes: Statement =
                database.dialect == .postgreSQL
                ? Statement(
                    "SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c WHERE relnamespace = 'apus'::regnamespace AND relkind = 'r'"
                )
                : Statement("SELECT page_count * 4096 FROM pragma_page_count")
            sizes["bytes"] = try await run(bytes)[0][0].integer(0)
            return sizes
        }
    }

    @Test("after 40 days a week more makes no table longer, and the database no larger", arguments: [SQLDialect.sqlite, .postgreSQL])
    func weeks(dialect: SQLDialect) async throws {
        let directory = try TemporaryDirectory()
        let database: any Database =
            dialect == .sqlite
            ? try await SQLiteDatabase.open(path: directory.path + "/catalog.db")
            : try await PostgreSQLDatabase.open(
                url: try await PostgreSQLServer.shared().newDatabase(), loops: TestLoops.shared,
                deadline: BootClock.now.advanced(by: .seconds(20)))
        var eager = SealingTests.eager
        eager.sealPolicy.quiet = .milliseconds(20)
        try await TestNode.with(database, options: eager) { node in
            var options = ObjectCollector.Options(retention: .seconds(7 * 86_400))
            options.intentAge = .seconds(3600)
            let collector = ObjectCollector(store: CatalogStore(database: database), intents: node.catalog.objects, options: options)
            var life = Life(node: node, database: database, collector: collector)
            try await life.begin()
            var days: [[String: Int64]] = []
            for day in 0..<47 {
                try await life.live(day: day)
                try await life.sleep()
                if day >= 33 { days.append(try await life.sizes()) }
            }
            // How many segments there are on a day depends on when they were merged, by some in a hundred: what grows by as much each day is never
            // again as small as it was.
            let (before, after) = (days.prefix(7), days.suffix(7))
            for name in try #require(days.last).keys.sorted() {
                let counts = days.map { $0[name] ?? 0 }
                let most = before.map { $0[name] ?? 0 }.max() ?? 0
                let (least, grown) = (after.map { $0[name] ?? 0 }.min() ?? 0, after.map { $0[name] ?? 0 }.max() ?? 0)
                #expect(least <= most + most / 8 && grown <= most + most / 2 + 10, "\(name): \(counts)")
            }
            try await SealingTests.check(node, life.model, &life.random)
        }
    }
}
