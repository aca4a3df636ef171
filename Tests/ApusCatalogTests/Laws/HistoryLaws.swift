import ApusDatabase
import ApusRuntime
import ApusTypes
import CatalogTestKit
import DatabaseTestKit
import Foundation
import TestKit
import Testing

@testable import ApusCatalog

/// The catalog goes back in time: whoever was ahead of it finds out by reading at its own position, and rebuilds.
@Suite("laws of histories")
struct HistoryLaws {
    /// What a node had taken in before the catalog went back.
    private struct Replica {
        var logs: [LogFollower]
        var feed: FeedPosition

        init(shards: [ShardID], catalog: Catalog) {
            logs = shards.map { LogFollower(shard: $0, incarnation: catalog.incarnation) }
            feed = FeedPosition(incarnation: catalog.incarnation, version: 0, digest: .origin)
        }

        mutating func catchUp(with catalog: Catalog, deadline: Instant) async throws {
            for index in logs.indices { try await logs[index].catchUp(with: catalog.log, deadline: deadline) }
            feed = try await catalog.feed.head(deadline: deadline)
        }
    }

    /// Appends and publishes, each under names of its own.
    private static func work(_ name: String, _ count: Int, on catalog: Catalog, shards: [ShardID], deadline: Instant) async throws {
        for number in 0..<count {
            _ = try await catalog.log.append(
                AppendRequest(appends: shards.map { LogAppend(shard: $0, operation: Array("\(name) \(number)".utf8)) }), deadline: deadline)
        }
        try await catalog.settings.set("last", to: name, deadline: deadline)
    }

    /// The law itself: `replica` is ahead of `catalog`, which has grown another way meanwhile.
    private static func verify(_ replica: Replica, rebuildsOn catalog: Catalog, deadline: Instant) async throws {
        var replica = replica
        let first = try #require(replica.logs.first)
        let stale = try await apusError {
            _ = try await catalog.log.read(first.shard, from: first.position, deadline: deadline)
        }
        #expect(stale.code == .catalogRewound)
        var events = catalog.feed.follow(from: replica.feed).makeAsyncIterator()
        guard case .rebuild(let position, _)? = try await events.next() else {
            throw BrokenLaw("the feed was followed into another history")
        }
        #expect(position == (try await catalog.feed.head(deadline: deadline)))
        try await replica.catchUp(with: catalog, deadline: deadline)
        for follower in replica.logs {
            #expect(follower.rebuilds == 1)
            var fresh = LogFollower(shard: follower.shard, incarnation: catalog.incarnation)
            try await fresh.catchUp(with: catalog.log, deadline: deadline)
            #expect(fresh.operations == follower.operations)
            #expect(fresh.position.digest == follower.position.digest)
        }
    }

    @Test("an asynchronous standby is promoted after 50 appends that it did not get")
    func promotion() async throws {
        let primary = try await PostgreSQLServer.start()
        let url = try await primary.newDatabase()
        let database = url.reveal().split(separator: "/").last.map { $0.prefix { $0 != "?" } }.map(String.init) ?? ""
        let standby = try await primary.standby(name: "s1")
        var replica: Replica?
        var before: Incarnation?
        var shards: [ShardID] = []
        try await CatalogLab.on(url) { lab in
            let catalog = try await lab.open()
            shards = try await lab.shards(2, of: catalog)
            try await Self.work("both", 20, on: catalog, shards: shards, deadline: lab.deadline)
            try await primary.untilApplied(by: standby)
            try await standby.stopReceiving()
            try await Self.work("lost", 50, on: catalog, shards: shards, deadline: lab.deadline)
            var ahead = Replica(shards: shards, catalog: catalog)
            try await ahead.catchUp(with: catalog, deadline: lab.deadline)
            #expect(ahead.logs.allSatisfy { $0.operations.count == 70 })
            replica = ahead
            before = catalog.incarnation
        }
        await primary.kill()
        try await standby.promote()
        try await CatalogLab.on(standby.url(database: database)) { lab in
            let catalog = try await lab.open()
            #expect(catalog.incarnation.timeline > (before?.timeline ?? 0))
            #expect(catalog.incarnation.system == before?.system)
            // As many again, and more: the numbers that the replica knows are taken by other operations.
            try await Self.work("other", 60, on: catalog, shards: shards, deadline: lab.deadline)
            try await Self.verify(try #require(replica), rebuildsOn: catalog, deadline: lab.deadline)
        }
        await standby.stop()
    }

    @Test("a replica that was not ahead follows on over a promotion without rebuilding")
    func harmlessPromotion() async throws {
        let primary = try await PostgreSQLServer.start()
        let url = try await primary.newDatabase()
        let database = url.reveal().split(separator: "/").last.map { $0.prefix { $0 != "?" } }.map(String.init) ?? ""
        let standby = try await primary.standby(name: "s1")
        var replica: Replica?
        var shards: [ShardID] = []
        try await CatalogLab.on(url) { lab in
            let catalog = try await lab.open()
            shards = try await lab.shards(1, of: catalog)
            try await Self.work("both", 20, on: catalog, shards: shards, deadline: lab.deadline)
            var caughtUp = Replica(shards: shards, catalog: catalog)
            try await caughtUp.catchUp(with: catalog, deadline: lab.deadline)
            replica = caughtUp
            try await primary.untilApplied(by: standby)
        }
        await primary.kill()
        try await standby.promote()
        try await CatalogLab.on(standby.url(database: database)) { lab in
            let catalog = try await lab.open()
            try await Self.work("more", 5, on: catalog, shards: shards, deadline: lab.deadline)
            var followers = try #require(replica)
            #expect(try await catalog.feed.read(from: followers.feed, deadline: lab.deadline).count == 1)
            try await followers.catchUp(with: catalog, deadline: lab.deadline)
            #expect(followers.logs.allSatisfy { $0.rebuilds == 0 && $0.operations.count == 25 })
        }
        await standby.stop()
    }

    @Test("a backup is restored, with or without anybody saying so", arguments: [false, true])
    func restoredBackup(isMarked: Bool) async throws {
        let server = try await PostgreSQLServer.start()
        let url = try await server.newDatabase()
        let backup = try TemporaryDirectory()
        var replica: Replica?
        var before: Incarnation?
        var shards: [ShardID] = []
        try await CatalogLab.on(url) { lab in
            let catalog = try await lab.open()
            shards = try await lab.shards(2, of: catalog)
            try await Self.work("both", 20, on: catalog, shards: shards, deadline: lab.deadline)
        }
        await server.stop()
        try await copy(server.dataDirectory, to: backup.path + "/data")
        try await server.restart()
        try await CatalogLab.on(url) { lab in
            let catalog = try await lab.open()
            try await Self.work("lost", 50, on: catalog, shards: shards, deadline: lab.deadline)
            var ahead = Replica(shards: shards, catalog: catalog)
            try await ahead.catchUp(with: catalog, deadline: lab.deadline)
            replica = ahead
            before = catalog.incarnation
        }
        await server.stop()
        try FileManager.default.removeItem(atPath: server.dataDirectory)
        try await copy(backup.path + "/data", to: server.dataDirectory)
        try await server.restart()
        try await CatalogLab.on(url) { lab in
            let catalog = try await lab.open()
            if isMarked {
                try await catalog.markRestored(deadline: lab.deadline)
                #expect(catalog.incarnation != before)
            }
            try await Self.work("other", 60, on: catalog, shards: shards, deadline: lab.deadline)
            try await Self.verify(try #require(replica), rebuildsOn: catalog, deadline: lab.deadline)
        }
        await server.stop()
    }

    @Test("a SQLite file is put back from a copy")
    func copiedFile() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/catalog.db"
        let clock = BootClock()
        let deadline = clock.now.advanced(by: .seconds(60))
        var shards: [ShardID] = []
        var replica: Replica?
        func opened(_ body: (Catalog) async throws -> Void) async throws {
            let database = try await SQLiteDatabase.open(path: path)
            try await CatalogLab.closing(database) { try await body(try await Catalog.open(database, clock: clock)) }
        }
        try await opened { catalog in
            shards = try await catalog.collections.create("c", configuration: "{}", shardCount: 2, deadline: deadline).shards
            try await Self.work("both", 20, on: catalog, shards: shards, deadline: deadline)
        }
        try FileManager.default.copyItem(atPath: path, toPath: path + ".copy")
        try await opened { catalog in
            try await Self.work("lost", 50, on: catalog, shards: shards, deadline: deadline)
            var ahead = Replica(shards: shards, catalog: catalog)
            try await ahead.catchUp(with: catalog, deadline: deadline)
            replica = ahead
        }
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: path + ".copy", toPath: path)
        try await opened { catalog in
            // First the catalog is simply shorter than the replica remembers.
            let known = try #require(replica)
            let shorter = try await apusError {
                _ = try await catalog.log.read(known.logs[0].shard, from: known.logs[0].position, deadline: deadline)
            }
            #expect(shorter.code == .catalogRewound)
            // Then it has as many operations, but others.
            try await Self.work("other", 60, on: catalog, shards: shards, deadline: deadline)
            try await Self.verify(known, rebuildsOn: catalog, deadline: deadline)
        }
    }

    /// A copy with owners and modes.
    private func copy(_ source: String, to target: String) async throws {
        let child = try await ChildProcess.start(.init("/bin/cp", ["-a", source, target]), on: TestLoops.shared.first)
        guard await child.wait() == .status(0) else { throw TestKitError("cp -a \(source) failed") }
    }
}
