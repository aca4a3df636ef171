import ApusHTTP
import ApusTypes
import HTTPTestKit
import Testing

@Suite("server: requests and replies")
struct ServerTests {
    @Test("a route answers, and the connection carries the next request")
    func keepsAlive() async throws {
        try await TestServer.with(routes: {
            $0.on(.get, "/hello/{name}") { .text("hello \($0.parameters["name"] ?? "?")") }
        }) { server in
            let client = try RawClient(port: server.port)
            let replies = ReplyReader(client)
            for name in ["ann", "bob"] {
                try await client.send("GET /hello/\(name) HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let reply = try await replies.next()
                #expect(reply.status == 200)
                #expect(reply.text == "hello \(name)")
                #expect(reply["Content-Type"] == "text/plain; charset=utf-8")
                #expect(reply["Date"]?.hasSuffix(" GMT") == true)
                #expect(reply["X-Request-Id"]?.count == 15)
                #expect(!reply.closes)
            }
        }
    }

    @Test("a body with a length and a chunked body arrive whole")
    func echoes() async throws {
        try await TestServer.with(routes: {
            $0.on(.post, "/echo") { .json(try await $0.body.collect(limit: .mebibytes(1))) }
        }) { server in
            let length = try await server.reply(to: "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
            #expect(length.text == "hello")
            let chunked = try await server.reply(
                to:
                    "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\n"
            )
            #expect(chunked.text == "hello")
        }
    }
}
