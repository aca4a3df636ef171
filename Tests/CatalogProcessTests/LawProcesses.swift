import ApusCatalog
import ApusDatabase
import ApusRuntime
import ApusTypes
import CatalogTestKit
import DatabaseTestKit
import Glibc
import TestKit
import Testing

/// A started `LawProcess`, and what it has said so far.
struct LawProcessRun {
    let child: ChildProcess
    private let directory: TemporaryDirectory

    /// Arguments as its `main.swift` documents them.
    static func start(
        _ command: String, _ options: [String: String], on url: String, environment: [String: String] = [:]
    ) async throws -> LawProcessRun {
        let directory = try TemporaryDirectory()
        var all = ["PATH": "/usr/bin:/bin", "APUS_LAW_DATABASE": url]
        for key in ["LD_LIBRARY_PATH", "HOME"] { if let value = getenv(key) { all[key] = String(cString: value) } }
        let command = ChildProcess.Command(
            try BuiltProgram.path("LawProcess"), [command] + options.map { "\($0.key)=\($0.value)" },
            environment: all.merging(environment) { $1 },
            output: .file(directory.path + "/out"))
        return LawProcessRun(child: try await ChildProcess.start(command, on: TestLoops.shared.first), directory: directory)
    }

    /// Complete lines only: the last one of a killed process may be cut.
    var lines: [String] {
        var text = read(directory.path + "/out")
        while let last = text.last, last != "\n" { text.removeLast() }
        return text.split(separator: "\n").map(String.init)
    }

    /// Waits for a line that begins with one of the words; gives it, nil if the process ended without.
    func line(_ words: String..., within seconds: Double = 60) async throws -> String? {
        var found: String?
        try await eventually(within: seconds, "the process says \(words)") {
            let hasEnded = child.ended != nil
            found = lines.first { line in words.contains { line.hasPrefix($0) } }
            return found != nil || hasEnded
        }
        return found
    }

    func kill() async {
        child.send(signal: SIGKILL)
        _ = await child.wait()
    }
}

func read(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = Glibc.read(descriptor, &chunk, chunk.count)
        guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
        bytes += chunk.prefix(count)
    }
}

func soon(_ seconds: Double = 30) -> Instant { BootClock.now.advanced(by: .milliseconds(Int64(seconds * 1000))) }

/// A catalog that processes open by its URL, on either database.
final class SharedCatalog {
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case sqlite, postgreSQL
        var testDescription: String { rawValue }
    }

    let kind: Kind
    let url: String
    /// PostgreSQL's, to be killed.
    let server: PostgreSQLServer?
    private let directory: TemporaryDirectory

    /// `ownServer`: one that the test may kill or reconfigure.
    init(_ kind: Kind, ownServer: Bool = false) async throws {
        self.kind = kind
        directory = try TemporaryDirectory()
        switch kind {
        case .sqlite:
            url = "sqlite:" + directory.path + "/catalog.db"
            server = nil
        case .postgreSQL:
            let server = ownServer ? try await PostgreSQLServer.start() : try await PostgreSQLServer.shared()
            url = try await server.newDatabase().reveal()
            self.server = ownServer ? server : nil
        }
    }

    func open() async throws -> Catalog {
        let database: any Database =
            switch kind {
            case .sqlite: try await SQLiteDatabase.open(path: String(url.dropFirst("sqlite:".count)))
            case .postgreSQL: try await PostgreSQLDatabase.open(url: Redacted(url), loops: TestLoops.shared, deadline: soon())
            }
        return try await Catalog.open(database, clock: BootClock())
    }

    /// Opens it, and closes it again: two processes cannot have a SQLite catalog open.
    func use<Value>(_ body: (Catalog) async throws -> Value) async throws -> Value {
        let catalog = try await open()
        do {
            let value = try await body(catalog)
            await catalog.database.close()
            return value
        } catch {
            await catalog.database.close()
            throw error
        }
    }

    /// Makes a collection of `count` shards.
    func makeShards(_ count: Int) async throws -> [ShardID] {
        try await use { catalog in
            try await catalog.collections.create("law", configuration: "{}", shardCount: count, deadline: soon()).shards
        }
    }

    /// Every operation of the shards, after checking numbers and digests.
    func logs(_ shards: [ShardID]) async throws -> [ShardID: [String]] {
        try await use { catalog in
            var logs: [ShardID: [String]] = [:]
            for shard in shards {
                var follower = LogFollower(shard: shard, incarnation: catalog.incarnation)
                try await follower.catchUp(with: catalog.log, deadline: soon())
                logs[shard] = follower.operations.map { String(decoding: $0, as: UTF8.self) }
            }
            return logs
        }
    }
}
