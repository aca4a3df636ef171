internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// One connection to an origin, used by one exchange at a time.
final class ClientConnection: Sendable {
    let origin: ClientURL.Origin
    let socket: ClientSocket
    /// The socket, or TLS over it.
    let stream: any ByteStream
    private let parser: Mutex<ResponseParser>
    private let idleTimer = Mutex<LoopTimers.ID?>(nil)

    private init(_ origin: ClientURL.Origin, _ socket: ClientSocket, _ stream: any ByteStream, headLimit: ByteCount) {
        self.origin = origin
        self.socket = socket
        self.stream = stream
        parser = Mutex(ResponseParser(headLimit: headLimit))
    }

    deinit { socket.close() }

    /// Connects to the first of the host's addresses that answers. The time is shared out among them.
    static func open(
        _ origin: ClientURL.Origin, tls: ClientTLS?, limits: HTTPClientLimits, on loop: EventLoop
    ) async throws -> ClientConnection {
        let deadline = BootClock.now.advanced(by: limits.connectTime)
        let resolved = try await withDeadline(deadline, "looking up \(origin.host)") {
            try await NetworkAddress.resolve(origin.host, port: origin.port, on: loop)
        }
        let addresses = limits.allowsLinkLocal ? resolved : resolved.filter { !$0.isLinkLocal }
        guard !addresses.isEmpty || resolved.isEmpty else {
            throw ApusError(.forbidden, "\(origin.host) is a link-local address or that of a metadata service, which is not asked")
        }
        var failure: any Error = ApusError(.peerUnavailable, "\(origin.host) has no address")
        for (index, address) in addresses.enumerated() {
            let share = BootClock.now.duration(to: deadline) / (addresses.count - index)
            do {
                return try await withDeadline(BootClock.now.advanced(by: share), "connecting to \(origin.host):\(origin.port)") {
                    let socket = try await ClientSocket.connect(to: address, on: loop)
                    do {
                        let stream: any ByteStream =
                            if let tls { try await ClientTLSStream.open(socket, tls, host: origin.host) } else { socket }
                        return ClientConnection(origin, socket, stream, headLimit: limits.responseHead)
                    } catch {
                        socket.close()
                        throw error
                    }
                }
            } catch {
                failure = error
                try Task.checkCancellation()
            }
        }
        throw failure
    }

    // MARK: Idling

    /// Calls `onOld` when the connection has been idle for `time`. On the loop's thread.
    func age(_ time: Duration, _ onOld: @escaping @Sendable () -> Void) {
        let timer = socket.loop.timers.schedule(at: BootClock.now.advanced(by: time), onOld)
        idleTimer.withLock { $0 = timer }
    }

    /// Takes the connection into use; false when it has ended meanwhile.
    func unpark() async throws -> Bool {
        try await socket.loop.run { [self] in
            if let timer = idleTimer.withLock({ $0.take() }) { socket.loop.timers.cancel(timer) }
            return socket.unpark()
        }
    }

    // MARK: Replies

    func begin(_ method: Method) { parser.withLock { $0.begin(method) } }

    /// Reads up to the end of the reply's head.
    func readHead() async throws -> ResponseParser.Head {
        while true {
            if let head = parser.withLock({ $0.head }) { return head }
            try await readMore()
        }
    }

    /// The body's next bytes, nil at its end.
    func readBody() async throws -> [UInt8]? {
        while true {
            let (bytes, isComplete) = parser.withLock { ($0.take(), $0.isComplete) }
            if !bytes.isEmpty { return bytes }
            if isComplete { return nil }
            try await readMore()
        }
    }

    private func readMore() async throws {
        if let bytes = try await stream.read() {
            try parser.withLock { try $0.feed(bytes) }
        } else {
            try parser.withLock { try $0.finish() }
        }
    }

    /// What is left of a reply that is complete already, nil when it goes on.
    func completeBody() -> [UInt8]? { parser.withLock { $0.isComplete ? $0.take() : nil } }

    /// Whether the reply's head has come.
    var hasReply: Bool { parser.withLock { $0.head != nil } }

    /// Whether the reply has ended in a way that leaves the connection fit for another.
    var isReusable: Bool { parser.withLock { $0.isComplete && $0.keepsAlive && $0.rest.isEmpty } }
}
