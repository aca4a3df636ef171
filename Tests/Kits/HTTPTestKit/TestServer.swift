public import ApusHTTP
public import ApusRuntime
internal import ApusTypes

/// A real server on a free port of loopback, with loops of its own, for the length of one test.
public struct TestServer: Sendable {
    public let server: HTTPServer
    public let loops: EventLoops
    public let listeners: [BoundListener]
    public var port: Int { listeners[0].port }

    public static func with<Value>(
        limits: HTTPLimits = .standard, tls: TLSFiles? = nil, metrics: MetricsRegistry = MetricsRegistry(), loopCount: Int = 2,
        routes: (inout Router) -> Void,
        _ body: (TestServer) async throws -> Value
    ) async throws -> Value {
        var router = Router()
        routes(&router)
        let loops = EventLoops(count: loopCount)
        defer { loops.stop() }
        let listener = ListenerConfiguration(name: "test", host: "127.0.0.1", port: 0, tls: tls, router: router)
        let server = HTTPServer(loops: loops, listeners: [listener], limits: limits, metrics: metrics)
        let test = TestServer(server: server, loops: loops, listeners: try await server.start())
        do {
            let value = try await body(test)
            await server.drain(deadline: BootClock.now)
            return value
        } catch {
            await server.drain(deadline: BootClock.now)
            throw error
        }
    }

    /// Sends `request` as it is on a connection of its own and reads one reply.
    public func reply(to request: String, toHead: Bool = false) async throws -> RawReply {
        let client = try RawClient(port: port)
        try await client.send(request)
        return try await ReplyReader(client).next(toHead: toHead)
    }
}
