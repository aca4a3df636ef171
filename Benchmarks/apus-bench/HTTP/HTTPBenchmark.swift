internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import Glibc

/// The HTTP front door beside nginx: the same small JSON reply, the same load generator, rounds in turn, in one run.
enum HTTPBenchmark {
    /// The benchmark that is only a server; `run` starts it as a child.
    static let serverCommand = "http-server"
    private static let reply = #"{"id":"a1b2c3","score":0.87,"payload":{"text":"the name is the bird's"}}"#
    private static let rounds = 15
    private static let seconds = 2

    /// The child process that is measured: prints its port and serves until it is told to end.
    static func serve() async throws {
        raiseFileLimit()
        let body = Array(reply.utf8)
        var router = Router()
        router.on(.get, "/") { _ in .json(body) }
        router.on(.post, "/upload") { request in
            let path = request.headers["X-File"] ?? "/dev/null"
            let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            defer { close(file) }
            let disk = BlockingPool(name: "bench-disk", threads: 1, queueLimit: 4)
            var size = 0
            while let piece = try await request.body.next() {
                try await disk.run {
                    var written = 0
                    while written < piece.count {
                        let count = piece.withUnsafeBytes { write(file, $0.baseAddress! + written, $0.count - written) }  // not empty
                        guard count > 0 else { throw ApusError(.storeFull, "the upload cannot be written: error \(errno)") }
                        written += count
                    }
                }
                size += piece.count
            }
            return .text("\(size)\n")
        }
        let loops = EventLoops()
        let listener = ListenerConfiguration(name: "bench", host: "127.0.0.1", port: 0, router: router)
        let server = HTTPServer(loops: loops, listeners: [listener], metrics: MetricsRegistry())
        print(try await server.start()[0].port)
        fflush(nil)
        for await _ in Signals.stream([.terminate], on: loops.first) { break }
        await server.drain(deadline: BootClock.now)
    }

    static func run() async throws {
        raiseFileLimit()
        let loops = EventLoops(count: 1)
        let directory = try TemporaryFolder()
        defer { directory.remove() }
        let nginx = try await Nginx.start(reply: reply, in: directory, on: loops.first)
        defer { nginx.process.send(signal: SIGTERM) }
        let apus = try await ApusServer.start(in: directory, on: loops.first)
        defer { apus.process.send(signal: SIGTERM) }
        try await measure(nginx, apus, directory, loops.first)
    }

    private static func measure(_ nginx: Nginx, _ apus: ApusServer, _ directory: TemporaryFolder, _ loop: EventLoop) async throws {
        var report = BenchReport("http")
        print("small JSON reply (\(reply.utf8.count) B), 64 connections, \(rounds) rounds of \(seconds) s each, in turn")
        report.row("round", "nginx", "apus", "ratio")
        var rates: (nginx: [Double], apus: [Double]) = ([], [])
        _ = try await Wrk.run(port: nginx.port, seconds: 1, in: directory, on: loop)
        _ = try await Wrk.run(port: apus.port, seconds: 1, in: directory, on: loop)
        for round in 1...rounds {
            // Who goes first alternates, so that a machine that slows down or speeds up favours nobody.
            for isApus in round % 2 == 0 ? [true, false] : [false, true] {
                let rate = try await Wrk.run(port: isApus ? apus.port : nginx.port, seconds: seconds, in: directory, on: loop)
                if isApus { rates.apus.append(rate) } else { rates.nginx.append(rate) }
            }
            let (nginx, apus) = (rates.nginx[round - 1], rates.apus[round - 1])
            report.row("\(round)", BenchReport.short(nginx), BenchReport.short(apus), BenchReport.short(apus / nginx))
        }
        let ratios = zip(rates.apus, rates.nginx).map { $0 / $1 }
        report.ratio("requests_per_second_to_nginx", ratios)
        report.figure("nginx_requests_per_second", rates.nginx)
        report.figure("apus_requests_per_second", rates.apus)
        try await measureMemory(apus, &report)
        try await measureUpload(apus, directory, &report)
        try report.finish()
    }

    private static func measureMemory(_ apus: ApusServer, _ report: inout BenchReport) async throws {
        let count = 5000
        let before = apus.memory("VmRSS")
        var clients: [Client] = []
        for _ in 0..<count { clients.append(try Client(port: apus.port)) }
        try clients[count - 1].get("/")
        let fresh = apus.memory("VmRSS")
        for client in clients { try client.get("/") }
        // Connections that were used shrink after two idle seconds.
        try await BootClock().sleep(until: BootClock.now.advanced(by: .seconds(5)))
        let used = apus.memory("VmRSS")
        withExtendedLifetime(clients) {}
        let perFresh = Double(fresh - before) / Double(count)
        let perUsed = Double(used - before) / Double(count)
        print("memory per idle connection, \(count) open: \(Int(perFresh)) B before its first request, \(Int(perUsed)) B after it")
        report.figure("idle_connection_fresh_bytes", perFresh)
        report.figure("idle_connection_used_bytes", perUsed)
    }

    private static func measureUpload(_ apus: ApusServer, _ directory: TemporaryFolder, _ report: inout BenchReport) async throws {
        let size = 500_000_000
        let client = try Client(port: apus.port)
        apus.resetPeak()
        let before = apus.memory("VmRSS")
        let start = BootClock.now
        try client.upload(size, to: directory.path + "/upload")
        let seconds = start.duration(to: BootClock.now).seconds
        let peak = apus.memory("VmHWM")
        let rate = Double(size) / 1e6 / seconds
        print("upload of 500 MB to disk: \(Int(rate)) MB/s, \(ByteCount(peak - before)) more memory at its peak")
        report.figure("upload_megabytes_per_second", rate)
        report.figure("upload_extra_memory_bytes", Double(peak - before))
    }

    /// As many open files as this user may have.
    private static func raiseFileLimit() {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
    }
}
