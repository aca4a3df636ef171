import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Synchronization
import TestKit
import Testing

@testable import ApusDatabase

/// Reads through a primary with two real streaming standbys.
@Suite("reads from replicas", .serialized)
struct ReadReplicaTests {
    private struct Lab {
        let primary: PostgreSQLServer
        let standbys: [PostgreSQLServer]
        let database: PostgreSQLDatabase
        let replicas: ReadReplicas

        /// Which server answers, by its port.
        func server(seeing token: ReadToken? = nil) async throws -> UInt16 {
            let rows = try await replicas.read([Statement("SELECT inet_server_port()")], seeing: token, deadline: soon())
            return UInt16(try rows[0][0].integer(0))
        }

        /// Reads so often, and counts who has answered.
        func servers(of reads: Int) async throws -> [UInt16: Int] {
            var counts: [UInt16: Int] = [:]
            for _ in 0..<reads { counts[try await server(), default: 0] += 1 }
            return counts
        }

        func isUsable(_ standby: Int) -> Bool { replicas.standings[standby].standing.isUsable }
    }

    private func withLab(lagLimit: Duration = .seconds(10), _ body: (Lab) async throws -> Void) async throws {
        let primary = try await PostgreSQLServer.start()
        let standbys = [try await primary.standby(name: "s1"), try await primary.standby(name: "s2")]
        let database = try await PostgreSQLDatabase.open(
            url: primary.url(), loops: TestLoops.shared, patience: .seconds(1), deadline: soon())
        let replicas = try ReadReplicas(
            of: database, url: primary.url(), hosts: standbys.map { ("127.0.0.1", Int($0.port)) }, loops: TestLoops.shared,
            lagLimit: lagLimit)
        let lab = Lab(primary: primary, standbys: standbys, database: database, replicas: replicas)
        let running = Task { try await replicas.run() }
        let result: Result<Void, any Error>
        do {
            try await eventually("both replicas answer") { lab.isUsable(0) && lab.isUsable(1) }
            result = .success(try await body(lab))
        } catch { result = .failure(error) }
        running.cancel()
        _ = await running.result
        await replicas.close()
        await database.close()
        for server in standbys + [primary] { await server.stop(.immediate) }
        try result.get()
    }

    @Test("30 reads are 15 and 15; a killed replica costs no read; with none the primary answers, and a replica that is back does again")
    func rotation() async throws {
        try await withLab { lab in
            let ports = lab.standbys.map(\.port)
            #expect(try await lab.servers(of: 30) == [ports[0]: 15, ports[1]: 15])
            await lab.standbys[0].kill()
            #expect(try await lab.servers(of: 30) == [ports[1]: 30])
            await lab.standbys[1].kill()
            #expect(try await lab.servers(of: 30) == [lab.primary.port: 30])
            try await lab.standbys[0].restart()
            try await eventually("it answers again") { try await lab.server() == ports[0] }
        }
    }

    @Test("a statement that hangs on the replicas is answered by the primary before the caller's deadline")
    func hanging() async throws {
        try await withLab { lab in
            let hangs = Statement("SELECT inet_server_port() FROM (SELECT CASE WHEN pg_is_in_recovery() THEN pg_sleep(60) END) AS pause")
            let rows = try await lab.replicas.read([hangs], deadline: soon(4))
            #expect(try rows[0][0].integer(0) == Int64(lab.primary.port))
            try await eventually("they are asked again") { try await lab.server() != lab.primary.port }
        }
    }

    @Test("a replica that is killed under reads that wait for it, or frozen, loses none of them", arguments: [false, true])
    func underLoad(isFrozen: Bool) async throws {
        try await withLab { lab in
            let slow = Statement("SELECT inet_server_port() FROM pg_sleep(0.3)")
            let ports = try await withThrowingTaskGroup(of: UInt16.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        UInt16(try await lab.replicas.read([slow], deadline: soon(60))[0][0].integer(0))
                    }
                }
                // Every read is on its way to one of them.
                try await eventually("reads are under way") {
                    try await lab.standbys[0].query(
                        "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.3)%' AND pid <> pg_backend_pid()") == "t"
                }
                if isFrozen { try await lab.standbys[0].freeze() } else { await lab.standbys[0].kill() }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(ports.count == 20)
            try await eventually("it is out of the rotation") { !lab.isUsable(0) }
            #expect(try await lab.servers(of: 10) == [lab.standbys[1].port: 10])
            if isFrozen {
                lab.standbys[0].thaw()
                try await eventually("it answers again") { lab.isUsable(0) }
            }
        }
    }

    @Test("200 times a write and at once a read that must see it: none misses it, also while a replica does not replay")
    func readYourWrites() async throws {
        try await withLab { lab in
            try await lab.database.write(.once("CREATE TABLE t (n bigint)"))
            let ports = lab.standbys.map(\.port)
            var answers: [UInt16: Int] = [:]
            for number in 0..<200 {
                if number == 100 { try await lab.standbys[0].execute("SELECT pg_wal_replay_pause()") }
                try await lab.database.write(Statement("INSERT INTO t VALUES ($1)", [.integer(Int64(number))]))
                let token = try await lab.replicas.token(deadline: soon())
                let rows = try await lab.replicas.read(
                    [Statement("SELECT count(*), inet_server_port() FROM t WHERE n = $1", [.integer(Int64(number))])], seeing: token,
                    deadline: soon())[0]
                #expect(try rows[0].integer(0) == 1, "\(number)")
                answers[UInt16(try rows[0].integer(1)), default: 0] += 1
                if number < 100 || number == 199 {
                    try await eventually("a replica has it") { try await lab.server(seeing: token) != lab.primary.port }
                }
            }
            let token = try await lab.replicas.token(deadline: soon())
            for _ in 0..<20 { #expect(try await lab.server(seeing: token) != ports[0], "it has not replayed that far") }
            #expect(answers.values.reduce(0, +) == 200)
        }
    }

    @Test("a replica beyond the bound leaves the rotation, and comes back when it has caught up")
    func lag() async throws {
        try await withLab(lagLimit: .seconds(2)) { lab in
            try await lab.database.write(.once("CREATE TABLE t (n bigint)"))
            try await lab.standbys[1].execute("SELECT pg_wal_replay_pause()")
            try await eventually("it is behind") {
                try await lab.database.write(Statement("INSERT INTO t VALUES (1)"))
                return !lab.isUsable(1)
            }
            #expect((lab.replicas.standings[1].standing.lag ?? .seconds(9)) > .seconds(2))
            #expect(try await lab.servers(of: 10)[lab.standbys[1].port] == nil)
            try await eventually("the other one answers") { try await lab.server() == lab.standbys[0].port }
            try await lab.standbys[1].execute("SELECT pg_wal_replay_resume()")
            try await eventually("it has caught up") { lab.isUsable(1) }
        }
    }

    @Test("a promoted replica answers nothing; a token of the old history is honoured by the primary alone")
    func promoted() async throws {
        try await withLab { lab in
            let token = try await lab.replicas.token(deadline: soon())
            try await lab.standbys[0].promote()
            // Before the next look, too: each read has the replica say what it is.
            #expect(try await lab.servers(of: 10) == [lab.standbys[1].port: 10])
            guard case .promoted = lab.replicas.standings[0].standing else { throw TestKitError("\(lab.replicas.standings)") }
            var later = token
            later.timeline += 1
            later.lsn = 0
            #expect(try await lab.server(seeing: later) == lab.primary.port)
            #expect(try await lab.server(seeing: token) == lab.standbys[1].port)
        }
    }

    @Test("a statement that a replica cannot run is the primary's to answer, and nothing is written that way")
    func errors() async throws {
        try await withLab { lab in
            try await lab.standbys[0].execute("SELECT pg_wal_replay_pause()")
            try await lab.standbys[1].execute("SELECT pg_wal_replay_pause()")
            try await lab.database.write(.once("CREATE TABLE t (n bigint)"))
            #expect(try await lab.replicas.read([Statement("SELECT count(*) FROM t")], deadline: soon())[0][0].integer(0) == 0)
            #expect(await code { _ = try await lab.replicas.read([Statement("SELECT wrong")], deadline: soon()) } == .databaseRejected)
            #expect(
                await code { _ = try await lab.replicas.read([Statement("INSERT INTO t VALUES (1)")], deadline: soon()) }
                    == .catalogReadOnly)
            #expect(try await lab.database.read("SELECT count(*) FROM t")[0].integer(0) == 0)
        }
    }
}

@Suite("the rotation of replicas")
struct ReplicaRotationTests {
    private func place(_ lsn: Int64, timeline: Int64 = 1) -> ReadToken { ReadToken(system: 7, timeline: timeline, lsn: lsn) }
    private func at(_ milliseconds: Int) -> Instant { Instant(nanosecondsSinceBoot: Int64(milliseconds) * 1_000_000) }
    private func standby(_ lsn: Int64, timeline: Int64 = 1) -> ServerSighting {
        ServerSighting(place: place(lsn, timeline: timeline), isStandby: true)
    }

    @Test("nobody answers before both sides were seen; then each in turn, and who fails or is not far enough is passed over")
    func turns() {
        var rotation = ReplicaRotation(count: 3, limit: .seconds(2))
        #expect(rotation.next(seeing: nil, besides: [], at: at(0)) == nil)
        for replica in 0..<3 { rotation.saw(replica, standby(100)) }
        #expect(rotation.next(seeing: nil, besides: [], at: at(0)) == nil)
        rotation.sawPrimary(place(100), asked: at(0))
        #expect((0..<6).map { _ in rotation.next(seeing: nil, besides: [], at: at(1)) } == [0, 1, 2, 0, 1, 2])
        #expect(rotation.change(of: 1, at: at(1))?.isUsable == true && rotation.change(of: 1, at: at(1)) == nil)
        #expect(rotation.next(seeing: nil, besides: [0, 1], at: at(1)) == 2)
        #expect(rotation.next(seeing: nil, besides: [0, 1, 2], at: at(1)) == nil)
        rotation.failed(1, ApusError(.catalogUnavailable, "gone"))
        #expect(rotation.change(of: 1, at: at(1))?.isUsable == false && rotation.change(of: 1, at: at(1)) == nil)
        #expect((0..<4).map { _ in rotation.next(seeing: nil, besides: [], at: at(1)) } == [0, 2, 0, 2])
        rotation.saw(2, standby(150))
        #expect((0..<2).map { _ in rotation.next(seeing: place(101), besides: [], at: at(1)) } == [2, 2])
        #expect(rotation.next(seeing: place(151), besides: [], at: at(1)) == nil)
        #expect(rotation.next(seeing: place(1, timeline: 2), besides: [], at: at(1)) == nil)
    }

    @Test("a replica is as old as the latest place of the primary that it has reached; a quiet primary makes nobody late")
    func ages() {
        var rotation = ReplicaRotation(count: 1, limit: .seconds(2))
        for (time, lsn) in [(0, 100), (500, 200), (1000, 300)] { rotation.sawPrimary(place(Int64(lsn)), asked: at(time)) }
        for (lsn, age) in [(100, 1200), (250, 700), (300, 200), (999, 200)] {
            rotation.saw(0, standby(Int64(lsn)))
            #expect(rotation.standing(of: 0, at: at(1200)).lag == .milliseconds(Int64(age)))
        }
        rotation.saw(0, standby(99))
        guard case .behind(nil) = rotation.standing(of: 0, at: at(1200)) else { return #expect(Bool(false), "nobody can tell") }
        for time in 3...300 { rotation.sawPrimary(place(300), asked: at(time * 500)) }
        rotation.saw(0, standby(300))
        #expect(rotation.standing(of: 0, at: at(150_100)).lag == .milliseconds(100))
        #expect(!rotation.standing(of: 0, at: at(153_000)).isUsable, "nobody has seen the primary for 3 s")
    }

    @Test("after a promotion the places of the old history count no more")
    func histories() {
        var rotation = ReplicaRotation(count: 2, limit: .seconds(2))
        rotation.sawPrimary(place(100), asked: at(0))
        rotation.saw(0, standby(500))
        rotation.saw(1, ServerSighting(place: place(600, timeline: 2), isStandby: false))
        guard case .promoted = rotation.standing(of: 1, at: at(1)) else { return #expect(Bool(false)) }
        rotation.sawPrimary(place(400, timeline: 2), asked: at(10))
        guard case .otherHistory = rotation.standing(of: 0, at: at(11)) else { return #expect(Bool(false)) }
        rotation.saw(0, standby(400, timeline: 2))
        #expect(rotation.standing(of: 0, at: at(11)).lag == .milliseconds(1))
    }
}
