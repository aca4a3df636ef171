import ApusHTTP
import ApusTypes
import HTTPTestKit
import Testing

@Suite("large bodies")
struct LargeBodyTests {
    @Test("arrive whole", arguments: [1000, 200_000, 262_143, 262_144, 262_145, 300_000, 1_000_000, 9_000_000])
    func whole(size: Int) async throws {
        try await TestServer.with(routes: { router in
            router.on(.post, "/x") { request in
                let body = try await request.body.collect(limit: .mebibytes(10))
                return .text("\(body.count) \(body.allSatisfy { $0 == 0x20 + 1 })")
            }
        }) { server in
            let reply = try await server.reply(
                to: "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(size)\r\n\r\n" + String(repeating: "!", count: size))
            #expect(reply.text == "\(size) true")
        }
    }
}
