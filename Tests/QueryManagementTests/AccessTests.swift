import ApusCatalog
import ApusDatabase
import ApusQueryPlan
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusQuery

@Suite("what roles may do, on the nodes")
struct AccessTests {
    /// A clock that stands still until it is moved.
    private final class ManualClock: MonotonicClock {
        private let current = Mutex(BootClock.now)
        var now: Instant { current.withLock { $0 } }
        var minimumResolution: Duration { .nanoseconds(1) }
        var wallTime: WallTime { WallTime(millisecondsSinceEpoch: 0) }
        func sleep(until deadline: Instant, tolerance: Duration?) async throws {}
        func advance(by duration: Duration) { current.withLock { $0 = $0.advanced(by: duration) } }
    }

    private static func change(_ catalog: Catalog, isDisabled: Bool) async throws {
        try await catalog.definitions.change(deadline: BootClock.now.advanced(by: .seconds(30))) { change in
            let row: JSONObject = [
                "role": "public", "type_name": "Query", "field_name": "t", "hidden": false, "disabled": .bool(isDisabled),
            ]
            if try await !change.update(["public", "Query", "t"], to: ["disabled": .bool(isDisabled)], in: .permissions) {
                _ = try await change.insert(row, into: .permissions)
            }
        }
    }

    private static func mayAsk(_ access: QueryAccess) async throws -> Bool {
        let caller = try await access.caller(.anonymous(as: "public"), deadline: BootClock.now.advanced(by: .seconds(30)))
        return caller.permissions.rule("Query", "t")?.isDisabled != true
    }

    /// `isTold`: whether the feed's followers hear of a change at once, or find it when they look.
    @Test(
        "a permission that is revoked on one node is revoked on all, also where nothing tells them", arguments: Backend.allCases,
        [true, false])
    func revocation(backend: Backend, isTold: Bool) async throws {
        let directory = try TemporaryDirectory()
        let url = backend == .postgreSQL ? try await PostgreSQLServer.shared().newDatabase() : nil
        let shared = url == nil ? try await SQLiteDatabase.open(path: directory.path + "/catalog.db") : nil
        var catalogs: [Catalog] = []
        for _ in 0..<3 {
            let database: any Database
            if let url {
                database = try await PostgreSQLDatabase.open(
                    url: url, loops: TestLoops.shared, deadline: BootClock.now.advanced(by: .seconds(30)))
            } else {
                database = try #require(shared)
            }
            catalogs.append(try await Catalog.open(database, clock: BootClock()))
        }
        let nodes = catalogs.map { QueryAccess(catalog: $0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (catalog, access) in zip(catalogs, nodes) {
                if isTold { group.addTask { try await catalog.run() } }
                group.addTask { try await access.run() }
            }
            for access in nodes { #expect(try await Self.mayAsk(access)) }
            for isDisabled in [true, false, true] {
                try await Self.change(catalogs[0], isDisabled: isDisabled)
                for access in nodes { try await eventually("every node knows") { try await Self.mayAsk(access) != isDisabled } }
            }
            group.cancelAll()
            while true { do { if try await group.next() == nil { break } } catch is CancellationError {} }
        }
        for catalog in catalogs { await catalog.database.close() }
    }

    @Test("while the catalog is away what was known stays in force for as long as is said, and no longer; operators are not bound by it")
    func stale() async throws {
        let directory = try TemporaryDirectory()
        let database = try await SQLiteDatabase.open(path: directory.path + "/catalog.db")
        let clock = ManualClock()
        let catalog = try await Catalog.open(database, clock: BootClock())
        let access = QueryAccess(catalog: catalog, clock: clock)
        #expect(try await Self.mayAsk(access))
        await database.close()
        clock.advance(by: .seconds(290))
        #expect(try await Self.mayAsk(access))
        clock.advance(by: .seconds(20))
        await #expect(throws: ApusError.self) { try await Self.mayAsk(access) }
        do { _ = try await Self.mayAsk(access) } catch let error as ApusError {
            #expect(error.code == .accessStale)
            #expect(error.code.surface.http == 503)
        }
        let local = try await access.caller(CallerIdentity(of: .local), deadline: clock.now.advanced(by: .seconds(30)))
        #expect(local.permissions.manages)
    }

    @Test("a node that stood still looks before it decides")
    func thawed() async throws {
        let directory = try TemporaryDirectory()
        let database = try await SQLiteDatabase.open(path: directory.path + "/catalog.db")
        let clock = ManualClock()
        let catalog = try await Catalog.open(database, clock: BootClock())
        let access = QueryAccess(catalog: catalog, clock: clock)
        #expect(try await Self.mayAsk(access))
        try await Self.change(catalog, isDisabled: true)
        clock.advance(by: .seconds(5))
        #expect(try await !Self.mayAsk(access))
        await database.close()
    }

    @Test("roles that are disabled, or not there, are nobody's; what is planned for one state is not for another")
    func roles() async throws {
        let directory = try TemporaryDirectory()
        let database = try await SQLiteDatabase.open(path: directory.path + "/catalog.db")
        let catalog = try await Catalog.open(database, clock: BootClock())
        let access = QueryAccess(catalog: catalog)
        let deadline = BootClock.now.advanced(by: .seconds(30))
        let before = try await access.caller(.anonymous(as: "readonly"), deadline: deadline)
        #expect(!before.permissions.manages)
        #expect(try await access.caller(.anonymous(as: "admin"), deadline: deadline).permissions.manages)
        try await catalog.definitions.change(deadline: deadline) { change in
            _ = try await change.update(["readonly"], to: ["max_rows": 5, "max_seconds": 1.5, "deny_by_default": true], in: .roles)
            _ = try await change.update(["public"], to: ["disabled": true], in: .roles)
        }
        try await access.refresh(deadline: deadline)
        let after = try await access.caller(.anonymous(as: "readonly"), deadline: deadline)
        #expect(after.sequence != before.sequence)
        #expect(after.limits == RoleLimits(rows: 5, time: .milliseconds(1500)))
        #expect(after.permissions.deniesByDefault)
        for role in ["public", "nowhere", ""] {
            await #expect(throws: ApusError.self) { try await access.caller(.anonymous(as: role), deadline: deadline) }
        }
        #expect(access.description(ofRole: "nowhere")?["may"]?.hasPrefix("nothing") == true)
        #expect(access.description(ofRole: "admin")?["may"]?.contains("manage data sources") == true)
        await database.close()
    }
}
