internal import ApusTypes

/// What a server decides about one stream of a peer: whether it is a peer, which requests run, and when more is read.
///
/// greeting → open → over; a draining stream is open and takes no requests.
struct ExchangeMachine: Sendable {
    enum Effect: Sendable {
        /// Ask for the next message.
        case read
        case send(Frame)
        case start(Frame.Request, from: NodeName)
        /// The request's handler is not needed any more.
        case cancel(UInt64)
        case finish(Int32, String)
    }

    private enum Phase {
        case greeting(Handshake, until: Instant)
        case open(client: NodeName, until: Instant)
        case over
    }

    private let settings: RPCSettings
    private var phase: Phase
    private var running: [UInt64: (bytes: Int, deadline: Instant)] = [:]
    private var waiting = Queue<Frame.Request>()
    private var heldBytes = 0
    private var unsentBytes = 0
    private var isReading = false
    private var isDraining = false

    init(_ handshake: Handshake, settings: RPCSettings, at now: Instant) {
        phase = .greeting(handshake, until: now.advanced(by: settings.connectTime))
        self.settings = settings
    }

    var isProven: Bool { if case .greeting = phase { false } else { true } }
    var isBusy: Bool { !running.isEmpty || !waiting.isEmpty }

    mutating func begin() -> [Effect] {
        guard case .greeting(let handshake, _) = phase else { return [] }
        isReading = true
        return [.send(handshake.challenge), .read]
    }

    /// The frames of one message; nil if it is no frames.
    mutating func received(_ frames: [Frame]?, at now: Instant) -> [Effect] {
        isReading = false
        guard let frames else { return end(GRPCStatus.invalidArgument, "the message is not what the protocol says") }
        return frames.flatMap { received($0, at: now) } + advance(now)
    }

    private mutating func received(_ frame: Frame, at now: Instant) -> [Effect] {
        switch (phase, frame) {
        case (.greeting(let handshake, _), _):
            do {
                let (welcome, client) = try handshake.welcome(frame)
                let lifetime = Duration.nanoseconds(settings.proofLifetime.nanoseconds / 10 * 11)
                phase = .open(client: client, until: now.advanced(by: lifetime))
                return [.send(welcome)]
            } catch {
                return end(Int32(error.code.surface.grpc), error.summary)
            }
        case (.open(_, let until), .request(let request)):
            guard now < until else { return end(GRPCStatus.unavailable, "the proof of the cluster secret is too old") }
            guard !isDraining else { return [.send(.failure(id: request.id, Self.draining))] }
            heldBytes += request.payload.count
            waiting.append(request)
            return []
        case (.open, .cancel(let id)):
            if running[id] != nil { return [.cancel(id)] }
            drop { $0.id == id }
            return []
        case (.over, _): return []
        default: return end(GRPCStatus.invalidArgument, "a frame that is not a client's to send")
        }
    }

    /// A handler has ended; nil: nobody waits for its reply.
    mutating func ended(_ id: UInt64, _ frame: Frame?, at now: Instant) -> [Effect] {
        heldBytes -= running.removeValue(forKey: id)?.bytes ?? 0
        guard case .open = phase, let frame else { return advance(now) }
        if case .reply(_, let payload) = frame { unsentBytes += payload.count }
        return [.send(frame)] + advance(now)
    }

    /// So many bytes of replies have left.
    mutating func sent(_ count: Int, at now: Instant) -> [Effect] {
        unsentBytes -= count
        return advance(now)
    }

    /// Refuses what comes from now on and what has not begun.
    mutating func drain() -> [Effect] {
        isDraining = true
        return waiting.removeAll().map { request in
            heldBytes -= request.payload.count
            return .send(.failure(id: request.id, Self.draining))
        }
    }

    /// Time has passed. A client cancels what it does not wait for, but while nothing is read that is not seen.
    mutating func tick(_ now: Instant) -> [Effect] {
        if case .greeting(_, let until) = phase, until <= now {
            return end(GRPCStatus.unauthenticated, "no proof of the cluster secret came")
        }
        return running.filter { $0.value.deadline <= now }.map { .cancel($0.key) }
    }

    /// The stream is gone: nobody waits for anything.
    mutating func cutOff() -> [Effect] {
        phase = .over
        drop { _ in true }
        return running.keys.map { .cancel($0) }
    }

    private mutating func end(_ status: Int32, _ reason: String) -> [Effect] { cutOff() + [.finish(status, reason)] }

    private mutating func drop(where isDropped: (Frame.Request) -> Bool) {
        waiting.remove { request in
            if isDropped(request) { heldBytes -= request.payload.count }
            return isDropped(request)
        }
    }

    /// Starts what may start. Reads on while only so much waits: a cancel may follow, which has to be seen also when no request can start.
    private mutating func advance(_ now: Instant) -> [Effect] {
        var effects: [Effect] = []
        if case .open(let client, _) = phase {
            while running.count < settings.requestsInFlight, unsentBytes < settings.queuedBytes.bytes, let request = waiting.popFirst() {
                guard request.deadline > now, running[request.id] == nil else {  // too late, or no number of its own
                    heldBytes -= request.payload.count
                    continue
                }
                running[request.id] = (request.payload.count, request.deadline)
                effects.append(.start(request, from: client))
            }
        }
        if case .over = phase { return effects }
        let hasRoom = waiting.count < settings.requestsInFlight && heldBytes < settings.queuedBytes.bytes
        guard !isReading, hasRoom, unsentBytes < settings.queuedBytes.bytes else { return effects }
        isReading = true
        return effects + [.read]
    }

    static let draining = ApusError(
        .nodeDraining, "the node is being stopped and takes no new requests", hint: "ask another node", retry: .immediately)
}
