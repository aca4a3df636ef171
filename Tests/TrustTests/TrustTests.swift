import ApusCatalog
import ApusCluster
import ApusHTTP
import ApusRuntime
import ApusTypes
import HTTPTestKit
import NodeTestKit
import TestKit
import Testing

/// The trust rule against each way around it, with a real server, real clients and a real proxy.
@Suite("trust")
struct TrustTests {
    static let nobody: UInt32 = 65_534

    /// The status that a client sees, and the body.
    func curl(_ arguments: String, _ node: TestNode, user: UInt32? = nil) async throws -> (status: Int, body: String) {
        let (exit, output) = try await shell("curl -sS -m 10 -w '\\n%{http_code}' \(arguments)", in: node.directory, user: user)
        let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
        try #require(exit == 0, "\(output)")
        return (Int(lines.last ?? "") ?? 0, lines.dropLast().joined(separator: "\n"))
    }

    func status(_ node: TestNode, _ headers: [(String, String)], path: String = "/collections") async throws -> Int {
        try await node.send("GET", path, headers: headers).status
    }

    @Test("the node's own user is served without a key, another local user is not")
    func localUsers() async throws {
        try await TestNode.with { node in
            let url = "http://localhost:\(node.port)/collections"
            #expect(try await curl(url, node).status == 200)
            let refused = try await curl(url, node, user: Self.nobody)
            #expect(refused.status == 401)
            #expect(refused.body.contains("apus key create") && refused.body.contains("user 65534"))
            #expect(try JSONValue(parsing: Array(refused.body.utf8))["error_type"] == "unauthorized")
            let (_, secret) = try await node.access.create(name: "k", role: .reader, deadline: node.deadline)
            #expect(try await curl("-H 'X-API-Key: \(secret.reveal())' \(url)", node, user: Self.nobody).status == 200)
            // Health is everybody's.
            for path in ["health", "health/live", "health/ready", "prometheus/metrics"] {
                #expect(try await curl("http://localhost:\(node.port)/\(path)", node, user: Self.nobody).status == 200, "\(path)")
            }
            for path in ["metrics", "stats", "status", "api/status", "api/keys", "api/v1/cluster/nodes", "nowhere"] {
                #expect(try await curl("http://localhost:\(node.port)/\(path)", node, user: Self.nobody).status == 401, "\(path)")
            }
            // A machine that joins has no key yet: its token's proof is in the body. Nothing else is open beside it.
            let join = "http://localhost:\(node.port)/api/join"
            #expect(try await curl("-d '{}' \(join)", node, user: Self.nobody).status == 400)
            let forged =
                #"{"id":"0011223344556677","expires":99999999999999,"nonce":"00","is_trial":false,"proof":"\#(String(repeating: "0", count: 64))"}"#
            #expect(try await curl("-d '\(forged)' \(join)", node, user: Self.nobody).status >= 403)
            for other in ["-d '{}' \(join)/tokens", join, "-X PUT \(join)", "-d '{}' \(join)/"] {
                #expect(try await curl(other, node, user: Self.nobody).status == 401, "\(other)")
            }
            // Only reading it is.
            #expect(try await curl("-X POST http://localhost:\(node.port)/health", node, user: Self.nobody).status == 401)
        }
    }

    @Test("a rebound name, a foreign page and forwarding headers are refused, the same with a key served")
    func headers() async throws {
        try await TestNode.with { node in
            let (_, secret) = try await node.access.create(name: "k", role: .reader, deadline: node.deadline)
            let key = ("X-API-Key", secret.reveal())
            let cases: [[(String, String)]] = [
                [("Host", "rebound.example.org:\(node.port)")], [("Host", "localhost"), ("Origin", "http://example.org")],
                [("Host", "localhost"), ("Origin", "null")], [("Host", "localhost"), ("Sec-Fetch-Site", "cross-site")],
                [("Host", "localhost"), ("X-Forwarded-For", "127.0.0.1")], [("Host", "localhost"), ("Forwarded", "for=127.0.0.1")],
                [("Host", "localhost"), ("Via", "1.1 proxy")], [("Host", "localhost"), ("X-Real-IP", "127.0.0.1")],
            ]
            for headers in cases {
                #expect(try await status(node, headers) == 401, "\(headers)")
                #expect(try await status(node, headers + [key]) == 200, "\(headers)")
            }
            #expect(try await status(node, [("Host", "localhost:\(node.port)"), ("Origin", "http://localhost:\(node.port)")]) == 200)
            // Without Host, as HTTP/1.0 allows.
            let client = try RawClient(port: node.port)
            try await client.send("GET /collections HTTP/1.0\r\n\r\n")
            let old = try await ReplyReader(client).next()
            #expect(old.status >= 400)
        }
    }

    @Test("auth.loopback: false ends the exemption")
    func noExemption() async throws {
        var options = TestNode.Options()
        options.isLoopbackTrusted = false
        try await TestNode.with(options) { node in
            #expect(try await status(node, [("Host", "localhost")]) == 401)
            #expect(try await status(node, [("Host", "localhost")], path: "/health") == 200)
            let (_, secret) = try await node.access.create(name: "k", role: .reader, deadline: node.deadline)
            #expect(try await status(node, [("Host", "localhost"), ("X-API-Key", secret.reveal())]) == 200)
        }
    }

    @Test("a reverse proxy in front does not become administrator, whether it adds headers or not")
    func reverseProxy() async throws {
        try await TestNode.with { node in
            for (user, headers) in Self.proxies {
                try await proxied(by: user, headers, to: node) { url in try await checkRefused(url, node, "\(user) \(headers)") }
            }
        }
    }

    static let proxies: [(user: String, headers: String)] = [
        // As nginx forwards by itself: Host names the upstream, no header tells of the client. Its workers run as nobody.
        ("user nobody nogroup;", ""),
        // Even a proxy of the node's own user is told by what proxies usually add.
        ("user root root;", "proxy_set_header Host localhost; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"),
        ("user root root;", "proxy_set_header Host localhost; proxy_set_header X-Real-IP $remote_addr;"),
        ("user root root;", "proxy_set_header Host localhost; proxy_set_header Via nginx;"),
        // And by the name that the client asked for.
        ("user root root;", "proxy_set_header Host node.example.org;"),
        // A proxy of the node's own user that adds nothing: only its process tells that it serves others.
        ("user root root;", ""),
        ("user root root;", "proxy_http_version 1.1; proxy_set_header Connection \"\";"),
    ]

    @Test("HAProxy as it is by default does not become administrator, nor a relay that leaves listening to its parent")
    func relays() async throws {
        try await TestNode.with { node in
            let port = Int(try freePort())
            let configuration = """
                defaults
                  timeout connect 5s
                  timeout client 5s
                  timeout server 5s
                  mode MODE
                listen front
                  bind 127.0.0.1:\(port)
                  server apus 127.0.0.1:\(node.port)

                """
            for mode in ["http", "tcp"] {
                let file = "\(node.directory.path)/haproxy-\(mode).conf"
                let (status, output) = try await shell(
                    "printf '%s\n' '\(configuration.replacing("MODE", with: mode))' > \(file) && haproxy -c -q -f \(file)",
                    in: node.directory)
                try #require(status == 0, "\(output)")
                try await relayed(by: .init("/usr/sbin/haproxy", ["-db", "-f", file], output: .discarded), at: port, in: node.directory) {
                    // As a client that knows the rule would ask: HAProxy passes Host on.
                    try await checkRefused("-H 'Host: localhost' http://127.0.0.1:\(port)", node, "HAProxy, mode \(mode)")
                }
            }
            let relay = """
                import os, socket
                listener = socket.create_server(("127.0.0.1", \(port)))
                while True:
                    accepted, _ = listener.accept()
                    if os.fork() == 0:
                        listener.close()
                        upstream = socket.create_connection(("127.0.0.1", \(node.port)))
                        upstream.sendall(accepted.recv(65536))
                        while piece := upstream.recv(65536): accepted.sendall(piece)
                        os._exit(0)
                    accepted.close()
                """
            try await relayed(by: .init("/usr/bin/python3", ["-c", relay], output: .discarded), at: port, in: node.directory) {
                try await checkRefused(
                    "-H 'Connection: close' -H 'Host: localhost' http://127.0.0.1:\(port)", node, "a relay that forks")
            }
        }
    }

    /// Runs `relay` while `body` asks it.
    func relayed(
        by relay: ChildProcess.Command, at port: Int, in directory: TemporaryDirectory, _ body: () async throws -> Void
    )
        async throws
    {
        let process = try await ChildProcess.start(relay, on: TestLoops.shared.any)
        do {
            try await eventually("the relay answers") {
                try await shell("curl -s -m 5 -o /dev/null -H 'Connection: close' http://127.0.0.1:\(port)/health", in: directory).status
                    == 0
            }
            try await body()
        } catch {
            _ = await process.terminate(grace: .seconds(5))
            throw error
        }
        _ = await process.terminate(grace: .seconds(5))
    }

    @Test("a program that connects first and takes connections later is not trusted any more, on the same connection")
    func listensLater() async throws {
        try await TestNode.with { node in
            let program = """
                import http.client, socket, time
                node = http.client.HTTPConnection("127.0.0.1", \(node.port))
                def ask():
                    node.request("GET", "/collections", headers={"Host": "localhost"})
                    reply = node.getresponse()
                    reply.read()
                    return reply.status
                first = ask()
                listener = socket.create_server(("127.0.0.1", 0))
                # It may be believed for a moment.
                for _ in range(300):
                    time.sleep(0.1)
                    last = ask()
                    if last != first: break
                print(first, last)
                """
            let (exit, output) = try await shell("python3 - <<'END'\n\(program)\nEND", in: node.directory)
            #expect(exit == 0 && output == "200 401\n", "\(output)")
        }
    }

    @Test("a thousand connections of one program at once are all served")
    func manyConnections() async throws {
        try await TestNode.with { node in
            let program = """
                import http.client
                nodes = [http.client.HTTPConnection("127.0.0.1", \(node.port)) for _ in range(1000)]
                for node in nodes: node.connect()
                for node in nodes: node.request("GET", "/collections", headers={"Host": "localhost"})
                print({node.getresponse().status for node in nodes})
                """
            let (exit, output) = try await shell("python3 - <<'END'\n\(program)\nEND", in: node.directory)
            #expect(exit == 0 && output == "{200}\n", "\(output)")
        }
    }

    @Test("a client that asks many times over one connection is served each time")
    func keptConnection() async throws {
        try await TestNode.with { node in
            let (exit, output) = try await shell(
                "curl -sS -m 20 -o /dev/null -w '%{http_code} %{num_connects}\\n' 'http://localhost:\(node.port)/collections?[1-50]'",
                in: node.directory)
            let lines = output.split(separator: "\n").map(String.init)
            #expect(exit == 0 && lines == ["200 1"] + (1..<50).map { _ in "200 0" }, "\(output.prefix(300))")
        }
    }

    func checkRefused(_ url: String, _ node: TestNode, _ proxy: String) async throws {
        let collections = try await curl("\(url)/collections", node)
        #expect(collections.status == 401, "\(proxy)")
        let key = try await curl("-X POST -d '{\"name\":\"x\",\"role\":\"administrator\"}' \(url)/api/keys", node)
        #expect(key.status == 401, "\(proxy)")
        let health = try await curl("\(url)/health", node)
        #expect(health.status == 200, "\(proxy)")
    }

    /// Runs nginx in front of `node` while `body` asks it.
    func proxied(by user: String, _ headers: String, to node: TestNode, _ body: (String) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let port = try freePort()
        let configuration = """
            \(user)
            daemon off; master_process on; worker_processes 1; pid \(directory.path)/nginx.pid; error_log \(directory.path)/error.log;
            events { worker_connections 64; }
            http {
              access_log off;
              client_body_temp_path \(directory.path)/body; proxy_temp_path \(directory.path)/proxy; fastcgi_temp_path \(directory.path)/f;
              uwsgi_temp_path \(directory.path)/u; scgi_temp_path \(directory.path)/s;
              server { listen 127.0.0.1:\(port); location / { proxy_pass http://127.0.0.1:\(node.port); \(headers) } }
            }
            """
        let (status, output) = try await shell(
            "cat > \(directory.path)/nginx.conf <<'EOF'\n\(configuration)\nEOF\n/usr/sbin/nginx -t -q -c \(directory.path)/nginx.conf",
            in: directory)
        try #require(status == 0, "\(output)")
        let nginx = try await ChildProcess.start(
            .init("/usr/sbin/nginx", ["-c", "\(directory.path)/nginx.conf"], output: .discarded), on: TestLoops.shared.any)
        do {
            try await eventually("nginx answers") {
                try await shell("curl -s -o /dev/null http://127.0.0.1:\(port)/health", in: directory).status == 0
            }
            try await body("http://127.0.0.1:\(port)")
        } catch {
            _ = await nginx.terminate(grace: .seconds(5))
            throw error
        }
        _ = await nginx.terminate(grace: .seconds(5))
    }
}
