import ApusHTTP
import ApusRuntime
import ApusTypes
import Synchronization

/// A body whose bytes are there already, given a few at a time.
final class GivenBody: RequestBody {
    private let rest: Mutex<ArraySlice<UInt8>>
    let announcedSize: ByteCount?

    init(_ bytes: [UInt8]) {
        rest = Mutex(bytes[...])
        announcedSize = ByteCount(bytes.count)
    }

    func next() async throws -> [UInt8]? {
        rest.withLock { rest in
            guard !rest.isEmpty else { return nil }
            defer { rest = rest.dropFirst(11) }
            return Array(rest.prefix(11))
        }
    }
}

/// A request as a listener would give it to a handler.
func request(_ method: String = "GET", _ path: String = "/", headers: Headers = [:], body: [UInt8] = []) -> Request {
    // Tests name methods that exist.
    Request(
        method: Method(rawValue: method)!, path: path.split(separator: "/").map(String.init), rawPath: path, query: Query(),
        headers: headers, body: GivenBody(body), id: "test",
        connection: ConnectionFacts(
            peerAddress: "127.0.0.1", peerPort: 1, isLoopback: true, listener: "test", isTLS: false, peerSocket: { nil }),
        deadline: .distantFuture)
}
