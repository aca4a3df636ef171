import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusTypes
import CatalogTestKit
import DatabaseTestKit
import Glibc
import TestKit
import Testing

/// An append is all there or not at all, whoever is killed wherever; its key finds out which, on another process too.
@Suite("Append faults", .serialized)
struct AppendFaultLaws {
    /// More statements than an append has.
    private static let statements = 24

    @Test("the process is killed after each statement and around COMMIT", arguments: SharedCatalog.Kind.allCases)
    func processKilled(_ kind: SharedCatalog.Kind) async throws {
        let shared = try await SharedCatalog(kind)
        let shards = try await shared.makeShards(2)
        var points = (1...Self.statements).map { "statement-\($0)" }
        points += ["before-commit", "after-commit"]
        // COMMIT takes a fraction of a millisecond here, so some of these come before its end and some after.
        points += (0..<(LawSize.isFull ? 40 : 6)).map { "during-commit \($0 * (LawSize.isFull ? 50 : 250))" }
        var reached: [String] = []
        var isPastLast = false
        for (number, point) in points.enumerated() {
            let key = "key-\(number)"
            let words = point.split(separator: " ").map(String.init)
            if isPastLast, words[0].hasPrefix("statement") { continue }
            let first = try await once(
                shared, key, "first", shards,
                ["APUS_FAULT": "\(words[0])=kill", "APUS_FAULT_MICROSECONDS": words.count > 1 ? words[1] : "0"])
            let exit = await first.child.wait()
            let said = answer(first)
            if exit == .signal(SIGKILL) { reached.append(words[0]) }
            try await settle(shared, shards, key: key, first: said, mustBe: Self.outcome(at: words[0], exit: exit))
            if exit != .signal(SIGKILL), words[0].hasPrefix("statement") { isPastLast = true }
        }
        #expect(reached.contains("statement-3"))
        #expect(reached.contains("before-commit"))
        #expect(reached.contains("after-commit"))
    }

    @Test("PostgreSQL is killed after each statement and around COMMIT")
    func serverKilled() async throws {
        let shared = try await SharedCatalog(.postgreSQL, ownServer: true)
        let server = try #require(shared.server)
        let shards = try await shared.makeShards(2)
        let ends = try TemporaryDirectory()
        var reached: [String] = []
        var points = (1...Self.statements).map { "statement-\($0)" } + ["before-commit", "after-commit"]
        if !LawSize.isFull { points = ["statement-1", "statement-3", "statement-5", "before-commit", "after-commit"] }
        for (number, point) in points.enumerated() {
            let key = "key-\(number)"
            let end = ends.path + "/\(number)"
            let first = try await once(shared, key, "first", shards, ["APUS_FAULT": "\(point)=wait", "APUS_FAULT_END": end])
            let isReached = try await first.line("fault", "done", "failed")?.hasPrefix("fault") == true
            if isReached {
                reached.append(point)
                await server.kill()
                try await server.restart()
                touch(end)
            }
            _ = await first.child.wait()
            // The process lived, so it has an answer; and it may have found out by itself.
            let said = try #require(answer(first))
            #expect(point != "after-commit" || said == "done reply-by-first")
            try await settle(shared, shards, key: key, first: said, mustBe: nil)
        }
        #expect(reached.contains("statement-3"))
        #expect(reached.contains("before-commit"))
        #expect(reached.contains("after-commit"))
        // Killed from outside at any moment of a COMMIT, the process answers too.
        for round in 0..<(LawSize.isFull ? 20 : 2) {
            let key = "during-\(round)"
            let end = ends.path + "/d\(round)"
            let first = try await once(shared, key, "first", shards, ["APUS_FAULT": "before-commit=wait", "APUS_FAULT_END": end])
            _ = try await first.line("fault")
            touch(end)
            usleep(UInt32(round) * 500)
            await server.kill()
            try await server.restart()
            _ = await first.child.wait()
            try await settle(shared, shards, key: key, first: answer(first), mustBe: nil)
        }
        await server.stop(.immediate)
    }

    @Test("a repeat while the first COMMIT still waits for its standby has no effect of its own, and ends with the first reply")
    func repeatDuringSynchronousWait() async throws {
        let shared = try await SharedCatalog(.postgreSQL, ownServer: true)
        let server = try #require(shared.server)
        let shards = try await shared.makeShards(2)
        try await server.reload(["synchronous_standby_names": "nobody"])
        let first = try await once(shared, "key", "first", shards)
        try await eventually("the first COMMIT waits for its standby") {
            try await server.query("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "t"
        }
        let second = try await once(shared, "key", "second", shards)
        _ = await second.child.wait()
        let early = try #require(answer(second))
        #expect(early.hasPrefix("failed "), "nobody can know yet: \(early)")
        try await server.reload(["synchronous_standby_names": ""])
        _ = await first.child.wait()
        try await settle(shared, shards, key: "key", first: answer(first), mustBe: .done)
        await server.stop(.immediate)
    }

    @Test(
        "kill -9 at a random moment under 16 writers: what was acknowledged is there, nothing twice, nothing half",
        arguments: SharedCatalog.Kind.allCases)
    func killedUnderLoad(_ kind: SharedCatalog.Kind) async throws {
        let shared = try await SharedCatalog(kind)
        let shards = try await shared.makeShards(4)
        var random = SeededGenerator(seed: 7)
        var acknowledged: [Acknowledged] = []
        let rounds = LawSize.isFull ? 50 : 4
        for round in 0..<rounds {
            let run = try await LawProcessRun.start(
                "appendOneByOne",
                [
                    "process": "\(round)", "writers": "16", "requests": "100000", "seed": "\(round)", "seconds": "300",
                    "shards": Self.list(shards),
                ], on: shared.url)
            _ = try await run.line("open")
            let wanted = Int.random(in: 1...200, using: &random)
            try await eventually("there are \(wanted) acknowledgements") { run.lines.count > wanted || run.child.ended != nil }
            await run.kill()
            acknowledged += run.lines.compactMap(Acknowledged.init(line:))
        }
        try #require(acknowledged.count >= rounds)
        let logs = try await shared.logs(shards).mapValues { $0.map { $0.trimmed } }
        for (shard, log) in logs { #expect(Set(log).count == log.count, "an operation of shard \(shard) is there twice") }
        for one in acknowledged {
            let name = String(decoding: one.operation, as: UTF8.self).trimmed
            #expect(logs[one.shard]?.contains(name) == true, "\(name) was acknowledged")
        }
        // A request's operations have the request's name in each of its shards: all of them, or none.
        let names = Set(logs.values.joined().map { $0.split(separator: "/").prefix(3).joined(separator: "/") })
        for name in names {
            let parts = name.split(separator: "/").compactMap { Int($0) }
            try #require(parts.count == 3)
            let workload = Workload(process: "\(parts[0])", writers: 16, requests: 0, seed: UInt64(parts[0]), deadline: soon())
            let expected = workload.shards(ofRequest: parts[2], writer: parts[1], among: shards)
            #expect(Set(shards.filter { logs[$0]?.contains("\(name)/\($0)") == true }) == expected, "\(name) is half there")
        }
    }

    // MARK: Parts

    private enum Outcome { case done, notDone }

    /// What must have become of an append whose process was killed at `point`; nil: either.
    private static func outcome(at point: String, exit: ChildProcess.Exit) -> Outcome? {
        guard exit == .signal(SIGKILL) else { return .done }  // the point was not reached, and the append succeeded
        if point == "after-commit" { return .done }
        return point == "during-commit" ? nil : .notDone
    }

    private func once(
        _ shared: SharedCatalog, _ key: String, _ process: String, _ shards: [ShardID], _ environment: [String: String] = [:]
    ) async throws -> LawProcessRun {
        try await LawProcessRun.start(
            "once", ["key": key, "process": process, "shards": Self.list(shards), "seconds": "5"], on: shared.url, environment: environment)
    }

    private func answer(_ run: LawProcessRun) -> String? {
        run.lines.last { line in ["done ", "repeat ", "failed "].contains { line.hasPrefix($0) } }
    }

    /// Repeats the append on another process, and holds its answer and the log against what the first answered.
    private func settle(
        _ shared: SharedCatalog, _ shards: [ShardID], key: String, first: String?, mustBe expected: Outcome?
    ) async throws {
        var before = try await count(shared, shards, key, isCertain: expected != nil)
        #expect(before == 0 || before == 1, "\(key): \(before) effects before the repeat")
        switch expected {
        case .done: #expect(before == 1, "\(key) was acknowledged or committed")
        case .notDone: #expect(before == 0, "\(key) was not committed")
        case nil: if first?.hasPrefix("done") == true { #expect(before == 1, "\(key) was acknowledged") }
        }
        let second = try await once(shared, key, "second", shards)
        _ = await second.child.wait()
        let reply = try #require(answer(second), "the repeat of \(key) has no answer")
        // The database may have gone on committing for a process that was gone, and have ended only after it was looked at.
        if expected == nil, before == 0, reply.hasPrefix("repeat ") { before = 1 }
        #expect(reply == (before == 1 ? "repeat reply-by-first" : "done reply-by-second"), "\(key)")
        let third = try await once(shared, key, "third", shards)
        _ = await third.child.wait()
        #expect(answer(third) == (before == 1 ? "repeat reply-by-first" : "repeat reply-by-second"))
        #expect(try await count(shared, shards, key) == 1)
    }

    /// How often the append is in the log: the same in each shard, else it is half there. Unless it is certain whether it is committed: it
    /// may become so while one log is read after the other, and counts where all have it.
    private func count(_ shared: SharedCatalog, _ shards: [ShardID], _ key: String, isCertain: Bool = true) async throws -> Int {
        let logs = try await shared.logs(shards)
        let counts = shards.map { shard in logs[shard]?.filter { $0 == "\(key)/\(shard)" }.count ?? 0 }
        if isCertain { #expect(Set(counts).count == 1, "\(key) is half there: \(counts)") }
        return counts.min() ?? 0
    }

    private func touch(_ path: String) {
        let descriptor = open(path, O_WRONLY | O_CREAT, 0o644)
        if descriptor >= 0 { close(descriptor) }
    }

    private static func list(_ shards: [ShardID]) -> String { shards.map(\.description).joined(separator: ",") }
}

extension String {
    fileprivate var trimmed: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
