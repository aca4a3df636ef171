import ApusHTTP
import ApusRuntime
import ApusSockets
import ApusTypes
import Glibc
import HTTPTestKit
import TestKit
import Testing

@Suite("the user behind a loopback connection")
struct PeerSocketTests {
    /// Fetches the uid that a server at `listen` sees when a process of user `user` connects to `connect`.
    private func seen(listen: String, connect: String, user: UInt32?) async throws -> String {
        let directory = try TemporaryDirectory()
        chmod(directory.path, 0o777)
        let output = directory.path + "/out"
        var router = Router()
        router.on(.get, "/") { request in
            .text("\(await request.connection.peerSocket().map { String($0.user) } ?? "unknown") \(request.connection.isLoopback)")
        }
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        let server = HTTPServer(
            loops: loops, listeners: [ListenerConfiguration(name: "test", host: listen, port: 0, router: router)],
            metrics: MetricsRegistry())
        let port = try await server.start()[0].port
        let curl = try await ChildProcess.start(
            .init(
                "/usr/bin/curl", ["--silent", "--show-error", "--max-time", "10", "--output", output, "http://\(connect):\(port)/"],
                user: user, group: user),
            on: loops.first)
        #expect(await curl.wait() == .status(0))
        await server.drain(deadline: BootClock.now)
        var buffer = [UInt8](repeating: 0, count: 100)
        let file = open(output, O_RDONLY)
        defer { close(file) }
        let count = read(file, &buffer, 100)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    @Test("our own user is seen over IPv4 and IPv6")
    func own() async throws {
        for (listen, connect) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]"), ("0.0.0.0", "127.0.0.1")] {
            let answer = try await seen(listen: listen, connect: connect, user: nil)
            #expect(answer == "\(getuid()) true", "\(listen) from \(connect)")
        }
    }

    @Test("another user is seen as that user", .enabled(if: getuid() == 0, "only root can become another user"))
    func other() async throws {
        for (listen, connect) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
            let answer = try await seen(listen: listen, connect: connect, user: 65_534)
            #expect(answer == "65534 true", "\(listen) from \(connect)")
        }
    }

    @Test("a peer that has gone has no user: not even root, which is what the kernel's zero would say")
    func gone() async throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        withUnsafeMutableBytes(of: &address) { raw in
            let pointer = raw.assumingMemoryBound(to: sockaddr.self).baseAddress
            bind(listener, pointer, size)
            listen(listener, 1)
            getsockname(listener, pointer, &size)
            connect(client, pointer, size)
        }
        let accepted = accept(listener, nil, nil)
        defer { close(accepted) }
        #expect(PeerSocket(peerOf: accepted)?.user == getuid())
        close(client)
        #expect(PeerSocket(peerOf: accepted) == nil)
        #expect(PeerSocket(peerOf: listener) == nil)
    }
}
