import Glibc
import Synchronization
import TestKit

/// A port on loopback that accepts connections and never says a word.
final class SilentListener: Sendable {
    let socket: Int32
    let port: UInt16

    init() throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        port = try freePort()
        guard withAddress(port, { bind(socket, $0, $1) }) == 0, listen(socket, 16) == 0 else { throw TestKitError("cannot listen") }
    }

    deinit { close(socket) }
}

private func withAddress(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = port.bigEndian
    return withUnsafeBytes(of: address) { body($0.assumingMemoryBound(to: sockaddr.self).baseAddress!, socklen_t($0.count)) }  // not empty
}

/// Carries one connection to another port, until it is frozen: then both sides stay open and nothing moves.
final class Relay: Sendable {
    private let listener: SilentListener
    private let isFrozen = Atomic<Bool>(false)
    var port: UInt16 { listener.port }

    init(to target: UInt16) throws {
        listener = try SilentListener()
        let listener = listener.socket
        Self.thread { [weak self] in
            let near = accept(listener, nil, nil)
            _ = fcntl(near, F_SETFD, FD_CLOEXEC)  // programs that other tests start would be taken for servers
            let far = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard withAddress(target, { connect(far, $0, $1) }) == 0 else { return }
            self?.carry(near, far)
            self?.carry(far, near)
        }
    }

    func freeze() { isFrozen.store(true, ordering: .relaxed) }

    private func carry(_ from: Int32, _ to: Int32) {
        Self.thread { [self] in
            var buffer = [UInt8](repeating: 0, count: 65536)
            while case let count = read(from, &buffer, buffer.count), count > 0 {
                while isFrozen.load(ordering: .relaxed) { sleep(1) }
                guard write(to, buffer, count) == count else { break }
            }
            shutdown(to, Int32(SHUT_WR))
        }
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        final class Box: Sendable {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body()  // passed below
                return nil
            }, Unmanaged.passRetained(Box(body)).toOpaque())
        pthread_detach(thread)
    }
}
