import ApusRuntime
import ApusTypes
import HTTPTestKit
import Synchronization
import Testing

@testable import ApusHTTP

/// One side of a WebSocket, with frames made by hand.
private final class FrameClient {
    let client: RawClient
    private var reader = WebSocketReader(side: .client, limit: .mebibytes(8))

    /// Shakes hands; `extra` are header lines of the request.
    init(_ server: TestServer, path: String = "/", extra: String = "") async throws {
        client = try RawClient(port: server.port)
        try await client.send(
            "GET \(path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(extra)\r\n")
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) { head += try await client.receive(atMost: 1) }
        let text = String(decoding: head, as: UTF8.self)
        guard text.hasPrefix("HTTP/1.1 101 "), text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") else {
            throw RawClientError.malformed(text)
        }
    }

    func send(_ opcode: WebSocketOpcode, _ payload: [UInt8] = []) async throws {
        try await client.send(serializedWebSocketFrame(opcode, payload, mask: [1, 2, 3, 4]))
    }

    /// The next event, nil when the server has closed the connection.
    func next() async throws -> WebSocketReader.Event? {
        while true {
            if let event = try reader.next() { return event }
            let bytes = try await client.receive()
            if bytes.isEmpty { return nil }
            reader.feed(bytes)
        }
    }
}

/// A peer that sends nothing but empty messages, one with each read, and never more than a thousand.
private final class EmptyMessages: ByteStream {
    private let count = Atomic<Int>(0)
    var reads: Int { count.load(ordering: .relaxed) }

    func read() async throws -> [UInt8]? {
        guard count.wrappingAdd(1, ordering: .relaxed).newValue <= 1000 else { return nil }
        return serializedWebSocketFrame(.binary, [UInt8](), mask: [1, 2, 3, 4])
    }
    func write(_ bytes: [UInt8]) async throws {}
}

private func close(_ code: UInt16) -> [UInt8] { WebSocketClose(code: code, reason: "").payload }

@Suite("WebSocket sessions")
struct WebSocketSessionTests {
    private static let echo: @Sendable (any WebSocket) async throws -> Void = { socket in
        while let message = try await socket.receive() { try await socket.send(message) }
    }

    @Test("messages come back, pings are answered, and the close is a handshake", .timeLimit(.minutes(1)))
    func echoes() async throws {
        try await TestServer.with(routes: { $0.on(.get, "/") { _ in Response(body: .webSocket(Self.echo)) } }) { server in
            // The second key must change nothing: the first one is answered.
            let client = try await FrameClient(server, extra: "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")
            try await client.send(.text, Array("héllo".utf8))
            #expect(try await client.next() == .message(.text("héllo")))
            let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
            try await client.send(.binary, large)
            #expect(try await client.next() == .message(.binary(large)))
            try await client.send(.ping, [7])
            #expect(try await client.next() == .pong([7]))
            try await client.send(.close, close(3001))
            #expect(try await client.next() == .close(WebSocketClose(code: 3001, reason: "")))
            #expect(try await client.next() == nil)
        }
    }

    @Test(
        "a handler that returns closes with 1000, one that throws with 1011", arguments: [(false, 1000), (true, 1011)] as [(Bool, UInt16)])
    func ends(throwing: Bool, code: UInt16) async throws {
        try await TestServer.with(routes: {
            $0.on(.get, "/") { _ in
                Response(
                    body: .webSocket { socket in
                        try await socket.send(.text("bye"))
                        if throwing { throw ApusError(.internalError, "on purpose") }
                    })
            }
        }) { server in
            let client = try await FrameClient(server)
            #expect(try await client.next() == .message(.text("bye")))
            #expect(try await client.next() == .close(WebSocketClose(code: code, reason: "")))
            try await client.send(.close, close(code))
            #expect(try await client.next() == nil)
        }
    }

    @Test("what breaks the protocol is closed with its code, and the handler learns it")
    func breaches() async throws {
        let (errors, error) = AsyncStream.makeStream(of: ErrorCode.self)
        try await TestServer.with(routes: {
            $0.on(.get, "/") { request in
                var limits = WebSocketLimits()
                limits.message = ByteCount(1000)
                return try .webSocket(for: request, limits: limits) { socket in
                    do { try await Self.echo(socket) } catch let failure as ApusError { error.yield(failure.code) }
                }
            }
        }) { server in
            var seen = errors.makeAsyncIterator()
            let cases: [([UInt8], UInt16)] = [
                (serializedWebSocketFrame(.text, [0xFF], mask: [0, 0, 0, 0]), 1007), (serializedWebSocketFrame(.text, [65]), 1002),
                (serializedWebSocketFrame(.binary, [UInt8](repeating: 0, count: 1001), mask: [0, 0, 0, 0]), 1009),
            ]
            for (bytes, code) in cases {
                let client = try await FrameClient(server)
                try await client.client.send(bytes)
                guard case .close(let close)? = try await client.next() else {
                    Issue.record("no close for \(code)")
                    continue
                }
                #expect(close.code == code)
                #expect(await seen.next() == .requestUnparsable)
            }
            let client = try await FrameClient(server)
            client.client.endInput()
            #expect(await seen.next() == .clientGone)
        }
    }

    @Test("a silent peer is pinged, and is gone when it stays silent")
    func silence() async throws {
        let (ends, end) = AsyncStream.makeStream(of: String.self)
        try await TestServer.with(routes: {
            $0.on(.get, "/") { request in
                var limits = WebSocketLimits()
                limits.pingAfter = .milliseconds(50)
                limits.silence = .milliseconds(400)
                return try .webSocket(for: request, limits: limits) { socket in
                    do { _ = try await socket.receive() } catch { end.yield("\(type(of: error))") }
                }
            }
        }) { server in
            let client = try await FrameClient(server)
            #expect(try await client.next() == .ping([]))
            var seen = ends.makeAsyncIterator()
            #expect(await seen.next() != nil)
        }
    }

    @Test("a handler that does not read slows its peer down")
    func backPressure() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        try await TestServer.with(routes: {
            $0.on(.get, "/") { _ in
                Response(
                    body: .webSocket { socket in
                        for await _ in gate { break }
                        var count = 0
                        while let message = try await socket.receive(), message != .text("end") { count += 1 }
                        try await socket.send(.text("\(count)"))
                    })
            }
        }) { server in
            let client = try await FrameClient(server)
            let frame = serializedWebSocketFrame(.binary, [UInt8](repeating: 0, count: 65_536), mask: [0, 0, 0, 0])
            let count = 400
            let sending = Task { [raw = client.client] in
                for _ in 0..<count { try await raw.send(frame) }
                try await raw.send(serializedWebSocketFrame(.text, Array("end".utf8), mask: [0, 0, 0, 0]))
            }
            open.yield()
            try await sending.value
            #expect(try await client.next() == .message(.text("\(count)")))
        }
    }

    @Test("empty messages take room in the inbox too: a handler that does not read stops its peer")
    func emptyMessages() async throws {
        var limits = WebSocketLimits()
        limits.message = ByteCount(64 * 10)
        limits.closing = .milliseconds(50)
        let stream = EmptyMessages()
        try await WebSocketSession.serve(stream, limits: limits) { _ in
            while stream.reads < 11 { await Task.yield() }
            // The eleventh message waits for room, so there is nobody to read a twelfth.
            for _ in 0..<1000 { await Task.yield() }
        }
        #expect(stream.reads == 11)
    }

    @Test("a plain request for a WebSocket is told how, as 426")
    func plainRequest() async throws {
        try await TestServer.with(routes: { $0.on(.get, "/") { _ in Response(body: .webSocket(Self.echo)) } }) { server in
            let reply = try await server.reply(to: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(reply.status == 426)
            #expect(!reply.closes)
        }
    }
}
