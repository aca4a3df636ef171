/// Bytes that two programs on one path might cut into requests differently.
///
/// `@` in the bytes stands for the attack's number, so that every request that anybody sees can be told from others'.
struct Attack: Sendable, CustomStringConvertible {
    enum Outcome: Sendable {
        /// Answered with an error, and the connection is closed: nothing behind it is looked at.
        case refused
        /// Read as these requests (`METHOD path body`), in this order; the connection goes on.
        case served([String])
    }

    var name: String
    var bytes: String
    /// What our server does when it is asked directly.
    var outcome: Outcome

    var description: String { name }

    func bytes(number: Int) -> String { bytes.replacing("@", with: String(number)) }
}

extension Attack {
    private static let hidden = "GET /@/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"

    /// A POST with these header lines (each with its line end) and this body.
    private static func post(_ name: String, _ lines: String, _ body: String = hidden, _ outcome: Outcome = .refused) -> Attack {
        Attack(name: name, bytes: "POST /@/first HTTP/1.1\r\nHost: localhost\r\n\(lines)\r\n\(body)", outcome: outcome)
    }

    private static func chunked(_ name: String, _ body: String, _ outcome: Outcome = .refused) -> Attack {
        post(name, "Transfer-Encoding: chunked\r\n", body, outcome)
    }

    private static func get(_ name: String, _ head: String, _ outcome: Outcome = .refused) -> Attack {
        Attack(name: name, bytes: head + "\r\n" + (outcome.isRefused ? hidden : ""), outcome: outcome)
    }

    static let all: [Attack] = lengths + encodings + chunks + lines + heads
    private static let empty = "0\r\n\r\n"

    private static let lengths: [Attack] = [
        post("Content-Length and Transfer-Encoding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", empty + hidden),
        post("Transfer-Encoding and Content-Length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", empty + hidden),
        post("Transfer-Encoding and Content-Length: 0", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", empty + hidden),
        post("two lengths that differ", "Content-Length: 0\r\nContent-Length: 45\r\n"),
        post("two lengths that agree", "Content-Length: 4\r\nContent-Length: 4\r\n", "abcd" + hidden),
        post("a list of lengths that agree", "Content-Length: 4, 4\r\n", "abcd" + hidden),
        post("a list of lengths that differ", "Content-Length: 0, 45\r\n"),
        post("a length with a plus", "Content-Length: +4\r\n", "abcd" + hidden),
        post("a length with a minus", "Content-Length: -4\r\n"),
        post("a length of minus zero", "Content-Length: -0\r\n"),
        post("a hexadecimal length", "Content-Length: 0x4\r\n", "abcd" + hidden),
        post("a length with a fraction", "Content-Length: 4.0\r\n", "abcd" + hidden),
        post("a length of two numbers", "Content-Length: 0 45\r\n"),
        post("an empty length", "Content-Length:\r\n"),
        post("a quoted length", "Content-Length: \"4\"\r\n", "abcd" + hidden),
        post("a length beyond 64 bits", "Content-Length: 18446744073709551616\r\n"),
        post("a length that wraps to four", "Content-Length: 18446744073709551620\r\n", "abcd" + hidden),
        post("a length with zeros in front", "Content-Length: 0004\r\n", "abcd", .served(["POST /@/first abcd"])),
        post("a space before the length's colon", "Content-Length : 4\r\n", "abcd" + hidden),
        post("a tab before the length's colon", "Content-Length\t: 4\r\n", "abcd" + hidden),
        post(
            "a length named as hop-by-hop", "Connection: Content-Length\r\nContent-Length: 4\r\n", "abcd", .served(["POST /@/first abcd"])),
        post("a length with a vertical tab", "Content-Length: \u{0B}4\r\n", "abcd" + hidden),
        // The number has three digits, so the hidden request has 45 bytes.
        post("a request as a body", "Content-Length: 45\r\n", hidden, .served(["POST /@/first " + hidden])),
    ]

    private static let encodings: [Attack] = [
        post("two encodings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", empty + hidden),
        post("two encodings, one unknown", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", empty + hidden),
        post("a list of encodings", "Transfer-Encoding: chunked, chunked\r\n", empty + hidden),
        post("chunked before another encoding", "Transfer-Encoding: chunked, identity\r\n", empty + hidden),
        post("chunked behind another encoding", "Transfer-Encoding: identity, chunked\r\n", empty + hidden),
        post("an encoding that begins with chunked", "Transfer-Encoding: chunkedx\r\n", empty + hidden),
        post("an encoding that ends with chunked", "Transfer-Encoding: xchunked\r\n", empty + hidden),
        post("chunked with a parameter", "Transfer-Encoding: chunked;a=b\r\n", empty + hidden),
        post("chunked with a vertical tab", "Transfer-Encoding: \u{0B}chunked\r\n", empty + hidden),
        post("chunked in quotes", "Transfer-Encoding: \"chunked\"\r\n", empty + hidden),
        post("an empty encoding", "Transfer-Encoding:\r\nContent-Length: 5\r\n", empty + hidden),
        post("identity and a length", "Transfer-Encoding: identity\r\nContent-Length: 5\r\n", empty + hidden),
        post("a space before the encoding's colon", "Transfer-Encoding : chunked\r\n", empty + hidden),
        post("an encoding on a folded line", "Transfer-Encoding:\r\n chunked\r\n", empty + hidden),
        post("an encoding behind a bare CR", "X: a\rTransfer-Encoding: chunked\r\n", empty + hidden),
        post("an encoding behind a bare LF", "X: a\nTransfer-Encoding: chunked\r\n", empty + hidden),
        post("an encoding with a name cut by NUL", "Transfer-Encoding\0: chunked\r\n", empty + hidden),
        post("chunked in capitals", "Transfer-Encoding: CHUNKED\r\n", "4\r\nabcd\r\n" + empty, .served(["POST /@/first abcd"])),
        Attack(
            name: "chunked in HTTP/1.0",
            bytes: "POST /@/first HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + empty + hidden,
            outcome: .refused),
    ]

    private static let chunks: [Attack] = [
        chunked("a chunk extension", "4;a=b\r\nabcd\r\n" + empty, .served(["POST /@/first abcd"])),
        chunked("a chunk extension in quotes", "4;a=\"b;c\"\r\nabcd\r\n" + empty, .served(["POST /@/first abcd"])),
        chunked("a chunk extension with a bare LF", "4;a\nabcd\r\n" + empty + hidden),
        chunked("a chunk extension with a bare CR", "4;a\rabcd\r\n" + empty + hidden),
        chunked("a chunk size that wraps to four", "10000000000000004\r\nabcd\r\n" + empty + hidden),
        chunked("a chunk size beyond 64 bits", "FFFFFFFFFFFFFFFFF\r\nabcd\r\n" + empty + hidden),
        chunked("a chunk size with a minus", "-4\r\nabcd\r\n" + empty + hidden),
        chunked("a chunk size with a plus", "+4\r\nabcd\r\n" + empty + hidden),
        chunked("a chunk size with 0x", "0x4\r\nabcd\r\n" + empty + hidden),
        chunked("a chunk size behind a space", " 4\r\nabcd\r\n" + empty + hidden),
        chunked("a chunk size before a NUL", "4\0\r\nabcd\r\n" + empty + hidden),
        chunked("an empty chunk size", "\r\nabcd\r\n" + empty + hidden),
        chunked("chunk lines that end in LF", "4\nabcd\n0\n\n" + hidden),
        chunked("chunk data without its line end", "4\r\nabcd" + empty + hidden),
        chunked("chunk data longer than its size", "4\r\nabcdef\r\n" + empty + hidden),
        chunked("a last chunk of many zeros", "4\r\nabcd\r\n0000\r\n\r\n", .served(["POST /@/first abcd"])),
        chunked("a trailer", "4\r\nabcd\r\n0\r\nX: y\r\n\r\n", .served(["POST /@/first abcd"])),
        chunked("a trailer that names a length", "4\r\nabcd\r\n0\r\nContent-Length: 45\r\n\r\n" + hidden),
        chunked("a trailer with a bare LF", "4\r\nabcd\r\n0\r\nX: y\n\r\n" + hidden),
        chunked("a trailer on a folded line", "4\r\nabcd\r\n0\r\nX: y\r\n z\r\n\r\n" + hidden),
        chunked("a trailer with a space before its colon", "4\r\nabcd\r\n0\r\nX : y\r\n\r\n" + hidden),
    ]

    private static let lines: [Attack] = [
        Attack(name: "all lines end in LF", bytes: "GET /@/first HTTP/1.1\nHost: localhost\n\n" + hidden, outcome: .refused),
        Attack(name: "the head ends in LF", bytes: "GET /@/first HTTP/1.1\r\nHost: localhost\r\n\n" + hidden, outcome: .refused),
        Attack(name: "a line ends in CR", bytes: "GET /@/first HTTP/1.1\rHost: localhost\r\n\r\n" + hidden, outcome: .refused),
        Attack(name: "a line ends in CR CR LF", bytes: "GET /@/first HTTP/1.1\r\r\nHost: localhost\r\n\r\n" + hidden, outcome: .refused),
        get("a folded line", "GET /@/first HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n"),
        get("a folded first line", "GET /@/first HTTP/1.1\r\n X: a\r\nHost: localhost\r\n"),
        get("a line without a colon", "GET /@/first HTTP/1.1\r\nHost: localhost\r\nX\r\n"),
        get("a line without a name", "GET /@/first HTTP/1.1\r\nHost: localhost\r\n: a\r\n"),
        get("NUL in a value", "GET /@/first HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n"),
        get("NUL in a name", "GET /@/first HTTP/1.1\r\nHost: localhost\r\nX\0: a\r\n"),
        get("NUL in the path", "GET /@/fi\0rst HTTP/1.1\r\nHost: localhost\r\n"),
        get("a space in the path", "GET /@/first x HTTP/1.1\r\nHost: localhost\r\n"),
        get("two spaces before the path", "GET  /@/first HTTP/1.1\r\nHost: localhost\r\n"),
        get("a tab before the path", "GET\t/@/first HTTP/1.1\r\nHost: localhost\r\n"),
        get(
            "an encoded line end in the path", "GET /@/first%0d%0aX:%20y HTTP/1.1\r\nHost: localhost\r\n",
            .served(["GET /@/first%0d%0aX:%20y "])),
    ]

    private static let heads: [Attack] = [
        get("absolute form", "GET http://localhost/@/first HTTP/1.1\r\nHost: localhost\r\n", .served(["GET /@/first "])),
        get("absolute form of another host", "GET http://evil.example/@/first HTTP/1.1\r\nHost: localhost\r\n"),
        get("absolute form with a user", "GET http://localhost@evil.example/@/first HTTP/1.1\r\nHost: localhost\r\n"),
        get("two hosts", "GET /@/first HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"),
        get("the same host twice", "GET /@/first HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n"),
        get("a list of hosts", "GET /@/first HTTP/1.1\r\nHost: localhost, evil.example\r\n"),
        get("a host with a path", "GET /@/first HTTP/1.1\r\nHost: localhost/x\r\n"),
        get("no host", "GET /@/first HTTP/1.1\r\nX: y\r\n"),
        get("a space before the host's colon", "GET /@/first HTTP/1.1\r\nHost : localhost\r\n"),
        get("HTTP/1.2", "GET /@/first HTTP/1.2\r\nHost: localhost\r\n"),
        get("HTTP/2.0", "GET /@/first HTTP/2.0\r\nHost: localhost\r\n"),
        get("a version of two digits", "GET /@/first HTTP/1.10\r\nHost: localhost\r\n"),
        get("HTTP/0.9", "GET /@/first\r\nHost: localhost\r\n"),
        get("CONNECT", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n"),
        get("the preface of HTTP/2", "PRI * HTTP/2.0\r\n"),
        get(
            "an upgrade to h2c", "GET /@/first HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n",
            .served(["GET /@/first "])),
        get("a path with dot segments", "GET /@/x/../first HTTP/1.1\r\nHost: localhost\r\n"),
        get("an unknown expectation", "GET /@/first HTTP/1.1\r\nHost: localhost\r\nExpect: more\r\n"),
        Attack(
            name: "an empty line before the request", bytes: "\r\nGET /@/first HTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden,
            outcome: .refused),
        Attack(
            name: "GET with a body", bytes: "GET /@/first HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nabcd",
            outcome: .served(["GET /@/first abcd"])),
        Attack(
            name: "two requests in a row",
            bytes: "GET /@/first HTTP/1.1\r\nHost: localhost\r\n\r\nGET /@/second HTTP/1.1\r\nHost: localhost\r\n\r\n",
            outcome: .served(["GET /@/first ", "GET /@/second "])),
    ]
}

extension Attack.Outcome {
    var isRefused: Bool { if case .refused = self { true } else { false } }
}
