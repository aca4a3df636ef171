internal import ApusRuntime
internal import ApusTypes

/// The connection's task: requests in, replies out, in order.
extension Connection {
    func serve() async {
        while let exchange = await nextExchange() {
            let response = await answer(exchange)
            if case .stream = response.body {} else { exchange.incoming?.giveBack() }
            isHeadSent = false
            do {
                guard try await send(response, for: exchange) else { break }
            } catch let error as ApusError where !isHeadSent && error.code == .internalError {
                // The handler's reply cannot be written as HTTP, and none of it has left.
                mustClose = true
                guard await sendInstead(listener.router.response(to: error, exchange.request), for: exchange) else { return close() }
                break
            } catch {
                // The client is gone or stalled, or a stream broke off: nothing more can be told on this connection.
                server.broken(exchange, error, self)
                return close()
            }
        }
        if phase == .idle || phase == .head { return forgetTask() }
        if await flush() { linger() }
    }

    private func answer(_ exchange: Exchange) async -> Response {
        let router = listener.router
        if let refusal = exchange.refusal { return router.response(to: refusal, exchange.request) }
        let response = await router.respond(to: exchange.request)
        switch response.body {
        case .none, .bytes, .stream, .upgrade: return response
        case .file, .webSocket:
            do {
                return try await response.prepared(for: exchange.request)
            } catch let error as ApusError {
                return router.response(to: error, exchange.request)
            } catch {
                return router.response(to: ApusError(.internalError, "the reply could not be made", cause: error), exchange.request)
            }
        }
    }

    private func sendInstead(_ response: Response, for exchange: Exchange) async -> Bool {
        do { return try await !send(response, for: exchange) } catch { return false }
    }

    /// Sends the reply. Returns whether the connection goes on.
    private func send(_ response: Response, for exchange: Exchange) async throws -> Bool {
        guard phase == .request else {
            server.finished(exchange, status: 499, self)  // the client did not wait for it
            return false
        }
        let isHead = exchange.request.method == .head
        var head = ReplyHead(
            status: response.status, framing: .none, closes: closes(response, exchange),
            mentionsKeepAlive: exchange.minorVersion == 0, requestID: exchange.request.id)
        switch response.body {
        case .none: try await send(&head, response, [], isHead: isHead)
        case .bytes(let bytes): try await send(&head, response, bytes, isHead: isHead)
        case .stream where head.hasNoBody: try await sendHead(head, response)
        case .stream(let produce):
            head.framing = try Self.streamFraming(response, exchange)
            if case .close = head.framing { head.closes = true }
            try await sendHead(head, response)
            if !isHead {
                let writer = ReplyStream(connection: self, framing: head.framing)
                try await produce(writer)
                try await writer.end()
            }
        case .upgrade(let take):
            head.framing = .upgrade
            head.closes = false
            try await sendHead(head, response)
            let stream = UpgradedStream(connection: self, input: upgrade())
            defer { server.finished(exchange, status: head.status, self) }
            do {
                try await take(stream)
            } catch {
                // How another protocol ends is its own matter; only its beginning was HTTP.
                server.noteBrokenReply(error, self)
                close()
            }
            return false
        case .file, .webSocket: preconditionFailure("answer(_:) has prepared these")
        }
        server.finished(exchange, status: head.status, self)
        return !head.closes && !mustClose
    }

    private func closes(_ response: Response, _ exchange: Exchange) -> Bool {
        if !exchange.keepsAlive || mustClose || server.isDraining || (inputEnded && !hasInput) { return true }
        if let connection = response.headers["Connection"], Headers.same(connection, "close") { return true }
        guard let body else { return false }
        // The client still waits for leave to send its body, or has more of it to send than is worth reading past.
        return body.awaitsContinue || (body.announcedSize.map { $0 > limits.unreadBody } ?? false)
    }

    private func send(_ head: inout ReplyHead, _ response: Response, _ bytes: [UInt8], isHead: Bool) async throws {
        head.framing = head.hasNoBody ? .none : .length(bytes.count)
        let body = head.hasNoBody || isHead ? [] : bytes
        let buffer = server.scratch
        buffer.clear()
        try head.write(response.headers, to: buffer, date: server.date)
        isHeadSent = true
        if body.count <= Self.copiedBody {
            buffer.append(body)
            // Replies to a pipeline leave together.
            if hasInput, !head.closes, writes.collected.count < Self.copiedBody {
                writes.collected.append(contentsOf: buffer.bytes)
            } else if let rest = try put(buffer.bytes) {
                try await finish(rest)
            }
        } else {
            if let rest = try put(buffer.bytes) { try await finish(rest) }
            try await write(body)
        }
    }

    private func sendHead(_ head: ReplyHead, _ response: Response) async throws {
        let buffer = server.scratch
        buffer.clear()
        try head.write(response.headers, to: buffer, date: server.date)
        isHeadSent = true
        if let rest = try put(buffer.bytes) { try await finish(rest) }
    }

    /// Bodies up to this many bytes are copied behind their heads; larger ones are written from where they are.
    static var copiedBody: Int { 16 << 10 }

    private static func streamFraming(_ response: Response, _ exchange: Exchange) throws(ApusError) -> ReplyHead.Framing {
        guard let text = response.headers["Content-Length"] else { return exchange.minorVersion == 0 ? .close : .chunked }
        guard let length = Int(text), length >= 0 else { throw ApusError(.internalError, "the reply announced an impossible length") }
        return .length(length)
    }

    /// Tells a client that waits with its body to go on. Lost when it cannot be written at once: the client then goes on by itself.
    func sendContinue() {
        body?.awaitsContinue = false
        let line: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"
        putSmall(UnsafeRawBufferPointer(start: line.utf8Start, count: line.utf8CodeUnitCount))
    }
}

/// What a streaming handler writes into.
final class ReplyStream: BodyWriter, @unchecked Sendable {  // touched on the connection's loop only: write(_:) goes there
    private let connection: Connection
    private let framing: ReplyHead.Framing
    private var written = 0
    private var writtenSinceYield = 0

    init(connection: Connection, framing: ReplyHead.Framing) {
        self.connection = connection
        self.framing = framing
    }

    func write(_ bytes: [UInt8]) async throws {
        if connection.loop.isCurrent { return try await writeHere(bytes) }
        try await withTaskExecutorPreference(connection.loop) { try await writeOnLoop(bytes) }
    }

    @concurrent
    private func writeOnLoop(_ bytes: [UInt8]) async throws { try await writeHere(bytes) }

    private func writeHere(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }  // an empty chunk would end the body
        written += bytes.count
        if case .length(let length) = framing, written > length {
            throw ApusError(.internalError, "the reply is longer than it announced")
        }
        if case .chunked = framing { try await connection.writeChunk(bytes) } else { try await connection.write(bytes) }
        // A client that always takes at once would keep its loop from everybody else.
        writtenSinceYield += bytes.count
        if writtenSinceYield > 1 << 20 {
            writtenSinceYield = 0
            await Task.yield()
        }
    }

    func end() async throws {
        switch framing {
        case .chunked: try await connection.writeLastChunk()
        case .length(let length) where written != length:
            throw ApusError(.internalError, "the reply is shorter than it announced")
        case .none, .length, .close, .upgrade: return
        }
    }
}

/// The bytes of a connection after its upgrade.
struct UpgradedStream: ByteStream {
    let connection: Connection
    let input: IncomingBody

    func read() async throws -> [UInt8]? { try await input.next() }

    func write(_ bytes: [UInt8]) async throws {
        if connection.loop.isCurrent { return try await connection.write(bytes) }
        try await withTaskExecutorPreference(connection.loop) { try await writeOnLoop(bytes) }
    }

    @concurrent
    private func writeOnLoop(_ bytes: [UInt8]) async throws { try await connection.write(bytes) }
}
