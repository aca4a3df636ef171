public import ApusRuntime
public import ApusTypes
internal import Glibc

/// PostgreSQL from the machine's own packages, made and started by a node for its cluster.
///
/// The server is no child of the node: it outlives one that is killed, and the node's next start takes it over. It never runs as root: a node
/// of root's has it run as `postgres`. Its superuser can only be had from this machine, by the user that it runs as and by the node's; the
/// cluster's role owns one database, and has a password (SCRAM).
public final class HostedPostgreSQL: Sendable {
    public struct Options: Sendable {
        /// Absolute, on a local disk, no longer than a Unix socket's path allows: holds the data, the settings, the log and the socket.
        public var directory: String
        /// Where other nodes reach it.
        public var host: String
        public var port: Int
        /// Of the role that nodes use.
        public var password: Redacted<String>
        /// Where `initdb` and `pg_ctl` are; nil: looked for.
        public var binaries: String?
        /// How long a start may take: a server that was killed reads its log first.
        public var startTime: Duration = .seconds(120)

        public init(directory: String, host: String, port: Int, password: Redacted<String>, binaries: String? = nil) {
            self.directory = directory
            self.host = host
            self.port = port
            self.password = password
            self.binaries = binaries
        }
    }

    /// The role that nodes use, and the name of its database.
    public static let role: StaticString = "apus"

    private let options: Options
    private let programs: PostgreSQLPrograms
    private let loops: EventLoops
    private let clock = BootClock()
    private static let log = Logger("postgresql")

    /// Throws `config.invalid` where there is no PostgreSQL, no user for it, or no fit place for its files, and says what to do.
    public init(_ options: Options, loops: EventLoops) throws(ApusError) {
        self.options = options
        self.loops = loops
        guard Self.socketPath(options).utf8.count <= 107 else {
            throw ApusError(
                .configurationInvalid, "the path \(options.directory) is too long for PostgreSQL's socket",
                hint: "give node.data a shorter one")
        }
        programs = try PostgreSQLPrograms.find(in: options.binaries)
    }

    /// How a process of this machine that may connects to the cluster's database: no password is needed.
    public static func localURL(_ options: Options) -> Redacted<String> {
        Redacted("host=\(quoted(options.directory)) port=\(options.port) user=\(role) dbname=\(role)")
    }

    private static func socketPath(_ options: Options) -> String { "\(options.directory)/.s.PGSQL.\(options.port)" }

    // MARK: Starting and stopping

    /// Makes the server's files at the first start, starts it or takes over the one that runs, and sees that the role and its database are
    /// there. Begun again after it was interrupted anywhere, it goes on.
    public func start() async throws {
        let account = try ServerAccount.suitable()
        try await makeDirectory(for: account)
        try await makeData(as: account)
        let hasChanged = try writeSettings(for: account)
        if let process = process() {
            if hasChanged {
                Self.log.notice("PostgreSQL is started again with other settings", ["pid": "\(process)"])
                try await control(["restart", "--mode", "fast"], as: account)
            } else {
                Self.log.notice("PostgreSQL runs already and is taken over", ["pid": "\(process)"])
            }
        } else {
            try await control(["start"], as: account)
            Self.log.notice(
                "PostgreSQL is started", ["address": "\(options.host):\(options.port)", "data": data, "log": "\(options.directory)/log"])
        }
        try await makeDatabase()
    }

    /// Starts the server again whenever it has ended, until the task is cancelled.
    public func supervise() async throws {
        let account = try ServerAccount.suitable()
        var pause = Duration.seconds(1)
        while true {
            try await clock.sleep(until: clock.now.advanced(by: pause), tolerance: nil)
            if process() != nil {
                pause = .seconds(1)
                continue
            }
            Self.log.error("PostgreSQL has ended and is started again", ["log": "\(options.directory)/log"])
            do {
                try await control(["start"], as: account)
            } catch let error as ApusError {
                pause = min(pause * 2, .seconds(15))
                Self.log.error("PostgreSQL does not start", ["error": error.description, "next_try_seconds": "\(pause.seconds)"])
            }
        }
    }

    /// Ends the server; transactions under way are rolled back.
    public func stop() async throws {
        guard process() != nil else { return }
        try await control(["stop", "--mode", "fast"], as: try ServerAccount.suitable())
        Self.log.notice("PostgreSQL is stopped")
    }

    /// Whether its server runs, as far as this user can see.
    public var isRunning: Bool { process() != nil }

    /// The server's process, by the file that it keeps; nil where it is gone, and the number may be another's.
    private func process() -> Int32? {
        guard let text = TextFile.read(data + "/postmaster.pid"), let line = text.split(separator: "\n").first, let process = Int32(line)
        else { return nil }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/\(process)/cwd", &buffer, buffer.count)
        guard count > 0, let real = realpath(data, nil) else { return nil }
        defer { free(real) }
        return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self) == String(cString: real) ? process : nil
    }

    private func control(_ arguments: [String], as account: ServerAccount) async throws {
        let wait = ["--pgdata", options.directory, "--wait", "--timeout", String(Int(options.startTime.seconds)), "--silent"]
        // The log that is kept while the server has not opened its own.
        let isStop = arguments[0] == "stop"
        if !isStop { unlink(data + "/current_logfiles") }  // it names the log of the server before
        do {
            let log = isStop ? [] : ["--log", options.directory + "/start.log"]
            try await run(programs.control, arguments + wait + log, as: account)
        } catch var error as ApusError where !isStop {
            let words = lastWords()
            if !words.isEmpty { error.summary = "PostgreSQL does not start:\n" + words.joined(separator: "\n") }
            throw error
        }
    }

    /// Why the server has ended, from the log that it has opened, or else from the one that was kept before that.
    private func lastWords() -> [String] {
        let opened = TextFile.read(data + "/current_logfiles")?.split(whereSeparator: \.isWhitespace).last.map(String.init)
        let lines = (TextFile.tail(opened ?? options.directory + "/start.log") ?? "").split(separator: "\n").suffix(20)
        return lines.filter { line in ["WARNING:", "FATAL:", "PANIC:"].contains { line.contains($0) } }.suffix(4).map(String.init)
    }

    // MARK: Files

    private var data: String { options.directory + "/data" }

    private func makeDirectory(for account: ServerAccount) async throws {
        guard mkdir(options.directory, 0o700) == 0 || errno == EEXIST else {
            throw ApusError(.outputUncreatable, "cannot make \(options.directory): \(String(cString: strerror(errno)))")
        }
        guard LocalFileSystem.holds(options.directory) != false else {
            throw ApusError(
                .configurationInvalid,
                "\(options.directory) is on a shared file system, and a database on one is soon two servers' or none's",
                hint: "stop the node, move node.data to a local disk (`mv \(options.directory) /var/lib/apus/`), and set node.data to it")
        }
        guard geteuid() == 0 else { return }
        chown(options.directory, account.user, account.group)
        // The node's own directory is closed to others; the server's user may pass through it, and read nothing there.
        let parent = options.directory.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        if try await !isReachable(for: account) {
            chown(parent, .max, account.group)
            chmod(parent, 0o710)
        }
        guard try await isReachable(for: account) else {
            throw ApusError(
                .configurationInvalid, "the user \(account.name), as which PostgreSQL runs, cannot reach \(options.directory)",
                hint: "put node.data where others may pass (/var/lib/apus), or run the node as another user than root")
        }
    }

    private func isReachable(for account: ServerAccount) async throws -> Bool {
        do {
            try await run("/usr/bin/test", ["-w", options.directory], as: account)
            return true
        } catch let error as ApusError where error.code == .processFailed {
            return false
        }
    }

    private func makeData(as account: ServerAccount) async throws {
        if let text = TextFile.read(data + "/PG_VERSION") {
            let version = String(text.prefix { $0.isNumber })
            guard version == programs.version else {
                throw ApusError(
                    .configurationInvalid, "\(data) was made by PostgreSQL \(version), and \(programs.directory) holds \(programs.version)",
                    hint: "install postgresql-\(version), or move the data with pg_upgrade; catalog.binaries names the directory")
            }
            return
        }
        let unfinished = data + ".new"
        try await run("/bin/rm", ["-rf", unfinished], as: account)
        Self.log.notice("the catalog's database is made", ["data": data, "version": programs.version])
        try await run(
            programs.initialise,
            [
                "--pgdata", unfinished, "--username", "postgres", "--encoding", "UTF8", "--locale", "C.UTF-8", "--data-checksums",
                "--auth-local", "peer", "--auth-host", "reject", "--no-instructions",
            ], as: account)
        guard rename(unfinished, data) == 0 else {
            throw ApusError(.outputUncreatable, "cannot rename \(unfinished): \(String(cString: strerror(errno)))")
        }
    }

    /// Whether a running server has to be started again for them.
    private func writeSettings(for account: ServerAccount) throws(ApusError) -> Bool {
        let node = ServerAccount.current
        let users = Set([account.name, node?.name ?? account.name]).sorted()
        let settings = """
            # Written by apus at each start of its node. Settings of your own: extra.conf beside this file.
            data_directory = \(Self.quoted(data))
            hba_file = \(Self.quoted(options.directory + "/pg_hba.conf"))
            ident_file = \(Self.quoted(options.directory + "/pg_ident.conf"))
            listen_addresses = \(Self.quoted(options.host))
            port = \(options.port)
            unix_socket_directories = \(Self.quoted(options.directory))
            max_connections = 400
            password_encryption = 'scram-sha-256'
            logging_collector = on
            log_directory = \(Self.quoted(options.directory + "/log"))
            log_filename = 'postgresql-%a.log'
            log_truncate_on_rotation = on
            log_rotation_age = 1d
            log_rotation_size = 0
            include_if_exists = 'extra.conf'

            """
        let access = """
            # Written by apus. The superuser only from this machine; nodes with their password.
            local all all peer map=apus
            host \(Self.role) \(Self.role) all scram-sha-256

            """
        let names = users.map { "apus \($0) postgres\napus \($0) \(Self.role)\n" }.joined()
        var hasChanged = false
        for (name, text) in [("postgresql.conf", settings), ("pg_hba.conf", access), ("pg_ident.conf", names)] {
            let path = options.directory + "/" + name
            guard TextFile.read(path) != text else { continue }
            try TextFile.write(text, to: path)
            hasChanged = true
        }
        return hasChanged
    }

    /// As PostgreSQL's settings and libpq's `key=value` form take it.
    private static func quoted(_ text: String) -> String {
        "'" + text.map { $0 == "'" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "'"
    }

    // MARK: The cluster's role and database

    private func makeDatabase() async throws {
        let deadline = clock.now.advanced(by: .seconds(30))
        let url = Redacted("host=\(Self.quoted(options.directory)) port=\(options.port) user=postgres dbname=postgres")
        let database = try await PostgreSQLDatabase.open(url: url, loops: loops, deadline: deadline)
        do {
            // SQL that defines things takes no parameters; a setting of the transaction carries the password past that.
            try await database.transaction(.write, on: .write, deadline: deadline) { [password = options.password] transaction in
                _ = try await transaction.run([
                    .once("SELECT set_config('apus.password', $1, true)", [.text(password.reveal())]),
                    .once(
                        """
                        DO $$ BEGIN
                          IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'apus') THEN CREATE ROLE apus LOGIN; END IF;
                          EXECUTE format('ALTER ROLE apus PASSWORD %L', current_setting('apus.password'));
                        END $$
                        """),
                ])
            }
            let found = try await database.run(
                [.once("SELECT count(*) FROM pg_database WHERE datname = 'apus'")], on: .write, deadline: deadline)
            if try found[0][0].integer(0) == 0 {
                _ = try await database.run([.once("CREATE DATABASE apus OWNER apus")], on: .write, deadline: deadline)
            }
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    }

    // MARK: Programs

    private func run(_ program: String, _ arguments: [String], as account: ServerAccount) async throws {
        let output = options.directory + "/commands.log"
        // The last command's words alone: they are what an error quotes.
        unlink(output)
        var command = ChildProcess.Command(
            program, arguments, environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"], directory: "/", output: .file(output))
        if geteuid() == 0 {
            command.user = account.user
            command.group = account.group
        }
        let exit = try await ChildProcess.start(command, on: loops.first).wait()
        guard exit != .status(0) else { return }
        let words = (TextFile.read(output) ?? "").split(separator: "\n").suffix(4).joined(separator: "\n")
        let name = program.split(separator: "/").last.map(String.init) ?? program
        throw ApusError(
            .processFailed, "\(name) has failed" + (words.isEmpty ? "" : ":\n\(words)"),
            hint: "\(options.directory)/start.log and \(options.directory)/log may say more", context: ["program": program])
    }
}
