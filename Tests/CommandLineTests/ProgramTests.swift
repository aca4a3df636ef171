import ApusTypes
import DatabaseTestKit
import Testing

@Suite("The program")
struct ProgramTests {
    @Test("says its version and its help on standard output")
    func version() async throws {
        let version = try await Program.apus(["--version"])
        #expect(version.status == 0 && version.output.hasPrefix("apus ") && version.errors.isEmpty)
        let help = try await Program.apus([])
        #expect(help.status == 0 && help.output.contains("Usage: apus COMMAND"))
        #expect(!help.output.contains("\u{1B}"))
    }

    @Test("a wrong command line is one line on standard error, a way on, and exit code 64")
    func usage() async throws {
        let finished = try await Program.apus(["colection", "list"])
        #expect(finished.status == 64 && finished.output.isEmpty)
        #expect(
            finished.errors == "error: 'colection' is no command of 'apus'; did you mean 'collection'? (cli.usage)\n  try: apus --help\n")
        let json = try await Program.apus(["collection", "lst", "--json"])
        let document = try JSONValue(parsing: Array(json.errors.utf8.dropLast()))
        #expect(document["error"]?["code"] == "cli.usage")
    }

    @Test("a node that is not there is exit code 69 and says how to start one")
    func unreachable() async throws {
        let port = try freePort()
        let finished = try await Program.apus(["status"], ["APUS_URL": "http://127.0.0.1:\(port)"])
        #expect(finished.status == 69)
        #expect(finished.errors.contains("no answer from http://127.0.0.1:\(port)") && finished.errors.contains("apus node"))
    }

    @Test("config check reports everything with file and line, and exits with 78")
    func check() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("log:\n  levle: debug\nleases:\n  length_seconds: 1\n", to: "\(folder.path)/apus.yml")
        let finished = try await Program.apus(["config", "check", "--config", "apus.yml"], directory: folder.path)
        #expect(finished.status == 78)
        #expect(finished.output.contains("error: apus.yml:2:3: log.levle: is no setting; did you mean 'log.level'?"))
        #expect(finished.output.contains("apus.yml:4: leases.length_seconds:"))
        let node = try await Program.apus(["node", "--config", "apus.yml"], directory: folder.path)
        #expect(node.status == 78 && node.errors.contains("apus.yml:2:3"))
    }

    @Test("config show tells each value's origin: default, file, environment, flag")
    func show() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("log:\n  level: error\n  format: json\n", to: "\(folder.path)/apus.yml")
        let finished = try await Program.apus(
            ["config", "show", "--json", "--config", "apus.yml", "--data", "/d"], ["APUS_LOG_LEVEL": "debug"], directory: folder.path)
        #expect(finished.status == 0)
        let settings = try JSONValue(parsing: Array(finished.output.utf8))["settings"]
        func origin(_ path: String) -> String? { settings?[path]?["from"]?.asString }
        #expect(origin("log.level") == "environment APUS_LOG_LEVEL")
        #expect(origin("log.format") == "apus.yml:3")
        #expect(origin("node.data") == "flag --data")
        #expect(origin("auth.loopback") == "default")
    }

    @Test("the catalog's URL comes from its file, and is not shown")
    func secretFile() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("postgresql://u:hunter2@h/d\n", to: "\(folder.path)/url")
        let shown = try await Program.apus(["config", "show", "--catalog", "\(folder.path)/url"])
        #expect(shown.status == 0 && !shown.output.contains("hunter2"))
        let environment = try await Program.apus(["config", "show"], ["APUS_CATALOG_URL": "postgresql://u:hunter2@h/d"])
        #expect(environment.output.contains("<redacted>") && !environment.output.contains("hunter2"))
        try Program.write("mysql://x\n", to: "\(folder.path)/url")
        let wrong = try await Program.apus(["node", "--data", folder.path, "--catalog", "\(folder.path)/url"])
        #expect(wrong.status == 78 && wrong.errors.contains("first line must be the catalog's URL"))
    }

    @Test("a key file that others can read is refused")
    func keyFile() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("apus_x_y\n", to: "\(folder.path)/key")
        let finished = try await Program.apus(["status", "--key-file", "\(folder.path)/key"])
        #expect(finished.status == 77 && finished.errors.contains("chmod 600"))
    }

    @Test("an input that is not there is exit code 66")
    func noInput() async throws {
        let folder = try TemporaryDirectory()
        let finished = try await Program.apus(["import", "words", "nothing.npy", "--dry-run"], directory: folder.path)
        #expect(finished.status == 66 && finished.errors.contains("cannot read nothing.npy"))
    }

    @Test("doctor says what cannot work, and that what can is fine")
    func doctor() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("", to: "\(folder.path)/file")
        let finished = try await Program.apus(["doctor", "data", "--data", "\(folder.path)/file/data", "--json"])
        #expect(finished.status == 1)
        let document = try JSONValue(parsing: Array(finished.output.utf8))
        #expect(document["ok"] == false)
        #expect(document["findings"]?["data"]?.asArray?.first?["verdict"] == "bad")
        let fine = try await Program.apus(["doctor", "data", "--data", folder.path])
        #expect(fine.status == 0 && fine.output.contains("a synced write takes"))
        let port = try freePort()
        let free = try await Program.apus(["doctor", "ports", "--listen", "127.0.0.1:\(port)"])
        #expect(free.status == 0 && free.output.contains("is free"))
    }
}
