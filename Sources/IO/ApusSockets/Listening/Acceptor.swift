package import ApusRuntime
package import ApusTypes
internal import CLinux
internal import CUV
internal import Glibc

/// One listening socket on one loop: hands every connection that comes in by it to its server. Loop thread only.
package final class Acceptor: @unchecked Sendable {  // loop-bound, see above
    private let socket: ListenSocket
    private let name: String
    private let loop: EventLoop
    private let poll = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
    private let serve: (Int32, NumericAddress) -> Void
    private var isClosed = false
    /// When it was last told that connections cannot be accepted.
    private var complainedAt: Instant?
    private static let log = Logger("sockets")

    /// Takes `socket` over and accepts from it until `close()`. `serve` is given a connection's descriptor, which is its own from then on.
    package init(
        _ socket: ListenSocket, name: String, loop: EventLoop, serve: @escaping (Int32, NumericAddress) -> Void
    ) throws(ApusError) {
        self.socket = socket
        self.name = name
        self.loop = loop
        self.serve = serve
        let status = uv_poll_init(loop.uv, poll, socket.descriptor)
        guard status == 0 else {
            poll.deallocate()
            socket.close()
            throw ApusError(.listenerUnavailable, "cannot listen for '\(name)': \(String(cString: uv_strerror(status)))")
        }
        poll.pointee.data = Unmanaged.passRetained(self).toOpaque()  // released when the handle is closed
        resume()
    }

    private func resume() {
        guard !isClosed else { return }
        uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { poll, _, _ in
            // A bound, so that open connections have their turn; what still waits makes the socket readable again.
            Unmanaged<Acceptor>.fromOpaque(poll!.pointee.data).takeUnretainedValue().accept(atMost: 64)  // set in init
        }
    }

    private func accept(atMost count: Int) {
        for _ in 0..<count {
            do throws(NumericAddress.AcceptFailure) {
                let (descriptor, peer) = try NumericAddress.accept(from: socket.descriptor)
                serve(descriptor, peer)
            } catch {
                switch error.number {
                case EAGAIN: return
                // The one connection is at fault: it has ended already, or its network has (accept(2)).
                case EINTR, ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH:
                    continue
                default: return pause(error.number)
                }
            }
        }
    }

    /// No descriptors or no memory: the socket stays readable, so asking again at once would spin. Clients wait in the backlog.
    private func pause(_ problem: Int32) {
        guard !isClosed else { return }
        uv_poll_stop(poll)
        let now = BootClock.now
        if complainedAt.map({ $0.advanced(by: .seconds(10)) <= now }) ?? true {
            complainedAt = now
            Self.log.warning(
                "connections cannot be accepted, trying again", ["listener": name, "error": String(cString: strerror(problem))])
        }
        loop.timers.schedule(at: now.advanced(by: .milliseconds(100))) { [self] in resume() }
    }

    /// Who begins to connect from now on is not answered, because the close would reset it; who is connecting already still gets in.
    ///
    /// A kernel that cannot do this resets what connects at the very moment of the close, and nothing else.
    package func ignoreNewConnections() { _ = apus_ignore_new_connections(socket.descriptor) }

    /// Takes in what waits to be accepted, which the close would reset, and accepts no more.
    package func close() {
        guard !isClosed else { return }
        accept(atMost: 4 * ListenSocket.backlog)
        isClosed = true
        uv_poll_stop(poll)
        uv_close(UnsafeMutableRawPointer(poll).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            let poll = UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: uv_poll_t.self)
            Unmanaged<Acceptor>.fromOpaque(poll.pointee.data).release()  // retained in init
            poll.deallocate()
        }
        socket.close()
    }
}
