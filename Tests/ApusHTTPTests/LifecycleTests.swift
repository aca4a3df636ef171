import ApusHTTP
import ApusRuntime
import ApusTypes
import Glibc
import HTTPTestKit
import Synchronization
import Testing

@Suite("server: start, drain, TLS")
struct LifecycleTests {
    @Test("a port that is taken is named, with how to find its holder; also when the holder shares it by SO_REUSEPORT")
    func portTaken() async throws {
        try await TestServer.with(routes: { _ in }) { server in
            let listener = ListenerConfiguration(name: "second", host: "127.0.0.1", port: server.port, router: Router())
            let second = HTTPServer(loops: server.loops, listeners: [listener], metrics: MetricsRegistry())
            let error = await #expect(throws: ApusError.self) { try await second.start() }
            #expect(error?.code == .listenerUnavailable)
            #expect(error?.summary.contains("127.0.0.1:\(server.port)") == true)
            #expect(error?.hint?.contains("ss -ltnp") == true)
        }
    }

    @Test("an address that is none is refused by name")
    func wrongAddress() async throws {
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        for (host, port) in [("no such host", 0), ("127.0.0.1", 70_000), ("192.0.2.1", 0)] {
            let listener = ListenerConfiguration(name: "web", host: host, port: port, router: Router())
            let server = HTTPServer(loops: loops, listeners: [listener], metrics: MetricsRegistry())
            let error = await #expect(throws: ApusError.self) { try await server.start() }
            #expect(error?.code == .listenerUnavailable)
        }
    }

    @Test("listeners have routes of their own")
    func severalListeners() async throws {
        let loops = EventLoops(count: 2)
        defer { loops.stop() }
        let listeners = ["a", "b"].map { name in
            var router = Router()
            router.on(.get, "/") { .text("\(name) \($0.connection.listener)") }
            return ListenerConfiguration(name: name, host: "localhost", port: 0, router: router)
        }
        let server = HTTPServer(loops: loops, listeners: listeners, metrics: MetricsRegistry())
        for bound in try await server.start() {
            let client = try RawClient(port: bound.port)
            try await client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await ReplyReader(client).next().text == "\(bound.name) \(bound.name)")
        }
        await server.drain(deadline: BootClock.now)
    }

    @Test("drain: idle connections end, a running request is finished and told to close, new ones are refused")
    func drain() async throws {
        let started = Outcome()
        let release = Outcome()
        try await TestServer.with(routes: {
            $0.on(.get, "/") { _ in .text("x") }
            $0.on(.get, "/slow") { _ in
                started.set("")
                return .text(await release.value())
            }
        }) { server in
            let idle = try RawClient(port: server.port)
            try await idle.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let idleReplies = ReplyReader(idle)
            #expect(try await idleReplies.next().status == 200)
            let busy = try RawClient(port: server.port)
            try await busy.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = await started.value()
            let aborted = Task { await server.server.drain(deadline: BootClock.now.advanced(by: .seconds(60))) }
            #expect(try await idleReplies.isAtEnd())
            // The idle connection's end does not say that every loop has begun to drain; a refused connection does.
            while (try? RawClient(port: server.port)) != nil { await Task.yield() }
            release.set("done")
            let replies = ReplyReader(busy)
            let reply = try await replies.next()
            #expect(reply.text == "done")
            #expect(reply.closes)
            #expect(try await replies.isAtEnd())
            #expect(await aborted.value == 0)
        }
    }

    @Test("drain: what does not end by its deadline is cancelled and aborted, and counted")
    func drainDeadline() async throws {
        let started = Outcome()
        let ended = Outcome()
        try await TestServer.with(routes: {
            $0.on(.get, "/stuck") { _ in
                started.set("")
                do { try await BootClock().sleep(until: .distantFuture) } catch { ended.set("\(error)") }
                // It ignores its cancellation: nothing but the end of the connection ends this request.
                await Task { try? await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(1500))) }.value
                return .text("late")
            }
        }) { server in
            let client = try RawClient(port: server.port)
            try await client.send("GET /stuck HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = await started.value()
            let aborted = await server.server.drain(deadline: BootClock.now.advanced(by: .milliseconds(200)))
            #expect(aborted == 1)
            #expect(await ended.value().contains("Cancel"))
            #expect(try await client.isClosed())
        }
    }

    @Test("drain: who has connected and sent a request is answered, though nobody had accepted the connection yet")
    func drainBacklog() async throws {
        try await TestServer.with(loopCount: 1, routes: { $0.on(.get, "/") { _ in .text("x") } }) { server in
            let gate = Barrier()
            server.loops.first.execute { gate.hold() }
            var clients: [RawClient] = []
            for _ in 0..<30 {
                let client = try RawClient(port: server.port)
                try await client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                clients.append(client)
            }
            let drained = Task { await server.server.drain(deadline: BootClock.now.advanced(by: .seconds(60))) }
            while !gate.isHeld { await Task.yield() }
            gate.open()
            for client in clients {
                let replies = ReplyReader(client)
                #expect(try await replies.next().text == "x")
                #expect(try await replies.isAtEnd())
            }
            #expect(await drained.value == 0)
        }
    }

    @Test("drain: a handler that is cancelled because time is up is answered 503, not as a failure of the server")
    func drainCancels() async throws {
        let started = Outcome()
        try await TestServer.with(routes: {
            $0.on(.get, "/long") { _ in
                started.set("")
                try await BootClock().sleep(until: .distantFuture)
                return .text("")
            }
        }) { server in
            let client = try RawClient(port: server.port)
            try await client.send("GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _ = await started.value()
            // Handlers are cancelled a second before the deadline.
            #expect(await server.server.drain(deadline: BootClock.now.advanced(by: .milliseconds(1100))) == 0)
            let reply = try await ReplyReader(client).next()
            #expect(reply.status == 503)
            #expect(reply.text.contains("node.draining"))
        }
    }

    @Test("thousands of connections are open at once, and each is served")
    func manyConnections() async throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
        let count = min(5000, (Int(limit.rlim_cur) - 500) / 2)
        #expect(count >= 1000, "raise the limit of open files")
        // However long a busy machine takes to serve them one after the other.
        var limits = HTTPLimits.standard
        limits.idleTime = .seconds(3600)
        try await TestServer.with(limits: limits, routes: { $0.on(.get, "/") { _ in .text("x") } }) { server in
            var clients: [RawClient] = []
            for _ in 0..<count { clients.append(try RawClient(port: server.port)) }
            for client in clients {
                try await client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(try await !client.receive(atMost: 1024).isEmpty)
            }
            withExtendedLifetime(clients) {}
        }
    }

    @Test("TLS: serves curl, keeps to HTTP/1.1 and TLS 1.2 and later, and takes a new certificate without a restart")
    func tls() async throws {
        let files = try await Certificate.make()
        defer { files.remove() }
        try await TestServer.with(
            tls: files.tls,
            routes: {
                $0.on(.get, "/") { .text($0.connection.isTLS ? "sealed" : "plain") }
                $0.on(.post, "/echo") { .json(try await $0.body.collect(limit: .mebibytes(8))) }
            }
        ) { server in
            let url = "https://127.0.0.1:\(server.port)/"
            #expect(try await files.curl([url], on: server.loops) == "sealed")
            #expect(try await files.curl(["-w", "%{http_version}", "-o", "/dev/null", "--http2", url], on: server.loops) == "1.1")
            #expect(try await files.curl(["--tls-max", "1.2", url], on: server.loops) == "sealed")
            #expect(
                try await files.curl(
                    ["-w", "%{size_download}", "-o", "/dev/null", "--data-binary", "@\(files.big)", url + "echo"], on: server.loops)
                    == "5000000")
            #expect(try await files.curl(["--tls-max", "1.1", "-o", "/dev/null", url], on: server.loops) == nil)
            let plain = try RawClient(port: server.port)
            try await plain.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try await !plain.receiveAll().contains("HTTP/1.1 200"))

            // Until the new certificate is served, the client that trusts only it is refused.
            try await files.renew()
            while try await files.curl([url], on: server.loops) != "sealed" {}
        }
    }

    @Test("TLS: a new certificate is taken when asked for, without waiting for the next look at its file")
    func reload() async throws {
        let files = try await Certificate.make()
        defer { files.remove() }
        let tls = TLSFiles(
            certificateChain: files.tls.certificateChain, privateKey: files.tls.privateKey, checkInterval: .seconds(24 * 3600))
        try await TestServer.with(tls: tls, routes: { $0.on(.get, "/") { _ in .text("sealed") } }) { server in
            let url = "https://127.0.0.1:\(server.port)/"
            #expect(try await files.curl([url], on: server.loops) == "sealed")
            try await files.renew()
            #expect(try await files.curl([url], on: server.loops) == nil)
            server.server.reloadCertificates()
            while try await files.curl([url], on: server.loops) != "sealed" {}
        }
    }

    @Test("TLS files that are not right are refused at start")
    func wrongCertificate() async throws {
        await #expect(throws: ApusError.self) {
            try await TestServer.with(tls: TLSFiles(certificateChain: "/nowhere", privateKey: "/nowhere"), routes: { _ in }) { _ in }
        }
    }
}

/// Keeps a loop from its work until it is opened.
private final class Barrier: Sendable {
    private let held = Atomic<Bool>(false)
    private let opened = Atomic<Bool>(false)

    var isHeld: Bool { held.load(ordering: .relaxed) }
    func hold() {
        held.store(true, ordering: .relaxed)
        while !opened.load(ordering: .relaxed) { usleep(200) }
    }
    func open() { opened.store(true, ordering: .relaxed) }
}
