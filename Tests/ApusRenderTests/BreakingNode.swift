import Foundation
import Glibc
import TestKit

/// A node that is killed with every request: it is healthy, reads what comes, and closes the connection.
final class BreakingNode: Sendable {
    let port: Int
    private let listener: Int32

    init() throws {
        port = Int(try freePort())
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let bound = withUnsafeBytes(of: address) {
            bind(listener, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t($0.count))
        }
        guard bound == 0, listen(listener, 64) == 0 else { throw TestKitError("cannot listen on \(port)") }
    }

    /// Serves on a thread of its own until `stop`.
    func start() {
        let listener = listener
        Thread.detachNewThread {
            while case let connection = accept(listener, nil, nil), connection >= 0 {
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)  // programs that other tests start would be taken for servers
                var buffer = [UInt8](repeating: 0, count: 65_536)
                let count = recv(connection, &buffer, buffer.count, 0)
                if count > 0, String(decoding: buffer[..<count], as: UTF8.self).contains("/health") {
                    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    _ = send(connection, reply, reply.utf8.count, Int32(MSG_NOSIGNAL))
                }
                close(connection)
            }
        }
    }

    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    deinit { close(listener) }
}
