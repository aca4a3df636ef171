import ApusDatabase
import ApusTypes
import CatalogTestKit
import DatabaseTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusCatalog

@Suite("laws of the shard log")
struct LogLaws {
    @Test("numbers are gapless and nothing acknowledged is missing or twice, under 16 writers and 1 % aborts", arguments: Backend.allCases)
    func gapless(backend: Backend) async throws {
        switch backend {
        case .sqlite: try await CatalogLab.with(backend) { try await Self.gapless(in: $0) }
        case .postgreSQL:
            let server = try await Self.watchfulServer()
            try await CatalogLab.on(try await server.newDatabase()) { lab in
                try await Self.gapless(in: lab)
                #expect(try await Self.deadlocks(in: lab) == 0, "\(server.messages(about: "deadlock").joined(separator: "\n\n"))")
            }
        }
    }

    private static func gapless(in lab: CatalogLab) async throws {
        // In full: ten minutes, as many as there are.
        let requests = LawSize.scaled(40, full: 1_000_000)
        let seconds = LawSize.scaled(300, full: 600)
        let catalog = try await lab.open()
        let shards = try await lab.shards(8, of: catalog)
        var acknowledged: [Acknowledged] = []
        var mixed = Workload.Mixed()
        if let url = lab.url {
            let lines = try await LawProcesses.run(
                3, "appendMixed", url: url, writers: 6, requests: requests, seed: 11,
                extra: ["stop=\(seconds)", "shards=" + shards.map(\.description).joined(separator: ",")])
            for line in lines {
                mixed.add(line: line)
                if let one = Acknowledged(line: line) { acknowledged.append(one) }
            }
        } else {
            var workload = Workload(process: "p0", writers: 16, requests: requests, seed: 11, deadline: lab.deadline(in: .seconds(900)))
            workload.settlesPerThousand = 20
            workload.stop = lab.deadline(in: .seconds(Int64(seconds)))
            (acknowledged, mixed) = try await workload.appendMixed(to: catalog, shards: shards)
        }
        #expect(acknowledged.count > LawSize.scaled(40, full: 1000) * 16)
        for kind in Workload.Mixed.Kind.allCases { #expect(mixed.counts[kind, default: 0] > 0, "\(kind)") }
        // Besides: the collection of the shards.
        #expect(try await catalog.feed.head(deadline: lab.deadline).version == Int64(mixed.published) + 1)
        let expected = Dictionary(grouping: acknowledged, by: \.shard)
        for shard in shards {
            var follower = LogFollower(shard: shard, incarnation: catalog.incarnation)
            // Millions of operations in full: each page has a deadline of its own.
            try await follower.catchUp(with: catalog.log, deadline: lab.deadline)
            let mine = expected[shard] ?? []
            #expect(follower.operations.count == mine.count)
            #expect(Set(follower.operations) == Set(mine.map(\.operation)))
            let head = try await catalog.log.heads(of: [shard], deadline: lab.deadline)[shard]
            #expect(head == follower.position)
        }
    }

    /// Group commits wait 500 ms for a lock and then go on without it, so a server that looks for deadlocks after the usual second never
    /// sees one.
    private static func watchfulServer() async throws -> PostgreSQLServer {
        try await PostgreSQLServer.start(name: "watchful", settings: ["deadlock_timeout": "100ms"])
    }

    /// How many the server has seen in the lab's database, once everybody else has left it: a session says what it counted when it ends.
    private static func deadlocks(in lab: CatalogLab) async throws -> Int64 {
        try await eventually("the processes' sessions have ended") {
            try await lab.run(
                """
                SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
                """)[0].integer(0) <= Int64(Lane.allCases.count)
        }
        return try await lab.run("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0].integer(0)
    }

    @Test("a deadlock that lasts less than half a second would be counted")
    func deadlocksAreSeen() async throws {
        let server = try await Self.watchfulServer()
        let url = try await server.newDatabase()
        try await CatalogLab.on(url) { lab in
            let (first, second) = (lab.database, try await CatalogLab.connect(url))
            try await CatalogLab.closing(second) {
                let meeting = Meeting()
                let victims = try await withThrowingTaskGroup(of: Bool.self) { group in
                    group.addTask { try await Self.isVictim(first, locking: [1, 2], meeting: meeting, deadline: lab.deadline) }
                    group.addTask { try await Self.isVictim(second, locking: [2, 1], meeting: meeting, deadline: lab.deadline) }
                    return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(victims == 1)
            }
            // A session reports what it counted within a second, if it goes on.
            try await eventually("the deadlock is counted") { try await Self.deadlocks(in: lab) == 1 }
            #expect(!server.messages(about: "deadlock").isEmpty)
        }
    }

    private final class Meeting: Sendable {
        let present = Mutex(0)
    }

    /// Takes the locks one after the other, with the second when both are at the meeting; whether the server broke a deadlock here.
    private static func isVictim(
        _ database: any Database, locking locks: [Int64], meeting: Meeting, deadline: Instant
    ) async throws -> Bool {
        do {
            try await database.transaction(.write.lockTimeout(.milliseconds(500)), on: .write, deadline: deadline) { transaction in
                for (number, lock) in locks.enumerated() {
                    if number == 1 { try await eventually("both hold a lock") { meeting.present.withLock { $0 >= 2 } } }
                    _ = try await transaction.run([Statement("SELECT pg_advisory_xact_lock($1)", [.integer(lock)])])
                    meeting.present.withLock { $0 += 1 }
                }
            }
            return false
        } catch let error as ApusError where error.code == .databaseConflict { return true }
    }

    private static func append(to catalog: Catalog, _ shard: ShardID, epoch: Int64?, deadline: Instant) async throws {
        _ = try await catalog.log.append(
            AppendRequest(appends: [LogAppend(shard: shard, operation: [1])], fence: epoch.map { Epoch($0) }), deadline: deadline)
    }

    @Test("a fenced writer cannot append, others go on", arguments: Backend.allCases)
    func fenced(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let shards = try await lab.shards(2, of: catalog)
            try await catalog.log.fence(shards[0], epoch: Epoch(1), deadline: lab.deadline)
            try await Self.append(to: catalog, shards[0], epoch: 1, deadline: lab.deadline)
            try await catalog.log.fence(shards[0], epoch: Epoch(2), deadline: lab.deadline)
            #expect(
                try await apusError { try await Self.append(to: catalog, shards[0], epoch: 1, deadline: lab.deadline) }.code == .leaseStale)
            let late = try await apusError { try await catalog.log.fence(shards[0], epoch: Epoch(1), deadline: lab.deadline) }
            #expect(late.code == .leaseStale)
            try await Self.append(to: catalog, shards[0], epoch: 2, deadline: lab.deadline)
            try await Self.append(to: catalog, shards[0], epoch: nil, deadline: lab.deadline)
            try await Self.append(to: catalog, shards[1], epoch: 1, deadline: lab.deadline)
            // All or nothing over several shards.
            let both = try await apusError {
                _ = try await catalog.log.append(
                    AppendRequest(
                        appends: [LogAppend(shard: shards[1], operation: [9]), LogAppend(shard: shards[0], operation: [9])], fence: Epoch(1)
                    ),
                    deadline: lab.deadline)
            }
            #expect(both.code == .leaseStale)
            let heads = try await catalog.log.heads(of: shards, deadline: lab.deadline)
            #expect(heads[shards[0]]?.sequence == 3)
            #expect(heads[shards[1]]?.sequence == 1)
        }
    }

    @Test("of concurrent conditional appends at one head, one is written", arguments: Backend.allCases)
    func conditional(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let shard = try await lab.shards(1, of: catalog)[0]
            var heads: [LogPosition] = []
            func head() async throws -> LogPosition {
                try #require(try await catalog.log.heads(of: [shard], deadline: lab.deadline)[shard])
            }
            for round in 0..<10 {
                let expected = try await head()
                heads.append(expected)
                let outcomes = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for writer in 0..<8 {
                        group.addTask {
                            do {
                                _ = try await catalog.log.append(
                                    AppendRequest(
                                        operationID: OperationID(scope: "c", id: "\(round)/\(writer)", bodyDigest: .origin),
                                        appends: [LogAppend(shard: shard, operation: [UInt8(writer)])], expectedHeads: [shard: expected]
                                    ),
                                    deadline: lab.deadline)
                                return true
                            } catch let error as ApusError where error.code == .shardMovedOn { return false }
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(outcomes.filter { $0 }.count == 1)
            }
            // A refused request did not use up its id.
            let again = AppendRequest(
                operationID: OperationID(scope: "c", id: "last", bodyDigest: .origin), appends: [LogAppend(shard: shard, operation: [0])],
                expectedHeads: [shard: heads[3]])
            #expect(try await apusError { _ = try await catalog.log.append(again, deadline: lab.deadline) }.code == .shardMovedOn)
            // The number is right, the history is another one.
            var right = again
            var foreign = try await head()
            foreign.digest = heads[3].digest
            right.expectedHeads = [shard: foreign]
            let other = right
            #expect(try await apusError { _ = try await catalog.log.append(other, deadline: lab.deadline) }.code == .shardMovedOn)
            right.expectedHeads = [shard: try await head()]
            #expect(try await catalog.log.append(right, deadline: lab.deadline).isRepeat == false)
        }
    }

    @Test("what is wrong with one request of a group costs the others nothing", arguments: Backend.allCases)
    func isolation(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            var options = Catalog.Options()
            options.log.unsealedBytes = ByteCount(5000)
            let catalog = try await lab.open(options)
            let shards = try await lab.shards(3, of: catalog)
            let codes = try await withThrowingTaskGroup(of: (Int, ErrorCode?).self) { group in
                for number in 0..<40 {
                    group.addTask {
                        var request = AppendRequest(appends: [LogAppend(shard: shards[0], operation: [UInt8(number)])])
                        switch number % 4 {
                        case 1: request.appends.append(LogAppend(shard: ShardID(999), operation: [1]))
                        case 2: request.appends.append(LogAppend(shard: shards[1], operation: [UInt8](repeating: 1, count: 6000)))
                        case 3:
                            request.expectedHeads = [
                                shards[2]: LogPosition(incarnation: catalog.incarnation, sequence: 77, digest: .origin)
                            ]
                        default: break
                        }
                        do {
                            _ = try await catalog.log.append(request, deadline: lab.deadline)
                            return (number % 4, nil)
                        } catch let error as ApusError { return (number % 4, error.code) }
                    }
                }
                return try await group.reduce(into: [:]) { codes, outcome in codes[outcome.0, default: []].append(outcome.1) }
            }
            #expect(codes[0]?.allSatisfy { $0 == nil } == true)
            #expect(codes[1]?.allSatisfy { $0 == .shardUnknown } == true)
            #expect(codes[2]?.allSatisfy { $0 == .shardBusy } == true)
            #expect(codes[3]?.allSatisfy { $0 == .shardMovedOn } == true)
            let heads = try await catalog.log.heads(of: shards, deadline: lab.deadline)
            #expect(heads.mapValues(\.sequence) == [shards[0]: 10, shards[1]: 0, shards[2]: 0])
        }
    }

    @Test("a read starts at the reader's position and stops at its limit", arguments: Backend.allCases)
    func reading(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let shard = try await lab.shards(1, of: catalog)[0]
            let operations = (0..<20).map { [UInt8](repeating: UInt8($0), count: 1000) }
            _ = try await catalog.log.append(
                AppendRequest(appends: operations.map { LogAppend(shard: shard, operation: $0) }), deadline: lab.deadline)
            let beginning = LogPosition.beginning(of: catalog.incarnation)
            let some = try await catalog.log.read(shard, from: beginning, limit: ByteCount(3500), deadline: lab.deadline)
            #expect(some.map(\.operation) == Array(operations[0..<3]))
            let one = try await catalog.log.read(shard, from: beginning, limit: ByteCount(1), deadline: lab.deadline)
            #expect(one.map(\.sequence) == [1])
            let here = LogPosition(incarnation: catalog.incarnation, sequence: 3, digest: some[2].digest)
            let rest = try await catalog.log.read(shard, from: here, deadline: lab.deadline)
            #expect(rest.map(\.sequence) == Array(4...20))
            for wrong in [
                LogPosition(incarnation: catalog.incarnation, sequence: 4, digest: some[2].digest),
                LogPosition(incarnation: catalog.incarnation, sequence: 21, digest: some[2].digest),
            ] {
                #expect(
                    try await apusError { _ = try await catalog.log.read(shard, from: wrong, deadline: lab.deadline) }.code
                        == .catalogRewound)
            }
            #expect(
                try await apusError { _ = try await catalog.log.read(ShardID(99), from: beginning, deadline: lab.deadline) }.code
                    == .shardUnknown)
        }
    }

    @Test("a large operation goes through an object, and its append aborts when the object's intent is gone", arguments: Backend.allCases)
    func objects(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            var options = Catalog.Options()
            options.log.rowLimit = ByteCount(1000)
            let catalog = try await lab.open(options)
            let objects = IntentObjects(lab: lab)
            catalog.log.attach(objects)
            let shard = try await lab.shards(1, of: catalog)[0]
            let operations: [[UInt8]] = [[1], [UInt8](repeating: 7, count: 5000), [2]]
            _ = try await catalog.log.append(
                AppendRequest(appends: operations.map { LogAppend(shard: shard, operation: $0) }), deadline: lab.deadline)
            #expect(try await lab.run("SELECT count(*) FROM apus.object_intent")[0].integer(0) == 0)
            #expect(try await lab.run("SELECT count(*) FROM apus.shard_log WHERE object IS NOT NULL")[0].integer(0) == 1)
            objects.losesIntents.withLock { $0 = true }
            let id = OperationID(scope: "o", id: "1", bodyDigest: .origin)
            let large = AppendRequest(
                operationID: id, appends: [LogAppend(shard: shard, operation: [3]), LogAppend(shard: shard, operation: operations[1])])
            #expect(try await apusError { _ = try await catalog.log.append(large, deadline: lab.deadline) }.code == .writeAborted)
            objects.losesIntents.withLock { $0 = false }
            #expect(try await catalog.log.append(large, deadline: lab.deadline).isRepeat == false)
            var follower = LogFollower(shard: shard, incarnation: catalog.incarnation)
            try await follower.catchUp(with: catalog.log, limit: ByteCount(10), deadline: lab.deadline)
            #expect(follower.operations == operations + [[3], operations[1]])
        }
    }

    @Test("appends to a deleted collection are refused, and its log goes", arguments: Backend.allCases)
    func deletion(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let shards = try await lab.shards(2, of: catalog)
            let workload = Workload(process: "p", writers: 4, requests: 100, seed: 3, deadline: lab.deadline)
            _ = try await workload.append(to: catalog, shards: shards)
            try await catalog.collections.delete("c", deadline: lab.deadline)
            let append = AppendRequest(appends: [LogAppend(shard: shards[0], operation: [1])])
            #expect(try await apusError { _ = try await catalog.log.append(append, deadline: lab.deadline) }.code == .shardUnknown)
            let removed = try await catalog.retention.sweep(deletedCollections: .zero, deadline: lab.deadline)
            #expect(removed["shard_log of deleted collections"].map { $0 > 400 } == true)
            #expect(try await lab.run("SELECT count(*) FROM apus.shard_log")[0].integer(0) == 0)
            #expect(try await lab.run("SELECT count(*) FROM apus.deleted_shard")[0].integer(0) == 0)
            // A collection of the same name is another one.
            #expect(try await lab.shards(2, of: catalog).allSatisfy { $0 > shards[1] })
        }
    }
}

/// Objects in memory, intents in the catalog: what the append does about them is the law here; stores have their own.
final class IntentObjects: LogObjects {
    let losesIntents = Mutex(false)
    private let lab: CatalogLab
    private let objects = Mutex<[ObjectKey: [UInt8]]>([:])

    init(lab: CatalogLab) { self.lab = lab }

    func place(_ bytes: [UInt8], deadline: Instant) async throws -> PlacedObject {
        var generator = SystemRandomNumberGenerator()
        let key = ObjectKey.random(using: &generator)
        objects.withLock { $0[key] = bytes }
        if !losesIntents.withLock({ $0 }) {
            try await lab.run(
                "INSERT INTO apus.object_intent (key, node, created_at) VALUES ($1, 'n', 0)", [.text(key.description)])
        }
        return PlacedObject(key: key, description: ObjectDescription(size: ByteCount(bytes.count), digest: Digest(of: bytes)))
    }

    func fetch(_ key: ObjectKey, deadline: Instant) async throws -> [UInt8] {
        guard let bytes = objects.withLock({ $0[key] }) else { throw ApusError(.objectUnknown, "no such object") }
        return bytes
    }
}
