public import ApusHTTP
public import ApusRuntime
public import ApusTypes
import Foundation
import Glibc
import TestKit

/// A real nginx in front of real nodes, with a file that `apus render --watch` keeps; both end with the value.
public final class FrontDoor: Sendable {
    public let port: Int
    private let directory: TemporaryDirectory
    private let nginx: ChildProcess
    private let watch: ChildProcess
    private let client: HTTPClient
    private let key: String

    public init(to nodes: [NodeProcess], loops: EventLoops) async throws {
        directory = try TemporaryDirectory()
        port = Int(try freePort())
        key = nodes[0].key
        // A reloaded nginx closes idle connections, and one that a request was just sent on is answered by nobody: clients know that race, and
        // repeat. What is counted here is nginx's part, so each request has a connection of its own.
        var limits = HTTPClientLimits()
        limits.idlePerOrigin = 0
        client = HTTPClient(loops: loops, limits: limits)
        let (path, port) = (directory.path, port)
        // As an operator's nginx.conf, which includes sites. Root's nginx gives its workers to another user, who may not write here.
        let user = geteuid() == 0 ? "user root;\n" : ""
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(path)/\($0);" }.joined(separator: " ")
        let main = """
            \(user)daemon off; worker_processes 2; pid \(path)/nginx.pid;
            events { worker_connections 1024; }
            http {
                \(temporary)
                log_format tries '$msec|$upstream_addr|$upstream_status|$status|$request_method $uri';
                access_log \(path)/access.log tries;
                include \(path)/site.conf;
            }

            """
        try Data(main.utf8).write(to: URL(fileURLWithPath: path + "/nginx.conf"))
        let nginxArguments = ["-c", path + "/nginx.conf", "-e", path + "/error.log"]
        // Also when nginx is not there yet: the file is.
        let arguments = [
            "render", "nginx", "--url", nodes.map(\.url).joined(separator: ","), "--listen", "127.0.0.1:\(port)", "--output",
            path + "/site.conf", "--watch", "--reload-command", "/usr/sbin/nginx \(nginxArguments.joined(separator: " ")) -s reload",
        ]
        func child(_ program: String, _ arguments: [String], log: String) async throws -> ChildProcess {
            try await ChildProcess.start(
                .init(
                    "/usr/bin/setpriv", ["--pdeathsig=TERM", program] + arguments,
                    environment: ["PATH": "/usr/bin:/bin", "APUS_KEY": nodes[0].key], output: .file(path + "/" + log)),
                on: TestLoops.shared.first)
        }
        watch = try await child(try NodeProcess.program(), arguments, log: "watch.log")
        try await eventually(within: 60, "the first file") { access(path + "/site.conf", R_OK) == 0 }
        nginx = try await child("/usr/sbin/nginx", nginxArguments, log: "nginx.log")
        try await eventually(within: 60, "nginx listens") { try await self.send(.get, "/health").status == 200 }
    }

    deinit {
        watch.send(signal: SIGKILL)
        nginx.send(signal: SIGTERM)
    }

    public func stop() async {
        _ = await watch.terminate(grace: .seconds(10))
        _ = await nginx.terminate(grace: .seconds(10))
    }

    /// Nil for a connection that was refused.
    public func send(
        _ method: Method, _ path: String, _ body: String? = nil, headers: Headers = [:]
    ) async throws -> (status: Int, headers: Headers, body: JSONValue) {
        var headers = headers
        headers["X-API-Key"] = key
        if body != nil { headers["Content-Type"] = "application/json" }
        do {
            let response = try await client.send(
                ClientRequest(
                    method, "http://127.0.0.1:\(port)\(path)", headers: headers, body: body.map { .bytes(Array($0.utf8)) } ?? .none,
                    deadline: BootClock.now.advanced(by: .seconds(60))))
            let bytes = try await response.collect(limit: .mebibytes(16))
            return (response.status, response.headers, (try? JSONValue(parsing: bytes)) ?? .string(String(decoding: bytes, as: UTF8.self)))
        } catch let error as ApusError where error.code == .peerUnavailable { return (0, [:], .string(error.summary)) }
    }

    /// Whether requests may be sent to a node, by what nginx reads.
    public func names(_ node: NodeProcess) throws -> Bool {
        let address = node.url.dropFirst("http://".count)
        return try site().split(separator: "\n").contains { $0.contains("server \(address) max_fails=1") }
    }

    /// What nginx reads.
    public func site() throws -> String { try String(contentsOfFile: directory.path + "/site.conf", encoding: .utf8) }
    public var watchLog: String { (try? String(contentsOfFile: directory.path + "/watch.log", encoding: .utf8)) ?? "" }

    /// One request as nginx saw it.
    public struct Entry {
        public var at: Double
        /// In the order in which they were tried.
        public var nodes: [String]
        public var status: Int
        public var call: String
    }

    public func entries() throws -> [Entry] {
        try String(contentsOfFile: directory.path + "/access.log", encoding: .utf8).split(separator: "\n").map { line in
            let parts = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            return Entry(
                at: Double(parts[0]) ?? 0, nodes: parts[1].split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) },
                status: Int(parts[3]) ?? 0, call: parts[4])
        }
    }

    /// Names of files that nginx has written bodies into.
    public func bodyFiles() -> [String] { TemporaryDirectory.entries(directory.path + "/client_body") }
}
