import ApusRuntime
import ApusTypes
import Glibc
import HTTPTestKit
import NodeProcessKit
import TestKit
import Testing

/// What the server of a real node does with the process around it.
@Suite("a node's server")
struct NodeServerTests {
    @Test("a node without a free descriptor lets its clients wait, and serves them when there is one")
    func descriptors() async throws {
        try await with { node, loops in
            let port = try #require(Int(node.url.split(separator: ":").last ?? ""))
            // The lowest number that is free is the first one that the node may not have.
            let first = try #require((0..<10_000).first { access("/proc/\(node.identifier)/fd/\($0)", F_OK) != 0 })
            try await limit(node, toDescriptors: first, on: loops)
            let client = try RawClient(port: port)
            try await client.send("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while !node.log.contains("connections cannot be accepted") {
                try #require(node.ended == nil)
                try await BootClock().sleep(for: .milliseconds(5))
            }
            try await limit(node, toDescriptors: 1024, on: loops)
            #expect(try await ReplyReader(client).next().status == 200)
        }
    }

    @Test("SIGHUP has the certificates read again and ends nothing; text is compressed for those who ask")
    func hangUp() async throws {
        try await with { node, _ in
            let port = try #require(Int(node.url.split(separator: ":").last ?? ""))
            node.send(signal: SIGHUP)
            let client = try RawClient(port: port)
            let replies = ReplyReader(client)
            for (encoding, expected) in [("gzip", "gzip"), ("identity", nil)] {
                try await client.send(
                    "GET /prometheus/metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: \(encoding)\r\n\r\n")
                let reply = try await replies.next()
                #expect(reply.status == 200)
                #expect(reply["Content-Encoding"] == expected)
                if expected == nil { #expect(reply.text.contains("apus_http_requests_total")) }
            }
            guard case .status(0) = await node.terminate() else {
                Issue.record("the node did not end by itself: \(node.log)")
                return
            }
        }
    }

    private func with(_ body: (NodeProcess, EventLoops) async throws -> Void) async throws {
        let loops = EventLoops(count: 1)
        defer { loops.stop() }
        let directory = try TemporaryDirectory()
        let node = try await NodeProcess.start(directory: directory.path + "/data", loops: loops)
        do { try await body(node, loops) } catch {
            await node.kill()
            throw error
        }
        await node.kill()
    }

    /// The soft limit; the hard one stays.
    private func limit(_ node: NodeProcess, toDescriptors count: Int, on loops: EventLoops) async throws {
        let process = try await ChildProcess.start(
            .init("/usr/bin/prlimit", ["--pid", "\(node.identifier)", "--nofile=\(count):"], environment: [:], output: .discarded),
            on: loops.first)
        guard case .status(0) = await process.wait() else { throw NodeFailure("prlimit did not work") }
    }
}
