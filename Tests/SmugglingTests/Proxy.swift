import ApusRuntime
import ApusTypes
import Glibc
import HTTPTestKit
import TestKit

/// A real proxy of the distribution in front of one backend, with connections to it that are used again.
struct Proxy: Sendable {
    enum Kind: String, Sendable, CaseIterable { case nginx, haproxy }

    let port: Int
    private let process: ChildProcess
    private let log: String
    private let directory: TemporaryDirectory

    /// One line of the proxy's log: what it read as a request, and what came of it.
    struct Line: Sendable, Hashable {
        var request: String
        var reachedBackend: Bool
        var status: Int
    }

    static func start(_ kind: Kind, backend: Int, on loop: EventLoop) async throws -> Proxy {
        let directory = try TemporaryDirectory()
        let port = Int(try freePort())
        let configuration = directory.path + "/proxy.conf"
        let log = directory.path + "/access.log"
        let command: ChildProcess.Command
        switch kind {
        case .nginx:
            try write(nginx(port: port, backend: backend, directory: directory.path), to: configuration)
            command = .init(
                "/usr/sbin/nginx", ["-c", configuration, "-p", directory.path, "-e", directory.path + "/error.log"], output: .discarded)
        case .haproxy:
            try write(haproxy(port: port, backend: backend), to: configuration)
            command = .init("/usr/sbin/haproxy", ["-db", "-f", configuration], output: .file(log))
        }
        let process = try await ChildProcess.start(command, on: loop)
        let deadline = BootClock.now.advanced(by: .seconds(20))
        while true {
            if (try? RawClient(port: port)) != nil { break }  // until it listens
            guard process.ended == nil, BootClock.now < deadline else { throw TestKitError("\(kind.rawValue) does not start") }
            try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(20)))
        }
        return Proxy(port: port, process: process, log: log, directory: directory)
    }

    func stop() async { _ = await process.terminate(grace: .seconds(5)) }

    /// The log's lines about one attack, once `last` is among them.
    func lines(_ number: Int, until last: String) async throws -> [Line] {
        let deadline = BootClock.now.advanced(by: .seconds(10))
        while true {
            let lines = try read(log).split(separator: "\n").compactMap { Self.line(String($0)) }.filter {
                $0.request.contains("/\(number)/")
            }
            if lines.contains(where: { $0.request == last }) { return lines }
            guard BootClock.now < deadline else { throw TestKitError("the proxy did not log '\(last)'") }
            try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(5)))
        }
    }

    /// `METHOD|target|status|whether the backend was asked`
    private static func line(_ text: String) -> Line? {
        let fields = text.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 4 else { return nil }
        var target = fields[1]
        if let scheme = ["http://", "https://"].first(where: target.hasPrefix) {
            target = String(target.dropFirst(scheme.count).drop { $0 != "/" })
        }
        return Line(
            request: "\(fields[0]) \(target)", reachedBackend: !["-", "<NOSRV>", ""].contains(fields[3]), status: Int(fields[2]) ?? 0)
    }

    /// Timeouts are short, because many attacks leave a proxy waiting for bytes that never come.
    private static func nginx(port: Int, backend: Int, directory: String) -> String {
        """
        daemon off;
        master_process off;
        pid \(directory)/nginx.pid;
        events { worker_connections 512; }
        http {
            log_format law '$request_method|$request_uri|$status|$upstream_addr';
            access_log \(directory)/access.log law;
            client_body_temp_path \(directory)/body;
            proxy_temp_path \(directory)/proxy;
            fastcgi_temp_path \(directory)/fastcgi;
            uwsgi_temp_path \(directory)/uwsgi;
            scgi_temp_path \(directory)/scgi;
            client_header_timeout 1s;
            client_body_timeout 1s;
            keepalive_timeout 1s;
            lingering_close off;
            upstream backend { server 127.0.0.1:\(backend); keepalive 1; }
            server {
                listen 127.0.0.1:\(port);
                location / {
                    proxy_pass http://backend;
                    proxy_http_version 1.1;
                    proxy_set_header Connection "";
                    proxy_request_buffering off;
                    proxy_next_upstream off;
                }
            }
        }
        """
    }

    private static func haproxy(port: Int, backend: Int) -> String {
        """
        global
            log stdout format raw local0
        defaults
            mode http
            log global
            log-format %HM|%HU|%ST|%s
            timeout connect 5s
            timeout client 1s
            timeout http-request 1s
            timeout http-keep-alive 1s
            timeout server 5s
            retries 0
            http-reuse always
        frontend front
            bind 127.0.0.1:\(port)
            default_backend back
        backend back
            server apus 127.0.0.1:\(backend)

        """
    }

    private static func write(_ text: String, to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        defer { close(file) }
        guard file >= 0, Glibc.write(file, text, text.utf8.count) == text.utf8.count else { throw TestKitError("cannot write \(path)") }
    }

    private func read(_ path: String) throws -> String {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = Glibc.read(file, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }
}
