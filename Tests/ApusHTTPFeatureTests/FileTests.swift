import ApusRuntime
import ApusTypes
import Glibc
import HTTPTestKit
import TestKit
import Testing

@testable import ApusHTTP

private func write(_ path: String, _ bytes: [UInt8]) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard file >= 0, Glibc.write(file, bytes, bytes.count) == bytes.count else { throw ApusError(.internalError, "cannot write \(path)") }
    close(file)
}

@Suite("files")
struct FileTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func get(_ server: TestServer, _ path: String = "/", _ headers: String = "", method: String = "GET") async throws -> RawReply {
        try await server.reply(to: "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\(headers)\r\n", toHead: method == "HEAD")
    }

    @Test("a file, its conditions and its ranges")
    func file() async throws {
        let path = directory.path + "/a.txt"
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 13) }
        try write(path, bytes)
        var times = (timespec(tv_sec: 1_000_000_000, tv_nsec: 5), timespec(tv_sec: 1_000_000_000, tv_nsec: 5))
        withUnsafePointer(to: &times) { _ = $0.withMemoryRebound(to: timespec.self, capacity: 2) { utimensat(AT_FDCWD, path, $0, 0) } }
        try await TestServer.with(routes: { $0.on(.get, "/") { _ in Response(body: .file(path: path)) } }) { server in
            let whole = try await get(server)
            #expect(whole.status == 200 && whole.body == bytes)
            #expect(whole["Content-Length"] == "300000")
            #expect(whole["Content-Type"] == "text/plain; charset=utf-8")
            #expect(whole["Last-Modified"] == "Sun, 09 Sep 2001 01:46:40 GMT")
            #expect(whole["Accept-Ranges"] == "bytes")
            let tag = try #require(whole["ETag"])
            #expect(tag.hasPrefix("\"") && tag.hasSuffix("\""))

            let head = try await get(server, method: "HEAD")
            #expect(head.status == 200 && head["Content-Length"] == "300000" && head.body.isEmpty)

            let cases: [(String, Int, ArraySlice<UInt8>)] = [
                ("If-None-Match: \(tag)\r\n", 304, []), ("If-None-Match: \"x\", W/\(tag)\r\n", 304, []), ("If-None-Match: *\r\n", 304, []),
                ("If-None-Match: \"x\"\r\n", 200, bytes[...]),
                ("If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n", 304, []),
                ("If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", 200, bytes[...]),
                ("If-Modified-Since: yesterday\r\n", 200, bytes[...]),
                ("If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n", 200, bytes[...]),
                ("If-Match: \"x\"\r\n", 412, []), ("If-Match: \(tag)\r\n", 200, bytes[...]), ("If-Match: W/\(tag)\r\n", 412, []),
                ("If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT\r\n", 412, []),
                ("Range: bytes=0-0\r\n", 206, bytes[0...0]), ("Range: bytes=100-199\r\n", 206, bytes[100...199]),
                ("Range: bytes=299999-\r\n", 206, bytes[299_999...]), ("Range: bytes=-5\r\n", 206, bytes.suffix(5)),
                ("Range: bytes=-999999\r\n", 206, bytes[...]), ("Range: bytes=10-999999999999999999999\r\n", 206, bytes[10...]),
                ("Range: bytes=300000-\r\n", 416, []), ("Range: bytes=-0\r\n", 416, []),
                ("Range: bytes=5-4\r\n", 200, bytes[...]), ("Range: lines=1-2\r\n", 200, bytes[...]),
                ("Range: bytes=0-1,5-6\r\n", 200, bytes[...]),
                ("Range: bytes=a-\r\n", 200, bytes[...]), ("Range: bytes=1\r\n", 200, bytes[...]),
                ("Range: bytes=0-1\r\nIf-Range: \(tag)\r\n", 206, bytes[0...1]),
                ("Range: bytes=0-1\r\nIf-Range: \"x\"\r\n", 200, bytes[...]),
                ("Range: bytes=0-1\r\nIf-Range: W/\(tag)\r\n", 200, bytes[...]),
                ("Range: bytes=0-1\r\nIf-Range: Sun, 09 Sep 2001 01:46:40 GMT\r\n", 206, bytes[0...1]),
                ("Range: bytes=0-1\r\nIf-Range: Sun, 09 Sep 2001 01:46:41 GMT\r\n", 200, bytes[...]),
                ("Range: bytes=0-1\r\nIf-None-Match: \(tag)\r\n", 304, []),
            ]
            for (headers, status, expected) in cases {
                let reply = try await get(server, "/", headers)
                #expect(reply.status == status, "\(headers)")
                #expect(reply.body[...] == expected, "\(headers)")
                if status == 206 { #expect(reply["Content-Range"]?.hasSuffix("/300000") == true) }
                if status == 416 { #expect(reply["Content-Range"] == "bytes */300000") }
                if status == 304 { #expect(reply["ETag"] == tag) }
            }

            try write(path, [1, 2, 3])
            let changed = try await get(server, "/", "If-None-Match: \(tag)\r\n")
            #expect(changed.status == 200 && changed.body == [1, 2, 3] && changed["ETag"] != tag)
        }
    }

    @Test("what is no regular file is not found, and does not make anybody wait")
    func notFiles() async throws {
        mkfifo(directory.path + "/fifo", 0o644)
        try write(directory.path + "/empty.html", [])
        let base = directory.path
        try await TestServer.with(routes: {
            $0.on(.get, "/{name}") { request in Response(body: .file(path: base + "/" + (request.parameters["name"] ?? ""))) }
        }) { server in
            for name in ["/fifo", "/none", "/."] { #expect(try await get(server, name).status == (name == "/." ? 400 : 404)) }
            let empty = try await get(server, "/empty.html")
            #expect(empty.status == 200 && empty.body.isEmpty && empty["Content-Type"] == "text/html; charset=utf-8")
            #expect(try await get(server, "/empty.html", "Range: bytes=0-\r\n").status == 416)
        }
    }

    @Test("nothing outside of the directory can be reached")
    func directoryHandler() async throws {
        let root = directory.path + "/root"
        mkdir(root, 0o755)
        mkdir(root + "/sub", 0o755)
        mkdir(root + "/bare", 0o755)
        try write(directory.path + "/secret", [1])
        try write(root + "/.hidden", [1])
        try write(root + "/index.html", Array("top".utf8))
        try write(root + "/sub/index.html", Array("sub".utf8))
        try write(root + "/sub/a b.js", Array("js".utf8))
        symlink("../secret", root + "/link")
        symlink("/etc", root + "/etc")
        symlink("sub", root + "/inside")
        let handler = DirectoryHandler(root: root, pool: BlockingPool(name: "test-files", threads: 2, queueLimit: 100))
        func status(_ segments: [String]) async throws -> Int {
            do {
                return try await handler.response(to: request("GET", "/x"), segments: segments).status
            } catch let error as ApusError {
                return error.code.surface.http
            }
        }
        let found: [[String]] = [[], [""], ["index.html"], ["sub"], ["sub", ""], ["sub", "a b.js"]]
        for segments in found { #expect(try await status(segments) == 200, "\(segments)") }
        let missing: [[String]] = [
            [".."], ["..", "secret"], ["sub", "..", "index.html"], ["link"], ["etc", "passwd"], ["inside", "index.html"], [".hidden"],
            ["bare"],
            ["../secret"], ["sub/index.html"], ["index.html\0.png"], ["index.html", "x"], ["sub", "", "index.html"], ["none"],
            [String(repeating: "a", count: 300)], ["/etc/passwd"],
        ]
        for segments in missing { #expect(try await status(segments) == 404, "\(segments)") }
    }

    @Test("dates are read as they are written")
    func dates() {
        for seconds in [0, 951_782_400, 1_000_000_000, 1_709_164_800, 4_102_444_799, -1] {
            #expect(HTTPDate.seconds(HTTPDate.text(secondsSinceEpoch: seconds)) == seconds)
        }
        #expect(HTTPDate.text(secondsSinceEpoch: 784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        for wrong in [
            "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
            "",
        ] {
            #expect(HTTPDate.seconds(wrong) == nil)
        }
    }
}
