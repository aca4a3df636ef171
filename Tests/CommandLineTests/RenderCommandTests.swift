import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import HTTPTestKit
import NodeProcessKit
import Synchronization
import TestKit
import Testing

/// `apus render` as a process, asking a server that answers as a node does, with the real programs of the balancers.
@Suite("A balancer's file, kept true")
struct RenderCommandTests {
    /// What the cluster says of its members; nil: it is away.
    private final class Members: Sendable {
        private let states = Mutex<[String]?>(["active", "active"])
        func set(_ new: [String]?) { states.withLock { $0 = new } }

        func mount(on router: inout Router) {
            router.on(.get, "/api/nodes") { _ in
                guard let states = self.states.withLock({ $0 }) else { throw ApusError(.catalogUnavailable, "the catalog is away") }
                let nodes = states.enumerated().map { index, state -> JSONValue in
                    ["name": .string("n\(index + 1)"), "url": .string("http://10.0.0.\(index + 1):15002"), "status": .string(state)]
                }
                return .json(JSONValue.object(["nodes": .array(nodes)]).serialized())
            }
        }
    }

    private struct Place {
        let folder: TemporaryDirectory
        var file: String { folder.path + "/apus.conf" }
        var reloads: String { folder.path + "/reloads" }
        var log: String { folder.path + "/log" }

        func arguments(_ url: String, _ more: String..., reload: String? = nil) -> [String] {
            let command = reload ?? "cp \(file) \(folder.path)/loaded && echo once >>\(reloads)"
            return ["render", "nginx", "--url", url, "--listen", "127.0.0.1:1099", "--output", file, "--reload-command", command] + more
        }

        func text() throws -> String { access(file, R_OK) == 0 ? try Program.read(file) : "" }
        func reloadCount() throws -> Int { access(reloads, R_OK) == 0 ? try Program.read(reloads).split(separator: "\n").count : 0 }
        /// Nothing is left of what was tried.
        var leftovers: [String] { TemporaryDirectory.entries(folder.path).filter { $0.contains("candidate") || $0.contains(".tmp") } }
    }

    private func url(_ server: TestServer) -> String { "http://127.0.0.1:\(server.port)" }

    @Test("--once checks, writes and reloads; --dry-run does neither of the last two; nobody there is 69")
    func once() async throws {
        let place = Place(folder: try TemporaryDirectory())
        let members = Members()
        try await TestServer.with(routes: members.mount) { server in
            let trial = try await Program.apus(place.arguments(url(server), "--once", "--dry-run"))
            #expect(trial.status == 0 && trial.errors.contains("would write the file"), "\(trial)")
            #expect(try place.text().isEmpty && place.reloadCount() == 0 && place.leftovers.isEmpty)
            let done = try await Program.apus(place.arguments("http://127.0.0.1:1,\(url(server))", "--once"))
            #expect(done.status == 0, "\(done)")
            #expect(try place.text().contains("server 10.0.0.2:15002") && place.reloadCount() == 1 && place.leftovers.isEmpty)
            members.set(nil)
            let away = try await Program.apus(place.arguments(url(server), "--once"))
            #expect(away.status == 69 && away.errors.contains("stays as it is"), "\(away)")
            #expect(try place.text().contains("server 10.0.0.2:15002") && place.reloadCount() == 1)
        }
        let nobody = try await Program.apus(place.arguments("http://127.0.0.1:1", "--once"))
        #expect(nobody.status == 69, "\(nobody)")
        let nowhere = try await Program.apus(["render", "nginx", "--watch"])
        #expect(nowhere.status == 64 && nowhere.errors.contains("--output"))
    }

    @Test("what the balancer's program refuses, or cannot be told, leaves the file as it was")
    func refused() async throws {
        let place = Place(folder: try TemporaryDirectory())
        let members = Members()
        try await TestServer.with(routes: members.mount) { server in
            // As nginx says it.
            let complaint = "echo '1 [notice] 1#1: signal process started' >&2; echo '1 [error] 1#1: no pid' >&2; exit 1"
            let first = try await Program.apus(place.arguments(url(server), "--once", reload: complaint))
            #expect(first.status == 3 && first.errors.contains("no pid"), "\(first)")
            #expect(try place.text().contains("10.0.0.2"), "there was none, so that nginx can be started with it")
            members.set(["active", "left"])
            let second = try await Program.apus(place.arguments(url(server), "--once", reload: "exit 1"))
            #expect(second.status == 3)
            #expect(try place.text().contains("server 10.0.0.2:15002"), "the old one is back")
            // nginx listens nowhere at such an address.
            var arguments = place.arguments(url(server), "--once")
            arguments[arguments.firstIndex(of: "127.0.0.1:1099")!] = "10.99.99.99:80"
            let third = try await Program.apus(arguments)
            #expect(third.status == 3 && third.errors.contains("nginx refuses"), "\(third)")
            #expect(try place.text().contains("server 10.0.0.2:15002") && place.reloadCount() == 0 && place.leftovers.isEmpty)
        }
    }

    @Test("HAProxy's file is checked by HAProxy")
    func haproxy() async throws {
        let folder = try TemporaryDirectory()
        let members = Members()
        try await TestServer.with(routes: members.mount) { server in
            let arguments = [
                "render", "haproxy", "--url", url(server), "--output", folder.path + "/haproxy.cfg", "--status", "127.0.0.1:8404", "--once",
                "--reload-command",
            ]
            let done = try await Program.apus(arguments + ["/usr/sbin/haproxy -c -q -f \(folder.path)/haproxy.cfg"])
            #expect(done.status == 0, "\(done)")
            let text = try Program.read(folder.path + "/haproxy.cfg")
            #expect(text.contains("server n2 10.0.0.2:15002") && text.contains("127.0.0.1:8404"))
        }
    }

    @Test("--watch follows the members, keeps the file while the cluster is away, says what it does, and ends with SIGTERM")
    func watch() async throws {
        let place = Place(folder: try TemporaryDirectory())
        let members = Members()
        try await TestServer.with(routes: members.mount) { server in
            let process = try await ChildProcess.start(
                .init(
                    try NodeProcess.program(), place.arguments(url(server), "--watch"), environment: ["PATH": "/usr/bin:/bin"],
                    output: .file(place.log)), on: TestLoops.shared.first)
            defer { process.send(signal: SIGKILL) }
            try await eventually("the first file") { try place.text().contains("server 10.0.0.2:15002") }
            members.set(["active", "down"])
            try await eventually("a node went") { try place.text().contains("n2 is left out: down") }
            members.set(nil)
            try await eventually("it says that nobody answers") { try Program.read(place.log).contains("the file stays as it is") }
            #expect(try place.text().contains("n2 is left out: down"))
            members.set(["active", "active", "draining"])
            try await eventually("the cluster is back") { try place.text().contains("n3 is left out: draining") }
            try await eventually("the balancer has read it") { try place.reloadCount() == 3 }
            #expect(try Program.read(place.folder.path + "/loaded") == place.text())
            process.send(signal: SIGTERM)
            #expect(await process.wait() == .status(0))
            let log = try Program.read(place.log)
            #expect(log.contains(#""node":"n2","to":"10.0.0.2:15002 down""#) || log.contains(#""to":"10.0.0.2:15002 down""#), "\(log)")
            #expect(log.contains("the cluster answers again"))
            #expect(place.leftovers.isEmpty)
        }
    }

    @Test("20 changes, one after the other, are not 20 reloads, and the last one is in the file")
    func flapping() async throws {
        let place = Place(folder: try TemporaryDirectory())
        let members = Members()
        try await TestServer.with(routes: members.mount) { server in
            let process = try await ChildProcess.start(
                .init(
                    try NodeProcess.program(), place.arguments(url(server), "--watch"), environment: ["PATH": "/usr/bin:/bin"],
                    output: .file(place.log)), on: TestLoops.shared.first)
            defer { process.send(signal: SIGKILL) }
            let began = BootClock.now
            for change in 0..<20 {
                members.set(["active", change % 2 == 0 ? "suspect" : "active"])
                try await BootClock().sleep(for: .milliseconds(300))
            }
            members.set(["active", "left"])
            try await eventually("the last") { try place.text().contains("n2 is left out: left") }
            try await eventually("the balancer has read it") { try Program.read(place.folder.path + "/loaded") == place.text() }
            #expect(try Double(place.reloadCount()) <= began.duration(to: BootClock.now).seconds / 2 + 1)
            process.send(signal: SIGTERM)
            _ = await process.wait()
        }
    }
}
