import ApusRuntime
public import ApusTypes
import Glibc
import Synchronization
internal import TestKit

/// A real PostgreSQL in a temporary directory, on a free port of 127.0.0.1 unless another place is given; it ends with the test process,
/// however that ends.
public final class PostgreSQLServer: Sendable {
    /// How a server is asked to end.
    public enum Stop: Sendable {
        /// Checkpoint, then the end.
        case fast
        /// As a crash: no checkpoint, recovery at the next start.
        case immediate
    }

    /// Where a server runs, if not on loopback.
    public struct Place: Sendable {
        /// What it listens on. Everybody who reaches that is let in.
        public var host: String
        /// What starts a program there: `ip netns exec NAME`.
        public var enter: [String]

        public init(host: String, enter: [String] = []) {
            self.host = host
            self.enter = enter
        }
    }

    public let name: String
    public let port: UInt16
    private let place: Place
    private let directory: TemporaryDirectory
    private let process = Mutex<ChildProcess?>(nil)
    private let guardian = Mutex<ChildProcess?>(nil)

    private init(name: String, directory: TemporaryDirectory, port: UInt16, place: Place = Place(host: "127.0.0.1")) {
        self.name = name
        self.place = place
        self.directory = directory
        self.port = port
    }

    deinit {
        if let process = process.withLock({ $0 }) { Self.killAll(of: process) }
    }

    /// Those that run when the tests end. Their processes must be gone before their files are, or one that was just started fails for ever
    /// instead of noticing that the others have died.
    private static let running = Mutex<[Int32: ChildProcess]>([:])
    private static let endsWithTests: Void = {
        atexit { for process in PostgreSQLServer.running.withLock({ $0.values }) { PostgreSQLServer.killAll(of: process) } }
    }()

    /// `kill -9` of a postmaster and all its processes.
    @discardableResult
    private static func killAll(of postmaster: ChildProcess) -> [Int32] {
        guard running.withLock({ $0.removeValue(forKey: postmaster.identifier) }) != nil, postmaster.ended == nil else { return [] }
        postmaster.send(signal: SIGSTOP)  // so that it starts no process between the look and the kill
        for _ in 0..<1000 where state(of: postmaster.identifier) != "T" { sched_yield() }
        let pids = everyProcess(of: postmaster)
        for pid in pids { Glibc.kill(pid, SIGKILL) }
        return pids
    }

    /// Where the server's files are.
    public var dataDirectory: String { directory.path + "/data" }
    public var logFile: String { directory.path + "/log" }

    /// Lines of the server's log that hold `text`, each with the details that follow it.
    public func messages(about text: String) -> [String] {
        let lines = Self.read(logFile).split(separator: "\n")
        return lines.indices.filter { lines[$0].contains(text) }.map { lines[$0...].prefix(16).joined(separator: "\n") }
    }

    /// The superuser's URL of a database; there is no password.
    public func url(database: String = "postgres") -> Redacted<String> {
        Redacted("postgresql://apus@\(place.host):\(port)/\(database)?sslmode=disable")
    }

    // MARK: Starting

    /// Starts a server. `isDurable`: with fsync, for what measures or survives a loss of power; `kill -9` loses nothing without it.
    public static func start(
        name: String = "primary", settings: [String: String] = [:], isDurable: Bool = false, at place: Place = Place(host: "127.0.0.1")
    ) async throws -> PostgreSQLServer {
        let directory = try TemporaryDirectory()
        let template = try await Self.template.value
        try await run("/bin/cp", ["-a", template.path + "/data", directory.path + "/data"])
        let server = PostgreSQLServer(name: name, directory: directory, port: try freePort(), place: place)
        try server.configure(["fsync": isDurable ? "on" : "off", "listen_addresses": place.host].merging(settings) { $1 })
        try append("host all all \(place.host)/16 trust\n", to: server.dataDirectory + "/pg_hba.conf")
        try await server.boot()
        return server
    }

    /// One server for all tests of the process that only need a database of their own.
    public static func shared() async throws -> PostgreSQLServer { try await sharedServer.value }
    private static let sharedServer = Task { try await PostgreSQLServer.start(name: "shared") }

    /// A new, empty database on the server.
    public func newDatabase() async throws -> Redacted<String> {
        let name = "test_\(getpid())_\(Self.databases.withLock { $0 += 1; return $0 })"
        try await execute("CREATE DATABASE \(name)")
        return url(database: name)
    }
    private static let databases = Mutex(0)

    private static let template = Task { () throws -> TemporaryDirectory in
        let directory = try TemporaryDirectory()
        try await hand(directory)
        try await runAsServer(
            "initdb",
            ["-D", directory.path + "/data", "-U", "apus", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C", "--no-instructions"])
        let common = """
            shared_buffers = 16MB
            max_connections = 100
            wal_level = replica
            hot_standby = on
            max_wal_senders = 8
            wal_receiver_status_interval = 1s
            logging_collector = off
            log_min_messages = warning
            dynamic_shared_memory_type = mmap

            """
        try append(common, to: directory.path + "/data/postgresql.conf")
        return directory
    }

    /// Gives a directory to the user that the server runs as.
    private static func hand(_ directory: TemporaryDirectory) async throws {
        guard getuid() == 0 else { return }
        try await run("/bin/chown", ["postgres", directory.path])
    }

    private func boot() async throws {
        try await Self.hand(directory)
        try Self.append("port = \(port)\nunix_socket_directories = '\(directory.path)'\n", to: dataDirectory + "/postgresql.conf")
        try await startProcess()
    }

    private func startProcess() async throws {
        let command = Self.asServer("postgres", ["-D", dataDirectory], enter: place.enter, output: .file(logFile))
        let child = try await ChildProcess.start(command, on: TestLoops.shared.first)
        process.withLock { $0 = child }
        _ = Self.endsWithTests
        Self.running.withLock { $0[child.identifier] = child }
        try await eventually(within: 60, "PostgreSQL is ready") {
            if child.ended != nil { throw TestKitError("PostgreSQL ended at once: \(Self.read(logFile).suffix(2000))") }
            let lines = Self.read(dataDirectory + "/postmaster.pid").split(separator: "\n", omittingEmptySubsequences: false)
            guard lines.count >= 8, lines[0] == String(child.identifier) else { return false }
            return lines[7].hasPrefix("ready")
        }
    }

    // MARK: Life and death

    public func stop(_ how: Stop = .fast) async {
        thaw()
        guard let child = process.withLock({ $0 }) else { return }
        child.send(signal: how == .fast ? SIGINT : SIGQUIT)
        _ = await child.wait()
    }

    /// `kill -9` of the postmaster and all its processes.
    public func kill() async {
        guard let child = process.withLock({ $0 }) else { return }
        let pids = Self.killAll(of: child)
        _ = await child.wait()
        // A server cannot start while a process of the old one still holds its shared memory.
        while pids.contains(where: Self.isAlive) { await Task.yield() }
        guardian.withLock { $0.take() }?.send(signal: SIGKILL)
    }

    /// Starts again what was stopped or killed, on the same port and files.
    public func restart() async throws {
        if let child = process.withLock({ $0 }), child.ended == nil { await stop() }
        try await startProcess()
    }

    /// Stops every process of the server as a hung machine would: connections stay, nothing answers.
    public func freeze() async throws {
        let pids = everyProcess
        // If this process is killed now, nobody else could end what is frozen.
        let list = pids.map(String.init).joined(separator: " ")
        let guardian = try await ChildProcess.start(
            ChildProcess.Command(
                "/bin/sh", ["-c", "while kill -0 \(getpid()) 2>/dev/null; do sleep 0.5; done; kill -KILL \(list)"],
                environment: ["PATH": "/usr/bin:/bin"], output: .discarded),
            on: TestLoops.shared.first)
        self.guardian.withLock { $0 = guardian }
        for pid in pids { Glibc.kill(pid, SIGSTOP) }
    }

    public func thaw() {
        guard let guardian = guardian.withLock({ $0.take() }) else { return }
        guardian.send(signal: SIGKILL)
        for pid in everyProcess { Glibc.kill(pid, SIGCONT) }
    }

    private static func isAlive(_ pid: Int32) -> Bool {
        let state = state(of: pid)
        return state != nil && state != "Z" && state != "X"
    }

    /// As ps(1) shows it; nil when there is no such process.
    private static func state(of pid: Int32) -> Substring? {
        read("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ").first
    }

    private var everyProcess: [Int32] { process.withLock { $0 }.map(Self.everyProcess(of:)) ?? [] }

    /// The postmaster and its children.
    private static func everyProcess(of postmaster: ChildProcess) -> [Int32] {
        guard postmaster.ended == nil else { return [] }
        // `asServer` becomes the postmaster by exec, so its number is the child's.
        let children = TemporaryDirectory.entries("/proc").compactMap(Int32.init).filter { pid in
            let fields = read("/proc/\(pid)/stat").split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 1 && Int32(fields[1]) == postmaster.identifier
        }
        return [postmaster.identifier] + children
    }

    // MARK: Settings and SQL

    /// Adds settings to the server's file; a running server takes them after `reload`.
    public func configure(_ settings: [String: String]) throws {
        let lines = settings.sorted { $0.key < $1.key }.map { "\($0.key) = '\($0.value)'\n" }.joined()
        try Self.append(lines, to: dataDirectory + "/postgresql.conf")
    }

    /// Has the running server read its file again, and waits until a new session sees `key` as `value`.
    public func reload(_ settings: [String: String]) async throws {
        try configure(settings)
        process.withLock { $0 }?.send(signal: SIGHUP)
        for (key, value) in settings {
            try await eventually("\(key) is \(value)") { try await query("SHOW \(key)") == value }
        }
    }

    /// Takes connections over TLS from now on, with a certificate of its own.
    public func secure() async throws {
        try await Self.runAsServer(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost", "-days",
                "2",
                "-keyout", dataDirectory + "/server.key", "-out", dataDirectory + "/server.crt",
            ])
        try await reload(["ssl": "on"])
    }

    /// Runs SQL as the superuser, through psql.
    public func execute(_ sql: String, database: String = "postgres") async throws { _ = try await query(sql, database: database) }

    /// What psql prints for the query: rows on lines, columns parted by `|`.
    public func query(_ sql: String, database: String = "postgres") async throws -> String {
        let output = try TemporaryDirectory()
        let file = output.path + "/out"
        let command = ChildProcess.Command(
            try Self.program("psql"),
            ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", place.host, "-p", "\(port)", "-U", "apus", "-d", database, "-c", sql],
            environment: ["LC_ALL": "C", "PGSSLMODE": "disable", "PGCONNECT_TIMEOUT": "10"], output: .file(file))
        let exit = await (try ChildProcess.start(command, on: TestLoops.shared.first)).wait()
        let text = Self.read(file)
        guard exit == .status(0) else { throw TestKitError("psql: \(text)") }
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    // MARK: Standbys

    /// A streaming standby of this server. It becomes a synchronous one when `synchronous_standby_names` names it.
    public func standby(name: String) async throws -> PostgreSQLServer {
        let directory = try TemporaryDirectory()
        try await Self.hand(directory)
        let source = "host=127.0.0.1 port=\(port) user=apus sslmode=disable application_name=\(name)"
        try await Self.runAsServer(
            "pg_basebackup", ["-D", directory.path + "/data", "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync"])
        let server = PostgreSQLServer(name: name, directory: directory, port: try freePort())
        try server.configure(["synchronous_standby_names": ""])
        try await server.boot()
        try await eventually("the standby \(name) streams") {
            try await query("SELECT count(*) FROM pg_stat_replication WHERE application_name = '\(name)' AND state = 'streaming'") == "1"
        }
        return server
    }

    /// Returns when a standby has all that this server has written so far.
    public func untilApplied(by standby: PostgreSQLServer) async throws {
        let position = try await query("SELECT pg_current_wal_flush_lsn()")
        try await eventually("the standby has what was written so far") {
            try await standby.query("SELECT pg_last_wal_replay_lsn() >= '\(position)'::pg_lsn").hasPrefix("t")
        }
    }

    /// Has a standby get nothing more from its primary. Unlike a replay that is paused, nothing is caught up on before it is promoted.
    public func stopReceiving() async throws {
        try await execute("ALTER SYSTEM SET primary_conninfo = ''")
        try await execute("SELECT pg_reload_conf()")
        try await eventually("the standby no longer streams") {
            try await query("SELECT count(*) FROM pg_stat_wal_receiver") == "0"
        }
    }

    /// Makes a standby the primary of a new timeline.
    public func promote() async throws {
        try await Self.runAsServer("pg_ctl", ["promote", "-w", "-D", dataDirectory])
    }

    // MARK: Processes

    /// Where PostgreSQL's programs are: the newest version that Debian installed, else the PATH of the tests.
    /// The path of one of its programs.
    public static func program(_ name: String) throws -> String {
        let base = "/usr/lib/postgresql"
        let versions = TemporaryDirectory.entries(base).sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }
        let places = versions.map { "\(base)/\($0)/bin/\(name)" } + ["/usr/bin/\(name)", "/usr/local/bin/\(name)"]
        guard let found = places.first(where: { access($0, X_OK) == 0 }) else {
            throw TestKitError("PostgreSQL's \(name) is not installed")
        }
        return found
    }

    /// PostgreSQL refuses to run as root; and it must not outlive this process.
    private static func asServer(
        _ name: String, _ arguments: [String], enter: [String] = [], output: ChildProcess.Command.Output
    ) -> ChildProcess.Command {
        let user = getuid() == 0 ? ["--reuid=postgres", "--regid=postgres", "--init-groups"] : []
        let program = (try? program(name)) ?? name  // then starting it says that there is no such program
        let command = enter + ["/usr/bin/setpriv"] + user + ["--pdeathsig=KILL", program] + arguments
        return ChildProcess.Command(
            command[0], Array(command.dropFirst()),
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"], directory: "/", output: output)
    }

    private static func runAsServer(_ name: String, _ arguments: [String]) async throws {
        let output = try TemporaryDirectory()
        let file = output.path + "/out"
        let child = try await ChildProcess.start(asServer(name, arguments, output: .file(file)), on: TestLoops.shared.first)
        let exit = await child.wait()
        guard exit == .status(0) else { throw TestKitError("\(name) \(exit): \(read(file))") }
    }

    private static func run(_ program: String, _ arguments: [String]) async throws {
        let command = ChildProcess.Command(program, arguments, environment: ["PATH": "/usr/bin:/bin"])
        let exit = await (try ChildProcess.start(command, on: TestLoops.shared.first)).wait()
        guard exit == .status(0) else { throw TestKitError("\(program) \(arguments): \(exit)") }
    }

    static func read(_ path: String) -> String { textFile(path) ?? "" }

    private static func append(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { throw TestKitError("cannot open \(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else { throw TestKitError("cannot write \(path)") }
    }
}
