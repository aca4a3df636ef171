import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import TestKit
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

    @Test("config check looks at what a start would: files that are named, addresses that overlap, origins")
    func checkFiles() async throws {
        let folder = try TemporaryDirectory()
        let yaml = """
            listeners:
              - {name: a, address: '0.0.0.0:5000', tls_certificate: /nope/cert.pem, tls_key: key.pem}
              - {name: b, address: '127.0.0.1:5000'}
            faces:
              vectorizer:
                cors_origins: ["example.com/"]
            http:
              max_path_bytes: 16 KiB
              max_header_bytes: 8 KiB

            """
        try Program.write(yaml, to: "\(folder.path)/apus.yml")
        try Program.write("not a key", to: "\(folder.path)/key.pem")
        let arguments = ["--config", "apus.yml", "--catalog", "/nope/url"]
        let finished = try await Program.apus(["config", "check"] + arguments, directory: folder.path)
        #expect(finished.status == 78)
        for line in [
            "error: flag --catalog: catalog.url_file: cannot read /nope/url",
            "error: apus.yml:1: listeners: 'a' has no TLS certificate: cannot read /nope/cert.pem",
            "error: apus.yml:1: listeners: 'a' has no TLS key: key.pem is no PEM file",
            "error: apus.yml:1: listeners: 'a' on 0.0.0.0:5000 and 'b' on 127.0.0.1:5000 overlap",
            "error: apus.yml:6: faces.vectorizer.cors_origins: 'example.com/' is no origin",
            "error: apus.yml:9: http.max_header_bytes: must be more than http.max_path_bytes", "\n6 errors, 0 warnings\n",
        ] { #expect(finished.output.contains(line), "\(line)\n\(finished.output)") }
        // A start says the same.
        let node = try await Program.apus(["node", "--data", folder.path + "/data"] + arguments, directory: folder.path)
        #expect(node.status == 78 && node.errors.contains("/nope/url") && node.errors.contains("/nope/cert.pem"))
        // Looking at the settings needs no file.
        let shown = try await Program.apus(["config", "show", "store", "--catalog", "/nope/url"])
        #expect(shown.status == 0, "\(shown.errors)")
        let one = try await Program.apus(["config", "check", "--catalog", "/nope/url"])
        #expect(one.output.hasSuffix("1 error, 0 warnings\n"))
        #expect(try await Program.apus(["config", "check"]).output == "ok (0 warnings)\n")
    }

    @Test("config show --json gives values with their types")
    func types() async throws {
        let finished = try await Program.apus(["config", "show", "--json"], ["APUS_CATALOG_URL": "postgresql://u:hunter2@h/d"])
        let settings = try JSONValue(parsing: Array(finished.output.utf8))["settings"]
        func value(_ path: String) -> JSONValue? { settings?[path]?["value"] }
        #expect(value("auth.loopback") == true && value("runtime.loops") == 0 && value("leases.poll_seconds") == 0.5)
        #expect(value("node.name") == .null && value("log.level") == "info" && value("faces.console.cors_origins") == [])
        let faces: JSONValue = ["vectorizer", "qdrant", "hugr", "console"]
        #expect(value("listeners") == [["name": "main", "address": "127.0.0.1:15002", "faces": faces]])
        #expect(value("catalog.url") == "<redacted>" && !finished.output.contains("hunter2"))
    }

    @Test("no command offers an option that it does not keep to")
    func offers() async throws {
        let node = try await Program.apus(["node", "--help"])
        #expect(node.status == 0 && !node.output.contains("--json") && node.output.contains("--data"))
        #expect(try await Program.apus(["node", "--json"]).status == 64)
        let key = try await Program.apus(["key", "create", "--help"])
        #expect(key.output.contains("--data") && key.output.contains("--json") && !key.output.contains("--name"))
        #expect(try await Program.apus(["search", "--help"]).output.contains("exit code is 1"))
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

    @Test("the catalog's URL comes from its file, and is not shown; what follows from other settings is")
    func secretFile() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("postgresql://u:hunter2@h/d\n", to: "\(folder.path)/url")
        let shown = try await Program.apus(["config", "show", "--catalog", "\(folder.path)/url"])
        #expect(shown.status == 0 && !shown.output.contains("hunter2"))
        let environment = try await Program.apus(["config", "show"], ["APUS_CATALOG_URL": "postgresql://u:hunter2@h/d"])
        #expect(environment.output.contains("<redacted>") && !environment.output.contains("hunter2"))
        let servers = "[{id: a, address: 10.0.0.1, grpc_port: 1}, {id: b, address: 10.0.0.2, grpc_port: 1}]"
        try Program.write("cluster: {enabled: true, node_id: b, servers: \(servers)}\n", to: "\(folder.path)/b.yml")
        let listed = try await Program.apus(["config", "show", "catalog", "--config", "\(folder.path)/b.yml"])
        #expect(listed.output.contains("a PostgreSQL that another node hosts at 10.0.0.1:5432"), "\(listed)")
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

    @Test("a catalog's URL with a password is read from no file that others can read")
    func catalogPassword() async throws {
        let folder = try TemporaryDirectory()
        let file = folder.path + "/catalog.url"
        try Program.write("postgresql://apus:secret@127.0.0.1:1/apus\n", to: file)
        chmod(file, 0o644)
        let arguments = ["node", "--data", folder.path + "/data", "--catalog", file, "--listen", "127.0.0.1:0"]
        let refused = try await Program.apus(arguments)
        #expect(refused.status != 0 && refused.errors.contains("catalog.url can be read by other users"), "\(refused)")
        #expect(!refused.errors.contains("secret@"))
        try Program.write("nothing\n", to: file)
        #expect(try await !Program.apus(arguments).errors.contains("other users"))
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
        let others = ["APUS_RPC_ADDRESS": "127.0.0.1:\(try freePort())"]
        let free = try await Program.apus(["doctor", "ports", "--listen", "127.0.0.1:\(port)"], others)
        #expect(free.status == 0 && free.output.contains("is free"))
        // A node that is somebody else's holds the port: this one cannot have it.
        let stranger = try await NodeProcess.start(directory: "\(folder.path)/stranger", loops: TestLoops.shared)
        let address = String(stranger.url.dropFirst("http://".count))
        let held = try await Program.apus(["doctor", "ports", "--listen", address, "--data", "\(folder.path)/own"], others)
        #expect(held.status == 1 && held.output.contains("\(address) is held by another node"), "\(held)")
        let own = try await Program.apus(["doctor", "ports", "--listen", address, "--data", "\(folder.path)/stranger"], others)
        #expect(own.status == 0 && own.output.contains("\(address) is served by this node"), "\(own)")
        _ = await stranger.terminate()
    }

    @Test("a local cluster is put into no directory that holds something else, and a dry run says what is in its way")
    func upElsewhere() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("mine", to: "\(folder.path)/notes.txt")
        for more in [[], ["--dry-run"], ["--fresh"]] {
            let refused = try await Program.apus(["up", "--nodes", "1", "--data-dir", folder.path] + more)
            #expect(refused.status == 78 && refused.errors.contains("holds something else: notes.txt"), "\(refused)")
            #expect(access("\(folder.path)/up.lock", F_OK) != 0)
        }
        let unwritable = try await Program.apus(["up", "--nodes", "1", "--data-dir", "\(folder.path)/notes.txt/up"])
        #expect(unwritable.status != 0 && unwritable.errors.contains("--data-dir"), "\(unwritable)")
        let port = try freePort()
        let stranger = try await NodeProcess.start(
            directory: "\(folder.path)/stranger", arguments: ["--listen", "127.0.0.1:\(port)"], loops: TestLoops.shared)
        let trial = try await Program.apus(["up", "--nodes", "1", "--data-dir", "\(folder.path)/new", "--port", "\(port)", "--dry-run"])
        #expect(trial.status != 0 && trial.errors.contains("n1 cannot listen on 127.0.0.1:\(port)"), "\(trial)")
        _ = await stranger.terminate()
        #expect(access("\(folder.path)/new", F_OK) != 0)
    }

    @Test(
        "doctor before the first start: the catalog that this node will host is not there yet; without the secret of another's, the rest is told"
    )
    func doctorOfHostedCatalog() async throws {
        let folder = try TemporaryDirectory()
        let file = "\(folder.path)/apus.yml"
        func examined(_ catalog: String, _ data: String) async throws -> (Finished, JSONValue) {
            try Program.write("node: {name: n1, data: \(folder.path)/\(data)}\ncatalog: \(catalog)\n", to: file)
            let finished = try await Program.apus(["doctor", "--config", file, "--json"])
            return (finished, try JSONValue(parsing: Array(finished.output.utf8))["findings"] ?? .null)
        }
        let (_, host) = try await examined("{hosted: true}", "n1")
        let catalog = host["catalog"]?.asArray ?? []
        #expect(catalog.map { $0["verdict"] } == ["ok"], "\(host)")
        #expect(catalog.first?["text"]?.asString?.contains("the first start makes it") == true)
        #expect(host["machine"]?.asArray?.isEmpty == false && host["data"]?.asArray?.isEmpty == false)
        #expect(access("\(folder.path)/n1", F_OK) != 0, "it changes nothing")

        let (finished, follower) = try await examined("{address: '127.0.0.1:5432'}", "n2")
        #expect(finished.status == 1)
        let missing = follower["catalog"]?.asArray ?? []
        #expect(missing.map { $0["verdict"] } == ["bad"], "\(follower)")
        #expect(missing.first?["remedy"]?.asString?.contains("cluster.secret") == true)
        #expect(follower["machine"]?.asArray?.isEmpty == false && follower["ports"] != nil)
    }

    @Test("'make stop' returns when the node has ended, so that the next one can have its address")
    func makeStop() async throws {
        let folder = try TemporaryDirectory()
        let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        // As `make run` leaves it: no child of whoever stops it.
        let script = """
            mkdir scripts .apus && cp \(root)/scripts/stop scripts/ || exit 90
            (APUS_RPC_ENABLED=false setsid \(try NodeProcess.program()) node --data data --listen 127.0.0.1:0 >.apus/node.log 2>&1 & echo $! >.apus/node.pid)
            for i in $(seq 600); do [ -s data/run.json ] && break; sleep 0.05; done
            node=$(cat .apus/node.pid)
            scripts/stop && tail -n 1 .apus/node.log && readlink /proc/$node/exe; ls .apus
            scripts/stop
            """
        let done = try await Program.run("/bin/bash", ["-c", script], directory: folder.path)
        let lines = done.output.split(separator: "\n").map(String.init)
        try #require(done.status == 0 && lines.count == 4, "\(done)")
        #expect(lines[0] == "stopped" && lines[1].contains("stopped") && lines[2] == "node.log")
        #expect(lines[3] == "no node of 'make run' is running")
    }
}
