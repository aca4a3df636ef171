import ApusHTTP
import ApusRuntime
import ApusTypes
import HTTPTestKit
import Testing

@Suite("server-sent events")
struct EventTests {
    @Test(
        "an event as bytes",
        arguments: [
            (ServerSentEvent("a"), "data: a\n\n"),
            (ServerSentEvent(""), "data: \n\n"),
            (ServerSentEvent("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
            (
                ServerSentEvent("x", event: "up\ndate", id: "7\r\n8", retry: .milliseconds(1500)),
                "event: up date\nid: 7  8\nretry: 1500\ndata: x\n\n"
            ),
        ])
    func serialized(event: ServerSentEvent, text: String) {
        #expect(String(decoding: event.serialized, as: UTF8.self) == text)
    }

    @Test("events arrive when they are sent, a quiet stream is kept alive, and a client that leaves ends the handler")
    func stream() async throws {
        let (gate, open) = AsyncStream.makeStream(of: String.self)
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        try await TestServer.with(routes: {
            $0.on(.get, "/") { _ in
                Response.events(keepAlive: .milliseconds(20)) { writer in
                    defer { end.yield() }
                    for await text in gate { try await writer.send(ServerSentEvent(text, id: "1")) }
                }
            }
        }) { server in
            let client = try RawClient(port: server.port)
            try await client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            var seen = ""
            func read(until text: String) async throws {
                while !seen.contains(text) { seen += String(decoding: try await client.receive(), as: UTF8.self) }
            }
            open.yield("one")
            try await read(until: "id: 1\ndata: one\n\n")
            #expect(seen.contains("Content-Type: text/event-stream\r\n"))
            #expect(seen.contains("Cache-Control: no-cache\r\n"))
            try await read(until: "\r\n:\n\n")
            open.yield("two")
            try await read(until: "data: two\n\n")
            client.reset()
            var ended = ends.makeAsyncIterator()
            await ended.next()
        }
    }
}
