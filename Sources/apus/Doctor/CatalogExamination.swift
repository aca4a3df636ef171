internal import ApusConfig
internal import ApusDatabase
internal import ApusRuntime
internal import ApusTypes
internal import Glibc

/// The catalog: is it there, what is it, how fast does it answer, do its notifications arrive.
struct CatalogExamination {
    let configuration: Configuration
    private let clock = BootClock()

    init(_ configuration: Configuration) { self.configuration = configuration }

    func findings() async -> [Finding] {
        switch configuration.catalogPlace {
        case .file: return await sqlite()
        case .hosted(let address): if let finding = hosted(at: address) { return [finding] }
        case .peer(let address): return [Finding(ClusterSecret.missing(catalog: address), doing: "cannot connect to the catalog")]
        case .url: break
        }
        guard let url = configuration.catalog.url else {
            return [
                .bad(
                    "PostgreSQL is in \(hostedDirectory), and the cluster's secret is gone: the start makes another, which other nodes do not know",
                    try: "put the file \(ClusterSecret.fileName) of any node back into \(configuration.node.data)")
            ]
        }
        return await postgreSQL(url)
    }

    private var hostedDirectory: String { FileContents.absolute(configuration.node.data) + "/postgresql" }

    /// The catalog that this node hosts while it runs, and whether it can; nil for one that runs.
    private func hosted(at address: SocketAddress) -> Finding? {
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        do {
            let server = try HostedPostgreSQL(
                .init(
                    directory: hostedDirectory, host: address.host, port: address.port, password: Redacted(""),
                    binaries: configuration.catalog.binaries), loops: loops)
            guard FileContents.exists(hostedDirectory + "/data") else {
                return .good("PostgreSQL in \(hostedDirectory), at \(address): not there yet, the first start makes it")
            }
            // Without the cluster's secret nobody can start it as it was.
            if server.isRunning || configuration.catalog.url == nil { return nil }
            return .good("PostgreSQL in \(hostedDirectory), at \(address): it is stopped, and starts with this node")
        } catch {
            return Finding(error, doing: "this node cannot host the catalog")
        }
    }

    private func sqlite() async -> [Finding] {
        let path = configuration.sqlitePath
        guard FileContents.exists(path) else { return [.good("SQLite in \(path): not there yet, the first start makes it")] }
        do {
            let database = try await SQLiteDatabase.open(path: path, mode: .readWrite)
            let check = try await database.run([.once("PRAGMA quick_check(1)")], on: .read, deadline: clock.now.advanced(by: .seconds(30)))
            await database.close()
            let verdict = try check.first?.first?.text(0) ?? ""
            guard verdict == "ok" else { return [.bad("SQLite in \(path) is damaged: \(verdict)", try: "restore a backup of \(path)")] }
            return [.good("SQLite in \(path), not damaged")]
        } catch {
            let known = error as? ApusError
            if known?.code == .catalogOwned { return [.good("SQLite in \(path), in use by a running node")] }
            return [Finding(error, doing: "cannot open the catalog \(path)")]
        }
    }

    private func postgreSQL(_ url: Redacted<String>) async -> [Finding] {
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        var found: [Finding] = []
        do {
            let deadline = clock.now.advanced(by: configuration.catalog.connectTimeout)
            let database = try await PostgreSQLDatabase.open(url: url, loops: loops, deadline: deadline)
            do { found = try await facts(database) } catch { found = [Finding(error, doing: "the catalog failed")] }
            found.append(await notification(database))
            if let replicas = try configuration.readReplicas(of: database, loops: loops) {
                await replicas.look()
                found += replicas.standings.map(Self.finding)
                await replicas.close()
            }
            await database.close()
        } catch {
            found.append(Finding(error, doing: "cannot connect to the catalog"))
        }
        return found
    }

    private func facts(_ database: PostgreSQLDatabase) async throws -> [Finding] {
        var found: [Finding] = []
        let question: Statement = .once(
            """
            SELECT current_setting('server_version'), CAST(current_setting('server_version_num') AS bigint), pg_is_in_recovery(),
                   current_setting('fsync'), current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
                   (SELECT count(*) FROM pg_stat_replication)
            """)
        var row: Row?
        var times: [Duration] = []
        for _ in 0..<20 {
            let began = ContinuousClock.now
            row = try await database.run([question], on: .read, deadline: clock.now.advanced(by: .seconds(5))).first?.first
            times.append(ContinuousClock.now - began)
        }
        times.sort()
        guard let row else { return [.bad("the catalog gave no answer", try: nil)] }
        let version = try row.text(0), number = try row.integer(1)
        found.append(
            number >= 140_000
                ? .good("PostgreSQL \(version), answers in \(DirectoryExamination.milliseconds(times[10])) (median of 20)")
                : .bad("PostgreSQL \(version) is too old", try: "PostgreSQL 14 or later"))
        if try row.bool(2) { found.append(.bad("it is a standby: nothing can be written", try: "name the primary in the catalog's URL")) }
        if try row.text(3) != "on" {
            found.append(.bad("fsync is off: a power failure destroys the catalog", try: "fsync = on in postgresql.conf"))
        }
        if try row.text(4) == "off" {
            found.append(
                .advice("synchronous_commit is off by default here", try: "synchronous_commit = on; a node sets what it needs itself"))
        }
        let (names, standbys) = (try row.text(5), try row.integer(6))
        if !names.isEmpty {
            found.append(.good("synchronous standbys: \(names)"))
        } else if standbys > 0 || database.servers.count > 1 {
            found.append(
                .advice(
                    "standbys follow asynchronously: promoting one loses what was acknowledged last, and every node forgets it",
                    try: "synchronous_standby_names = 'ANY 1 (*)' in postgresql.conf, with two standbys or more"))
        } else {
            found.append(.good("no standby: a loss of its disk loses data"))
        }
        return found
    }

    private static func finding(_ name: String, _ standing: ReplicaStanding) -> Finding {
        let replica = "replica \(name)"
        switch standing {
        case .usable: return .good("\(replica) answers reads")
        case .behind, .primaryUnknown:
            return .advice(
                "\(replica) is too far behind to answer", try: "see pg_stat_replication on the primary; catalog.replica_lag_seconds")
        case .promoted:
            return .bad("\(replica) is no standby", try: "name standbys alone in catalog.replicas, and the primary in the catalog's URL")
        case .otherHistory:
            return .bad(
                "\(replica) does not follow the primary of the catalog's URL",
                try: "have it follow that primary, or take it out of the list")
        case .silent(let error): return Finding(error, doing: "\(replica) does not answer")
        }
    }

    /// Poolers and standbys do not deliver NOTIFY; nodes then find changes by polling, half a second later.
    private func notification(_ database: PostgreSQLDatabase) async -> Finding {
        let channel = "apus_doctor"
        let word = "\(getpid())"
        let began = ContinuousClock.now
        let arrived = await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await notification in database.notifications(on: [channel]) where notification.payload == word { return true }
                return false
            }
            group.addTask { [clock] in
                // LISTEN takes a moment, so it is said several times.
                for _ in 0..<20 where !Task.isCancelled {
                    do {
                        try await database.notify(
                            Notification(channel: channel, payload: word), deadline: clock.now.advanced(by: .seconds(1)))
                        try await Task.sleep(for: .milliseconds(100))
                    } catch { return false }
                }
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
        guard arrived else {
            return .advice(
                "notifications do not arrive",
                try: "connect to PostgreSQL itself, not to a pooler in transaction mode; until then changes take up to 0.5 s to be seen")
        }
        return .good("a notification arrives after \(DirectoryExamination.milliseconds(ContinuousClock.now - began))")
    }
}
