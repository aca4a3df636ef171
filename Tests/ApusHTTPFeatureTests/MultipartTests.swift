import ApusTypes
import Testing

@testable import ApusHTTP

/// Reads a whole form through the parser, `piece` bytes at a time.
private func parts(_ body: String, boundary: String = "X", piece: Int = 7, limits: MultipartLimits = MultipartLimits()) throws -> [String] {
    var parser = try MultipartParser(boundary: boundary, limits: limits)
    var result: [String] = []
    func drain() throws {
        while let event = try parser.next() {
            switch event {
            case .begin(let head): result.append("\(head.name)|\(head.fileName ?? "-")|\(head.contentType)|")
            case .bytes(let bytes): result[result.count - 1] += String(decoding: bytes, as: UTF8.self)
            case .end: result[result.count - 1] += "."
            }
        }
    }
    var rest = Array(body.utf8)[...]
    while !rest.isEmpty {
        parser.feed(Array(rest.prefix(piece)))
        rest = rest.dropFirst(piece)
        try drain()
    }
    parser.finish()
    try drain()
    return result
}

private func field(_ name: String, _ value: String) -> String {
    "--X\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n"
}

@Suite("multipart forms")
struct MultipartTests {
    @Test("a form is the same however its bytes are cut", arguments: [1, 2, 3, 5, 8, 13, 64, 4096])
    func cuts(piece: Int) throws {
        let body =
            "preamble\r\n--X  \r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nline\r\n--Y\r\n\r\n-\r\r\n--\r\n"
            + "--X\r\ncontent-type: image/png\r\nContent-Disposition: form-data; name=f; filename=\"C:\\\\d\\\\x \\\"1\\\".png\"\r\n\r\n\r\n"
            + "--X--\r\nepilogue --X\r\n"
        let expected = ["a|-|text/plain|line\r\n--Y\r\n\r\n-\r\r\n--.", "f|x \"1\".png|image/png|."]
        #expect(try parts(body, piece: piece) == expected)
    }

    @Test(
        "a form that breaks the rules is refused",
        arguments: [
            ("", "no boundary"),
            ("--X", "boundary"),
            ("--X\r\n", "header fields"),
            ("--X\r\nContent-Disposition: form-data; name=a\r\n\r\nabc", "ends within part 1 ('a')"),
            (field("a", "1") + "--X", "boundary"),
            (field("a", "1") + "--Xtra--\r\n", "text behind a boundary"),
            (field("a", "1") + "--X--tra", "text behind a boundary"),
            ("--X\nContent-Disposition: form-data; name=a\n\nabc\n--X--", "text behind a boundary"),
            ("--X\r\n\r\nabc\r\n--X--", "Content-Disposition"),
            ("--X\r\nContent-Disposition: attachment; name=a\r\n\r\nabc\r\n--X--", "Content-Disposition"),
            ("--X\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--X--", "no name"),
            ("--X\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nabc\r\n--X--", "twice"),
            ("--X\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\nabc\r\n--X--", "header field"),
            ("--X\r\nContent-Disposition : form-data; name=a\r\n\r\nabc\r\n--X--", "header field"),
            ("--X\r\nContent-Disposition: form-data; name=\"a\0\"\r\n\r\nabc\r\n--X--", "header field"),
            ("--X\r\nContent-Disposition: form-data; name=a\nX: y\r\n\r\nabc\r\n--X--", "header field"),
        ])
    func refused(body: String, reason: String) {
        let error = #expect(throws: ApusError.self) { try parts(body) }
        #expect(error?.code == .requestUnparsable)
        #expect(error?.summary.contains(reason) == true, "\(error?.summary ?? "")")
    }

    @Test("each limit holds one above and not one below")
    func limits() throws {
        var limits = MultipartLimits()
        limits.parts = 3
        limits.partSize = ByteCount(10)
        limits.partHead = ByteCount(100)
        limits.partHeaderCount = 2
        limits.preamble = ByteCount(20)
        func accepts(_ body: String) throws -> Bool {
            do {
                _ = try parts(body + "--X--\r\n", limits: limits)
                return true
            } catch let error as ApusError where error.code == .requestTooLarge || error.summary.contains("too long") {
                return false
            }
        }
        #expect(try accepts(field("a", "") + field("b", "") + field("c", "")))
        #expect(try !accepts(field("a", "") + field("b", "") + field("c", "") + field("d", "")))
        #expect(try accepts(field("a", String(repeating: "x", count: 10))))
        #expect(try !accepts(field("a", String(repeating: "x", count: 11))))
        let fixed = "Content-Disposition: form-data; name=\"\"\r\n".utf8.count
        #expect(try accepts(field(String(repeating: "n", count: 100 - fixed), "")))
        #expect(try !accepts(field(String(repeating: "n", count: 101 - fixed), "")))
        func headed(_ extra: String) -> String { "--X\r\nContent-Disposition: form-data; name=a\r\n\(extra)\r\n\r\n" }
        #expect(try accepts(headed("A: b\r\n")))
        #expect(try !accepts(headed("A: b\r\nC: d\r\n")))
        #expect(try accepts(String(repeating: "p", count: 18) + "\r\n" + field("a", "")))
        #expect(try !accepts(String(repeating: "p", count: 21) + "\r\n" + field("a", "")))
    }

    @Test("the parser holds no more than a boundary's worth of a part's body")
    func holdsLittle() throws {
        var parser = try MultipartParser(boundary: "X")
        parser.feed(Array("--X\r\nContent-Disposition: form-data; name=a\r\n\r\n".utf8))
        guard case .begin? = try parser.next() else { throw ApusError(.internalError, "no part began") }
        for _ in 0..<10 {
            parser.feed([UInt8](repeating: 13, count: 100_000))
            var given = 0
            while case .bytes(let bytes)? = try parser.next() { given += bytes.count }
            #expect(given >= 100_000 - 5)
        }
    }

    @Test("content types that are no form's, and boundaries that are not allowed")
    func contentTypes() {
        func code(_ type: String?) -> ErrorCode? {
            do {
                _ = try MultipartParser(contentType: type)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(code("multipart/form-data; boundary=abc") == nil)
        #expect(code("Multipart/Form-Data; charset=utf-8; boundary=\"a b'()+_,-./:=?\"") == nil)
        #expect(code(nil) == .requestMediaType)
        #expect(code("application/json") == .requestMediaType)
        #expect(code("multipart/form-data") == .requestInvalid)
        #expect(code("multipart/form-data; boundary=a; boundary=b") == .requestInvalid)
        #expect(code("multipart/form-data; boundary=\"\"") == .requestInvalid)
        #expect(code("multipart/form-data; boundary=\"a \"") == .requestInvalid)
        #expect(code("multipart/form-data; boundary=\(String(repeating: "b", count: 71))") == .requestInvalid)
        #expect(code("multipart/form-data; boundary=\"a\"b\"") != nil)
    }

    @Test("a part that is not read is read past, and its body is then over")
    func skipping() async throws {
        let bytes = Array((field("a", "first") + field("b", "second") + "--X--\r\n").utf8)
        let form = try MultipartForm(request("POST", headers: ["Content-Type": "multipart/form-data; boundary=X"], body: bytes))
        let first = try #require(try await form.next())
        let second = try #require(try await form.next())
        #expect(try await first.body.next() == nil)
        #expect(String(decoding: try await second.body.collect(limit: ByteCount(100)), as: UTF8.self) == "second")
        #expect(try await form.next() == nil)
        #expect(try await form.next() == nil)
    }
}
