import ApusDatabase
import ApusRuntime
import ApusTypes
import Synchronization
import TestKit
import Testing

/// What both databases promise.
@Suite("Database laws")
struct DatabaseLaws {
    @Test("values come back as they went", arguments: Implementation.allCases)
    func valuesRoundTrip(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            try await database.write(
                .once("CREATE TABLE apus.v (n bigint PRIMARY KEY, i bigint, d double precision, t text, b bytea)"))
            let large = (0..<1_500_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761) }
            let rows: [[SQLValue]] = [
                [.integer(0), .double(0.1), .text(""), .blob([])],
                [.integer(.max), .double(.greatestFiniteMagnitude), .text("Ünïcødé 🐦 \u{1}\n'\"\\"), .blob([0, 0, 1, 0])],
                [.integer(.min), .double(-.leastNonzeroMagnitude), .text(String(repeating: "鳥", count: 5000)), .blob(large)],
                [.null, .null, .null, .null],
            ]
            for (number, row) in rows.enumerated() {
                let changed = try await database.write(
                    Statement("INSERT INTO apus.v (n, i, d, t, b) VALUES ($1, $2, $3, $4, $5)", [.integer(Int64(number))] + row))[0].changed
                #expect(changed == 1)
            }
            let found = try await database.read("SELECT i, d, t, b FROM apus.v ORDER BY n")
            #expect(found.columns == ["i", "d", "t", "b"])
            #expect(found.map(\.values) == rows)
        }
    }

    @Test("parameters may repeat and come in any order", arguments: Implementation.allCases)
    func parameterOrder(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            let rows = try await database.read(
                "SELECT CAST($2 AS bigint), CAST($1 AS bigint), CAST($2 AS bigint)", [.integer(1), .integer(2)])
            #expect(rows.map(\.values) == [[.integer(2), .integer(1), .integer(2)]])
        }
    }

    @Test("text with a NUL is refused, nothing is cut", arguments: Implementation.allCases)
    func refusesNUL(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            #expect(await code { _ = try await database.read("SELECT CAST($1 AS text)", [.text("a\0b")]) } == .databaseRejected)
            #expect(try await database.read("SELECT 1").count == 1)
        }
    }

    @Test("sha256 is the same function, and chains", arguments: Implementation.allCases)
    func hashes(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            let operation = Digest(of: "operation")
            try await database.write(.once("CREATE TABLE apus.h (d bytea)"))
            try await database.write(Statement("INSERT INTO apus.h VALUES ($1)", [.blob(Digest.origin.bytes)]))
            let rows = try await database.write(
                Statement("UPDATE apus.h SET d = sha256(d || $1) RETURNING d", [.blob(operation.bytes)]))[0]
            #expect(try rows[0].blob(0) == Digest.origin.chained(with: operation).bytes)
        }
    }

    @Test("a transaction that ends well is there, one that throws is not", arguments: Implementation.allCases)
    func commitsAndRollsBack(_ implementation: Implementation) async throws {
        struct Stop: Error {}
        try await implementation.with { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint PRIMARY KEY)"))
            try await database.transaction(.write, on: .write, deadline: soon()) { transaction in
                _ = try await transaction.run([Statement("INSERT INTO apus.t VALUES ($1)", [.integer(1)])])
                _ = try await transaction.commit(after: [Statement("INSERT INTO apus.t VALUES ($1)", [.integer(2)])])
            }
            await #expect(throws: Stop.self) {
                try await database.transaction(.write, on: .write, deadline: soon()) { transaction in
                    _ = try await transaction.run([Statement("INSERT INTO apus.t VALUES ($1)", [.integer(3)])])
                    throw Stop()
                }
            }
            #expect(try await database.read("SELECT n FROM apus.t ORDER BY n").map { try $0.integer(0) } == [1, 2])
        }
    }

    @Test("a failed statement loses its transaction, even if the body looks away", arguments: Implementation.allCases)
    func failedStatementLosesTransaction(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint PRIMARY KEY)"))
            let failure = await code {
                try await database.transaction(.write, on: .write, deadline: soon()) { transaction in
                    _ = try await transaction.run([Statement("INSERT INTO apus.t VALUES ($1)", [.integer(1)])])
                    do {
                        _ = try await transaction.run([Statement("INSERT INTO apus.t VALUES ($1)", [.integer(1)])])
                    } catch {
                        #expect((error as? ApusError)?.code == .databaseConstraint)
                    }
                }
            }
            #expect(failure == .databaseConstraint)
            #expect(try await database.read("SELECT n FROM apus.t").isEmpty)
            try await database.write(Statement("INSERT INTO apus.t VALUES ($1)", [.integer(7)]))
            #expect(try await database.read("SELECT n FROM apus.t").count == 1)
        }
    }

    @Test("statements of a run commit one by one, and one that fails leaves the others", arguments: Implementation.allCases)
    func runsAreSeparate(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint PRIMARY KEY)"))
            let insert = { (n: Int64) in Statement("INSERT INTO apus.t VALUES ($1)", [.integer(n)]) }
            #expect(
                await code { _ = try await database.run([insert(1), insert(1), insert(2)], on: .write, deadline: soon()) }
                    == .databaseConstraint)
            #expect(try await database.read("SELECT n FROM apus.t ORDER BY n").map { try $0.integer(0) } == [1, 2])
        }
    }

    @Test("a text that is no SQL is our defect, and costs nothing else", arguments: Implementation.allCases)
    func refusesDefects(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            #expect(await code { _ = try await database.read("SELEC 1") } == .databaseRejected)
            #expect(await code { _ = try await database.read("SELECT * FROM apus.missing") } == .databaseRejected)
            #expect(await code { _ = try await database.read("SELECT 1; SELECT 2") } == .databaseRejected)
            #expect(try await database.read("SELECT 1")[0].integer(0) == 1)
        }
    }

    @Test("the read lane and snapshots cannot write", arguments: Implementation.allCases)
    func readersCannotWrite(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint)"))
            let insert = Statement("INSERT INTO apus.t VALUES (1)")
            #expect(await code { _ = try await database.run([insert], on: .read, deadline: soon()) } == .catalogReadOnly)
            let written = await code {
                _ = try await database.transaction(.snapshot, on: .read, deadline: soon()) { try await $0.run([insert]) }
            }
            #expect(written == .catalogReadOnly)
            #expect(try await database.read("SELECT n FROM apus.t").isEmpty)
        }
    }

    @Test("a snapshot sees one state in all of its statements", arguments: Implementation.allCases)
    func snapshotsStandStill(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint)"))
            let count = Statement("SELECT count(*) FROM apus.t")
            let seen = try await database.transaction(.snapshot, on: .read, deadline: soon()) { snapshot in
                let before = try await snapshot.run([count])[0][0].integer(0)
                try await database.write(Statement("INSERT INTO apus.t VALUES (1)"))
                return [before, try await snapshot.run([count])[0][0].integer(0)]
            }
            #expect(seen == [0, 0])
            #expect(try await database.read("SELECT count(*) FROM apus.t")[0].integer(0) == 1)
        }
    }

    @Test("transactions of one lane come one after another, and none is lost", arguments: Implementation.allCases)
    func countsUnderConcurrency(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint)"))
            try await database.write(Statement("INSERT INTO apus.t VALUES (0)"))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<16 {
                    group.addTask {
                        for _ in 0..<20 {
                            try await database.transaction(.write, on: worker % 4 == 0 ? .duty : .write, deadline: soon()) { transaction in
                                let n = try await transaction.run([Statement("UPDATE apus.t SET n = n RETURNING n")])[0][0].integer(0)
                                _ = try await transaction.commit(after: [Statement("UPDATE apus.t SET n = $1", [.integer(n + 1)])])
                            }
                            _ = try await database.read("SELECT n FROM apus.t")
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await database.read("SELECT n FROM apus.t")[0].integer(0) == 320)
        }
    }

    @Test("a slow read ends at its deadline, and the lane goes on", arguments: Implementation.allCases)
    func readsEndAtDeadline(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            let endless: StaticSQL = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
            let start = BootClock.now
            let failure = await code { _ = try await database.read(endless, deadline: soon(0.3)) }
            #expect(failure == .deadlineExceeded)
            #expect(start.duration(to: BootClock.now) < .seconds(5))
            #expect(try await database.read("SELECT 1", deadline: soon(10))[0].integer(0) == 1)
        }
    }

    @Test("a write that waits beyond its deadline is not done", arguments: Implementation.allCases)
    func waitingWritesEndAtDeadline(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint)"))
            let entered = AsyncStream.makeStream(of: Void.self)
            let release = AsyncStream.makeStream(of: Void.self)
            let first = Task {
                try await database.transaction(.write, on: .write, deadline: soon()) { transaction in
                    _ = try await transaction.run([Statement("INSERT INTO apus.t VALUES (1)")])
                    entered.continuation.finish()
                    for await _ in release.stream {}
                }
            }
            for await _ in entered.stream {}
            let failure = await code { try await database.write(Statement("INSERT INTO apus.t VALUES (2)"), deadline: soon(0.2)) }
            #expect(failure == .deadlineExceeded)
            release.continuation.finish()
            try await first.value
            #expect(try await database.read("SELECT n FROM apus.t").map { try $0.integer(0) } == [1])
        }
    }

    @Test("a body that hangs loses its transaction at the deadline, not the lane", arguments: Implementation.allCases)
    func hangingBodiesLoseTheirTransaction(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            try await database.write(.once("CREATE TABLE apus.t (n bigint)"))
            let release = AsyncStream.makeStream(of: Void.self)
            let entered = AsyncStream.makeStream(of: Void.self)
            let hanging = Task {
                await code {
                    try await database.transaction(.write, on: .write, deadline: soon(0.5)) { transaction in
                        _ = try await transaction.run([Statement("INSERT INTO apus.t VALUES (1)")])
                        entered.continuation.finish()
                        for await _ in release.stream {}
                    }
                }
            }
            for await _ in entered.stream {}
            try await database.write(Statement("INSERT INTO apus.t VALUES (2)"))
            release.continuation.finish()
            #expect(await hanging.value == .deadlineExceeded)
            #expect(try await database.read("SELECT n FROM apus.t").map { try $0.integer(0) } == [2])
        }
    }

    @Test("snapshots whose bodies hang do not keep others from reading", arguments: Implementation.allCases)
    func hangingSnapshotsEnd(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                for _ in 0..<5 {
                    group.addTask {
                        await code {
                            try await database.transaction(.snapshot, on: .read, deadline: soon(0.3)) { snapshot in
                                _ = try await snapshot.run([Statement("SELECT 1")])
                                while true {
                                    do { try await BootClock().sleep(until: soon(0.05)) } catch { return }
                                }
                            }
                        }
                    }
                }
                for _ in 0..<20 { _ = try await database.read("SELECT 1") }
                try await BootClock().sleep(until: soon(0.5))  // the reads may have been quicker than the snapshots' deadlines
                group.cancelAll()
                for try await outcome in group { #expect(outcome == .deadlineExceeded) }
            }
        }
    }

    @Test("notifications wake those who listen", arguments: Implementation.allCases)
    func notifies(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            let stream = database.notifications(on: ["apus_feed"])
            let wake = Notification(channel: "apus_feed", payload: "7")
            let received = Task { await stream.first { _ in true } }
            let isReceived = Mutex(false)
            let watcher = Task {
                let value = await received.value
                isReceived.withLock { $0 = true }
                return value
            }
            try await eventually("the notification arrives") {
                try await database.notify(Notification(channel: "other", payload: ""), deadline: soon())
                try await database.notify(wake, deadline: soon())
                return isReceived.withLock { $0 }
            }
            #expect(await watcher.value == wake)
        }
    }

    @Test("after close every call is refused", arguments: Implementation.allCases)
    func closes(_ implementation: Implementation) async throws {
        try await implementation.with { (database: any Database) async throws in
            _ = try await database.read("SELECT 1")
            await database.close()
            #expect(await code { _ = try await database.read("SELECT 1") } == .catalogUnavailable)
            #expect(await code { try await database.write(Statement("SELECT 1")) } == .catalogUnavailable)
        }
    }
}
