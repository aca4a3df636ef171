internal import ApusTypes
internal import CUV
internal import Glibc

/// Writing: first straight into the socket, and only what the socket does not take is copied and waited for.
///
/// So a reply that fits costs one system call and no memory, and a slow client holds one piece of at most 256 KiB.
extension Connection {
    /// Bytes that one step hands to the system.
    private static var piece: Int { 256 << 10 }

    /// Writes all of `bytes`; returns when the system has taken them.
    func write(_ bytes: [UInt8]) async throws {
        var start = 0
        while start < bytes.count {
            let end = min(start + Self.piece, bytes.count)
            let rest = try bytes.withUnsafeBytes {
                try put(UnsafeRawBufferPointer(rebasing: $0[start..<end]))
            }
            if let rest { try await finish(rest) }
            start = end
        }
    }

    /// Writes one chunk of a chunked body.
    func writeChunk(_ bytes: [UInt8]) async throws {
        let buffer = server.scratch
        buffer.clear()
        buffer.append(hexadecimal: bytes.count)
        buffer.append("\r\n")
        if bytes.count <= Self.copiedBody {
            buffer.append(bytes)
            buffer.append("\r\n")
            if let rest = try put(buffer.bytes) { try await finish(rest) }
        } else {
            if let rest = try put(buffer.bytes) { try await finish(rest) }
            try await write(bytes)
            if let rest = try putText("\r\n") { try await finish(rest) }
        }
    }

    func writeLastChunk() async throws {
        if let rest = try putText("0\r\n\r\n") { try await finish(rest) }
    }

    /// Sends what was collected for a pipeline. False when the connection is gone.
    func flush() async -> Bool {
        guard phase != .closed else { return false }
        guard !writes.collected.isEmpty else { return true }
        do {
            if let rest = try put(UnsafeRawBufferPointer(start: nil, count: 0)) { try await finish(rest) }
            return true
        } catch {
            server.noteBrokenReply(error, self)
            close()
            return false
        }
    }

    private func putText(_ text: StaticString) throws -> WriteRequest? {
        try put(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Hands `bytes` to the system, behind what was collected. Returns what it did not take, which `finish(_:)` must see to.
    func put(_ bytes: UnsafeRawBufferPointer) throws -> WriteRequest? {
        guard phase != .closed else { throw ApusError(.clientGone, "the connection to the client is gone") }
        if !writes.collected.isEmpty {
            var all: [UInt8] = []
            swap(&all, &writes.collected)
            all.append(contentsOf: bytes)
            return try all.withUnsafeBytes { try put($0) }
        }
        guard let tls else { return try putRaw(bytes) }
        let sealed = try tls.seal(bytes)
        return try sealed.withUnsafeBytes { try putRaw($0) }
    }

    private func putRaw(_ bytes: UnsafeRawBufferPointer) throws -> WriteRequest? {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return nil }
        var buffer = uv_buf_init(UnsafeMutablePointer(mutating: start.assumingMemoryBound(to: CChar.self)), UInt32(bytes.count))
        var taken = Int(uv_try_write(stream, &buffer, 1))
        if taken < 0 {
            guard taken == Int(UV_EAGAIN.rawValue) else {
                close()
                throw ApusError(.clientGone, "the client closed the connection before its reply was sent")
            }
            taken = 0
        }
        server.bytesWritten += taken
        return taken == bytes.count ? nil : WriteRequest(UnsafeRawBufferPointer(rebasing: bytes[taken...]))
    }

    /// Waits until the system has taken `request`'s bytes.
    func finish(_ request: WriteRequest) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            request.start(on: self, continuation)
        }
    }

    /// Writes without waiting: what the system does not take is queued. For a few bytes at a time.
    func putSmall(_ bytes: UnsafeRawBufferPointer) {
        do {
            try put(bytes)?.start(on: self, nil)
        } catch {
            close()
        }
    }

    /// Sends what TLS has to say by itself: handshake, alerts, key updates.
    func flushTLS() {
        guard let tls, phase != .closed else { return }
        let pending = tls.takeOutput()
        do {
            try pending.withUnsafeBytes { try putRaw($0) }?.start(on: self, nil)
        } catch {
            close()
        }
    }
}

/// What a connection remembers about its writes.
struct WriteState {
    /// Replies to a pipeline, not yet handed to the system.
    var collected: [UInt8] = []
    private var queued = 0
    private var queuedSince: Instant?

    /// Whether the client has taken nothing of a waiting write for `limit`.
    mutating func isStalled(_ now: Instant, queued: Int, limit: Duration) -> Bool {
        guard queued > 0, queued == self.queued, let queuedSince else {
            self.queued = queued
            queuedSince = queued > 0 ? now : nil
            return false
        }
        return queuedSince.advanced(by: limit) <= now
    }
}

/// Bytes that wait for the socket, in memory of their own.
final class WriteRequest {
    private let bytes: UnsafeMutableRawBufferPointer
    private let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
    private var continuation: CheckedContinuation<Void, any Error>?

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = .allocate(byteCount: bytes.count, alignment: 1)
        self.bytes.copyMemory(from: bytes)
    }

    deinit {
        bytes.deallocate()
        request.deallocate()
    }

    func start(on connection: Connection, _ continuation: CheckedContinuation<Void, any Error>?) {
        guard connection.phase != .closed else {
            continuation?.resume(throwing: ApusError(.clientGone, "the connection to the client is gone"))
            return
        }
        self.continuation = continuation
        connection.server.bytesWritten += bytes.count
        request.pointee.data = Unmanaged.passRetained(self).toOpaque()  // released by the callback, which always comes
        var buffer = uv_buf_init(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(bytes.count))
        let status = uv_write(request, connection.stream, &buffer, 1) { request, status in
            let write = Unmanaged<WriteRequest>.fromOpaque(request!.pointee.data).takeRetainedValue()
            write.done(status)
        }
        if status != 0 {
            Unmanaged.passUnretained(self).release()  // no callback comes
            done(status)
        }
    }

    private func done(_ status: Int32) {
        let continuation = continuation.take()
        if status == 0 {
            continuation?.resume()
        } else {
            continuation?.resume(throwing: ApusError(.clientGone, "the client closed the connection before its reply was sent"))
        }
    }
}
