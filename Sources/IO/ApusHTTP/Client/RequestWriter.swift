internal import ApusTypes
internal import Synchronization

/// Writes one request: its head as bytes, its body in the framing that the head announced.
final class RequestWriter: BodyWriter {
    private let stream: any ByteStream
    private let size: ByteCount?
    private let state = Mutex<(written: Int, hasFailed: Bool)>((0, false))

    /// `size` nil writes chunks.
    init(_ stream: any ByteStream, size: ByteCount?) {
        self.stream = stream
        self.size = size
    }

    /// Whether it was the connection that failed, not what wrote to it.
    var hasConnectionFailed: Bool { state.withLock { $0.hasFailed } }

    func write(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        try Task.checkCancellation()
        let written = state.withLock { state in
            state.written += bytes.count
            return state.written
        }
        guard let size else {
            try await transmit(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + [13, 10])
            return
        }
        guard written <= size.bytes else { throw Self.wrongSize(size) }
        try await transmit(bytes)
    }

    func finish() async throws {
        if let size {
            guard state.withLock({ $0.written }) == size.bytes else { throw Self.wrongSize(size) }
        } else {
            try await transmit(Array("0\r\n\r\n".utf8))
        }
    }

    private func transmit(_ bytes: [UInt8]) async throws {
        do {
            try await stream.write(bytes)
        } catch {
            state.withLock { $0.hasFailed = true }
            throw error
        }
    }

    private static func wrongSize(_ size: ByteCount) -> ApusError {
        ApusError(.internalError, "the body of a request is not of the size that was announced", context: ["announced": "\(size.bytes)"])
    }

    // MARK: Head

    /// The request's head. Throws `request.invalid` for fields that could be read as something else.
    static func head(of request: ClientRequest, _ url: ClientURL) throws(ApusError) -> [UInt8] {
        var text = "\(request.method.rawValue) \(url.target) HTTP/1.1\r\nHost: \(url.authority)\r\n"
        for (name, value) in request.headers.fields {
            guard !name.isEmpty, name.utf8.allSatisfy(ASCII.isToken), !value.utf8.contains(where: ASCII.isControl),
                !["host", "content-length", "transfer-encoding", "connection"].contains(name.lowercased())
            else { throw ApusError(.requestInvalid, "the header field '\(name)' cannot be sent", context: ["field": name]) }
            text += "\(name): \(value)\r\n"
        }
        if request.headers["User-Agent"] == nil { text += "User-Agent: apus\r\n" }
        switch request.body {
        case .none where [.post, .put, .patch].contains(request.method): text += "Content-Length: 0\r\n"
        case .none: break
        case .bytes(let bytes): text += "Content-Length: \(bytes.count)\r\n"
        case .stream(let size?, _): text += "Content-Length: \(size.bytes)\r\n"
        case .stream(nil, _): text += "Transfer-Encoding: chunked\r\n"
        }
        return Array((text + "\r\n").utf8)
    }
}
