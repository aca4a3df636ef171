import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// `apus up` as a process, with the distribution's PostgreSQL.
@Suite("apus up")
struct UpTests {
    private final class Up: Sendable {
        let process: ChildProcess
        let log: String

        init(_ folder: TemporaryDirectory, port: UInt16, nodes: Int = 3, number: Int, _ more: String...) async throws {
            log = "\(folder.path)/up-\(number).log"
            let arguments = ["up", "--nodes", "\(nodes)", "--data-dir", folder.path + "/cluster", "--port", "\(port)"] + more
            process = try await ChildProcess.start(
                .init(
                    "/usr/bin/setpriv", ["--pdeathsig=TERM", try NodeProcess.program()] + arguments,
                    environment: ["PATH": "/usr/bin:/bin"], output: .file(log)), on: TestLoops.shared.first)
        }

        deinit { process.send(signal: SIGTERM) }

        var text: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }
        var own: [String] {
            text.split(separator: "\n").filter { $0.hasPrefix("up ") }.map { String($0.split(separator: "|", maxSplits: 1)[1].dropFirst()) }
        }

        func says(_ words: String) async throws {
            try await eventually(within: 120, "it says '\(words)'") {
                if let exit = process.ended, !text.contains(words) { throw TestKitError("\(exit): \(text.suffix(3000))") }
                return text.contains(words)
            }
        }

        func stop() async -> ChildProcess.Exit { await process.terminate(grace: .seconds(120)) }
    }

    /// Asks with the administrator's key.
    private func ask(
        _ folder: TemporaryDirectory, _ node: Int, _ port: UInt16, _ method: ApusHTTP.Method, _ path: String, _ body: String? = nil
    ) async throws -> JSONValue {
        let key = try String(contentsOfFile: folder.path + "/cluster/admin.key", encoding: .utf8).trimmingCharacters(in: .newlines)
        var headers: Headers = ["X-API-Key": key]
        if body != nil { headers["Content-Type"] = "application/json" }
        let response = try await HTTPClient(loops: TestLoops.shared).send(
            ClientRequest(
                method, "http://127.0.0.\(node):\(port)\(path)", headers: headers, body: body.map { .bytes(Array($0.utf8)) } ?? .none,
                deadline: BootClock.now.advanced(by: .seconds(30))))
        return try JSONValue(parsing: try await response.collect(limit: .mebibytes(4)))
    }

    private func statuses(_ folder: TemporaryDirectory, _ port: UInt16) async throws -> [String] {
        try await ask(folder, 1, port, .get, "/api/nodes")["nodes"]?.asArray?.compactMap { $0["status"]?.asString } ?? []
    }

    /// Processes that work on the folder.
    private func processes(_ folder: TemporaryDirectory) -> [Int32] {
        TemporaryDirectory.entries("/proc").compactMap { Int32($0) }.filter { pid in
            (try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8))?.contains(folder.path + "/cluster/") ?? false
        }
    }

    @Test("three nodes and PostgreSQL with one command: used, a node killed, stopped in order, killed itself, and there again each time")
    func life() async throws {
        let folder = try TemporaryDirectory()
        let port = try freePort()
        let first = try await Up(folder, port: port, number: 1)
        try await first.says("Ctrl-C stops it")
        try await eventually(within: 60, "the nodes have reached each other") {
            try await statuses(folder, port) == ["active", "active", "active"]
        }
        let created = try await ask(
            folder, 1, port, .post, "/collections", #"{"name":"c","dimension":2,"metric":"euclidean","replication_factor":2}"#)
        #expect(created["error"] == nil, "\(created)")
        _ = try await ask(folder, 2, port, .post, "/insert_vectors", #"{"collection":"c","vectors":[{"id":"a","vector":[1,2]}]}"#)
        func found(_ node: Int) async throws -> JSONValue? {
            try await ask(folder, node, port, .post, "/collections/c/search", #"{"vector":[1,2],"limit":1}"#)["results"]?.asArray?.first?[
                "id"]
        }
        #expect(try await found(3) == "a")
        #expect(!first.text.contains("\u{1B}"), "no colours in a file")
        let names = Set(first.text.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) })
        #expect(names.isSuperset(of: ["up", "n1", "n2", "n3"]), "\(names)")
        for (file, mode) in [("admin.key", 0o600), ("cluster.secret", 0o600), ("catalog.url", 0o600)] {
            var facts = stat()
            #expect(stat("\(folder.path)/cluster/\(file)", &facts) == 0 && facts.st_mode & 0o777 == mode_t(mode), "\(file)")
        }

        let second = try await Up(folder, port: port, number: 2)
        #expect(await second.process.wait() == .status(3))
        #expect(second.text.contains("another 'apus up' runs"), "\(second.text)")

        let run = try JSONValue(parsing: Array(Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/cluster/n2/run.json"))))
        kill(Int32(try #require(run["pid"]?.asInteger)), SIGKILL)
        try await first.says("n2 ended (signal 9); started again in 0.5 seconds")
        try await eventually(within: 60, "it is active again") {
            let runs = first.own.count { $0.hasPrefix("n2 runs as process") }
            let statuses = try await statuses(folder, port)
            return runs == 2 && statuses == ["active", "active", "active"]
        }

        #expect(await first.stop() == .status(0))
        #expect(first.own.suffix(4) == ["stopping n1", "stopping n2", "stopping n3", "stopping PostgreSQL"])
        #expect(processes(folder).isEmpty)

        let third = try await Up(folder, port: port, number: 3)
        try await third.says("Ctrl-C stops it")
        #expect(try await found(1) == "a")
        third.process.send(signal: SIGKILL)
        _ = await third.process.wait()
        let fourth = try await Up(folder, port: port, number: 4)
        try await fourth.says("Ctrl-C stops it")
        #expect(try await found(2) == "a")

        // The second time at once, although a node does not hear the first.
        for pid in processes(folder)
        where (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)) == "apus\n" && pid != fourth.process.identifier {
            kill(pid, SIGSTOP)
        }
        fourth.process.send(signal: SIGINT)
        try await fourth.says("stopping n1")
        fourth.process.send(signal: SIGINT)
        #expect(await fourth.process.wait() == .status(75))
        try await eventually(within: 30, "nothing is left") { processes(folder).isEmpty }

        let fresh = try await Up(folder, port: port, number: 5, "--fresh")
        try await fresh.says("Ctrl-C stops it")
        #expect(try await ask(folder, 1, port, .get, "/collections")["collections"]?.asArray?.isEmpty == true)
        #expect(await fresh.stop() == .status(0))
    }

    @Test("whose reader goes away ends with everything")
    func closedPipe() async throws {
        let folder = try TemporaryDirectory()
        let script = """
            \(try NodeProcess.program()) up --nodes 2 --data-dir \(folder.path)/cluster --port \(try freePort()) 2>\(folder.path)/errors | head -n 1
            echo "up ended with ${PIPESTATUS[0]}"
            """
        let log = "\(folder.path)/output"
        let process = try await ChildProcess.start(
            .init("/bin/bash", ["-c", script], environment: ["PATH": "/usr/bin:/bin"], output: .file(log)), on: TestLoops.shared.first)
        #expect(await process.wait() == .status(0))
        let said = try String(contentsOfFile: log, encoding: .utf8)
        #expect(said.contains("starting PostgreSQL") && said.contains("up ended with 0"), "\(said)")
        #expect(processes(folder).isEmpty)
    }

    @Test("one node has no PostgreSQL, and its folder is not taken for several; a port in use is named")
    func alone() async throws {
        let folder = try TemporaryDirectory()
        let port = try freePort()
        let up = try await Up(folder, port: port, nodes: 1, number: 1)
        try await up.says("Ctrl-C stops it")
        #expect(try await statuses(folder, port) == ["active"])
        #expect(!TemporaryDirectory.entries(folder.path + "/cluster").contains("postgres"))
        let other = try TemporaryDirectory()
        let refused = try await Up(other, port: port, nodes: 1, number: 1)
        #expect(await refused.process.wait() == .status(69))
        #expect(refused.text.contains("n1 cannot listen on 127.0.0.1:\(port)"), "\(refused.text)")
        #expect(await up.stop() == .status(0))
        // Another port: tests beside this one may have taken the first since.
        let several = try await Up(folder, port: try freePort(), number: 2)
        #expect(await several.process.wait() == .status(78))
        #expect(several.text.contains("has its catalog in sqlite"), "\(several.text)")
    }

    @Test("without PostgreSQL's programs it names the package; as root in a closed place it says where to go", .enabled(if: getuid() == 0))
    func impossible() async throws {
        let folder = try TemporaryDirectory()
        func run(_ script: String) async throws -> (ChildProcess.Exit, String) {
            let log = folder.path + "/log"
            unlink(log)
            let process = try await ChildProcess.start(
                .init(
                    "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script], environment: ["PATH": "/usr/bin:/bin"], output: .file(log)),
                on: TestLoops.shared.first)
            return (await process.wait(), try String(contentsOfFile: log, encoding: .utf8))
        }
        let up = "exec \(try NodeProcess.program()) up --port \(try freePort()) --data-dir"
        let missing = try await run("mount -t tmpfs none /usr/lib/postgresql && \(up) \(folder.path)/a")
        #expect(missing.0 == .status(78) && missing.1.contains("apt-get install postgresql"), "\(missing)")
        mkdir(folder.path + "/closed", 0o700)
        let closed = try await run("\(up) \(folder.path)/closed/b")
        #expect(
            closed.0 == .status(78) && closed.1.contains("cannot reach \(folder.path)/closed/b/postgres")
                && closed.1.contains("--data-dir"), "\(closed)")
    }

    @Test("--dry-run says what would run, and makes nothing")
    func trial() async throws {
        let folder = try TemporaryDirectory()
        let port = try freePort()
        let up = try await Up(folder, port: port, nodes: 2, number: 1, "--dry-run", "--fresh")
        #expect(await up.process.wait() == .status(0), "\(up.text)")
        #expect(up.text.contains("catalog: PostgreSQL on 127.0.0.1:\(port + 430)") && up.text.contains("n2: http://127.0.0.2:\(port)"))
        #expect(!TemporaryDirectory.entries(folder.path).contains("cluster"))
    }
}
