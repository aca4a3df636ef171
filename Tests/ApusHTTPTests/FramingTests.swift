import ApusHTTP
import ApusTypes
import HTTPTestKit
import Testing

/// What cannot be framed safely is refused, and nothing behind it is ever taken for a request.
@Suite("server: framing")
struct FramingTests {
    /// A way to hide a request, with the status that refuses it.
    struct Attack: CustomTestStringConvertible, Sendable {
        var name: String
        var bytes: String
        var status = 400
        var testDescription: String { name }

        init(_ name: String, _ bytes: String, status: Int = 400) {
            self.name = name
            self.bytes = bytes
            self.status = status
        }
    }

    private static let host = "Host: localhost\r\n"
    private static func post(_ fields: String, _ body: String = "") -> String { "POST /echo HTTP/1.1\r\n\(host)\(fields)\r\n\(body)" }
    private static func get(_ target: String) -> String { "GET \(target) HTTP/1.1\r\n\(host)\r\n" }

    static let attacks = [
        Attack("Content-Length and Transfer-Encoding", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        Attack("Transfer-Encoding and Content-Length", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n")),
        Attack("two equal Content-Lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab")),
        Attack("two different Content-Lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "abc")),
        Attack("a list of equal lengths", post("Content-Length: 2, 2\r\n", "ab")),
        Attack("a length with a plus", post("Content-Length: +2\r\n", "ab")),
        Attack("a length with a minus", post("Content-Length: -2\r\n", "ab")),
        Attack("a hexadecimal length", post("Content-Length: 0x2\r\n", "ab")),
        Attack("an empty length", post("Content-Length: \r\n", "ab")),
        Attack("a length that overflows 64 bits", post("Content-Length: 18446744073709551618\r\n", "ab")),
        Attack("a length with a space inside", post("Content-Length: 1 0\r\n", "0123456789")),
        Attack("two Transfer-Encodings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        Attack("Transfer-Encoding gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
        Attack("Transfer-Encoding chunked, identity", post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
        Attack("Transfer-Encoding identity", post("Transfer-Encoding: identity\r\n", "")),
        Attack("Transfer-Encoding xchunked", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
        Attack("Transfer-Encoding with a quote", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n")),
        Attack("Transfer-Encoding with a vertical tab", post("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n")),
        Attack("Transfer-Encoding in HTTP/1.0", "POST /echo HTTP/1.0\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        Attack("a folded field", post("X-A: b\r\n c\r\nContent-Length: 0\r\n")),
        Attack("a field folded by a tab", post("X-A: b\r\n\tc\r\nContent-Length: 0\r\n")),
        Attack("a fold at once", "GET / HTTP/1.1\r\n \(host)\r\n"),
        Attack("a space before the colon", post("Content-Length : 2\r\n", "ab")),
        Attack("a tab before the colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n")),
        Attack("a field without a colon", post("Content-Length 2\r\n", "ab")),
        Attack("a field without a name", post(": 2\r\n")),
        Attack("a NUL in a value", post("X-A: a\u{0}b\r\n")),
        Attack("a NUL in a name", post("X\u{0}A: b\r\n")),
        Attack("a DEL in a value", post("X-A: a\u{7f}b\r\n")),
        Attack("an escape in a value", post("X-A: \u{1b}[2J\r\n")),
        Attack("bare LF behind the request line", "GET / HTTP/1.1\n\(host)\r\n"),
        Attack("bare LF behind a field", "GET / HTTP/1.1\r\nHost: localhost\n\r\n"),
        Attack("bare LF at the head's end", "GET / HTTP/1.1\r\nHost: localhost\r\n\n"),
        Attack("bare CR in a value", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\rX-B: c\r\n\r\n"),
        Attack("bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Attack("an empty first line", "\r\nGET / HTTP/1.1\r\n\(host)\r\n"),
        Attack("two Hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"),
        Attack("no Host", "GET / HTTP/1.1\r\n\r\n"),
        Attack("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        Attack("a Host with a path", "GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n"),
        Attack("a Host with a user", "GET / HTTP/1.1\r\nHost: a@localhost\r\n\r\n"),
        Attack("a list of Hosts", "GET / HTTP/1.1\r\nHost: localhost, other\r\n\r\n"),
        Attack("an absolute target of another host", "GET http://other/ HTTP/1.1\r\n\(host)\r\n"),
        Attack("an absolute target of another port", "GET http://localhost:81/ HTTP/1.1\r\n\(host)\r\n"),
        Attack("an absolute target of another scheme", "GET ftp://localhost/ HTTP/1.1\r\n\(host)\r\n"),
        Attack("an absolute target without a path but a query", "GET http://localhost?x HTTP/1.1\r\n\(host)\r\n"),
        Attack("a relative target", get("echo")),
        Attack("an asterisk with GET", get("*")),
        Attack("a fragment", get("/echo#x")),
        Attack("a raw byte beyond ASCII", get("/\u{e4}")),
        Attack("a broken escape", get("/%zz")),
        Attack("a cut escape", get("/a%4")),
        Attack("an encoded NUL", get("/a%00b")),
        Attack("an encoded NUL in the query", get("/echo?a=%00")),
        Attack("not UTF-8", get("/%ff")),
        Attack("overlong UTF-8", get("/%c0%ae%c0%ae/")),
        Attack("a parent segment", get("/a/../echo")),
        Attack("an encoded parent segment", get("/a/%2e%2E/echo")),
        Attack("a current segment", get("/./echo")),
        Attack("two spaces in the request line", "GET  / HTTP/1.1\r\n\(host)\r\n"),
        Attack("a tab in the request line", "GET\t/ HTTP/1.1\r\n\(host)\r\n"),
        Attack("no version", "GET /\r\n\(host)\r\n"),
        Attack("a version that is none", "GET / HTTP/x.1\r\n\(host)\r\n"),
        Attack("HTTP/2.0", "GET / HTTP/2.0\r\n\(host)\r\n", status: 505),
        Attack("HTTP/1.2", "GET / HTTP/1.2\r\n\(host)\r\n", status: 505),
        Attack("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505),
        Attack("a method that is not served", "TRACE / HTTP/1.1\r\n\(host)\r\n", status: 501),
        Attack("a method that nobody knows", "BREW / HTTP/1.1\r\n\(host)\r\n", status: 501),
        Attack("a method in lower case", "get / HTTP/1.1\r\n\(host)\r\n", status: 501),
        Attack("an expectation that is not known", post("Content-Length: 2\r\nExpect: tea\r\n", "ab"), status: 417),
        Attack("a chunk size that is none", post("Transfer-Encoding: chunked\r\n", "zz\r\nab\r\n0\r\n\r\n")),
        Attack("a chunk size with 0x", post("Transfer-Encoding: chunked\r\n", "0x2\r\nab\r\n0\r\n\r\n")),
        Attack("a negative chunk size", post("Transfer-Encoding: chunked\r\n", "-2\r\nab\r\n0\r\n\r\n")),
        Attack("a chunk size that overflows", post("Transfer-Encoding: chunked\r\n", "10000000000000002\r\nab\r\n0\r\n\r\n")),
        Attack("a chunk size with a space", post("Transfer-Encoding: chunked\r\n", "2 \r\nab\r\n0\r\n\r\n")),
        Attack("a chunk size ended by LF", post("Transfer-Encoding: chunked\r\n", "2\nab\r\n0\r\n\r\n")),
        Attack("a chunk size ended by CR", post("Transfer-Encoding: chunked\r\n", "2\rab\r\n0\r\n\r\n")),
        Attack("a chunk longer than its size", post("Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n")),
        Attack("a chunk ended by LF", post("Transfer-Encoding: chunked\r\n", "2\r\nab\n0\r\n\r\n")),
        Attack("a trailer folded", post("Transfer-Encoding: chunked\r\n", "0\r\nA: b\r\n c\r\n\r\n")),
    ]

    @Test("refused and closed", arguments: attacks)
    func refuses(attack: Attack) async throws {
        try await TestServer.with(routes: Self.routes) { server in
            let client = try RawClient(port: server.port)
            // What a smuggler hopes to have answered by somebody else's connection.
            try await client.send(
                Array(attack.bytes.unicodeScalars.map { UInt8($0.value) }) + Array("GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
            let replies = ReplyReader(client)
            let reply = try await replies.next()
            #expect(reply.status == attack.status)
            #expect(reply.closes)
            #expect(try await replies.isAtEnd())
        }
    }

    @Test(
        "what is unusual but clear is served",
        arguments: [
            ("GET http://LOCALHOST/where?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n", "/where"),
            ("GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n", "/"),
            ("GET /a%2Fb//%C3%A4?x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "/a%2Fb//%C3%A4"),
            ("GET /where HTTP/1.1\r\nhOsT:   localhost \t \r\nX-Empty:\r\nX-Latin: \u{e4}\r\n\r\n", "/where"),
            ("GET /where HTTP/1.0\r\n\r\n", "/where"),
            (
                "POST /where HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: CHUNKED\r\n\r\n02;a=b;c=\"d\"\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n",
                "/where"
            ),
            (
                "GET /where HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
                "/where"
            ),
        ])
    func serves(request: String, path: String) async throws {
        try await TestServer.with(routes: Self.routes) { server in
            let client = try RawClient(port: server.port)
            try await client.send(Array(request.unicodeScalars.map { UInt8($0.value) }))
            let reply = try await ReplyReader(client).next()
            #expect(reply.status == 404)
            #expect(reply.text.contains("there is nothing at \(path)\""))
        }
    }

    @Test("a request in pieces of one byte is the same request")
    func bytewise() async throws {
        try await TestServer.with(routes: Self.routes) { server in
            let client = try RawClient(port: server.port)
            let request =
                "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\n"
            for byte in request.utf8 { try await client.send([byte]) }
            #expect(try await ReplyReader(client).next().text == "hello")
        }
    }

    private static func routes(_ router: inout Router) {
        router.on(.post, "/echo") { .json(try await $0.body.collect(limit: .mebibytes(1))) }
        router.on(.get, "/hidden") { _ in .text("smuggled") }
    }
}
