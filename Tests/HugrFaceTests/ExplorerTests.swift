import ApusHTTP
import ApusRuntime
import ApusTypes
import Foundation
import NodeProcessKit
import NodeTestKit
import TestKit
import Testing

/// The page at `/admin`.
@Suite("the explorer")
struct ExplorerTests {
    private static func get(_ path: String, of node: NodeProcess) async throws -> (status: Int, headers: Headers, text: String) {
        let response = try await HTTPClient(loops: TestLoops.shared).send(
            // As from another machine, without a key.
            ClientRequest(
                .get, node.url + path, headers: ["X-Forwarded-For": "192.0.2.1"], deadline: BootClock.now.advanced(by: .seconds(30))))
        return (response.status, response.headers, String(decoding: try await response.collect(limit: .mebibytes(1)), as: UTF8.self))
    }

    @Test("a browser without a key gets the page, which takes nothing from elsewhere, and no data")
    func page() async throws {
        try await AuditTests.withNode { node in
            for (path, type) in [
                ("/admin", "text/html"), ("/admin/explorer.js", "text/javascript"), ("/admin/explorer.css", "text/css"),
            ] {
                let (status, headers, text) = try await Self.get(path, of: node)
                #expect(status == 200 && headers["Content-Type"]?.hasPrefix(type) == true)
                #expect(headers["Content-Security-Policy"]?.hasPrefix("default-src 'none'; script-src 'self';") == true)
                #expect(!text.contains("http:") && !text.contains("https:") && !text.contains("innerHTML"), "\(path)")
            }
            #expect(try await Self.get("/query?query=%7B__typename%7D", of: node).status == 401)
        }
    }

    @Test("its completion knows where it is in an operation")
    func completion() async throws {
        try await AuditTests.withNode { node in
            let directory = try TemporaryDirectory()
            try SourceFiles.write(try await Self.get("/admin/explorer.js", of: node).text, to: directory.path + "/explorer.js")
            let cases = "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/client/completion.js"
            let (status, output) = try await shell("node '\(cases)' '\(directory.path)/explorer.js' 2>&1", in: directory)
            #expect(status == 0 && output.contains("28 cases"), "\(output)")
        }
    }
}
