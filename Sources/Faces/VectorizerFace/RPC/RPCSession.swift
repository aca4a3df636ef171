internal import ApusCluster
internal import ApusHTTP
internal import ApusRuntime
internal import ApusSockets
internal import ApusThunder
internal import ApusTypes

/// One connection: carries out what its machine says. Everything runs on the connection's loop.
final class RPCSession: StreamHandler, @unchecked Sendable {  // loop-bound, see above
    private let rpc: VectorizerRPC
    private let connection: StreamConnection
    private var machine: ThunderMachine
    /// Whose key the connection runs under; nil while the peer itself is trusted.
    private var key: Redacted<String>?
    private var peer: PeerSocket?
    private var tasks: [UInt64: Task<Void, Never>] = [:]
    private var nextTask: UInt64 = 0
    private var isClosed = false
    /// Effects that wait for those before them: carrying one out may make others.
    private var pending: [ThunderMachine.Effect] = []
    private var isPerforming = false

    init(_ rpc: VectorizerRPC, _ connection: StreamConnection) {
        self.rpc = rpc
        self.connection = connection
        machine = Self.machine(rpc, .unknown("nobody has looked at the connection yet"))
    }

    private static func machine(_ rpc: VectorizerRPC, _ identity: ThunderMachine.Identity) -> ThunderMachine {
        ThunderMachine(
            limits: rpc.options.thunder, server: rpc.serverFacts, identity: identity, budget: rpc.budget, at: BootClock.now)
    }

    /// Finds out whether the peer needs a key, then reads.
    func open() {
        start { [self] in
            let refusal = await refusal()
            guard !isClosed else { return }
            machine = Self.machine(rpc, refusal.map { .unknown($0) } ?? .known(.local))
            connection.startReading()
        }
    }

    /// Why the peer needs a key; nil when it does not.
    private func refusal() async -> String? {
        guard rpc.options.isOpenToLocalUser else { return "other machines reach this listener" }
        peer = await connection.peerSocket()
        return await refusalOfPeer()
    }

    /// Asked again with each call: a program that has begun to serve others may speak for them.
    private func refusalOfPeer() async -> String? {
        do { return try await rpc.trust.refusal(of: peer).map { "\($0)" } } catch {
            return "the system does not tell in time who asks"
        }
    }

    // MARK: Events

    func receive(_ bytes: UnsafeRawBufferPointer) { perform(machine.receive(bytes, at: BootClock.now)) }
    func inputEnded() { perform(machine.inputEnded()) }
    func sent(queued: Int) { perform(machine.sent(queued: queued)) }
    func drain() { perform(machine.drain()) }
    func sweep(_ now: Instant) { perform(machine.tick(at: now)) }

    func closed() {
        isClosed = true
        machine.closed()
        pending = []
        tasks.values.forEach { $0.cancel() }
    }

    // MARK: Effects

    private func perform(_ effects: [ThunderMachine.Effect]) {
        pending += effects
        guard !isPerforming else { return }
        isPerforming = true
        defer { isPerforming = false }
        while !isClosed, !pending.isEmpty {
            let effects = pending
            pending = []
            for effect in effects where !isClosed { perform(effect) }
            // What the system took at once waits no more.
            if !isClosed { pending += machine.sent(queued: connection.queued) }
        }
    }

    private func perform(_ effect: ThunderMachine.Effect) {
        switch effect {
        case .send(let bytes): connection.send(bytes)
        case .read(true): connection.startReading()
        case .read(false): connection.stopReading()
        case .finish: connection.finish()
        case .close: connection.close()
        case .verify(let secret): verify(secret)
        case .run(let request, let principal): run(request, principal)
        }
    }

    private func verify(_ secret: Redacted<String>) {
        start { [self] in
            let outcome: ThunderMachine.Verification
            do {
                if let principal = try await rpc.access.verify(secret, deadline: deadline) {
                    key = secret
                    outcome = .principal(principal)
                } else {
                    outcome = .nobody
                }
            } catch {
                let error = VectorizerRPC.described(error, "the key could not be verified")
                outcome = .failed(VectorizerRPC.text(of: error, command: "AUTH"))
            }
            perform(machine.verified(outcome, at: BootClock.now))
        }
    }

    private func run(_ request: ThunderRequest, _ principal: Principal) {
        let key = key
        start { [self] in
            let result: ThunderReply.Result
            do {
                result = await rpc.answer(request, from: try await confirmed(principal, key), deadline: deadline)
            } catch {
                let error = VectorizerRPC.described(error, "the key could not be verified")
                result = .failure(VectorizerRPC.text(of: error, command: request.command))
            }
            perform(machine.finished(request.id, result, at: BootClock.now))
        }
    }

    /// Whose call this is now: a connection lives longer than a second, for which a key is believed.
    private func confirmed(_ principal: Principal, _ key: Redacted<String>?) async throws -> Principal {
        if let key {
            guard let principal = try await rpc.access.verify(key, deadline: deadline) else {
                throw ApusError(.unauthenticated, "the key of this connection is not valid any more")
            }
            return principal
        }
        if let reason = await refusalOfPeer() { throw ApusError(.unauthenticated, "a key is needed: \(reason)") }
        return principal
    }

    private var deadline: Instant { BootClock.now.advanced(by: rpc.options.callTime) }

    /// Starts work on the loop that ends with the connection.
    private func start(_ body: @escaping () async -> Void) {
        nextTask += 1
        let number = nextTask
        nonisolated(unsafe) let body = body  // it runs on the loop, as everything here does
        tasks[number] = Task(executorPreference: connection.loop) {
            await body()
            self.tasks[number] = nil
        }
    }
}
