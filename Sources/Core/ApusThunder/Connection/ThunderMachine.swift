public import ApusTypes

/// What a Thunder server does on one connection, as a pure machine: it takes what happens and the time, and says what to do.
///
/// open (peer unknown or known) -> ending -> ended. Requests run side by side and are answered as they finish; a key that is shown holds
/// for the requests behind it, which wait until it is verified. While the machine ends it reads nothing more, and lets what was begun
/// be answered.
public struct ThunderMachine {
    /// Carried out in their order.
    public enum Effect {
        /// Find out whose key this is, then `verified(_:at:)`.
        case verify(Redacted<String>)
        /// Do what is asked, then `finished(_:_:at:)` with its id.
        case run(ThunderRequest, Principal)
        case send([UInt8])
        /// Read on, or leave the peer's bytes where they are.
        case read(Bool)
        /// Send what waits, then end the connection.
        case finish
        /// End it at once.
        case close
    }

    /// What a server says about itself in `HELLO`.
    public struct Server: Sendable {
        public var version: String
        public var capabilities: [String]

        public init(version: String, capabilities: [String]) {
            self.version = version
            self.capabilities = capabilities
        }
    }

    /// Whose the connection is.
    public enum Identity: Sendable, Hashable {
        case known(Principal)
        /// Nobody's; the text says why a key is needed.
        case unknown(String)
    }

    public enum Verification: Sendable {
        case principal(Principal)
        case nobody
        /// It cannot be known now; what to tell the client.
        case failed(String)
    }

    /// Replies with this id would be taken for something else by clients.
    static let reservedID = UInt32.max
    static let protocolVersion = 1

    private let limits: ThunderLimits
    private let server: Server
    private let budget: MemoryBudget
    public private(set) var identity: Identity
    private var phase = Phase.open

    /// What came and is not taken yet.
    private var input: [UInt8] = []
    private var inputStart = 0
    /// Taken from the budget for the frame that is arriving.
    private var reservedForFrame = 0
    /// Sizes of the requests that are not answered yet, by id, and what each has taken from the budget.
    private var unanswered: [UInt32: (size: Int, reserved: Int)] = [:]
    private var held = 0
    /// Behind a key that is being verified, in the order in which they came.
    private var waiting: [ThunderRequest] = []
    private var verifying: (id: UInt32, isHello: Bool)?
    private var queued = 0
    private var isReading = true
    private let openedAt: Instant
    private var heardAt: Instant

    private enum Phase { case open, ending, ended }

    /// `budget` is what the large frames of all connections take their memory from. The connection is being read.
    public init(limits: ThunderLimits, server: Server, identity: Identity, budget: MemoryBudget, at now: Instant) {
        self.limits = limits
        self.server = server
        self.identity = identity
        self.budget = budget
        openedAt = now
        heardAt = now
    }

    // MARK: Events

    public mutating func receive(_ bytes: UnsafeRawBufferPointer, at now: Instant) -> [Effect] {
        guard phase == .open else { return [] }
        heardAt = now
        if inputStart > 0 {
            input.removeFirst(inputStart)
            inputStart = 0
        }
        input.append(contentsOf: bytes)
        return advance()
    }

    /// The key of the last `verify` is somebody's or nobody's.
    public mutating func verified(_ outcome: Verification, at now: Instant) -> [Effect] {
        guard let verifying, phase != .ended else { return [] }
        self.verifying = nil
        heardAt = now
        var effects: [Effect] = []
        switch outcome {
        case .principal(let principal):
            identity = .known(principal)
            effects += answer(verifying.id, .ok(verifying.isHello ? hello(principal) : .string("OK")))
        case .nobody:
            // Whoever shows a wrong key is not trusted without one either.
            identity = .unknown("the key that was shown is not valid")
            effects += answer(verifying.id, .failure("WRONGPASS the API key is not valid"))
        case .failed(let text):
            identity = .unknown("the key that was shown could not be verified")
            effects += answer(verifying.id, .failure(text))
        }
        while self.verifying == nil, !waiting.isEmpty { effects += handle(waiting.removeFirst()) }
        return effects + advance()
    }

    public mutating func finished(_ id: UInt32, _ result: ThunderReply.Result, at now: Instant) -> [Effect] {
        guard phase != .ended, unanswered[id] != nil else { return [] }
        heardAt = now
        return answer(id, result) + advance()
    }

    /// The peer's system has taken some of what was sent: `queued` bytes wait.
    public mutating func sent(queued: Int) -> [Effect] {
        self.queued = queued
        return phase == .open ? advance() : []
    }

    /// The peer sends no more; it may wait for replies.
    public mutating func inputEnded() -> [Effect] { end() }

    /// Takes no more, answers what was begun, and ends.
    public mutating func drain() -> [Effect] { end() }

    public mutating func tick(at now: Instant) -> [Effect] {
        guard phase == .open else { return [] }
        func isOver(_ since: Instant, _ limit: Duration) -> Bool { since.advanced(by: limit) <= now }
        if case .unknown = identity, verifying == nil, isOver(openedAt, limits.anonymousTime) { return end() }
        guard unanswered.isEmpty else { return [] }
        if inputStart < input.count { return isOver(heardAt, limits.frameStallTime) ? close() : [] }
        return isOver(heardAt, limits.idleTime) ? end() : []
    }

    /// The connection is gone; nothing is said any more.
    public mutating func closed() {
        guard phase != .ended else { return }
        phase = .ended
        budget.giveBack(reservedForFrame + unanswered.values.reduce(0) { $0 + $1.reserved })
        reservedForFrame = 0
        unanswered = [:]
        waiting = []
        input = []
    }

    /// How many requests are not answered yet.
    public var inFlight: Int { unanswered.count }

    // MARK: Frames

    /// Whether another request may be taken.
    private var hasRoom: Bool {
        phase == .open && unanswered.count < limits.inFlight && held < limits.held.bytes && queued < limits.output.bytes
    }

    /// Takes the frames that are there, as long as there is room for them.
    private mutating func advance() -> [Effect] {
        var effects: [Effect] = []
        var mayRead = true
        frames: while hasRoom {
            let available = input.count - inputStart
            guard available >= 4 else { break }
            let length = (0..<4).reduce(0) { $0 | Int(input[inputStart + $1]) << (8 * $1) }
            switch admit(length, available: available - 4) {
            case .taken: break
            case .later:
                mayRead = verifying == nil
                break frames
            case .refused(let refusal):
                effects += refusal
                break frames
            }
            guard available >= 4 + length else { break }
            let body = Array(input[inputStart + 4..<inputStart + 4 + length])
            inputStart += 4 + length
            if inputStart == input.count {
                input = []
                inputStart = 0
            }
            effects += take(body)
        }
        guard phase == .open else { return effects }
        let reads = mayRead && hasRoom
        if reads != isReading {
            isReading = reads
            effects.append(.read(reads))
        }
        return effects
    }

    private enum Admission {
        case taken
        /// More bytes, or a verified key, will tell.
        case later
        case refused([Effect])
    }

    /// Whether a frame whose length has come may be collected.
    private mutating func admit(_ length: Int, available: Int) -> Admission {
        let isKnown = if case .known = identity { true } else { false }
        let isSmall = length <= limits.anonymousFrame.bytes
        if isSmall || reservedForFrame > 0 { return .taken }
        if verifying != nil { return .later }
        let problem: String
        if length > limits.frame.bytes {
            problem = "[payload_too_large] frame: it has \(length) bytes, and \(limits.frame) is the most"
        } else if !isKnown {
            problem = "NOAUTH a frame of \(length) bytes needs a key first"
        } else if budget.take(length) {
            reservedForFrame = length
            return .taken
        } else {
            problem = "[queue_full] frame: the memory for requests is used up at this moment; send it again in a second"
        }
        // An array's header, and an integer.
        guard available >= min(10, length) else { return .later }
        let id = ThunderRequest.id(ofBeginning: Array(input[inputStart + 4..<inputStart + 4 + min(10, length)]))
        // What follows in the stream is not read, so this is the last that is said.
        return .refused(refuse(id, problem) + end())
    }

    private mutating func take(_ body: [UInt8]) -> [Effect] {
        let reserved = reservedForFrame
        reservedForFrame = 0
        let request: ThunderRequest
        do throws(ThunderRequest.Refusal) {
            request = try ThunderRequest(body: body)
        } catch {
            budget.giveBack(reserved)
            let refusal = refuse(error.id, "[protocol_error] frame: \(error.problem.reason)")
            // The frame's end is known, so the stream goes on behind it; without an id nobody would learn of it.
            return refusal.isEmpty ? end() : refusal
        }
        // A second request with the id of one that is not answered would make both replies ambiguous.
        guard request.id != Self.reservedID, unanswered[request.id] == nil else {
            budget.giveBack(reserved)
            return end()
        }
        unanswered[request.id] = (request.size, reserved)
        held += request.size
        return handle(request)
    }

    /// An error for a request that was not taken; nothing if its id is not known, or is another request's.
    private mutating func refuse(_ id: UInt32?, _ text: String) -> [Effect] {
        guard let id, id != Self.reservedID, unanswered[id] == nil else { return [] }
        return send(ThunderReply(id: id, .failure(text)))
    }

    // MARK: Requests

    private mutating func handle(_ request: ThunderRequest) -> [Effect] {
        switch request.command {
        // Says nothing but that somebody is here.
        case "PING": return answer(request.id, .ok(.string("PONG")))
        case "QUIT": return answer(request.id, .ok(.string("OK"))) + end()
        case _ where verifying != nil:
            waiting.append(request)
            return []
        case "AUTH", "HELLO":
            do throws(ThunderProblem) {
                let arguments = try request.arguments()
                return request.command == "AUTH" ? authenticate(request.id, arguments) : greet(request.id, arguments)
            } catch {
                return answer(request.id, .failure("[protocol_error] \(request.command): \(error.reason)"))
            }
        default:
            switch identity {
            case .known(let principal): return [.run(request, principal)]
            case .unknown(let reason): return answer(request.id, .failure(Self.keyNeeded(reason)))
            }
        }
    }

    static func keyNeeded(_ reason: String) -> String {
        "NOAUTH a key is needed: \(reason); make one on the node with `apus key create NAME`, and send it with AUTH"
    }

    private mutating func authenticate(_ id: UInt32, _ arguments: [ThunderValue]) -> [Effect] {
        guard arguments.count == 1, let secret = arguments[0].asString else {
            return answer(id, .failure("WRONGPASS AUTH takes one API key; there are no users with passwords here"))
        }
        verifying = (id, false)
        return [.verify(Redacted(secret))]
    }

    private mutating func greet(_ id: UInt32, _ arguments: [ThunderValue]) -> [Effect] {
        let options = arguments.first
        if let version = options?["version"], (version.asInt ?? 0) < Int64(Self.protocolVersion) {
            return answer(id, .failure("[protocol_error] HELLO: version 1 of the protocol is spoken here"))
        }
        if let secret = options?["api_key"]?.asString ?? options?["token"]?.asString {
            verifying = (id, true)
            return [.verify(Redacted(secret))]
        }
        switch identity {
        case .known(let principal): return answer(id, .ok(hello(principal)))
        case .unknown(let reason): return answer(id, .failure(Self.keyNeeded(reason)))
        }
    }

    private func hello(_ principal: Principal) -> ThunderValue {
        .map([
            "server_version": .string(server.version), "protocol_version": .int(Self.protocolVersion), "authenticated": .bool(true),
            "admin": .bool(principal.role == .administrator), "capabilities": .array(server.capabilities.map { .string($0) }),
        ])
    }

    private mutating func answer(_ id: UInt32, _ result: ThunderReply.Result) -> [Effect] {
        if let (size, reserved) = unanswered.removeValue(forKey: id) {
            held -= size
            budget.giveBack(reserved)
        }
        let effects = send(ThunderReply(id: id, result))
        return phase == .ending && unanswered.isEmpty ? effects + finish() : effects
    }

    private mutating func send(_ reply: ThunderReply) -> [Effect] {
        let large = "[payload_too_large] reply: it is larger than \(limits.frame); ask for less at a time"
        guard let frame = reply.frame(limit: limits.frame.bytes) ?? ThunderReply(id: reply.id, .failure(large)).frame(limit: .max) else {
            return close()
        }
        queued += frame.count
        return queued > limits.mostOutput.bytes ? close() : [.send(frame)]
    }

    // MARK: Ending

    private mutating func end() -> [Effect] {
        guard phase == .open else { return [] }
        phase = .ending
        budget.giveBack(reservedForFrame)
        reservedForFrame = 0
        input = []
        inputStart = 0
        let stop: [Effect] = isReading ? [.read(false)] : []
        isReading = false
        return unanswered.isEmpty ? stop + finish() : stop
    }

    private mutating func finish() -> [Effect] {
        closed()
        return [.finish]
    }

    private mutating func close() -> [Effect] {
        closed()
        return [.close]
    }
}
