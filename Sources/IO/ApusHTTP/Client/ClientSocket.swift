internal import ApusRuntime
internal import ApusTypes
internal import CUV
internal import Glibc

/// A TCP connection that this process opened. State belongs to the loop's thread; the methods may be called anywhere.
///
/// It reads ahead by one buffer, so that an idle connection notices its end. One reader, one writer.
final class ClientSocket: ByteStream, @unchecked Sendable {  // every mutable property is touched on the loop's thread only
    let loop: EventLoop
    private let handle: UnsafeMutablePointer<uv_tcp_t>
    private var received: [UInt8] = []
    private var reader: OneShot<[UInt8]?>?
    private var isReading = false
    private var isClosed = false
    /// Why nothing more can be read: the peer's end (nil) or an error.
    private var ending: Result<[UInt8]?, any Error>?
    /// Called once when an idle connection ends or says something that nobody asked for.
    private var onDisturbance: (@Sendable () -> Void)?

    private init(loop: EventLoop) {
        self.loop = loop
        handle = .allocate(capacity: 1)
        uv_tcp_init(loop.uv, handle)
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()  // given back when libuv has closed the handle
    }

    private static func of(_ handle: UnsafeMutableRawPointer?) -> ClientSocket {
        Unmanaged<ClientSocket>.fromOpaque(handle!).takeUnretainedValue()  // set in init, valid until the handle is closed
    }

    private var stream: UnsafeMutablePointer<uv_stream_t> { UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self) }

    // MARK: Connecting

    /// A connection to `address`. Cancelling gives up.
    static func connect(to address: NetworkAddress, on loop: EventLoop) async throws -> ClientSocket {
        let outcome = OneShot<Void>()
        let socket = try await loop.run {
            let socket = ClientSocket(loop: loop)
            socket.connect(to: address, outcome)
            return socket
        }
        do {
            try await outcome.value()
            return socket
        } catch {
            socket.close()
            throw error
        }
    }

    private func connect(to address: NetworkAddress, _ outcome: OneShot<Void>) {
        let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
        request.initialize(to: uv_connect_t())
        request.pointee.data = Unmanaged.passRetained(outcome).toOpaque()  // given back in the callback
        let status = address.withPointer { address in
            uv_tcp_connect(request, handle, address) { request, status in
                let outcome = Unmanaged<OneShot<Void>>.fromOpaque(request!.pointee.data).takeRetainedValue()  // retained above
                request!.deallocate()
                outcome.resolve(status == 0 ? .success(()) : .failure(ApusError.unreachable(status)))
            }
        }
        if status != 0 {
            Unmanaged<OneShot<Void>>.fromOpaque(request.pointee.data).release()
            request.deallocate()
            outcome.resolve(.failure(ApusError.unreachable(status)))
        } else {
            uv_tcp_nodelay(handle, 1)
        }
    }

    // MARK: Reading

    func read() async throws -> [UInt8]? {
        let arrival = OneShot<[UInt8]?>()
        try await loop.run { [self] in
            if !received.isEmpty {
                var bytes: [UInt8] = []
                swap(&bytes, &received)
                arrival.resolve(.success(bytes))
                resume()
            } else if let ending {
                arrival.resolve(ending)
            } else {
                reader = arrival
                resume()
            }
        }
        return try await arrival.value()
    }

    private func resume() {
        guard !isReading, !isClosed, ending == nil else { return }
        isReading = true
        let status = uv_read_start(
            stream,
            { handle, _, buffer in
                buffer!.pointee = uv_buf_init(.allocate(capacity: ClientSocket.bufferSize), UInt32(ClientSocket.bufferSize))
            },
            { stream, count, buffer in
                let base = buffer!.pointee.base
                defer { base?.deallocate() }
                guard count != 0 else { return }  // nothing to read now
                ClientSocket.of(stream!.pointee.data).take(
                    count < 0
                        ? .failure(.unreachable(Int32(count)))
                        : .success(
                            Array(UnsafeRawBufferPointer(start: base, count: count))), isEnd: count == Int(UV_EOF.rawValue))
            })
        if status != 0 { take(.failure(.unreachable(status)), isEnd: false) }
    }

    private static let bufferSize = 65_536

    private func take(_ result: Result<[UInt8], ApusError>, isEnd: Bool) {
        onDisturbance.take()?()
        switch result {
        case .success(let bytes):
            if let reader = reader.take(), reader.resolve(.success(bytes)) { return }
            received += bytes
            // The rest stays in the system until someone reads.
            uv_read_stop(stream)
            isReading = false
        case .failure(let error):
            end(isEnd ? .success(nil) : .failure(error))
        }
    }

    private func end(_ result: Result<[UInt8]?, any Error>) {
        if ending == nil { ending = result }
        if isReading, !isClosed { uv_read_stop(stream) }
        isReading = false
        reader.take()?.resolve(result)
    }

    /// Watches an idle connection; false when it cannot be used any more.
    func park(_ onDisturbance: @escaping @Sendable () -> Void) -> Bool {
        guard !isClosed, ending == nil, received.isEmpty else { return false }
        self.onDisturbance = onDisturbance
        resume()
        return true
    }

    /// Ends the watch; false when the connection has ended or has something unasked to say.
    func unpark() -> Bool {
        onDisturbance = nil
        return !isClosed && ending == nil && received.isEmpty
    }

    // MARK: Writing

    /// Nothing of what was to be written has left this process.
    struct NothingSent: Error { var cause: ApusError }

    /// Returns when the system has taken all bytes. Throws `NothingSent` when it took none because the connection had ended before.
    func write(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        let outcome = OneShot<Void>()
        try await loop.run { [self] in write(bytes, outcome) }
        try await outcome.value()
    }

    private func write(_ bytes: [UInt8], _ outcome: OneShot<Void>) {
        guard !isClosed else {
            outcome.resolve(.failure(NothingSent(cause: closedError)))
            return
        }
        let sent = bytes.withUnsafeBytes { bytes in
            var buffer = Self.buffer(bytes)
            return Int(uv_try_write(stream, &buffer, 1))
        }
        if sent == bytes.count {
            outcome.resolve()
        } else if sent >= 0 || sent == Int(UV_EAGAIN.rawValue) {
            PendingWrite.start(bytes[max(0, sent)...], on: stream, outcome)
        } else {
            outcome.resolve(.failure(NothingSent(cause: .unreachable(Int32(sent)))))
        }
    }

    fileprivate static func buffer(_ bytes: UnsafeRawBufferPointer) -> uv_buf_t {
        // libuv's buffers are for reading into as well; writing does not change them.
        uv_buf_init(UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: CChar.self), UInt32(bytes.count))
    }

    // MARK: Closing

    private var closedError: ApusError {
        if case .failure(let error as ApusError)? = ending { return error }
        return ApusError(.peerUnavailable, "the connection is closed")
    }

    /// Closes at once; readers and writers that wait get `error`.
    func close(_ error: ApusError = ApusError(.peerUnavailable, "the connection is closed"), isReset: Bool = false) {
        if loop.isCurrent { closeNow(error, isReset) } else { loop.execute { self.closeNow(error, isReset) } }
    }

    /// With a reset the server learns that nobody waits any more; an end alone could be that of the request (RFC 9112, 9.6).
    private func closeNow(_ error: ApusError, _ isReset: Bool) {
        guard !isClosed else { return }
        var descriptor: uv_os_fd_t = -1
        if isReset, uv_fileno(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self), &descriptor) == 0 {
            var immediately = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &immediately, socklen_t(MemoryLayout<linger>.size))
        }
        end(.failure(error))
        isClosed = true
        onDisturbance = nil
        uv_close(UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            Unmanaged<ClientSocket>.fromOpaque(handle!.pointee.data).release()  // retained in init
            UnsafeMutableRawPointer(handle!).deallocate()
        }
    }
}

/// Bytes on their way, kept where they are until the system has taken them.
private final class PendingWrite {
    private let bytes: UnsafeMutableRawBufferPointer
    private let outcome: OneShot<Void>

    private init(_ bytes: ArraySlice<UInt8>, _ outcome: OneShot<Void>) {
        self.bytes = .allocate(byteCount: bytes.count, alignment: 1)
        self.bytes.copyBytes(from: bytes)
        self.outcome = outcome
    }

    deinit { bytes.deallocate() }

    static func start(_ bytes: ArraySlice<UInt8>, on stream: UnsafeMutablePointer<uv_stream_t>, _ outcome: OneShot<Void>) {
        let pending = PendingWrite(bytes, outcome)
        let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
        request.initialize(to: uv_write_t())
        request.pointee.data = Unmanaged.passRetained(pending).toOpaque()  // given back in the callback
        var buffer = ClientSocket.buffer(UnsafeRawBufferPointer(pending.bytes))
        let status = uv_write(request, stream, &buffer, 1) { request, status in
            let pending = Unmanaged<PendingWrite>.fromOpaque(request!.pointee.data).takeRetainedValue()  // retained above
            request!.deallocate()
            pending.outcome.resolve(status == 0 ? .success(()) : .failure(ApusError.unreachable(status)))
        }
        if status != 0 {
            Unmanaged<PendingWrite>.fromOpaque(request.pointee.data).release()
            request.deallocate()
            outcome.resolve(.failure(ApusError.unreachable(status)))
        }
    }
}

extension ApusError {
    static func unreachable(_ status: Int32) -> ApusError {
        ApusError(.peerUnavailable, "the connection failed: \(String(cString: uv_strerror(status)))")
    }
}
