import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusDatabase

/// Connections to a data source that requests share, over a real server.
@Suite("pools")
struct PoolTests {
    private static func soon(_ time: Duration = .seconds(30)) -> Instant { BootClock.now.advanced(by: time) }

    private static func options(readers: Int = 2, connections: Int = 4, waiting: Int = 512) -> PostgreSQLPool.Options {
        var options = PostgreSQLPool.Options()
        options.readers = readers
        options.connections = connections
        options.waiting = waiting
        return options
    }

    private static func pool(_ options: PostgreSQLPool.Options = options()) async throws -> PostgreSQLPool {
        try PostgreSQLPool("shop", url: try await PostgreSQLServer.shared().newDatabase(), loops: TestLoops.shared, options: options)
    }

    private static func text(_ values: String...) -> [[UInt8]?] { values.map { Array($0.utf8) } }

    private static func one(_ pool: PostgreSQLPool, _ sql: StaticSQL, _ parameters: [[UInt8]?] = []) async throws -> String? {
        try await pool.read(TextQuery(sql, parameters), deadline: soon()).texts.first?[0]
    }

    /// Waits until a question to the pool has this answer.
    private static func until(_ pool: PostgreSQLPool, _ sql: StaticSQL, _ answer: String) async throws {
        let deadline = soon()
        while try await one(pool, sql) != answer {
            guard BootClock.now < deadline else { throw PoolFailure("\(sql.text) does not become \(answer)") }
            try await BootClock().sleep(for: .milliseconds(10))
        }
    }

    private struct PoolFailure: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }

    private static let sleeping: StaticSQL = """
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep%' \
        AND pid <> pg_backend_pid()
        """

    @Test("columns are told as text, and parameters travel as text")
    func values() async throws {
        let pool = try await Self.pool()
        let result = try await pool.read(
            TextQuery(
                "SELECT $1::int + 1, NULL, $2::text, ''::text, 1.50::numeric, '2026-01-02 03:04:05+02'::timestamptz",
                [Array("41".utf8), nil]), deadline: Self.soon())
        #expect(result.rowCount == 1 && result.columnCount == 6)
        #expect(result.texts == [["42", nil, nil, "", "1.50", "2026-01-02 01:04:05+00"]])
        pool.close()
    }

    @Test("a thousand reads at once each get their own answer, and one that fails fails alone")
    func pipelined() async throws {
        let pool = try await Self.pool()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<1000 {
                group.addTask {
                    if number % 10 == 3 {
                        await #expect(throws: ApusError.self) {
                            try await Self.one(pool, "SELECT 1 / ($1::int - $1::int)", Self.text("\(number)"))
                        }
                    } else {
                        let told = try await Self.one(pool, "SELECT $1::text || '!'", Self.text("\(number)"))
                        #expect(told == "\(number)!")
                    }
                }
            }
            try await group.waitForAll()
        }
        pool.close()
    }

    @Test("a transaction is committed when its body returns, and undone when it throws or a statement of it fails")
    func transactions() async throws {
        let pool = try await Self.pool()
        try await pool.transaction(deadline: Self.soon()) { transaction in
            _ = try await transaction.run(TextQuery("CREATE TABLE things (name text PRIMARY KEY)"))
            _ = try await transaction.run(TextQuery("INSERT INTO things VALUES ($1)", Self.text("a")))
        }
        await #expect(throws: PoolFailure.self) {
            try await pool.transaction(deadline: Self.soon()) { transaction in
                _ = try await transaction.run(TextQuery("INSERT INTO things VALUES ($1)", Self.text("b")))
                throw PoolFailure("on purpose")
            }
        }
        do {
            try await pool.transaction(deadline: Self.soon()) { transaction in
                _ = try await transaction.run(TextQuery("INSERT INTO things VALUES ($1)", Self.text("c")))
                _ = try await transaction.run(TextQuery("INSERT INTO things VALUES ($1)", Self.text("a")))
            }
            Issue.record("a key twice")
        } catch let error as ApusError {
            #expect(error.code == .sourceConstraint)
            #expect(error.context["constraint"] == "things_pkey")
        }
        // A body that hides the failure of a statement commits nothing.
        await #expect(throws: ApusError.self) {
            try await pool.transaction(deadline: Self.soon()) { transaction in
                _ = try await transaction.run(TextQuery("INSERT INTO things VALUES ($1)", Self.text("d")))
                _ = try? await transaction.run(TextQuery("INSERT INTO things VALUES ($1)", Self.text("a")))
            }
        }
        #expect(try await Self.one(pool, "SELECT string_agg(name, ',' ORDER BY name) FROM things") == "a")
        // The connections that they had are good for others.
        for _ in 0..<8 { try await pool.transaction(deadline: Self.soon()) { _ = try await $0.run(TextQuery("SELECT 1")) } }
        pool.close()
    }

    @Test("a statement whose caller goes away, or whose deadline passes, is stopped on the server; others are not")
    func cancelled() async throws {
        let pool = try await Self.pool(Self.options(readers: 1))
        let started = Task { try await pool.read(TextQuery("SELECT pg_sleep(600)"), deadline: Self.soon(.seconds(300))) }
        try await Self.until(pool, Self.sleeping, "1")
        started.cancel()
        await #expect(throws: CancellationError.self) { try await started.value }
        try await Self.until(pool, Self.sleeping, "0")
        do {
            _ = try await pool.read(TextQuery("SELECT pg_sleep(601)"), deadline: Self.soon(.milliseconds(300)))
            Issue.record("it cannot have slept")
        } catch let error as ApusError {
            #expect(error.code == .deadlineExceeded)
        }
        try await Self.until(pool, Self.sleeping, "0")
        await #expect(throws: ApusError.self) {
            try await pool.transaction(deadline: Self.soon(.milliseconds(300))) { _ = try await $0.run(TextQuery("SELECT pg_sleep(602)")) }
        }
        try await Self.until(pool, Self.sleeping, "0")
        pool.close()
    }

    @Test("reads that were sent behind one that takes long are answered before it")
    func overtaking() async throws {
        let pool = try await Self.pool(Self.options(readers: 1))
        let loop = TestLoops.shared.first
        let isOver = Mutex(false)
        // One after the other in no time, over the one connection.
        _ = try await Task(executorPreference: loop) { try await Self.one(pool, "SELECT 'open'") }.value
        let long = Task(executorPreference: loop) {
            defer { isOver.withLock { $0 = true } }
            return try await pool.read(TextQuery("SELECT pg_sleep(600)"), deadline: Self.soon(.seconds(300)))
        }
        let short = (0..<20).map { number in
            Task(executorPreference: loop) { try await Self.one(pool, "SELECT $1::text", Self.text("\(number)")) }
        }
        for (number, read) in short.enumerated() {
            let told = try await read.value
            #expect(told == "\(number)")
        }
        #expect(!isOver.withLock { $0 })
        long.cancel()
        _ = await long.result
        pool.close()
    }

    @Test("over TLS: long texts both ways, many at once, and the end of the connection")
    func secured() async throws {
        let server = try await PostgreSQLServer.start()
        try await server.secure()
        let url = server.url().reveal().replacing("sslmode=disable", with: "sslmode=require")
        let pool = try PostgreSQLPool("shop", url: Redacted(url), loops: TestLoops.shared, options: Self.options())
        let isSecured = try await Self.one(pool, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        #expect(isSecured == "t")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let text = String(repeating: "\(number),", count: number % 4 == 0 ? 500_000 : 10)
                    let told = try await Self.one(pool, "SELECT $1::text || '!'", Self.text(text))
                    #expect(told == text + "!")
                }
            }
            try await group.waitForAll()
        }
        await server.stop(.immediate)
        let error = await #expect(throws: ApusError.self) { try await Self.one(pool, "SELECT 1") }
        #expect(error?.code == .sourceUnavailable)
        pool.close()
    }

    @Test("a result beyond its bound is refused, and so is a row; the connection's other reads are answered")
    func resultSize() async throws {
        var options = Self.options(readers: 1)
        options.resultSize = .kibibytes(64)
        let pool = try await Self.pool(options)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<30 {
                group.addTask {
                    switch number % 3 {
                    case 0:
                        let told = try await Self.one(pool, "SELECT repeat('x', 60000)")
                        #expect(told?.count == 60_000)
                    case 1:
                        let error = await #expect(throws: ApusError.self) {
                            try await Self.one(pool, "SELECT repeat('x', 1000) FROM generate_series(1, 100)")
                        }
                        #expect(error?.code == .sourceRejected && error?.summary.contains("64 KiB") == true, "\(String(describing: error))")
                    default:
                        let error = await #expect(throws: ApusError.self) { try await Self.one(pool, "SELECT repeat('x', 70000)") }
                        #expect(error?.code == .sourceRejected, "\(String(describing: error))")
                    }
                }
            }
            try await group.waitForAll()
        }
        pool.close()
    }

    @Test("short reads do not wait for a long one")
    func longAndShort() async throws {
        let pool = try await Self.pool(Self.options(readers: 1))
        let isOver = Mutex(false)
        let long = Task {
            var query = TextQuery("SELECT pg_sleep(600)")
            query.isLong = true
            defer { isOver.withLock { $0 = true } }
            return try await pool.read(query, deadline: Self.soon(.seconds(300)))
        }
        try await Self.until(pool, Self.sleeping, "1")
        for _ in 0..<200 { #expect(try await Self.one(pool, "SELECT 'short'") == "short") }
        #expect(!isOver.withLock { $0 })
        long.cancel()
        _ = await long.result
        pool.close()
    }

    @Test("reads go on when the server ends their connections")
    func terminated() async throws {
        let server = try await PostgreSQLServer.shared()
        let pool = try await Self.pool()
        let database = try await Self.one(pool, "SELECT current_database()") ?? ""
        let done = Mutex(0)
        let reads = Task {
            while !Task.isCancelled {
                let number = done.withLock { $0 }
                let told = try await Self.one(pool, "SELECT $1::text", Self.text("\(number)"))
                #expect(told == "\(number)")
                done.withLock { $0 += 1 }
            }
        }
        for _ in 0..<5 {
            // Not those that are being opened: a server that refuses is said to be away.
            _ = try await server.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(database)' AND query LIKE 'SELECT $1%'")
            // A read that meets three ends of connections is refused: it might be what ends them.
            let seen = done.withLock { $0 }
            try await eventually("reads go on") { done.withLock { $0 } > seen + 100 }
        }
        reads.cancel()
        do { try await reads.value } catch is CancellationError {}
        pool.close()
    }

    @Test("a server that is away is said to be, without a wait of each who asks, and is found again")
    func away() async throws {
        let server = try await PostgreSQLServer.start()
        let pool = try PostgreSQLPool("shop", url: server.url(), loops: TestLoops.shared, options: Self.options())
        #expect(try await Self.one(pool, "SELECT 'here'") == "here")
        await server.stop(.immediate)
        for _ in 0..<50 {
            do {
                _ = try await Self.one(pool, "SELECT 1")
                Issue.record("nobody can have answered")
            } catch let error as ApusError {
                #expect(error.code == .sourceUnavailable)
                #expect(error.summary.contains("shop"))
            }
        }
        try await server.restart()
        let deadline = Self.soon()
        while BootClock.now < deadline {
            if let answer = try? await Self.one(pool, "SELECT 'back'") {
                #expect(answer == "back")
                break
            }
            try await BootClock().sleep(for: .milliseconds(50))
        }
        #expect(BootClock.now < deadline)
        pool.close()
        await server.stop()
    }

    @Test("beyond a bound whoever asks is refused at once")
    func bounded() async throws {
        let pool = try await Self.pool(Self.options(readers: 1, connections: 1, waiting: 4))
        // On one loop, whose connections they share.
        let loop = TestLoops.shared.first
        let sleepers = (0..<40).map { _ in
            Task(executorPreference: loop) {
                var query = TextQuery("SELECT pg_sleep(600)")
                query.isLong = true
                _ = try await pool.read(query, deadline: Self.soon(.seconds(300)))
            }
        }
        var refused = 0
        for sleeper in sleepers.dropFirst(5) {
            do { try await sleeper.value } catch let error as ApusError { refused += error.code == .sourceBusy ? 1 : 0 }
        }
        #expect(refused == 35)
        for sleeper in sleepers { sleeper.cancel() }
        for sleeper in sleepers { _ = await sleeper.result }
        pool.close()
    }

    @Test("a table that is changed under its prepared statements is read as it is now")
    func changedTable() async throws {
        let pool = try await Self.pool(Self.options(readers: 1))
        try await pool.transaction(deadline: Self.soon()) { _ = try await $0.run(TextQuery("CREATE TABLE t AS SELECT 1 AS a")) }
        func columns() async throws -> Int { try await pool.read(TextQuery("SELECT * FROM t"), deadline: Self.soon()).columnCount }
        #expect(try await columns() == 1)
        try await pool.transaction(deadline: Self.soon()) { _ = try await $0.run(TextQuery("ALTER TABLE t ADD COLUMN b int")) }
        #expect(try await columns() == 2)
        pool.close()
    }

    @Test("texts that cannot be prepared leave the connection as it was")
    func unprepared() async throws {
        let pool = try await Self.pool(Self.options(readers: 1))
        for number in 0..<200 {
            await #expect(throws: ApusError.self) {
                try await pool.read(TextQuery(StaticSQL(joined: "SELECT nothing_\(number)")), deadline: Self.soon())
            }
        }
        #expect(try await Self.one(pool, "SELECT 'still'") == "still")
        // One loop's shared connection and no other: nothing was taken for long.
        #expect(
            try await Self.one(
                pool, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'apus%'"
            ).flatMap { Int($0) } ?? 99 <= TestLoops.shared.all.count)
        pool.close()
    }

    @Test("a connection keeps a bounded number of statements prepared")
    func preparedStatements() async throws {
        let pool = try await Self.pool(Self.options(readers: 1))
        let loop = TestLoops.shared.first
        try await Task(executorPreference: loop) {
            for number in 0..<700 {
                let told = try await Self.one(pool, StaticSQL(joined: "SELECT 'x\(number)'"))
                #expect(told == "x\(number)")
            }
            let kept = try await Self.one(pool, "SELECT count(*) FROM pg_prepared_statements").flatMap { Int($0) } ?? 0
            #expect((100...QuerySession.preparedLimit).contains(kept))
        }.value
        pool.close()
    }
}
