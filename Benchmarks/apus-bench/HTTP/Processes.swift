internal import ApusRuntime
internal import ApusTypes
internal import Glibc
internal import TestKit

/// A folder under the system's temporary one, for what a benchmark's processes write.
struct TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/apus-bench.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw ApusError(.inputUnreadable, "/tmp cannot be written") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func write(_ text: String, to name: String) throws {
        guard let file = fopen(path + "/" + name, "w") else { throw ApusError(.inputUnreadable, "\(path)/\(name) cannot be written") }
        defer { fclose(file) }
        fputs(text, file)
    }

    func remove() {
        // Benchmarks write files and one level of folders, nothing deeper.
        for name in Self.names(in: path) where unlink(path + "/" + name) != 0 {
            for inner in Self.names(in: path + "/" + name) { unlink(path + "/" + name + "/" + inner) }
            rmdir(path + "/" + name)
        }
        rmdir(path)
    }

    private static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

/// nginx with one worker for each core, as its own documentation advises, and nothing written per request.
struct Nginx {
    let process: ChildProcess
    let port: Int

    static func start(reply: String, in directory: TemporaryFolder, on loop: EventLoop) async throws -> Nginx {
        let port = try freePort()
        try directory.write(
            """
            worker_processes \(EventLoops.coreCount);
            daemon off;
            pid \(directory.path)/nginx.pid;
            error_log \(directory.path)/nginx.log;
            events { worker_connections 8192; }
            http {
                access_log off;
                keepalive_requests 1000000000;
                client_body_temp_path \(directory.path)/body;
                proxy_temp_path \(directory.path)/proxy;
                fastcgi_temp_path \(directory.path)/fastcgi;
                uwsgi_temp_path \(directory.path)/uwsgi;
                scgi_temp_path \(directory.path)/scgi;
                server {
                    listen 127.0.0.1:\(port) reuseport;
                    location / { default_type application/json; return 200 '\(reply.replacing("'", with: "\\'"))'; }
                }
            }

            """, to: "nginx.conf")
        let command = ChildProcess.Command(
            "/usr/sbin/nginx", ["-c", directory.path + "/nginx.conf", "-e", directory.path + "/nginx.log"],
            environment: ["PATH": "/usr/sbin:/usr/bin:/bin"])
        let process = try await ChildProcess.start(command, on: loop)
        let deadline = BootClock.now.advanced(by: .seconds(10))
        while process.ended == nil, BootClock.now < deadline {
            if let client = try? Client(port: port) {  // refused until nginx listens
                try client.get("/")
                return Nginx(process: process, port: port)
            }
            try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(20)))
        }
        throw ApusError(.processFailed, "nginx did not start: \(readText(directory.path + "/nginx.log"))")
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = Client.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutableBytes(of: &address) { bytes in
            let pointer = bytes.assumingMemoryBound(to: sockaddr.self).baseAddress
            return bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
        }
        guard status == 0 else { throw ApusError(.listenerUnavailable, "no port is free") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// This program's own server, in a process of its own so that its memory is its own.
struct ApusServer {
    let process: ChildProcess
    let port: Int

    static func start(in directory: TemporaryFolder, on loop: EventLoop) async throws -> ApusServer {
        let log = directory.path + "/apus.log"
        let command = ChildProcess.Command("/proc/self/exe", [HTTPBenchmark.serverCommand], environment: [:], output: .file(log))
        let process = try await ChildProcess.start(command, on: loop)
        let deadline = BootClock.now.advanced(by: .seconds(10))
        while process.ended == nil, BootClock.now < deadline {
            if let port = Int(readText(log).split(separator: "\n").first ?? "") { return ApusServer(process: process, port: port) }
            try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(20)))
        }
        throw ApusError(.processFailed, "the server did not start: \(readText(log))")
    }

    /// `VmRSS` or `VmHWM` in bytes.
    func memory(_ name: String) -> Int {
        processMemory(name, of: process.identifier)
    }

    /// Lets `VmHWM` begin at what is in use now.
    func resetPeak() { resetPeakMemory(of: process.identifier) }
}

/// Lets a process's `VmHWM` begin at what is in use now.
func resetPeakMemory(of process: Int32) {
    guard let file = fopen("/proc/\(process)/clear_refs", "w") else { return }
    fputs("5", file)
    fclose(file)
}

/// A line of a process's `status`, such as `VmRSS` or `VmHWM`, in bytes; 0 once it has ended.
func processMemory(_ name: String, of process: Int32) -> Int {
    let line = readText("/proc/\(process)/status").split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
    return (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
}

/// The load generator.
enum Wrk {
    /// Requests per second over `seconds`, from 64 connections. A run with errors is no measurement.
    static func run(port: Int, seconds: Int, in directory: TemporaryFolder, on loop: EventLoop) async throws -> Double {
        let log = directory.path + "/wrk.log"
        unlink(log)
        let command = ChildProcess.Command(
            "/usr/bin/wrk", ["-t2", "-c64", "-d\(seconds)s", "http://127.0.0.1:\(port)/"], environment: [:], output: .file(log))
        _ = await (try ChildProcess.start(command, on: loop)).wait()
        let output = readText(log)
        guard !output.contains("Non-2xx"), !output.contains("Socket errors"),
            let line = output.split(separator: "\n").first(where: { $0.hasPrefix("Requests/sec:") }),
            let rate = line.split(separator: " ").last.flatMap({ Double($0) })
        else { throw ApusError(.processFailed, "wrk has no clean result: \(output)") }
        return rate
    }
}

/// A blocking client: a benchmark has nothing else to do while it waits.
final class Client {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let address = Self.loopback(port: port)
        let status = withUnsafeBytes(of: address) {
            connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count))
        }
        guard status == 0 else {
            let problem = errno
            close(descriptor)
            throw ApusError(.listenerUnavailable, "cannot connect to port \(port): \(String(cString: strerror(problem)))")
        }
    }

    deinit { close(descriptor) }

    func get(_ path: String) throws {
        try write(Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
        try expect200()
    }

    func upload(_ size: Int, to path: String) throws {
        try write(Array("POST /upload HTTP/1.1\r\nHost: localhost\r\nX-File: \(path)\r\nContent-Length: \(size)\r\n\r\n".utf8))
        let piece = [UInt8](repeating: 0x5a, count: 1 << 20)
        var left = size
        while left > 0 {
            try write(left < piece.count ? Array(piece[..<left]) : piece)
            left -= min(left, piece.count)
        }
        try expect200()
    }

    /// Replies here fit one segment.
    private func expect200() throws {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard buffer.prefix(max(0, count)).starts(with: "HTTP/1.1 200 ".utf8) else {
            throw ApusError(.processFailed, "an unexpected reply: \(String(decoding: buffer.prefix(max(0, count)), as: UTF8.self))")
        }
    }

    private func write(_ bytes: [UInt8]) throws {
        var written = 0
        while written < bytes.count {
            // not empty
            let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress! + written, $0.count - written, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw ApusError(.processFailed, "the server closed the connection: error \(errno)") }
            written += count
        }
    }

    static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        return address
    }
}

/// What a small file holds; nothing when it cannot be read.
func readText(_ path: String) -> String {
    textFile(path) ?? ""
}
