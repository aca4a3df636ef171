internal import ApusRuntime
internal import ApusTypes

/// What a client decides about one peer: which stream takes its calls, which of them wait, what an end of a stream means for each.
///
/// A stream is opening → current → retiring → gone. At most one is opening or current; a retiring one takes no calls and is closed after the
/// replies to those that it has. `Ticket` is how the caller of a call is told.
struct PeerMachine<Ticket: Sendable>: Sendable {
    /// A stream; not used twice.
    typealias StreamID = Int

    enum Effect: Sendable {
        case open(StreamID)
        case send(StreamID, Frame)
        case close(StreamID)
        /// No stream is left, and none is wanted soon.
        case disconnect
        case finish(Ticket, Result<[UInt8], ApusError>)
        /// Call `tick` then.
        case wake(Instant)
    }

    private struct Stream {
        enum Phase {
            case opening(Handshake)
            case proving(server: NodeName, expected: [UInt8])
            case open(server: NodeName)
        }
        var phase: Phase
        let since: Instant
        /// What was sent and not answered.
        var calls: [UInt64: Ticket] = [:]
        var unsentBytes = 0
    }

    private let address: String
    private let identity: RPCIdentity
    private let settings: RPCSettings
    private var streams: [StreamID: Stream] = [:]
    private var current: StreamID?
    private var lastStream = 0
    private var waiting = Queue<(request: Frame.Request, ticket: Ticket)>()
    private var inFlight = 0
    private var usedAt = Instant(nanosecondsSinceBoot: 0)
    private var isClosed = false

    init(address: String, identity: RPCIdentity, settings: RPCSettings) {
        self.address = address
        self.identity = identity
        self.settings = settings
    }

    // MARK: Calls

    /// The request's number is not used twice.
    mutating func call(_ request: Frame.Request, ticket: Ticket, at now: Instant) -> [Effect] {
        usedAt = now
        if isClosed { return [.finish(ticket, .failure(closed))] }
        guard waiting.count < settings.callsWaiting else {
            let busy = ApusError(
                .peerBusy, "\(waiting.count) calls to \(address) wait already", hint: "send less at once, or later",
                context: ["address": address])
            return [.finish(ticket, .failure(busy))]
        }
        waiting.append((request, ticket))
        return advance(now)
    }

    /// Nobody waits for the call any more: its deadline has passed, or its task was cancelled. Nothing if it has ended.
    mutating func abandon(_ call: UInt64, at now: Instant) -> [Effect] {
        waiting.remove { $0.request.id == call }
        for id in streams.keys where streams[id]?.calls.removeValue(forKey: call) != nil {
            inFlight -= 1
            return [.send(id, .cancel(id: call))] + closeIfRetired(id) + advance(now)
        }
        return []
    }

    // MARK: Streams

    /// Nil: a message that is no frames.
    mutating func received(_ frame: Frame?, on id: StreamID, at now: Instant) -> [Effect] {
        guard let stream = streams[id] else { return [] }
        do throws(ApusError) {
            switch (stream.phase, frame) {
            case (.opening(let handshake), let frame?):
                let (proof, server, expected) = try handshake.proof(frame)
                streams[id]?.phase = .proving(server: server, expected: expected)
                return [.send(id, proof)]
            case (.proving(let server, let expected), let frame?):
                try Handshake.check(frame, expected: expected)
                streams[id]?.phase = .open(server: server)
                return advance(now)
            case (.open, .reply(let call, let payload)): return answered(call, .success(payload), on: id, at: now)
            case (.open(let server), .failure(let call, var error)):
                error.context["node"] = server.rawValue
                return answered(call, .failure(error), on: id, at: now)
            default: throw ApusError(.peerInvalid, "\(address) sent what the protocol between nodes does not have")
            }
        } catch {
            return [.close(id)] + ended(id, error, at: now)
        }
    }

    private mutating func answered(
        _ call: UInt64, _ result: Result<[UInt8], ApusError>, on id: StreamID, at now: Instant
    ) -> [Effect] {
        guard let ticket = streams[id]?.calls.removeValue(forKey: call) else { return [] }  // it was abandoned
        inFlight -= 1
        usedAt = now
        return [.finish(ticket, result)] + closeIfRetired(id) + advance(now)
    }

    /// So many bytes have left.
    mutating func sent(_ count: Int, on id: StreamID, at now: Instant) -> [Effect] {
        guard streams[id] != nil else { return [] }
        streams[id]?.unsentBytes -= count
        return advance(now)
    }

    /// The stream is over, because of `error`.
    mutating func ended(_ id: StreamID, _ error: ApusError, at now: Instant) -> [Effect] {
        guard let stream = streams.removeValue(forKey: id) else { return [] }
        inFlight -= stream.calls.count
        if current == id { current = nil }
        let effects = stream.calls.values.map { Effect.finish($0, .failure(broken(error))) }
        if case .open = stream.phase { return effects + advance(now) }
        // Whoever waits is told at once: another peer may serve.
        return effects + waiting.removeAll().map { .finish($0.ticket, .failure(error)) }
    }

    /// Time has passed.
    mutating func tick(_ now: Instant) -> [Effect] {
        var effects: [Effect] = []
        for (id, stream) in streams {
            if case .open = stream.phase { continue }
            guard stream.since.advanced(by: settings.connectTime) <= now else { continue }
            let error = ApusError(
                .peerUnreachable, "nothing at \(address) answered as a node within \(settings.connectTime.seconds) s",
                hint: "check that the node runs and that this is its RPC address", context: ["address": address])
            effects += [.close(id)] + ended(id, error, at: now)
        }
        guard inFlight == 0, waiting.isEmpty, usedAt.advanced(by: settings.idleTime) <= now else {
            let next = min(settings.connectTime, settings.idleTime)
            return effects + [.wake(now.advanced(by: next))]
        }
        return effects + closeAll()
    }

    /// Ends everything, for good.
    mutating func close() -> [Effect] {
        isClosed = true
        return waiting.removeAll().map { .finish($0.ticket, .failure(closed)) }
            + streams.values.flatMap(\.calls.values).map { .finish($0, .failure(broken(closed))) } + closeAll()
    }

    private mutating func closeAll() -> [Effect] {
        defer { (streams, current, inFlight) = ([:], nil, 0) }
        return streams.keys.map { .close($0) } + [.disconnect]
    }

    private var closed: ApusError {
        ApusError(.peerUnreachable, "this node does not call others any more, because it ends", context: ["address": address])
    }

    private func broken(_ error: ApusError) -> ApusError {
        ApusError(.peerDisconnected, "the connection to \(address) broke before the reply", context: error.context, cause: error)
    }

    // MARK: Progress

    /// Opens the stream that the waiting calls need, and sends as many of them as may be under way.
    private mutating func advance(_ now: Instant) -> [Effect] {
        guard !waiting.isEmpty else { return [] }
        var effects: [Effect] = []
        if let id = current, let stream = streams[id], stream.since.advanced(by: settings.proofLifetime) <= now {
            current = nil
            effects += closeIfRetired(id)
        }
        guard let id = current else {
            lastStream += 1
            current = lastStream
            streams[lastStream] = Stream(phase: .opening(Handshake(identity)), since: now)
            return effects + [.open(lastStream), .wake(now.advanced(by: min(settings.connectTime, settings.idleTime)))]
        }
        guard var stream = streams[id], case .open = stream.phase else { return effects }
        streams[id] = nil  // so that its calls are changed in place
        while inFlight < settings.requestsInFlight, stream.unsentBytes < settings.queuedBytes.bytes,
            let (request, ticket) = waiting.popFirst()
        {
            stream.calls[request.id] = ticket
            stream.unsentBytes += request.payload.count
            inFlight += 1
            effects.append(.send(id, .request(request)))
        }
        streams[id] = stream
        return effects
    }

    private mutating func closeIfRetired(_ id: StreamID) -> [Effect] {
        guard id != current, streams[id]?.calls.isEmpty == true else { return [] }
        streams[id] = nil
        return [.close(id)]
    }
}
