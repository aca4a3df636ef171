public import ApusRuntime
public import ApusTypes

/// One event of a `text/event-stream` (HTML standard, section 9.2).
public struct ServerSentEvent: Sendable, Hashable {
    /// Where a client that reconnects says it was (`Last-Event-ID`).
    public var id: String?
    public var event: String?
    /// May have several lines.
    public var data: String
    /// How long the client waits before it reconnects.
    public var retry: Duration?

    public init(_ data: String, event: String? = nil, id: String? = nil, retry: Duration? = nil) {
        self.id = id
        self.event = event
        self.data = data
        self.retry = retry
    }

    /// Line ends of `data` become lines of their own; those in `id` and `event`, which cannot have any, become spaces.
    public var serialized: [UInt8] {
        var bytes: [UInt8] = []
        func field(_ name: StaticString, _ value: some Sequence<UInt8>) {
            bytes += UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
            bytes += [58, 32]
            bytes += value
            bytes.append(10)
        }
        func oneLine(_ text: String) -> [UInt8] { text.utf8.map { $0 == 10 || $0 == 13 || $0 == 0 ? 32 : $0 } }
        if let event { field("event", oneLine(event)) }
        if let id { field("id", oneLine(id)) }
        if let retry { field("retry", String(max(0, retry.milliseconds)).utf8) }
        var rest = Array(data.utf8)[...]
        while let end = rest.firstIndex(where: { $0 == 10 || $0 == 13 }) {
            field("data", rest[rest.startIndex..<end])
            rest = rest[rest[end...].starts(with: [13, 10]) ? (end + 2)... : (end + 1)...]
        }
        field("data", rest)
        bytes.append(10)
        return bytes
    }

    /// A comment: clients ignore it, and proxies see that the connection lives.
    static let keepAlive = Array(":\n\n".utf8)
}

/// Writes the events of one client's stream.
public protocol EventWriter: Sendable {
    /// Returns when the client has taken enough; throws when it is gone.
    func send(_ event: ServerSentEvent) async throws
}

extension Response {
    /// A stream of events that lasts until `body` returns or the client goes away. When `body` sends nothing for `keepAlive`, a
    /// comment goes out, so that proxies do not end the connection and a client that is gone is noticed.
    public static func events(
        keepAlive: Duration = .seconds(15), clock: some MonotonicClock = BootClock(),
        _ body: @escaping @Sendable (any EventWriter) async throws -> Void
    ) -> Response {
        let headers: Headers = [
            "Content-Type": "text/event-stream", "Cache-Control": "no-cache",
            "X-Accel-Buffering": "no",  // nginx would hold the events back
        ]
        return Response(
            headers: headers,
            body: .stream { writer in
                let events = KeptAliveEvents(writer: writer)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await body(events) }
                    group.addTask {
                        while true {
                            try await clock.sleep(until: clock.now.advanced(by: keepAlive), tolerance: nil)
                            try await events.keepAlive()
                        }
                    }
                    defer { group.cancelAll() }
                    try await group.next()  // the second never returns
                }
            })
    }
}

private final class KeptAliveEvents: EventWriter {
    private let writer: any BodyWriter
    private let writing = Turn()
    private let isIdle = Flag(true)

    init(writer: any BodyWriter) { self.writer = writer }

    func send(_ event: ServerSentEvent) async throws {
        isIdle.set(false)
        try await writing.run { try await writer.write(event.serialized) }
    }

    /// Writes a comment, unless something was sent since the last call.
    func keepAlive() async throws {
        guard isIdle.set(true) else { return }
        try await writing.run { try await writer.write(ServerSentEvent.keepAlive) }
    }
}
