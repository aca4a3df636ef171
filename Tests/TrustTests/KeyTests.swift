import ApusCatalog
import ApusCluster
import ApusDatabase
import ApusRuntime
import ApusTypes
import DatabaseTestKit
import Glibc
import HTTPTestKit
import NodeTestKit
import Synchronization
import TestKit
import Testing

@Suite("API keys")
struct KeyTests {
    func send(_ method: String, _ path: String, _ node: TestNode, key: String, body: JSONValue? = nil) async throws -> Int {
        try await node.send(method, path, body?.serialized(), headers: [("Host", "node.example.org"), ("X-API-Key", key)]).status
    }

    @Test("a key is accepted in three places, a wrong one in none, not even from the node's own user")
    func places() async throws {
        try await TestNode.with { node in
            let made = try await node.post("/api/keys", ["name": "reporting", "role": "reader"])
            #expect(made.status == 201)
            let secret = try #require(made["secret"]?.asString)
            let wrong = String(secret.dropLast()) + (secret.hasSuffix("0") ? "1" : "0")
            let places = [("X-API-Key", ""), ("Authorization", "Bearer "), ("authorization", "bearer "), ("api-key", "")]
            for (name, scheme) in places {
                func status(_ headers: [(String, String)]) async throws -> Int {
                    try await node.send("GET", "/collections", headers: [("Host", "localhost")] + headers).status
                }
                #expect(try await status([(name, scheme + secret)]) == 200, "\(name)")
                for bad in [wrong, "", "apus_", "apus_x_y", String(repeating: "a", count: 4000)] {
                    #expect(try await status([(name, scheme + bad)]) == 401, "\(name) \(bad.prefix(40))")
                }
                #expect(try await status([(name, scheme + secret), ("X-API-Key", wrong)]) == 401)
            }
            #expect(
                try await node.send("GET", "/collections", headers: [("Host", "localhost"), ("Authorization", "Basic \(secret)")]).status
                    == 401)
            let list = try await node.get("/api/keys")
            #expect(list["keys"]?.asArray?.first?["name"] == "reporting" && !list.raw.text.contains(secret))
        }
    }

    @Test("each role may do what it says and no more")
    func roles() async throws {
        try await TestNode.with { node in
            var keys: [APIKeyRole: String] = [:]
            for role in APIKeyRole.allCases {
                keys[role] = try await node.access.create(name: role.rawValue, role: role, deadline: node.deadline).secret.reveal()
            }
            let requests: [(String, String, JSONValue?, allowed: Set<APIKeyRole>)] = [
                ("GET", "/collections", nil, [.reader, .writer, .administrator]),
                ("GET", "/api/status", nil, [.reader, .writer, .administrator]),
                ("GET", "/metrics", nil, [.reader, .writer, .administrator]),
                ("POST", "/collections", ["name": "c"], [.writer, .administrator]),
                ("DELETE", "/collections/none", nil, [.writer, .administrator]),
                ("POST", "/insert_vectors", [:], [.writer, .administrator]), ("POST", "/batch_delete", [:], [.writer, .administrator]),
                ("POST", "/collections/none/search", [:], [.reader, .writer, .administrator]),
                ("DELETE", "/api/v1/cluster/nodes/none", nil, [.administrator]),
                ("POST", "/api/v1/cluster/rebalance", nil, [.administrator]),
                ("GET", "/api/keys", nil, [.administrator]), ("POST", "/api/keys", [:], [.administrator]),
                ("DELETE", "/api/keys/none", nil, [.administrator]),
            ]
            for (method, path, body, allowed) in requests {
                for (role, key) in keys {
                    let status = try await send(method, path, node, key: key, body: body)
                    #expect((status != 403) == allowed.contains(role), "\(role) \(method) \(path): \(status)")
                    #expect(status != 401)
                }
            }
        }
    }

    @Test("a revoked key ends at once here, and soon when another node revoked it")
    func revocation() async throws {
        try await TestNode.with { node in
            let (here, first) = try await node.access.create(name: "a", role: .reader, deadline: node.deadline)
            let (elsewhere, second) = try await node.access.create(name: "b", role: .reader, deadline: node.deadline)
            #expect(try await send("GET", "/collections", node, key: first.reveal()) == 200)
            #expect(try await send("GET", "/collections", node, key: second.reveal()) == 200)
            #expect(try await node.delete("/api/keys/\(here.id)").status == 200)
            #expect(try await send("GET", "/collections", node, key: first.reveal()) == 401)
            #expect(try await node.delete("/api/keys/\(here.id)").status == 404)
            #expect(try await node.catalog.keys.revoke(id: elsewhere.id, deadline: node.deadline))
            try await eventually("the other node's revocation is seen") {
                try await send("GET", "/collections", node, key: second.reveal()) == 401
            }
        }
    }

    @Test("bad requests for keys are refused")
    func badKeys() async throws {
        try await TestNode.with { node in
            for body in [[:], ["name": ""], ["name": 7], ["name": "x", "role": "god"], ["name": "a\nb"]] as [JSONValue] {
                let reply = try await node.post("/api/keys", body)
                #expect(reply.status == 400 && reply["error"]?["code"] == "request.invalid", "\(body)")
            }
            #expect(try await node.get("/health/ready?role=king").status == 400)
        }
    }

    @Test("the first key is made once, printed once, and kept where only the node's user reads it")
    func firstKey() async throws {
        try await TestNode.with { node in
            let file = node.directory.path + "/administrator.key"
            // What lay there before, readable by all, is replaced and not written into.
            let link = open(file, O_WRONLY | O_CREAT, 0o644)
            close(link)
            let made = try await node.access.makeFirstKey(keptIn: file, deadline: node.deadline)
            let secret = try #require(made?.reveal())
            #expect(try await send("GET", "/api/keys", node, key: secret) == 200)
            var facts = stat()
            #expect(stat(file, &facts) == 0 && facts.st_mode & 0o777 == 0o600)
            let (_, kept) = try await shell("cat \(file)", in: node.directory)
            #expect(kept == secret + "\n")
            #expect(try await node.access.makeFirstKey(keptIn: file + "2", deadline: node.deadline)?.reveal() == nil)
            #expect(stat(file + "2", &facts) != 0)
        }
    }

    /// A clock that stands still until it is moved.
    final class ManualClock: MonotonicClock {
        let current = Mutex(Instant(nanosecondsSinceBoot: 0))
        var now: Instant { current.withLock { $0 } }
        var minimumResolution: Duration { .nanoseconds(1) }
        var wallTime: WallTime { WallTime(millisecondsSinceEpoch: 0) }
        func sleep(until deadline: Instant, tolerance: Duration?) async throws {}
        func advance(by duration: Duration) { current.withLock { $0 = $0.advanced(by: duration) } }
    }

    @Test("while the catalog is away a confirmed key stays in force for auth.max_stale, and an unknown one gets 503")
    func staleness() async throws {
        let directory = try TemporaryDirectory()
        let database = try await SQLiteDatabase.open(path: directory.path + "/catalog.sqlite")
        let catalog = try await Catalog.open(database, clock: BootClock())
        let clock = ManualClock()
        let access = Access(keys: catalog.keys, clock: clock, maxStale: .seconds(300))
        func verify(_ secret: Redacted<String>) async throws -> Principal? {
            try await access.verify(secret, deadline: BootClock.now.advanced(by: .seconds(10)))
        }
        let deadline = BootClock.now.advanced(by: .seconds(20))
        let (key, known) = try await access.create(name: "known", role: .writer, deadline: deadline)
        let (_, unseen) = try await access.create(name: "unseen", role: .writer, deadline: deadline)
        #expect(try await verify(known) == Principal(id: key.id, role: .writer))
        await database.close()
        clock.advance(by: .seconds(299))
        #expect(try await verify(known)?.id == key.id)
        #expect(try await #require(throws: ApusError.self) { try await verify(unseen) }.code.surface.http == 503)
        clock.advance(by: .seconds(2))
        #expect(try await #require(throws: ApusError.self) { try await verify(known) }.code.surface.http == 503)
    }

    @Test("a catalog that hangs or is dead holds up a request with a confirmed key only now and then, and for a moment")
    func awayCatalog() async throws {
        let server = try await PostgreSQLServer.start(name: "away")
        let database = try await PostgreSQLDatabase.open(
            url: try await server.newDatabase(), loops: TestLoops.shared, deadline: BootClock.now.advanced(by: .seconds(20)))
        let catalog = try await Catalog.open(database, clock: BootClock())
        let access = Access(keys: catalog.keys, clock: BootClock(), maxStale: .seconds(300))
        let (key, known) = try await access.create(name: "known", role: .writer, deadline: BootClock.now.advanced(by: .seconds(20)))
        // Were each of the requests held up, even for a moment, they would not be over in time.
        func ask() async throws {
            let end = BootClock.now.advanced(by: .seconds(60))
            for _ in 0..<200 {
                #expect(try await access.verify(known, deadline: BootClock.now.advanced(by: .seconds(30)))?.id == key.id)
                guard BootClock.now < end else { throw TestKitError("requests are held up") }
            }
        }
        try await ask()
        try await BootClock().sleep(for: .milliseconds(1100))
        try await server.freeze()
        try await ask()
        server.thaw()
        try await eventually("the catalog confirms keys again") {
            try await access.verify(known, deadline: BootClock.now.advanced(by: .seconds(20)))?.id == key.id
        }
        await server.kill()
        try await BootClock().sleep(for: .milliseconds(1100))
        try await ask()
        await database.close()
    }
}
