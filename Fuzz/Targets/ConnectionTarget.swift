import ApusHTTP
import ApusRuntime
import ApusTypes
import Dispatch
import Glibc

/// The server itself over a real socket: whatever a client sends, its connection ends, and the same bytes bring the same replies however
/// they are cut. The first byte says how to cut.
func fuzzConnection(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let bytes = Array(input.dropFirst())
    let whole = replies(to: bytes, piece: max(1, bytes.count))
    let cut = replies(to: bytes, piece: max(Int(first % 17) + 1, bytes.count / 32))
    guard whole == cut else { fatalError("whole: \(whole)\ncut: \(cut)") }
}

/// A server that answers each POST with its body, and everything else with the error's code: started with the first input.
private let port: UInt16 = {
    var router = Router()
    router.on(.get, "/") { _ in .text("hello") }
    router.on(.post, "/") { .text(String(decoding: try await $0.body.collect(limit: .mebibytes(1)), as: UTF8.self)) }
    router.on(.post, "/unread") { _ in .text("unread") }
    router.errors { error, _ in .text("\(error.code)", status: 400) }  // without the request's id, which is another each time
    let server = HTTPServer(
        loops: EventLoops(count: 1), listeners: [ListenerConfiguration(name: "fuzz", host: "127.0.0.1", port: 0, router: router)],
        metrics: MetricsRegistry())
    let (started, port) = (DispatchSemaphore(value: 0), Port())
    Task.detached {
        do { port.number = UInt16(try await server.start()[0].port) } catch { fatalError("\(error)") }
        started.signal()
    }
    started.wait()
    return port.number
}()

private final class Port: @unchecked Sendable { var number: UInt16 = 0 }  // written before the signal, read after it

/// Sends `bytes` in pieces, closes that side, and reads until the server closes its own. Without the fields that differ each time, and
/// without `Connection`: whether a body that nobody reads is known to be wrong when its reply leaves is a matter of time.
private func replies(to bytes: [UInt8], piece: Int) -> [String] {
    let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard client >= 0 else { fatalError("no socket: \(errno)") }
    defer { close(client) }
    var on: Int32 = 1
    setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
    var limit = timeval(tv_sec: 8, tv_usec: 0)
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    // As many connections as the fuzzer makes would use up the ports: a closed one must not wait.
    var immediately = linger(l_onoff: 1, l_linger: 0)
    setsockopt(client, SOL_SOCKET, SO_LINGER, &immediately, socklen_t(MemoryLayout<linger>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
    let status = withUnsafeBytes(of: address) {
        connect(client, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count))
    }
    // The fuzzer's own alarm may interrupt any call.
    if status != 0, errno == EINTR { return replies(to: bytes, piece: piece) }
    guard status == 0 else { fatalError("the server does not accept: \(errno)") }
    var rest = bytes[...]
    while !rest.isEmpty {
        let next = Array(rest.prefix(piece))
        let count = send(client, next, next.count, Int32(MSG_NOSIGNAL))
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { break }  // the server has heard enough
        rest = rest.dropFirst(count)
        sched_yield()
    }
    shutdown(client, Int32(SHUT_WR))
    var received: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while true {
        let count = recv(client, &buffer, buffer.count, 0)
        if count > 0 { received += buffer[..<count] }
        if count == 0 { break }
        guard count > 0 || errno == EINTR else { fatalError("the connection did not end: error \(errno) after \(received.count) bytes") }
    }
    return received.split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
        .filter { line in !["Date: ", "X-Request-Id: ", "Connection: "].contains { line.hasPrefix($0) } }
}
