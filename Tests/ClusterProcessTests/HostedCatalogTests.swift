import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import Synchronization
import TestKit
import Testing

@Suite("A node that hosts the catalog, and nodes that join it", .serialized)
struct HostedCatalogTests {
    /// A leader and its followers, configured by Graphistry's variables.
    private final class Lab: Sendable {
        let directory: TemporaryDirectory
        let loops = EventLoops(count: 1)
        private let ports: Mutex<UInt16>
        var port: UInt16 { ports.withLock { $0 } }

        init() throws {
            directory = try TemporaryDirectory()
            ports = Mutex(try freePort())
        }

        deinit {
            loops.stop()
            // A server that its node has left running: by the file that it keeps, as the node finds it.
            if let server, readLink("/proc/\(server)/cwd")?.hasPrefix(directory.path) == true { kill(server, SIGQUIT) }
        }

        private func readLink(_ path: String) -> String? {
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink(path, &buffer, buffer.count)
            return count < 0 ? nil : String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
        }

        /// The process of PostgreSQL.
        var server: Int32? {
            guard let file = fopen(directory.path + "/leader/postgresql/data/postmaster.pid", "r") else { return nil }
            defer { fclose(file) }
            var line = [CChar](repeating: 0, count: 32)
            guard fgets(&line, 32, file) != nil else { return nil }
            return Int32(String(decoding: line.prefix { $0 > 32 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
        }

        func environment(_ type: String, _ more: [String: String] = [:]) -> [String: String] {
            var variables = [
                "ENABLE_CLUSTER_MODE": "true", "NODE_TYPE": type, "APUS_CATALOG_ADDRESS": "127.0.0.1:\(port)",
                "APUS_CLUSTER_ADDRESS": "127.0.0.1:0", "APUS_NODE_NAME": type,
            ]
            if type == "follower" { variables["POSTGRES_HOST"] = "127.0.0.1" }
            return variables.merging(more) { $1 }
        }

        func start(_ type: String, _ more: [String: String] = [:], arguments: [String] = []) async throws -> NodeProcess {
            do {
                return try await NodeProcess.start(
                    directory: "\(directory.path)/\(type)", arguments: arguments, environment: environment(type, more), loops: loops)
            } catch let failure as NodeFailure where type == "leader" && failure.description.contains("could not start server") {
                // The port was free when it was chosen; making the database has taken a second since.
                ports.withLock { $0 = (try? freePort()) ?? $0 }
                return try await NodeProcess.start(
                    directory: "\(directory.path)/\(type)", arguments: arguments, environment: environment(type, more), loops: loops)
            }
        }

        /// Runs the program to its end.
        func run(_ arguments: [String], _ environment: [String: String] = [:]) async throws -> (exit: ChildProcess.Exit, output: String) {
            let output = directory.path + "/output"
            unlink(output)
            let process = try await ChildProcess.start(
                ChildProcess.Command(
                    try NodeProcess.program(), arguments, environment: environment.merging(["PATH": "/usr/bin:/bin"]) { own, _ in own },
                    output: .file(output)), on: loops.first)
            return (await process.wait(), try text(of: output))
        }
    }

    @Test(
        "a database is not made on a file system that several machines may have, and it is said how to move it",
        .enabled(if: geteuid() == 0, "only root mounts file systems"))
    func sharedDirectory() async throws {
        let lab = try Lab()
        let place = lab.directory.path + "/leader"
        // A kind of file system that is not known is taken for a shared one; here it is one that the kernel always has.
        let script = "mkdir -p \(place)/postgresql && mount -t hugetlbfs none \(place)/postgresql && exec \"$@\""
        let output = lab.directory.path + "/output"
        let words = ["-m", "/bin/sh", "-c", script, "sh", try NodeProcess.program(), "node", "--data", place, "--listen", "127.0.0.1:0"]
        let process = try await ChildProcess.start(
            ChildProcess.Command(
                "/usr/bin/unshare", words, environment: lab.environment("leader", ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]),
                output: .file(output)), on: lab.loops.first)
        #expect(await process.wait() != .status(0))
        let said = try text(of: output)
        #expect(said.contains("is on a shared file system") && said.contains("mv \(place)/postgresql"), "\(said)")
    }

    @Test("the leader's database survives a killed node, is taken over, is started again when it dies, and stops with its node")
    func hosting() async throws {
        let lab = try Lab()
        var leader = try await lab.start("leader")
        try await leader.create("words", shards: 1, replicas: 1)
        #expect(try await leader.insert(1, into: "words") == 200)
        let server = try #require(lab.server)

        await leader.kill()
        #expect(kill(server, 0) == 0, "the database goes on")
        leader = try await lab.start("leader")
        #expect(lab.server == server, "and is taken over, not started again")
        #expect(try await leader.completeSearch(1, in: "words").nearest == "p1")

        kill(server, SIGKILL)
        try await eventually(within: 60, "the database is started again") { lab.server != nil && lab.server != server }
        try await eventually(within: 60, "it takes writes") { try await leader.insert(2, into: "words") == 200 }
        #expect(try await leader.completeSearch(2, in: "words").nearest == "p2")

        // Whose database cannot have its port says what PostgreSQL says.
        let failure = await #expect(throws: NodeFailure.self) {
            try await Lab().start("leader", ["APUS_CATALOG_ADDRESS": "127.0.0.1:\(lab.port)"])
        }
        #expect(failure?.description.contains("FATAL:  could not create any TCP/IP sockets") == true)

        for (what, names) in [("nodes", "leader"), ("collections", "words"), ("shards", "words/0")] {
            #expect(try await leader.apus("completion", "--names", what).output == names + "\n")
        }
        let doctor = ["doctor", "catalog", "--data", lab.directory.path + "/leader"]
        let running = try await lab.run(doctor, lab.environment("leader"))
        #expect(running.exit == .status(0) && running.output.contains("PostgreSQL 15"), "\(running.output)")
        try await leader.stopCleanly()
        #expect(lab.server == nil)
        let stopped = try await lab.run(doctor, lab.environment("leader"))
        #expect(stopped.exit == .status(0) && stopped.output.contains("it is stopped, and starts with this node"), "\(stopped.output)")
    }

    @Test("a follower that starts first waits and says so; without the secret it is told the three ways; with it it goes on by itself")
    func waiting() async throws {
        let lab = try Lab()
        let refused = try await lab.run(
            ["node", "--data", lab.directory.path + "/stranger", "--listen", "127.0.0.1:0"], lab.environment("follower"))
        #expect(refused.exit == .status(78) && refused.output.contains("join.secret_missing"), "\(refused.output)")
        for way in ["cluster.secret", "APUS_CLUSTER_SECRET", "apus join"] { #expect(refused.output.contains(way)) }

        let secret = ["APUS_CLUSTER_SECRET": "a secret of these tests"]
        let port = try freePort()
        let starting = Task { try await lab.start("follower", secret, arguments: ["--listen", "127.0.0.1:\(port)"]) }
        let client = HTTPClient(loops: lab.loops)
        func ask(_ path: String) async throws -> (Int, String?, JSONValue) {
            let reply = try await client.send(
                ClientRequest(.get, "http://127.0.0.1:\(port)\(path)", deadline: BootClock.now.advanced(by: .seconds(5))))
            return (reply.status, reply.headers["Retry-After"], try JSONValue(parsing: try await reply.collect(limit: .mebibytes(1))))
        }
        try await eventually(within: 60, "it listens and waits") { (try? await ask("/health").2["status"]) == "waiting" }
        #expect(try await ask("/health").0 == 503)
        #expect(try await ask("/health/live").0 == 200)
        try await eventually(within: 60, "it says for what") { try await ask("/collections").2["code"] == "catalog.unavailable" }
        let (status, retry, _) = try await ask("/collections")
        #expect(status == 503 && retry == "1")

        let leader = try await lab.start("leader", secret)
        let follower = try await starting.value
        let waits = follower.log.split(separator: "\n").filter { $0.contains("Waiting for PostgreSQL to become available...") }
        #expect(waits.contains { $0.contains("reason") } && !waits.contains { $0.contains("field_") }, "\(waits)")
        let failures = follower.log.split(separator: "\n").filter { $0.contains("a request failed") && $0.contains("catalog.unavailable") }
        #expect(failures.isEmpty, "it says that it waits: \(failures)")
        try await eventually(within: 60, "both are active") {
            try await follower.statuses() == ["leader": "active", "follower": "active"]
        }
        // Another secret makes another password: named at once, and its end, however long a catalog that is away is waited for.
        let other = try await lab.run(
            ["node", "--data", lab.directory.path + "/other", "--listen", "127.0.0.1:0"],
            lab.environment(
                "follower",
                [
                    "APUS_CLUSTER_SECRET": "another secret of these tests", "APUS_RPC_ENABLED": "false",
                    "APUS_CATALOG_CONNECT_TIMEOUT_SECONDS": "60",
                ]))
        #expect(other.exit == .status(78) && other.output.contains("join.secret_mismatch"), "\(other.output)")
        let named = other.output.split(separator: "\n").first { $0.contains("Waiting for PostgreSQL") }
        #expect(named?.contains("refuses this node's cluster secret") == true, "\(other.output)")
        try await follower.stopCleanly()
        try await leader.stopCleanly()
    }

    @Test("a machine joins with a token, once; a dry run changes nothing; followers with the leader's directory need none")
    func joining() async throws {
        let lab = try Lab()
        mkdir(lab.directory.path + "/shared", 0o755)
        let leader = try await lab.start("leader", ["LOCAL_DATASET_CACHE_DIR": lab.directory.path + "/shared"])
        let made = try await leader.send(.post, "/api/join/tokens", #"{"life_seconds": 600}"#)
        let token = try #require(made.body["token"]?.asString)
        let joined = lab.directory.path + "/joined"
        let arguments = ["join", token, "--data", joined, "--listen", "127.0.0.1:0", "--name", "joined"]

        for (option, value, reason) in [
            ("--name", "leader", "has a node leader, which is active"),
            ("--listen", String(leader.url.dropFirst("http://".count)), "is where node leader listens"),
        ] {
            let twin = try await lab.run(["join", token, "--data", joined, option, value])
            #expect(twin.exit == .status(3) && twin.output.contains(reason) && twin.output.contains("another \(option)"), "\(twin.output)")
            #expect(access(joined, F_OK) != 0)
        }

        let trial = try await lab.run(arguments + ["--dry-run"])
        #expect(trial.exit == .status(0) && access(joined, F_OK) != 0, "\(trial.output)")
        let real = try await lab.run(arguments)
        #expect(real.exit == .status(0), "\(real.output)")
        #expect(!real.output.contains(try text(of: joined + "/cluster.secret").trimmed))
        let again = try await lab.run(["join", token, "--data", lab.directory.path + "/again"])
        #expect(again.exit == .status(3) && again.output.contains("join.token_used"), "\(again.output)")
        #expect(access(lab.directory.path + "/again", F_OK) != 0, "nothing is left of a join that was refused")

        let expired = try await leader.send(.post, "/api/join/tokens", #"{"life_seconds": 1}"#)
        let late = try #require(expired.body["token"]?.asString)
        try await eventually(within: 30, "it expires") {
            try await lab.run(["join", late, "--data", lab.directory.path + "/late", "--dry-run"]).output.contains("join.token_expired")
        }
        #expect(try await leader.send(.post, "/api/join/tokens", #"{"life_seconds": 0}"#).status == 400)

        let member = try await NodeProcess.start(
            directory: joined, environment: ["APUS_CLUSTER_ADDRESS": "127.0.0.1:0"], loops: lab.loops)
        let follower = try await lab.start("follower", ["LOCAL_DATASET_CACHE_DIR": lab.directory.path + "/shared"])
        try await eventually(within: 60, "all three are active") {
            try await follower.statuses() == ["leader": "active", "joined": "active", "follower": "active"]
        }
        // Who hosts the catalog is needed: a dry run says so as well.
        let needed = try await leader.apus("node", "remove", "leader", "--dry-run")
        #expect(needed.status == 3 && needed.output.contains("would be refused: leader hosts the catalog"), "\(needed)")
        for node in [member, follower, leader] { try await node.stopCleanly() }
    }

}

extension String {
    fileprivate var trimmed: String { String(self.filter { !$0.isWhitespace }) }
}

/// A whole file.
private func text(of path: String) throws -> String {
    guard let file = fopen(path, "r") else { throw NodeFailure("there is no \(path)") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}
