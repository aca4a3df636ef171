import ApusRuntime
import ApusTypes
import Glibc
import NodeProcessKit
import TestKit
import Testing

/// A node that listens beyond loopback without any credential, as the deployment guide's first machine does.
@Suite("A first start beyond loopback")
struct FirstStartTests {
    @Test("the guide's own lines work from the node's own host, under the address that the guide gives it, and not for another user")
    func ownAddress() async throws {
        let folder = try TemporaryDirectory()
        // A network of its own, in which the guide's address is this machine's. `setpriv` makes a process another user's.
        let script = """
            ip link set lo up && ip addr add 192.168.1.10/32 dev lo || exit 90
            \(try NodeProcess.program()) node --data \(folder.path)/data --listen 0.0.0.0:15002 >\(folder.path)/log 2>&1 &
            node=$!
            for i in $(seq 600); do curl -sf -o /dev/null http://192.168.1.10:15002/health/ready && break; kill -0 $node || exit 91; sleep 0.05; done
            curl -sS -w '\\n%{http_code}\\n' -X POST "http://192.168.1.10:15002/collections" -H "Content-Type: application/json" \\
              -d '{"name": "distributed-collection", "dimension": 512, "metric": "cosine"}'
            curl -sS -o /dev/null -w '%{http_code}\\n' "http://192.168.1.10:15002/api/v1/cluster/nodes"
            curl -sS -o /dev/null -w '%{http_code}\\n' -H 'Host: rebound.example.org:15002' "http://192.168.1.10:15002/api/v1/cluster/nodes"
            curl -sS -w '\\n%{http_code}\\n' --interface 127.0.0.1 "http://192.168.1.10:15002/api/v1/cluster/nodes"
            setpriv --reuid 65534 --regid 65534 --clear-groups curl -sS -w '\\n%{http_code}\\n' "http://192.168.1.10:15002/api/v1/cluster/nodes"
            kill $node; wait $node
            """
        let done = try await Program.run(
            "/usr/bin/unshare", ["--net", "/bin/bash", "-c", script], ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
        let lines = done.output.split(separator: "\n").map(String.init)
        try #require(done.status == 0 && lines.count == 8, "\(done)")
        #expect(lines[1] == "200" || lines[1] == "201", "\(lines[0])")
        #expect(Array(lines[2...3]) == ["200", "401"])
        #expect(lines[5] == "401" && lines[4].contains("Host"), "a loopback sender says a loopback name: \(lines[4])")
        #expect(lines[7] == "401" && lines[6].contains("user 65534"))
    }

    @Test("the administrator's key is on the pipe while the node runs, and stays there when it is killed")
    func printedKey() async throws {
        let folder = try TemporaryDirectory()
        let script = """
            mkfifo \(folder.path)/pipe
            \(try NodeProcess.program()) node --data \(folder.path)/data --listen 0.0.0.0:0 >\(folder.path)/pipe 2>\(folder.path)/log &
            node=$!
            exec 3<\(folder.path)/pipe
            read -r -t 60 said <&3; read -r -t 5 key <&3
            kill -0 $node && echo "$said" && echo "$key"
            kill -9 $node
            """
        let done = try await Program.run("/bin/bash", ["-c", script])
        let lines = done.output.split(separator: "\n").map(String.init)
        try #require(lines.count == 2, "\(done)")
        #expect(lines[0].contains("shown this once") && lines[1].hasPrefix("apus_"))
        #expect(try Program.read(folder.path + "/data/admin.key").contains(lines[1]))
    }

    @Test("origins that may use one face may not use the other on the same listener")
    func origins() async throws {
        let folder = try TemporaryDirectory()
        try Program.write("faces: {vectorizer: {cors_origins: ['https://app.example.com']}}", to: folder.path + "/apus.yml")
        let node = try await NodeProcess.start(
            directory: folder.path + "/data", arguments: ["--config", folder.path + "/apus.yml"], loops: TestLoops.shared)
        func allowed(_ arguments: String...) async throws -> Bool {
            let done = try await Program.run(
                "/usr/bin/curl",
                ["-sS", "-i", "-H", "Origin: https://app.example.com"] + arguments.dropLast() + [node.url + arguments.last!])
            #expect(done.status == 0, "\(done.errors)")
            return done.output.lowercased().contains("access-control-allow-origin: https://app.example.com")
        }
        let preflight = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET"]
        #expect(try await allowed(preflight[0], preflight[1], preflight[2], preflight[3], "/collections"))
        #expect(try await !allowed(preflight[0], preflight[1], preflight[2], preflight[3], "/api/keys"))
        #expect(try await allowed("/health"))
        #expect(try await !allowed("/health/live"))
        await node.kill()
    }
}
