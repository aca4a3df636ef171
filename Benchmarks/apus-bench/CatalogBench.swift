import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusStore
import ApusTypes
import DatabaseTestKit
import Foundation
import Synchronization
import TestKit

/// Appends to shard logs: how many a second a node gets through its catalog, alone and with 16 writers at once, and what a point costs on
/// disk. Every append has an operation id, as requests of clients have. PostgreSQL and SQLite write through to the disk.
enum CatalogBench {
    static let rounds = 5
    static let duration: Duration = .milliseconds(1500)
    static let shardCount = 4
    /// A point of 384 dimensions and some payload; a thousand of them as one request appends them to one shard.
    static let small = 2048
    static let large = 1_500_000
    static let pointBytes = 1536.0

    private struct Case: Hashable {
        var bytes: Int
        var writers: Int
        var throughObjects = false

        var label: String { (bytes == small ? "2 KB" : throughObjects ? "1.5 MB, objects" : "1.5 MB, rows") + ", \(writers) writers" }
        var key: String { (bytes == small ? "2kb" : throughObjects ? "1500kb_objects" : "1500kb_rows") + "_\(writers)_writers" }
    }

    private static let cases = [
        Case(bytes: small, writers: 1), Case(bytes: small, writers: 16), Case(bytes: large, writers: 1), Case(bytes: large, writers: 16),
        Case(bytes: large, writers: 1, throughObjects: true), Case(bytes: large, writers: 16, throughObjects: true),
    ]

    static func run() async throws {
        var report = BenchReport("catalog")
        report.row("appends/s", "min", "median", "max", "MB/s")
        let directory = try TemporaryDirectory()
        let sqlite = try await SQLiteDatabase.open(path: directory.path + "/catalog.db")
        try await measure("sqlite", sqlite, directory, into: &report) {
            // What this process caused to be written: log and file, with the log copied.
            _ = try await sqlite.run([.once("PRAGMA wal_checkpoint(PASSIVE)")], on: .write, deadline: deadline)
            return writtenByThisProcess()
        }
        await sqlite.close()

        let server = try await PostgreSQLServer.start(
            name: "bench", settings: ["shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"], isDurable: true)
        let url = try await server.newDatabase()
        let postgreSQL = try await PostgreSQLDatabase.open(url: url, loops: TestLoops.shared, deadline: deadline)
        try await measure("postgresql", postgreSQL, directory, into: &report) {
            let sizes = try await postgreSQL.run(
                [
                    .once("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"),
                    .once("SELECT pg_database_size(current_database())"),
                ], on: .write, deadline: deadline)
            return Double(try sizes[0][0].integer(0) + sizes[1][0].integer(0))
        }
        await postgreSQL.close()
        await server.stop()
        try report.finish()
    }

    private static var deadline: Instant { BootClock.now.advanced(by: .seconds(60)) }

    private static func measure(
        _ name: String, _ database: any Database, _ directory: TemporaryDirectory, into report: inout BenchReport,
        written: () async throws -> Double
    ) async throws {
        let clock = BootClock()
        let inRows = try await Catalog.open(database, clock: clock)
        let throughObjects = try await Catalog.open(database, clock: clock)
        let place = directory.path + "/store-\(name)"
        let cluster = ClusterID(inRows.identity.id)
        _ = try await DirectoryStore.initialise(place, cluster: cluster, store: StoreID("bench"), deadline: deadline)
        let store = try await DirectoryStore.open(place, cluster: cluster, deadline: deadline)
        throughObjects.log.attach(ObjectLogPlacement(store: store, intents: throughObjects.objects, node: "bench"))
        let shards = try await inRows.collections.create("bench", configuration: "{}", shardCount: shardCount, deadline: deadline).shards

        var rates: [Case: [Double]] = [:]
        var bytesPerPoint: [Case: [Double]] = [:]
        for round in 0..<rounds {
            for test in cases {
                let catalog = test.throughObjects ? throughObjects : inRows
                let before = try await written()
                let (count, seconds) = try await append(test, to: catalog, shards: shards, round: round)
                let after = try await written()
                rates[test, default: []].append(Double(count) / seconds)
                let points = Double(count) * max(1, Double(test.bytes) / pointBytes).rounded(.down)
                bytesPerPoint[test, default: []].append((after - before) / points)
            }
        }
        for test in cases {
            guard let values = rates[test], let bytes = bytesPerPoint[test] else { continue }
            let spread = Spread(values)
            report.row(
                "\(name), \(test.label)", BenchReport.short(spread.min), BenchReport.short(spread.median), BenchReport.short(spread.max),
                BenchReport.short(spread.median * Double(test.bytes) / 1e6))
            report.figure("\(name)_\(test.key)_appends_per_second", values)
            if !test.throughObjects { report.figure("\(name)_\(test.key)_catalog_bytes_per_point", bytes) }
        }
        let one = rates[Case(bytes: small, writers: 1)] ?? []
        let sixteen = rates[Case(bytes: small, writers: 16)] ?? []
        report.ratio("\(name)_2kb_16_writers_to_1", zip(sixteen, one).map { $0 / $1 })
    }

    /// Appends committed within the duration, and how long it really took.
    private static func append(_ test: Case, to catalog: Catalog, shards: [ShardID], round: Int) async throws -> (Int, Double) {
        var random = SystemRandomNumberGenerator()
        let operation = [UInt8](unsafeUninitializedCapacity: test.bytes) { buffer, count in
            for index in 0..<test.bytes { buffer[index] = UInt8.random(in: 0...255, using: &random) }
            count = test.bytes
        }
        let digest = Digest(of: operation)
        let start = BootClock.now
        let end = start.advanced(by: duration)
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            for writer in 0..<test.writers {
                group.addTask {
                    var count = 0
                    while BootClock.now < end {
                        let id = OperationID(
                            scope: "bench", id: "\(test.key)/\(round)/\(writer)/\(count)", bodyDigest: digest, origin: .proxy)
                        _ = try await catalog.log.append(
                            AppendRequest(
                                operationID: id, appends: [LogAppend(shard: shards[(writer + count) % shards.count], operation: operation)]),
                            deadline: BootClock.now.advanced(by: .seconds(30)))
                        count += 1
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        return (count, start.duration(to: BootClock.now).seconds)
    }

    private static func writtenByThisProcess() -> Double {
        let text = (try? String(contentsOfFile: "/proc/self/io", encoding: .utf8)) ?? ""  // Linux only, like the bench
        let line = text.split(separator: "\n").first { $0.hasPrefix("write_bytes:") }
        return line?.split(separator: " ").last.flatMap { Double($0) } ?? 0
    }
}
