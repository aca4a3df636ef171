import ApusDatabase
import ApusMembership
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import NodeTestKit
import TestKit
import Testing

@testable import ApusCatalog
@testable import ApusCluster

@Suite("node identity")
struct IdentityTests {
    func load(_ directory: TemporaryDirectory, _ name: NodeName? = nil) throws -> NodeIdentity {
        var random = SystemRandomNumberGenerator()
        return try NodeIdentity.load(directory: directory.path, configuredName: name, using: &random)
    }

    @Test("a name that was made up stays over restarts, a configured one wins and stays too")
    func name() throws {
        let directory = try TemporaryDirectory()
        let first = try load(directory)
        #expect(first.isGenerated && first.name.rawValue.hasPrefix("node-") && first.name.rawValue.utf8.count == 13)
        #expect(try load(directory) == first)
        let named = try load(directory, "n1")
        #expect(named.name == "n1" && named.id == first.id && !named.isGenerated)
        #expect(try load(directory) == named)
        let other = try TemporaryDirectory()
        #expect(try load(other).id != first.id)
    }

    @Test("a file that is not ours is refused, not replaced")
    func foreign() async throws {
        let directory = try TemporaryDirectory()
        _ = try await shell("echo hello > \(directory.path)/node", in: directory)
        let error = #expect(throws: ApusError.self) { try load(directory) }
        #expect(error?.code == .inputInvalid)
        #expect(try await shell("cat \(directory.path)/node", in: directory).output == "hello\n")
    }
}

@Suite("heartbeats")
struct HeartbeatTests {
    func node(_ beats: Int64?, epoch: Int64 = 1, status: NodeStatus = .active) -> NodeRow {
        NodeRow(
            name: "a", url: "", rpcAddress: "", roles: [.worker], status: status, incarnation: 1, version: "", hasGeneratedName: false,
            metadata: "{}",
            registeredAt: WallTime(millisecondsSinceEpoch: 0), sessionEpoch: beats == nil ? nil : Epoch(epoch), heartbeats: beats)
    }

    func at(_ seconds: Double) -> Instant { Instant(nanosecondsSinceBoot: Int64(seconds * 1e9)) }

    /// Where nobody probes.
    private var unasked: MembershipTerms {
        var terms = MembershipTerms()
        terms.acquaintance = .zero
        return terms
    }

    /// Reads the row once in each second of `seconds`, and gives its status after each.
    func statuses(_ observation: inout Observation, _ row: NodeRow, _ seconds: ClosedRange<Int>) -> [NodeStatus] {
        seconds.map { second in
            observation.read([row], by: "me", leader: nil, at: at(Double(second)))
            return observation.status(of: row)
        }
    }

    @Test("a counter that stands still makes a node suspect after 3 s and down after 5 s; one beat takes it back")
    func silence() {
        var observation = Observation(terms: unasked)
        // One that was never heard of may have registered a moment ago, and has longer.
        #expect(statuses(&observation, node(6), 0...0) == [.active])
        #expect(statuses(&observation, node(7), 1...7) == [.active, .active, .active, .suspect, .suspect, .down, .down])
        #expect(statuses(&observation, node(8), 8...8) == [.active])
        // A new session counts as a beat, even if its counter says the same.
        #expect(statuses(&observation, node(8), 9...15).last == .down)
        #expect(statuses(&observation, node(8, epoch: 2), 16...16) == [.active])
    }

    @Test("time without successful reads makes nobody silent")
    func outage() {
        var observation = Observation(terms: unasked)
        #expect(statuses(&observation, node(7), 0...0) + statuses(&observation, node(7), 100...100) == [.active, .active])
    }

    @Test("a row that never gets a session falls silent too; one that left is what it says")
    func others() {
        var observation = Observation(terms: unasked)
        #expect(statuses(&observation, node(nil), 0...2).last == .active)
        #expect(statuses(&observation, node(nil), 3...9).last == .down)
        #expect(statuses(&observation, node(7, status: .left), 10...20).last == .left)
    }

    @Test("what a node's heartbeat tells is read again; what is no report says nothing")
    func reports() {
        #expect(NodeReport(NodeReport(probes: ["n2": true, "n 3": false]).text).probes == ["n2": true, "n 3": false])
        for text in ["", "{}", "[1]", "{\"probes\": 3}", "\u{0}"] { #expect(NodeReport(text).probes == [:]) }
    }

    @Test("a leader's judgement starts anew with each term of office")
    func terms() {
        var observation = Observation(terms: unasked)
        for second in 0...10 { observation.read([node(7)], by: "me", leader: nil, at: at(Double(second))) }
        observation.read([node(7)], by: "me", leader: Epoch(1), at: at(11))
        #expect(observation.status(of: node(7)) == .down)
        #expect(observation.leaderStanding(of: "a", epoch: Epoch(1))?.state == .alive)
        #expect(observation.leaderStanding(of: "a", epoch: Epoch(2)) == nil)
    }
}

@Suite("cluster")
struct ClusterTests {
    @Test("a node beats, leads and does the leader's duties")
    func duties() async throws {
        try await TestNode.with { node in
            try await eventually("it leads") { node.cluster.leadership.epoch != nil && node.cluster.session.epoch != nil }
            let first = try await node.catalog.nodes.find("node-1", deadline: node.deadline)?.heartbeats
            try await eventually("it beats") { try await node.catalog.nodes.find("node-1", deadline: node.deadline)?.heartbeats != first }
            #expect(try await node.cluster.leader(deadline: node.deadline)?.name == "node-1")
            try await eventually("its duty was done") { node.duties.contains(node.cluster.leadership.epoch) }
        }
    }

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
        "of two processes started at once under one name the one with the session stays and is found; the other ends, and says nothing of it"
    )
    func twinsAtOnce() async throws {
        let server = try await PostgreSQLServer.start()
        let directory = try TemporaryDirectory()
        let (first, firstDatabase) = try await Self.process(of: server, directory)
        let (second, secondDatabase) = try await Self.process(of: server, directory)
        try await first.join(at: "http://127.0.0.1:1", deadline: Self.deadline)
        // The first does not beat yet: nothing tells the second that it lives, and its URL is in the row now.
        try await second.join(at: "http://127.0.0.1:2", deadline: Self.deadline)
        let tasks = [first, second].map { cluster in Task { try await cluster.run() } }
        try await eventually(within: 40, "one has the session") { first.session.epoch != nil || second.session.epoch != nil }
        let (stays, ends) = first.session.epoch != nil ? (0, 1) : (1, 0)
        let result = await tasks[ends].result
        #expect(throws: ApusError.self) { try result.get() }
        if case .failure(let error) = result { #expect((error as? ApusError)?.code == .nodeAlive) }
        let (living, other) = stays == 0 ? (first, second) : (second, first)
        func row() async throws -> NodeRow? { try await living.catalog.nodes.find("n1", deadline: Self.deadline) }
        try await eventually(within: 40, "the row is of the one that stays") { try await row()?.url == living.url }
        try await other.leave(deadline: Self.deadline)
        #expect(try await row()?.status == .active && living.session.epoch != nil)
        tasks[stays].cancel()
        _ = await tasks[stays].result
        try await living.leave(deadline: Self.deadline)
        #expect(try await row()?.status == .left)
        await firstDatabase.close()
        await secondDatabase.close()
        await server.stop()
    }
}
