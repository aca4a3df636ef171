import ApusDatabase
import ApusTypes
import DatabaseTestKit
import TestKit
import Testing

@testable import ApusCatalog

@Suite("laws of operation ids")
struct OperationLaws {
    private static func request(_ id: String, shard: ShardID, body: String = "body", reply: String = "first") -> AppendRequest {
        AppendRequest(
            operationID: OperationID(scope: "key-1 POST /x", id: id, bodyDigest: Digest(of: body)),
            appends: [LogAppend(shard: shard, operation: Array(body.utf8))], reply: Array(reply.utf8))
    }

    @Test("a repeat has one effect and the first reply, on any node; another body is refused", arguments: Backend.allCases)
    func repeats(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let shard = try await lab.shards(1, of: catalog)[0]
            let first = try await catalog.log.append(Self.request("a", shard: shard), deadline: lab.deadline)
            #expect(!first.isRepeat)
            try await lab.withAnother { other in
                for node in [other, catalog] {
                    let again = try await node.log.append(Self.request("a", shard: shard, reply: "second"), deadline: lab.deadline)
                    #expect(again.isRepeat)
                    #expect(again.reply == Array("first".utf8))
                    #expect(again.positions == first.positions)
                    let conflict = try await apusError {
                        _ = try await node.log.append(Self.request("a", shard: shard, body: "other"), deadline: lab.deadline)
                    }
                    #expect(conflict.code == .idempotencyConflict)
                }
                #expect(try await other.log.heads(of: [shard], deadline: lab.deadline)[shard]?.sequence == 1)
            }
        }
    }

    @Test("the same request many times at once, on two nodes, is written once", arguments: Backend.allCases)
    func concurrent(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let shard = try await lab.shards(1, of: catalog)[0]
            try await lab.withAnother { other in
                for round in 0..<LawSize.scaled(5, full: 200) {
                    let outcomes = try await withThrowingTaskGroup(of: AppendOutcome.self) { group in
                        for sender in 0..<20 {
                            let node = sender % 2 == 0 ? catalog : other
                            group.addTask {
                                try await node.log.append(
                                    Self.request("\(round)", shard: shard, reply: "by \(sender)"), deadline: lab.deadline)
                            }
                        }
                        return try await group.reduce(into: []) { $0.append($1) }
                    }
                    #expect(outcomes.filter { !$0.isRepeat }.count == 1)
                    #expect(Set(outcomes.map(\.reply)).count == 1)
                    #expect(try await catalog.log.heads(of: [shard], deadline: lab.deadline)[shard]?.sequence == Int64(round + 1))
                }
            }
        }
    }

    @Test("an id that was given up is never done; one that was done says so", arguments: Backend.allCases)
    func settles(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let shard = try await lab.shards(1, of: catalog)[0]
            let request = Self.request("a", shard: shard)
            let id = try #require(request.operationID)
            #expect(try await catalog.operations.settle(id, deadline: lab.deadline) == .refused)
            #expect(try await catalog.operations.settle(id, deadline: lab.deadline) == .refused)
            #expect(try await apusError { _ = try await catalog.log.append(request, deadline: lab.deadline) }.code == .writeAborted)
            let done = Self.request("b", shard: shard)
            _ = try await catalog.log.append(done, deadline: lab.deadline)
            let doneID = try #require(done.operationID)
            #expect(try await catalog.operations.settle(doneID, deadline: lab.deadline) == .done(reply: Array("first".utf8)))
            #expect(try await catalog.log.heads(of: [shard], deadline: lab.deadline)[shard]?.sequence == 1)
        }
    }

    @Test("while a COMMIT waits for a standby its outcome is unknown to all; later a repeat has one effect and the first reply")
    func hungCommit() async throws {
        let server = try await PostgreSQLServer.start()
        try await CatalogLab.on(try await server.newDatabase()) { lab in
            let catalog = try await lab.open()
            let shards = try await lab.shards(2, of: catalog)
            let request = Self.request("a", shard: shards[0])
            let id = try #require(request.operationID)
            try await server.reload(["synchronous_standby_names": "nobody"])
            let first = try await apusError { _ = try await catalog.log.append(request, deadline: lab.deadline(in: .seconds(2))) }
            #expect(first.code == .outcomeUnknown)
            try await lab.withAnother { other in
                // Nobody may say "not done", and nobody may say "done".
                #expect(try await other.operations.settle(id, deadline: lab.deadline(in: .seconds(2))) == .unknown)
                let again = try await apusError { _ = try await other.log.append(request, deadline: lab.deadline(in: .seconds(5))) }
                #expect(again.code == .outcomeUnknown, "\(again)")
                try await server.reload(["synchronous_standby_names": ""])
                let outcome = try await other.log.append(request, deadline: lab.deadline)
                #expect(outcome.reply == Array("first".utf8))
                #expect(try await other.log.heads(of: shards, deadline: lab.deadline)[shards[0]]?.sequence == 1)
            }
        }
        await server.stop()
    }

    @Test("a commit whose wait for the standby was cut is not acknowledged, nor by a repeat, until a standby has it")
    func cutWait() async throws {
        let server = try await PostgreSQLServer.start()
        try await CatalogLab.on(try await server.newDatabase()) { lab in
            let catalog = try await lab.open()
            let shard = try await lab.shards(1, of: catalog)[0]
            let request = Self.request("a", shard: shard)
            try await server.reload(["synchronous_standby_names": "nobody"])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let error = try await apusError { _ = try await catalog.log.append(request, deadline: lab.deadline(in: .seconds(4))) }
                    #expect(error.code == .outcomeUnknown)
                }
                try await eventually("the commit waits for the standby") {
                    try await server.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != "0"
                }
                try await server.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
                try await group.waitForAll()
            }
            let again = try await apusError { _ = try await catalog.log.append(request, deadline: lab.deadline(in: .seconds(5))) }
            #expect(again.code == .outcomeUnknown, "\(again)")
            try await server.reload(["synchronous_standby_names": ""])
            #expect(try await catalog.log.append(request, deadline: lab.deadline).reply == Array("first".utf8))
            #expect(try await catalog.log.heads(of: [shard], deadline: lab.deadline)[shard]?.sequence == 1)
        }
        await server.stop()
    }

    @Test("a primary that dies during a COMMIT, with only a standby left, leaves the outcome unknown, not refused")
    func failoverDuringCommit() async throws {
        let primary = try await PostgreSQLServer.start()
        let standby = try await primary.standby(name: "s1")
        let url = Redacted("postgresql://apus@127.0.0.1:\(primary.port),127.0.0.1:\(standby.port)/postgres?sslmode=disable")
        try await CatalogLab.on(url) { lab in
            let catalog = try await lab.open()
            let shard = try await lab.shards(1, of: catalog)[0]
            try await primary.reload(["synchronous_standby_names": "nobody"])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    let request = Self.request("a", shard: shard)
                    let error = try await apusError { _ = try await catalog.log.append(request, deadline: lab.deadline(in: .seconds(15))) }
                    #expect(error.code == .outcomeUnknown, "\(error)")
                }
                try await eventually("the commit waits for the standby") {
                    try await primary.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") != "0"
                }
                await primary.kill()
                try await group.waitForAll()
            }
        }
        await standby.stop(.immediate)
        await primary.stop(.immediate)
    }

    @Test("an id or a shard that somebody holds locked does not hold up the rest of a group")
    func blocked() async throws {
        try await CatalogLab.with(.postgreSQL) { lab in
            let catalog = try await lab.open()
            let shards = try await lab.shards(2, of: catalog)
            let held = OperationKey(scope: "key-1 POST /x", id: "held")
            try await lab.withAnother { other in
                try await other.database.transaction(.write, on: .write, deadline: lab.deadline) { transaction in
                    _ = try await transaction.run([
                        .once("SELECT pg_advisory_xact_lock($1)", [.integer(held.lock)]),
                        .once("SELECT 1 FROM apus.shard_head WHERE shard = $1 FOR UPDATE", [.integer(shards[1].value)]),
                    ])
                    let codes = try await withThrowingTaskGroup(of: (Int, ErrorCode?).self) { group in
                        for number in 0..<12 {
                            group.addTask {
                                let request =
                                    switch number % 3 {
                                    case 0: Self.request("free \(number)", shard: shards[0])
                                    case 1: Self.request("held", shard: shards[0])
                                    default: Self.request("locked \(number)", shard: shards[1])
                                    }
                                do {
                                    _ = try await catalog.log.append(request, deadline: lab.deadline)
                                    return (number % 3, nil)
                                } catch let error as ApusError { return (number % 3, error.code) }
                            }
                        }
                        return try await group.reduce(into: [:]) { codes, outcome in codes[outcome.0, default: []].append(outcome.1) }
                    }
                    #expect(codes[0]?.allSatisfy { $0 == nil } == true)
                    #expect(codes[1]?.allSatisfy { $0 == .outcomeUnknown } == true)
                    #expect(codes[2]?.allSatisfy { $0 == .databaseConflict } == true)
                }
            }
            let heads = try await catalog.log.heads(of: shards, deadline: lab.deadline)
            #expect(heads.mapValues(\.sequence) == [shards[0]: 4, shards[1]: 0])
        }
    }

    @Test("nodes that turn the rings of both origins at once do not wait for each other in a circle")
    func turningTogether() async throws {
        let server = try await PostgreSQLServer.start(name: "rings", settings: ["deadlock_timeout": "100ms"])
        let url = try await server.newDatabase()
        try await CatalogLab.on(url) { lab in
            var nodes: [Catalog] = []
            for _ in 0..<4 { nodes.append(try await Catalog.open(try await CatalogLab.connect(url), clock: lab.clock)) }
            for _ in 0..<LawSize.scaled(20, full: 200) {
                // What is in the slots that come next is emptied, the rings are turned, and the slots after those are there to be filled.
                _ = try await lab.run(
                    """
                    INSERT INTO apus.operation (slot, scope, id, body_digest, refused, reply)
                    SELECT origin * 4 + (period + 1) % 4, '', '', '', false, '' FROM apus.operation_period
                    """)
                _ = try await lab.run("UPDATE apus.clock_offset SET milliseconds = milliseconds + 86400000")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for (number, node) in nodes.enumerated() {
                        group.addTask {
                            for rule in number % 2 == 0 ? Retention.rules[..<2] : Retention.rules[..<2].reversed()[...] {
                                while try await rule.remove(node.log.access, lab.deadline) > 0 {}
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                // Whoever waited too long has left it to the next sweep.
                for rule in Retention.rules[..<2] { while try await rule.remove(nodes[0].log.access, lab.deadline) > 0 {} }
            }
            for node in nodes { await node.database.close() }
            #expect(server.messages(about: "deadlock") == [])
            let rows = try await lab.run("SELECT period FROM apus.operation_period UNION ALL SELECT count(*) FROM apus.operation")
            #expect(try rows.map { try $0.integer(0) } == [Int64(LawSize.scaled(20, full: 200)), Int64(LawSize.scaled(20, full: 200)), 0])
        }
    }

    @Test("ids are kept for their time and no longer, whatever slot of the ring they are in", arguments: Backend.allCases)
    func retention(backend: Backend) async throws {
        try await CatalogLab.with(backend) { lab in
            let catalog = try await lab.open()
            let shard = try await lab.shards(1, of: catalog)[0]
            func append(_ id: String, _ origin: OperationID.Origin) async throws -> Bool {
                var request = Self.request(id, shard: shard)
                request.operationID?.origin = origin
                return try await catalog.log.append(request, deadline: lab.deadline).isRepeat
            }
            func advance(by milliseconds: Int64) async throws {
                try await lab.run("UPDATE apus.clock_offset SET milliseconds = milliseconds + $1", [.integer(milliseconds)])
                try await catalog.retention.sweep(deadline: lab.deadline)
            }
            for round in 0..<3 {
                let client = "client \(round)"
                let proxy = "proxy \(round)"
                #expect(try await append(client, .client) == false)
                #expect(try await append(proxy, .proxy) == false)
                // A clock that jumps back, or far ahead and back, makes nothing be forgotten early, nor kept for ever.
                try await advance(by: -7_200_000)
                #expect(try await append(proxy, .proxy))
                #expect(try await append(client, .client))
                try await advance(by: 60_000)
                try await advance(by: 59_000)
                #expect(try await append(proxy, .proxy))
                for _ in 0..<3 { try await advance(by: 60_000) }
                #expect(try await append(proxy, .proxy) == false)
                for jump in [7_200_000, 31_536_000_000, -31_536_000_000] as [Int64] { try await advance(by: jump) }
                for _ in 0..<23 { try await advance(by: 3_600_000) }
                try await advance(by: 3_300_000)
                #expect(try await append(client, .client))
                for _ in 0..<4 { try await advance(by: 43_200_000) }
                #expect(try await append(client, .client) == false)
            }
        }
    }

    @Test("a balancer's own key is told from a client's by how it begins")
    func origins() {
        for (key, origin) in [("proxy-3f9a", OperationID.Origin.proxy), ("Proxy-3f9a", .client), ("my-proxy-1", .client), ("", .client)] {
            #expect(OperationID.Origin(ofKey: key) == origin, "\(key)")
        }
    }
}
