import ApusDatabase
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import TestKit
import Testing

@testable import ApusCatalog
@testable import ApusCluster

@Suite("two processes under one name")
struct TwinTests {
    /// A process under the name n1, with a connection pool of its own; close the database at the end.
    private static func process(of server: PostgreSQLServer, _ directory: TemporaryDirectory) async throws -> (Cluster, any Database) {
        let database = try await PostgreSQLDatabase.open(
            url: server.url(), loops: TestLoops.shared, deadline: BootClock.now.advanced(by: .seconds(20)))
        let catalog = try await Catalog.open(database, clock: BootClock())
        var random = SystemRandomNumberGenerator()
        let identity = try NodeIdentity.load(directory: directory.path, configuredName: "n1", using: &random)
        let cluster = Cluster(
            identity: identity, catalog: catalog, health: Health(), clock: BootClock(),
            options: .init(version: "0.1", storePlace: "catalog"))
        return (cluster, database)
    }

    private static var deadline: Instant { BootClock.now.advanced(by: .seconds(20)) }

    @Test("on PostgreSQL a second process under a living node's name is refused, and a dead node's name is taken over")
    func twins() async throws {
        let server = try await PostgreSQLServer.start()
        let directory = try TemporaryDirectory()
        let (first, firstDatabase) = try await Self.process(of: server, directory)
        let (second, secondDatabase) = try await Self.process(of: server, directory)
        try await first.join(at: "http://127.0.0.1:1", deadline: Self.deadline)
        let running = Task { try await first.run() }
        try await eventually("the first beats") { first.session.epoch != nil }
        let error = try await #require(throws: ApusError.self) { try await second.join(at: "http://127.0.0.1:1", deadline: Self.deadline) }
        #expect(error.code == .nodeAlive)
        running.cancel()
        _ = await running.result
        try await second.join(at: "http://127.0.0.1:1", deadline: Self.deadline)
        #expect(try await second.catalog.nodes.find("n1", deadline: Self.deadline)?.incarnation == 2)
        await firstDatabase.close()
        await secondDatabase.close()
        await server.stop()
    }

    @Test(
        "of two processes started at once under one name the one that registered first ends without ever having a session, and says nothing of it"
    )
    func twinsAtOnce() async throws {
        let server = try await PostgreSQLServer.start()
        let directory = try TemporaryDirectory()
        let (first, firstDatabase) = try await Self.process(of: server, directory)
        let (second, secondDatabase) = try await Self.process(of: server, directory)
        try await first.join(at: "http://127.0.0.1:1", deadline: Self.deadline)
        // The first does not beat yet: nothing tells the second that it lives, and its URL is in the row now.
        try await second.join(at: "http://127.0.0.1:2", deadline: Self.deadline)
        let (ends, stays) = (Task { try await first.run() }, Task { try await second.run() })
        let error = await #expect(throws: ApusError.self) { try await ends.value }
        #expect(error?.code == .nodeAlive && first.session.epoch == nil)
        try await first.leave(deadline: Self.deadline)
        try await eventually(within: 40, "the other has the session") { second.session.epoch != nil }
        func row() async throws -> NodeRow? { try await second.catalog.nodes.find("n1", deadline: Self.deadline) }
        var seen = try await row()
        #expect(seen?.status == .active && seen?.url == second.url)

        // Who registers under the name of one that has the session is replaced by it.
        let other = NodeRegistration(name: "n1", url: "http://127.0.0.1:3", version: "0.1")
        #expect(try await second.catalog.nodes.register(other, deadline: Self.deadline) == 3)
        try await eventually(within: 40, "the row is of the one that stays") { try await row()?.incarnation == 4 }
        seen = try await row()
        #expect(seen?.url == second.url && second.session.epoch != nil)
        stays.cancel()
        _ = await stays.result
        try await second.leave(deadline: Self.deadline)
        #expect(try await row()?.status == .left)
        await firstDatabase.close()
        await secondDatabase.close()
        await server.stop()
    }
}
