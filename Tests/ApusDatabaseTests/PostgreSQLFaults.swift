import ApusDatabase
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Synchronization
import TestKit
import Testing

/// What callers see when PostgreSQL dies, hangs, fails over or is in the way.
@Suite("PostgreSQL faults")
struct PostgreSQLFaults {
    @Test("after kill -9 and restart the same database goes on, with every acknowledged row")
    func survivesKill() async throws {
        let server = try await PostgreSQLServer.start()
        try await use(try await open(server)) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE t (n bigint)"))
            var acknowledged: [Int64] = []
            for round in 0..<3 {
                for n in 0..<5 {
                    try await database.write(Statement("INSERT INTO t VALUES ($1)", [.integer(Int64(round * 5 + n))]))
                    acknowledged.append(Int64(round * 5 + n))
                }
                await server.kill()
                let away = await code { try await database.write(Statement("INSERT INTO t VALUES (99)"), deadline: soon(0.3)) }
                #expect([.catalogUnavailable, .deadlineExceeded].contains(away))  // either says: not done
                let restarted = Task { try await server.restart() }
                // Asked while the server is away, answered when it is back.
                #expect(try await database.read("SELECT n FROM t ORDER BY n").map { try $0.integer(0) } == acknowledged)
                try await restarted.value
            }
        }
        await server.stop(.immediate)
    }

    @Test("a server that hangs keeps nobody beyond the deadline, and is used again when it wakes")
    func boundsHang() async throws {
        let server = try await PostgreSQLServer.start()
        try await use(try await open(server)) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE t (n bigint)"))
            _ = try await database.read("SELECT 1")
            try await server.freeze()
            let start = BootClock.now
            let read = Task { await code { _ = try await database.read("SELECT 1", deadline: soon(0.5)) } }
            let later = Task { await code { _ = try await database.read("SELECT 2", deadline: soon(0.8)) } }
            let duty = Task { await code { _ = try await database.run([Statement("SELECT 1")], on: .duty, deadline: soon(0.5)) } }
            let write = Task { await code { try await database.write(Statement("INSERT INTO t VALUES (1)"), deadline: soon(0.5)) } }
            #expect(await read.value == .deadlineExceeded)
            #expect(await [.deadlineExceeded, .catalogUnavailable].contains(later.value))
            #expect(await [.outcomeUnknown, .catalogUnavailable].contains(duty.value))  // its connection may not have been opened yet
            #expect(await write.value == .deadlineExceeded)
            #expect(start.duration(to: BootClock.now) < .seconds(4))
            server.thaw()
            #expect(try await database.read("SELECT count(*) FROM t")[0].integer(0) == 0)
        }
        await server.stop(.immediate)
    }

    @Test("with patience a server that hangs keeps nobody until a long deadline, refuses at once then, and is used again when it wakes")
    func noticesSilence() async throws {
        let server = try await PostgreSQLServer.start()
        try await use(try await open(server, patience: .seconds(1))) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE t (n bigint)"))
            try await server.freeze()
            let insert = Statement("INSERT INTO t VALUES (1)")
            let calls = [
                Task { await code { _ = try await database.read("SELECT 1", deadline: soon(600)) } },
                Task { await code { _ = try await database.run([insert], on: .duty, deadline: soon(600)) } },
                Task { await code { try await database.write(insert, deadline: soon(600)) } },
                // Behind the one before, for the connection.
                Task { await code { try await database.write(insert, deadline: soon(600)) } },
            ]
            for call in calls { #expect(await [.catalogUnavailable, .outcomeUnknown].contains(call.value)) }
            #expect(await code { try await database.write(insert, deadline: soon(600)) } == .catalogUnavailable)
            server.thaw()
            try await eventually("it answers again") {
                do {
                    try await database.write(insert)
                    return true
                } catch let error as ApusError where error.code == .catalogUnavailable { return false }
            }
        }
        await server.stop(.immediate)
    }

    @Test("work that takes long is no silence")
    func forgivesWork() async throws {
        let server = try await PostgreSQLServer.shared()
        try await use(try await open(server.newDatabase(), patience: .milliseconds(100))) { (database: any Database) async throws in
            #expect(try await database.read("SELECT count(pg_sleep(2))")[0].integer(0) == 1)
            try await database.transaction(.write, on: .write, deadline: soon(600)) { transaction in
                _ = try await transaction.run([Statement("SELECT 1")])
                try await BootClock().sleep(for: .seconds(1))
                _ = try await transaction.commit(after: [Statement("SELECT count(pg_sleep(2))")])
            }
        }
    }

    @Test("after a transaction that its deadline ended, the next one gets another connection")
    func deadlineIsNobodyElses() async throws {
        let server = try await PostgreSQLServer.start()
        let database = try await open(server)
        for _ in 0..<30 {
            let late = await code {
                try await database.transaction(.write, on: .write, deadline: soon(0.05)) {
                    _ = try await $0.run([Statement("SELECT count(pg_sleep(10))")])
                }
            }
            #expect([.deadlineExceeded, .catalogUnavailable].contains(late))  // a connection may not have been had in time
            try await database.transaction(.write, on: .write, deadline: soon()) { _ = try await $0.run([Statement("SELECT 1")]) }
        }
        await database.close()
        await server.stop()
    }

    @Test("a connection that breaks during COMMIT leaves the outcome unknown; before COMMIT nothing was done")
    func breaksAroundCommit() async throws {
        let server = try await PostgreSQLServer.start()
        try await use(try await open(server)) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE t (n bigint)"))
            // Frozen before the statements: they and COMMIT are on their way, and nobody can know.
            let during = await code {
                try await database.transaction(.write, on: .write, deadline: soon(6)) { transaction in
                    _ = try await transaction.run([Statement("INSERT INTO t VALUES (1)")])
                    try await server.freeze()
                    _ = try await transaction.commit(after: [])
                }
            }
            #expect(during == .outcomeUnknown)
            server.thaw()
            let alone = await code {
                _ = try await database.read("SELECT 1")
                try await server.freeze()
                _ = try await database.run([Statement("INSERT INTO t VALUES (2)")], on: .write, deadline: soon(1))
            }
            #expect([.outcomeUnknown, .catalogUnavailable].contains(alone))
            server.thaw()
            let before = await code {
                try await database.transaction(.write, on: .write, deadline: soon()) { transaction in
                    _ = try await transaction.run([Statement("INSERT INTO t VALUES (3)")])
                    await server.kill()
                    _ = try await transaction.run([Statement("INSERT INTO t VALUES (4)")])
                }
            }
            #expect(before == .catalogUnavailable)
            try await server.restart()
            #expect(try await database.read("SELECT n FROM t WHERE n >= 3").isEmpty)
        }
        await server.stop(.immediate)
    }

    @Test("a commit whose wait for its standby is cut short is not an acknowledgement")
    func cutWaitIsUnknown() async throws {
        let server = try await PostgreSQLServer.start()
        try await use(try await open(server)) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE t (n bigint)"))
            try await server.reload(["synchronous_standby_names": "nobody"])
            for isAlone in [false, true] {
                let outcome = Task {
                    await code {
                        if isAlone {
                            _ = try await database.run([Statement("INSERT INTO t VALUES (1)")], on: .write, deadline: soon())
                        } else {
                            try await database.write(Statement("INSERT INTO t VALUES (1)"))
                        }
                    }
                }
                try await eventually("the commit waits for its standby") {
                    try await server.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "t"
                }
                #expect(await outcome.value == .outcomeUnknown)
            }
            // A local commit waits for nobody.
            try await database.transaction(.writeLocal, on: .duty, deadline: soon(10)) { transaction in
                _ = try await transaction.commit(after: [Statement("INSERT INTO t VALUES (2)")])
            }
            #expect(try await database.read("SELECT n FROM t ORDER BY n").map { try $0.integer(0) } == [1, 1, 2])
        }
        await server.stop(.immediate)
    }

    @Test("waiting for a lock ends when the transaction says, with an error of its own")
    func lockTimeouts() async throws {
        let server = try await PostgreSQLServer.shared()
        let url = try await server.newDatabase()
        let (one, other) = (try await open(url), try await open(url))
        try await use(one) { (one: any Database) async throws in
            try await use(other) { (other: any Database) async throws in
                try await one.write(.once("CREATE TABLE t (n bigint PRIMARY KEY)"))
                try await one.transaction(.write, on: .write, deadline: soon()) { transaction in
                    _ = try await transaction.run([Statement("INSERT INTO t VALUES (1)")])
                    let start = BootClock.now
                    let failure = await code {
                        try await other.transaction(.write.lockTimeout(.milliseconds(100)), on: .write, deadline: soon()) { transaction in
                            _ = try await transaction.run([Statement("INSERT INTO t VALUES (1)")])
                        }
                    }
                    #expect(failure == .databaseLockTimeout)
                    #expect(start.duration(to: BootClock.now) > .milliseconds(90))
                }
                #expect(await code { try await other.write(Statement("INSERT INTO t VALUES (1)")) } == .databaseConstraint)
            }
        }
    }

    @Test("two transactions that wait for each other: one is told that it was in the way")
    func deadlocks() async throws {
        let url = try await PostgreSQLServer.shared().newDatabase()
        let databases = [try await open(url), try await open(url)]
        try await databases[0].write(.once("CREATE TABLE t (n bigint PRIMARY KEY, m bigint)"))
        try await databases[0].write(Statement("INSERT INTO t VALUES (0, 0), (1, 0)"))
        let both = Barrier(2)
        let outcomes = await withTaskGroup(of: ErrorCode?.self) { group in
            for index in 0...1 {
                group.addTask {
                    do {
                        try await databases[index].transaction(.write.lockTimeout(.seconds(20)), on: .write, deadline: soon()) {
                            transaction in
                            let update = { (n: Int) in Statement("UPDATE t SET m = m + 1 WHERE n = $1", [.integer(Int64(n))]) }
                            _ = try await transaction.run([update(index)])
                            await both.arrive()
                            _ = try await transaction.run([update(1 - index)])
                        }
                        return nil
                    } catch { return (error as? ApusError)?.code }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.filter { $0 == .databaseConflict }.count == 1)
        #expect(outcomes.filter { $0 == nil }.count == 1)
        #expect(try await databases[0].read("SELECT sum(m)::bigint FROM t")[0].integer(0) == 2)
        for database in databases { await database.close() }
    }

    @Test("with several hosts the one that takes writes is used, and a failover is followed")
    func followsFailover() async throws {
        let primary = try await PostgreSQLServer.start()
        let standby = try await primary.standby(name: "s1")
        let url = "postgresql://apus@127.0.0.1:\(standby.port),127.0.0.1:\(primary.port)/postgres?sslmode=disable"
        try await use(try await PostgreSQLDatabase.open(url: Redacted(url), loops: TestLoops.shared, deadline: soon())) {
            (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE t (n bigint)"))
            try await eventually("the standby has the table") {
                try await standby.query("SELECT count(*) FROM pg_class WHERE relname = 't'") == "1"
            }
            await primary.kill()
            try await standby.promote()
            try await database.write(Statement("INSERT INTO t VALUES (1)"))
            #expect(try await database.read("SELECT n FROM t").count == 1)
        }
        await standby.stop(.immediate)
    }

    @Test("with several hosts a primary that hangs is left for the standby that is promoted in its place")
    func followsFailoverFromHang() async throws {
        let primary = try await PostgreSQLServer.start()
        let standby = try await primary.standby(name: "s1")
        let url = "postgresql://apus@127.0.0.1:\(primary.port),127.0.0.1:\(standby.port)/postgres?sslmode=disable"
        try await use(try await open(Redacted(url), patience: .seconds(1))) { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE t (n bigint)"))
            try await eventually("the standby has the table") {
                try await standby.query("SELECT count(*) FROM pg_class WHERE relname = 't'") == "1"
            }
            try await primary.freeze()
            let insert = Statement("INSERT INTO t VALUES (1)")
            #expect(await [.catalogUnavailable, .outcomeUnknown].contains(code { try await database.write(insert, deadline: soon(600)) }))
            try await standby.promote()
            try await eventually(within: 60, "the promoted one is used") {
                do {
                    try await database.write(insert)
                    return true
                } catch let error as ApusError where error.code == .catalogUnavailable { return false }
            }
            #expect(try await standby.query("SELECT count(*) FROM t") == "1")
        }
        await standby.stop(.immediate)
        primary.thaw()
        await primary.stop(.immediate)
    }

    @Test("a standby alone answers reads, and refuses writes by name")
    func standbyIsReadOnly() async throws {
        let primary = try await PostgreSQLServer.start()
        let standby = try await primary.standby(name: "s1")
        try await use(try await open(standby)) { (database: any Database) async throws in
            #expect(try await database.read("SELECT pg_is_in_recovery()")[0].bool(0))
            #expect(await code { try await database.write(.once("CREATE TABLE t (n bigint)")) } == .catalogReadOnly)
        }
        await standby.stop(.immediate)
        await primary.stop(.immediate)
    }

    @Test("a stream of notifications ends when the connection breaks")
    func notificationsEnd() async throws {
        let server = try await PostgreSQLServer.start()
        try await use(try await open(server)) { (database: any Database) async throws in
            let stream = database.notifications(on: ["apus_feed"])
            try await eventually("the server listens") {
                try await server.query("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'") == "1"
            }
            await server.kill()
            for await _ in stream {}
        }
    }

    @Test("no error shows the password")
    func hidesPassword() async throws {
        let port = try freePort()
        for url in [
            "postgresql://apus:Gehe1m@127.0.0.1:\(port)/x", "postgresql://apus:Gehe1m@[/x",
            "host=127.0.0.1 port=\(port) password=Gehe1m sslmode=wrong",
        ] {
            do {
                _ = try await PostgreSQLDatabase.open(url: Redacted(url), loops: TestLoops.shared, deadline: soon(0.2))
                Issue.record("opened")
            } catch {
                var text = ""
                dump(error, to: &text)
                #expect(!text.contains("Gehe1m"))
            }
        }
    }

    @Test("rows are copied in and out in bulk, and a bad row leaves none")
    func copiesInBulk() async throws {
        let database = try await open(try await PostgreSQLServer.shared().newDatabase())
        try await database.write(.once("CREATE TABLE t (n bigint PRIMARY KEY, t text)"))
        let lines = (0..<20_000).map { Array("\($0)\tline \($0)\n".utf8) }
        let bytes = Array(lines.joined())
        let chunks = stride(from: 0, to: bytes.count, by: 10_007).map { Array(bytes[$0..<min($0 + 10_007, bytes.count)]) }
        #expect(try await database.copy("COPY t FROM STDIN", from: chunks, deadline: soon()) == 20_000)
        let rows = Mutex<[[UInt8]]>([])
        let count = try await database.copy("COPY (SELECT * FROM t ORDER BY n) TO STDOUT", deadline: soon()) { row in
            rows.withLock { $0.append(row) }
        }
        #expect(count == 20_000)
        #expect(rows.withLock { $0 } == lines)
        let bad = await code {
            _ = try await database.copy("COPY t FROM STDIN", from: [Array("20000\tx\n0\ttwice\n".utf8)], deadline: soon())
        }
        #expect(bad == .databaseConstraint)
        #expect(try await database.read("SELECT count(*) FROM t")[0].integer(0) == 20_000)
        await database.close()
    }

    @Test("host names are looked up, and a wrong one is named")
    func looksUpNames() async throws {
        let server = try await PostgreSQLServer.shared()
        let url = "postgresql://apus@localhost:\(server.port)/postgres?sslmode=disable"
        try await use(try await PostgreSQLDatabase.open(url: Redacted(url), loops: TestLoops.shared, deadline: soon())) {
            (database: any Database) async throws in
            _ = try await database.read("SELECT 1")
        }
        do {
            _ = try await PostgreSQLDatabase.open(
                url: Redacted("postgresql://apus@no-such-host.invalid/postgres"), loops: TestLoops.shared, deadline: soon(0.5))
            Issue.record("opened")
        } catch let error as ApusError {
            #expect([.catalogUnavailable, .deadlineExceeded].contains(error.code))
        }
    }

    // MARK: Parts

    private func open(_ server: PostgreSQLServer, patience: Duration? = nil) async throws -> PostgreSQLDatabase {
        try await open(server.url(), patience: patience)
    }

    private func open(_ url: Redacted<String>, patience: Duration? = nil) async throws -> PostgreSQLDatabase {
        try await PostgreSQLDatabase.open(url: url, loops: TestLoops.shared, patience: patience, deadline: soon())
    }
}

/// Lets tasks go on once all have arrived.
actor Barrier {
    private var missing: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { missing = count }

    func arrive() async {
        missing -= 1
        if missing == 0 {
            waiting.forEach { $0.resume() }
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }
}
