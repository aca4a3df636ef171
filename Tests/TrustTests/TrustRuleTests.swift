import ApusHTTP
import ApusSockets
import ApusTypes
import Testing

/// The decision by itself, for what cannot be staged on loopback.
@Suite("trust rule")
struct TrustRuleTests {
    func refusal(
        user: UInt32? = 1000, node: UInt32 = 1000, isLoopback: Bool = true, isTLS: Bool = false, isEnabled: Bool = true,
        url: String? = nil, process: PeerProcess = .client,
        headers: [(name: String, value: String)] = [("Host", "localhost:15002")]
    ) async -> LocalTrust.Refusal? {
        let facts = ConnectionFacts(
            peerAddress: isLoopback ? "127.0.0.1" : "10.0.0.7", peerPort: 40_000, isLoopback: isLoopback, listener: "main", isTLS: isTLS,
            peerSocket: { user.map { PeerSocket(user: $0) } })
        let request = Request(
            method: .get, path: ["x"], rawPath: "/x", query: Query(), headers: Headers(headers), body: NoBody(), id: "1", connection: facts,
            deadline: .distantFuture)
        do {
            return try await LocalTrust(isEnabled: isEnabled, nodeUser: node, nodeURL: url, examine: { _ in process }).refusal(for: request)
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }

    struct NoBody: RequestBody {
        var announcedSize: ByteCount? { nil }
        func next() async throws -> [UInt8]? { nil }
    }

    @Test("the node's own user and root are trusted, nobody else")
    func users() async {
        #expect(await refusal() == nil)
        #expect(await refusal(user: 0) == nil)
        #expect(await refusal(user: 1001) == .foreignUser(1001))
        #expect(await refusal(user: nil) == .foreignUser(nil))
        #expect(await refusal(user: nil, isLoopback: false) == .remote)
        #expect(await refusal(isEnabled: false) == .disabled)
    }

    @Test("a process that takes connections itself, or is not shown, is not trusted")
    func processes() async {
        #expect(await refusal(process: .server(name: "nginx")) == .server(name: "nginx"))
        #expect(await refusal(process: .hidden) == .hiddenProcess)
        #expect(await refusal(user: 1001, process: .hidden) == .foreignUser(1001))
    }

    @Test("who asks the node under its own address, from the same machine, is trusted; under another name not")
    func ownAddress() async {
        func own(_ host: String, url: String? = nil) async -> LocalTrust.Refusal? {
            await refusal(isLoopback: false, url: url, headers: [("Host", host)])
        }
        #expect(await own("10.0.0.7:15002") == nil)
        #expect(await own("10.0.0.7") == nil)
        for host in ["10.0.0.8:15002", "node.example.org", "localhost:15002", "127.0.0.1", "[::1]", "10.0.0.7.example.org", "10.0.0.7:x"] {
            #expect(await own(host) == .foreignHost, "\(host)")
        }
        #expect(await own("node.example.org:15002", url: "https://Node.example.org") == nil)
        #expect(await own("example.org", url: "https://node.example.org") == .foreignHost)
        #expect(await refusal(url: "http://node.example.org:15002", headers: [("Host", "node.example.org")]) == nil)
        #expect(await refusal(user: 1001, isLoopback: false, headers: [("Host", "10.0.0.7")]) == .foreignUser(1001))
    }

    @Test("loopback names are trusted", arguments: ["localhost", "LOCALHOST:1", "127.0.0.1:15002", "127.1.2.3", "[::1]", "[::1]:15002"])
    func ownHost(host: String) async {
        #expect(await refusal(headers: [("Host", host)]) == nil)
    }

    @Test(
        "other names are not, whatever they look like",
        arguments: [
            "example.org", "localhost.example.org", "127.0.0.1.example.org", "127.0.0.1@example.org", "0.0.0.0", "[::]",
            "[::1].example.org", "127.0.0",
            "127.0.0.256", "127.0.0.+1", "127.1", "2130706433", "0x7f.0.0.1", "localhost:x", "localhost:1:2", "", "localhost.",
            "[::ffff:127.0.0.1]",
        ])
    func foreignHost(host: String) async {
        #expect(await refusal(headers: [("Host", host)]) == .foreignHost)
    }

    @Test("no Host, or two of them, is a foreign one")
    func hosts() async {
        #expect(await refusal(headers: []) == .foreignHost)
        #expect(await refusal(headers: [("Host", "localhost"), ("Host", "example.org")]) == .foreignHost)
    }

    @Test("only a page of this very origin may ask")
    func origins() async {
        func origin(_ origin: String, isTLS: Bool = false) async -> LocalTrust.Refusal? {
            await refusal(isTLS: isTLS, headers: [("Host", "localhost:15002"), ("Origin", origin)])
        }
        #expect(await origin("http://localhost:15002") == nil)
        #expect(await origin("https://localhost:15002", isTLS: true) == nil)
        let foreign = [
            "https://localhost:15002", "http://localhost:3000", "http://localhost", "http://127.0.0.1:15002", "http://example.org", "null",
            "",
        ]
        for text in foreign { #expect(await origin(text) == .foreignOrigin, "\(text)") }
        for (site, expected) in [("none", nil), ("same-origin", nil), ("same-site", .foreignOrigin), ("cross-site", .foreignOrigin)]
            as [(String, LocalTrust.Refusal?)]
        {
            #expect(await refusal(headers: [("Host", "localhost"), ("Sec-Fetch-Site", site)]) == expected)
        }
    }

    @Test(
        "what a proxy adds gives it away",
        arguments: [
            "Forwarded", "X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host", "X-Forwarded", "X-Real-IP", "Via", "X-Client-IP",
            "True-Client-IP",
            "CF-Connecting-IP", "X-Cluster-Client-IP", "X-Original-URL",
        ])
    func forwarded(header: String) async {
        #expect(await refusal(headers: [("Host", "localhost"), (header, "")]) == .forwarded(header: header))
    }
}
