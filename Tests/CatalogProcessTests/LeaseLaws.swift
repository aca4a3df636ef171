import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusTypes
import CatalogTestKit
import Glibc
import Synchronization
import TestKit
import Testing

/// At most one holder's effects are accepted, and a dead holder is replaced, whatever clocks and connections do.
@Suite("Lease laws")
struct LeaseLaws {
    /// Three lengths of 4 s: when a dead holder must have been replaced.
    private static let replacement = 12.0
    /// In milliseconds, as the catalog counts.
    private static let hours: Int64 = 2 * 3600 * 1000
    private static let length: Int64 = 4000

    enum Trouble: String, CaseIterable, CustomTestStringConvertible {
        case none, clockForward, clockBack, repliesDelayed, holderPaused
        var testDescription: String { rawValue }
    }

    @Test(
        "two candidates: the effects are one holder's at a time, and a dead holder is replaced",
        arguments: SharedCatalog.Kind.allCases, Trouble.allCases)
    func oneHolder(_ kind: SharedCatalog.Kind, _ trouble: Trouble) async throws {
        let shared = try await SharedCatalog(kind)
        let base = try await shared.open()
        try await LeaseEffects.prepare(base, deadline: soon())
        let candidates = try await ["a", "b"].asyncMap { try await Candidate($0, on: base.database) }
        let running = candidates.map { candidate in Task { await candidate.run() } }
        let holder = try await holder(of: base, among: candidates, not: nil, within: 30)

        switch trouble {
        case .none: break
        case .clockForward, .clockBack:
            // It has asked whether it may act, and nothing of it gets through; only then the clock jumps: a holder that lives would renew.
            holder.pause()
            await holder.database.hang()
            let before = try await lease(base)
            try await offset(base, trouble == .clockBack ? -Self.hours : Self.hours)
            let after = try await lease(base)
            #expect(after.holder == holder.holder)
            #expect((after.epoch, after.renewals) == (before.epoch, before.renewals))
            if trouble == .clockBack {
                // By the clock it lasts two hours more: only that nobody renews it sets it free.
                #expect(after.left > Self.hours - Self.length)
            } else {
                #expect(after.left < 0)
            }
            _ = try await self.holder(of: base, among: candidates, not: holder, within: Self.replacement)
            #expect(try await lease(base).epoch == before.epoch + 1)
            // The old one wakes with its effect in hand, and the clock jumps back under a holder that lives.
            holder.database.release()
            holder.resume()
            try await offset(base, 0)
        case .repliesDelayed:
            // Longer than the lease: the holder hears that it was granted or renewed when that is long over.
            holder.database.delay(.seconds(6))
            _ = try await self.holder(of: base, among: candidates, not: holder, within: Self.replacement + 6)
            holder.database.delay(.zero)
        case .holderPaused:
            // It has asked whether it may act, and acts three lengths later.
            holder.pause()
            await holder.database.hang()
            try await BootClock().sleep(until: soon(Self.replacement))
            holder.database.release()
            holder.resume()
        }
        // Somebody acts, whatever happened.
        let count = try await LeaseEffects.all(base.database, deadline: soon()).count
        try await eventually(within: Self.replacement * 2, "effects go on") {
            try await LeaseEffects.all(base.database, deadline: soon()).count > count + 10
        }
        // Death: nothing of the holder reaches the catalog any more.
        let current = try await self.holder(of: base, among: candidates, not: nil, within: Self.replacement)
        await current.database.hang()
        let died = BootClock.now
        _ = try await self.holder(of: base, among: candidates, not: current, within: Self.replacement)
        #expect(died.duration(to: BootClock.now) <= .seconds(Self.replacement))
        for task in running { task.cancel() }
        for candidate in candidates { candidate.database.release() }
        for task in running { await task.value }
        try LeaseEffects.check(try await LeaseEffects.all(base.database, deadline: soon()))
        await base.database.close()
    }

    @Test("processes: the holder is stopped for three lengths and wakes, is killed, and is replaced each time")
    func processes() async throws {
        let shared = try await SharedCatalog(.postgreSQL)
        let catalog = try await shared.open()
        try await LeaseEffects.prepare(catalog, deadline: soon())
        var runs: [String: LawProcessRun] = [:]
        for name in ["a", "b", "c"] {
            runs["\(name)/1"] = try await LawProcessRun.start("lease", ["node": name, "process": "1", "seconds": "30"], on: shared.url)
        }
        var last = try await actor(of: catalog, not: [], within: 30)

        let stopped = last
        let frozen = try #require(runs[stopped])
        frozen.child.send(signal: SIGSTOP)
        let asleep = BootClock.now
        last = try await actor(of: catalog, not: [stopped], within: Self.replacement)
        try await BootClock().sleep(until: asleep.advanced(by: .seconds(Self.replacement)))
        try await offset(catalog, -Self.hours)
        frozen.child.send(signal: SIGCONT)

        let killed = try await actor(of: catalog, not: [], within: Self.replacement)
        await runs[killed]?.kill()
        last = try await actor(of: catalog, not: [killed], within: Self.replacement)
        try await offset(catalog, Self.hours)
        let again = try await actor(of: catalog, not: [killed], within: Self.replacement)
        await runs[again]?.kill()
        last = try await actor(of: catalog, not: [killed, again], within: Self.replacement)
        #expect(runs[last] != nil)
        for run in runs.values { await run.kill() }
        try LeaseEffects.check(try await LeaseEffects.all(catalog.database, deadline: soon()))
        await catalog.database.close()
    }

    @Test(
        "a holder that resigns is followed at once; a session is kept from a second process of its name",
        arguments: SharedCatalog.Kind.allCases)
    func sessions(_ kind: SharedCatalog.Kind) async throws {
        let shared = try await SharedCatalog(kind)
        try await shared.use { catalog in
            _ = try await catalog.nodes.register(NodeRegistration(name: "n1", url: "http://127.0.0.1:1"), deadline: soon())
            let first = catalog.sessions.keeper(node: "n1", process: "first") { #"{"load":1}"# }
            let second = catalog.sessions.keeper(node: "n1", process: "second")
            let keeping = Task { await first.run() }
            try await eventually("the first process has the session") { first.epoch != nil }
            let epoch = try first.requireEpoch()
            let waiting = Task { await second.run() }
            try await eventually("heartbeats are counted") {
                try await catalog.nodes.find("n1", deadline: soon())?.heartbeats ?? 0 >= 3
            }
            #expect(second.epoch == nil)
            try await catalog.transaction(deadline: soon()) { try await $0.require(session: "n1", epoch: epoch) }
            keeping.cancel()
            await keeping.value
            try await eventually("the second process has the session") { second.epoch != nil }
            #expect(try second.requireEpoch() > epoch)
            await #expect(throws: ApusError.self) {
                try await catalog.transaction(deadline: soon()) { try await $0.require(session: "n1", epoch: epoch) }
            }
            waiting.cancel()
            await waiting.value
        }
    }

    // MARK: Parts

    /// One would-be holder with a connection of its own that can be disturbed.
    private final class Candidate: Sendable {
        let name: String
        let database: DisturbedDatabase
        private let catalog: Catalog
        private let keeper: LeaseKeeper
        private let gate = Mutex(false)

        var holder: String { "\(name)/1" }

        init(_ name: String, on base: any Database) async throws {
            self.name = name
            database = DisturbedDatabase(base)
            catalog = try await Catalog.open(database, clock: BootClock())
            keeper = catalog.leases.keeper(node: NodeName(name), process: "1")
        }

        func run() async {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { [keeper] in await keeper.run() }
                await LeaseEffects.run(catalog, keeper: keeper, holder: holder) { [self] in
                    while gate.withLock({ $0 }), !Task.isCancelled {
                        try? await BootClock().sleep(until: soon(0.005))  // cancelled: the loop ends
                    }
                }
                await group.waitForAll()
            }
        }

        func pause() { gate.withLock { $0 = true } }
        func resume() { gate.withLock { $0 = false } }
    }

    /// The candidate whose effects come now, and not `last`.
    private func holder(
        of catalog: Catalog, among candidates: [Candidate], not last: Candidate?, within seconds: Double
    ) async throws -> Candidate {
        let name = try await actor(of: catalog, not: last.map { [$0.holder] } ?? [], within: seconds)
        return try #require(candidates.first { $0.holder == name })
    }

    /// Who made an effect after this was asked, and is none of `others`.
    private func actor(of catalog: Catalog, not others: Set<String>, within seconds: Double) async throws -> String {
        let start = try await LeaseEffects.all(catalog.database, deadline: soon()).last?.number ?? 0
        var found: String?
        try await eventually(within: seconds, "somebody else than \(others) acts") {
            found = try await LeaseEffects.all(catalog.database, deadline: soon())
                .first { $0.number > start && !others.contains($0.holder) }?.holder
            return found != nil
        }
        return try #require(found)
    }

    /// The leader's lease as its row says it; `left` is milliseconds by the catalog's clock.
    private func lease(_ catalog: Catalog) async throws -> (holder: String, epoch: Int64, renewals: Int64, left: Int64) {
        let clock: StaticSQL = catalog.database.dialect == .postgreSQL ? "apus.clock()" : "(SELECT at FROM apus.clock)"
        let rows = try await catalog.read(
            [
                Statement(
                    "SELECT holder, epoch, renewals, expires_at - " + clock + " FROM apus.lease WHERE name = $1", [.text(Leases.leader)])
            ], deadline: soon())
        let row = try #require(rows[0].first)
        return (try row.text(0), try row.integer(1), try row.integer(2), try row.integer(3))
    }

    private func offset(_ catalog: Catalog, _ milliseconds: Int64) async throws {
        try await catalog.transaction(deadline: soon()) { transaction in
            _ = try await transaction.run([Statement("UPDATE apus.clock_offset SET milliseconds = $1", [.integer(milliseconds)])])
        }
    }
}

/// A real database whose answers come late, or whose calls do not get through: what one node sees of a bad network.
private final class DisturbedDatabase: Database {
    private let base: any Database
    private let state = Mutex((delay: Duration.zero, hangs: false, underWay: 0))

    init(_ base: any Database) { self.base = base }

    var dialect: SQLDialect { base.dialect }

    /// Each answer is held back for so long.
    func delay(_ duration: Duration) { state.withLock { $0.delay = duration } }

    /// From when this returns, nothing reaches the database: calls do not begin, and end at their deadlines.
    func hang() async {
        state.withLock { $0.hangs = true }
        while state.withLock({ $0.underWay > 0 }) { await Task.yield() }
    }

    func release() { state.withLock { $0.hangs = false } }

    private func begin() -> Bool {
        state.withLock { state in
            if !state.hangs { state.underWay += 1 }
            return !state.hangs
        }
    }

    private func disturbed<Value>(_ deadline: Instant, _ body: () async throws -> Value) async throws -> Value {
        while !begin() {
            guard BootClock.now < deadline else { throw ApusError(.deadlineExceeded, "nothing gets through") }
            try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(20)))
        }
        let value: Value
        do {
            defer { state.withLock { $0.underWay -= 1 } }
            value = try await body()
        }
        let delay = state.withLock { $0.delay }
        if delay > .zero { try await BootClock().sleep(until: BootClock.now.advanced(by: delay)) }
        return value
    }

    func run(_ statements: [Statement], on lane: Lane, deadline: Instant) async throws -> [Rows] {
        try await disturbed(deadline) { try await base.run(statements, on: lane, deadline: deadline) }
    }

    func transaction<Value: Sendable>(
        _ mode: TransactionMode, on lane: Lane, deadline: Instant, _ body: (any Transaction) async throws -> Value
    ) async throws -> Value {
        try await disturbed(deadline) { try await base.transaction(mode, on: lane, deadline: deadline, body) }
    }

    func notify(_ notification: Notification, deadline: Instant) async throws { try await base.notify(notification, deadline: deadline) }
    func notifications(on channels: [String]) -> AsyncStream<Notification> { base.notifications(on: channels) }
    func close() async {}
}

extension Sequence {
    fileprivate func asyncMap<Value>(_ body: (Element) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await body(element)) }
        return values
    }
}
