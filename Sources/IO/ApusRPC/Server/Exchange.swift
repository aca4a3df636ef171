internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// One peer's stream: carries out what its machine decides, and runs handlers on the event loops.
final class Exchange: GRPCStreamOwner {
    private static let log = Logger("rpc")
    private let server: RPCServer
    private let stream: GRPCStream
    private let machine: Performer<ExchangeMachine, ExchangeMachine.Effect>
    private let tasks = Mutex<[UInt64: Task<Void, Never>]>([:])

    init(_ server: RPCServer, _ stream: GRPCStream) {
        self.server = server
        self.stream = stream
        machine = Performer(ExchangeMachine(Handshake(server.identity), settings: server.settings, at: BootClock.now))
    }

    /// The client has proved that it knows the secret.
    var isProven: Bool { machine.read(\.isProven) }
    /// Something runs, waits or has not left yet.
    var isBusy: Bool { machine.read(\.isBusy) || stream.isWriting }

    func begin() {
        stream.begin(self)
        perform { machine, _ in machine.begin() }
        wake()
    }

    /// Ends with this object.
    private func wake() {
        _ = Deadlines.shared.schedule(at: BootClock.now.advanced(by: .seconds(1))) { [weak self] in
            self?.perform { machine, now in machine.tick(now) }
            self?.wake()
        }
    }

    func drain() { perform { machine, _ in machine.drain() } }
    func finish() { stream.finish(GRPCStatus.unavailable, "the node is being stopped") }

    func received(_ message: UnsafeRawBufferPointer?) {
        guard let message else { return stream.finish(GRPCStatus.ok) }  // a node sends as long as it listens
        // The machine says what is wrong. Nobody makes the server read much before it has proved anything.
        let frames = isProven || message.count <= 4096 ? try? Frame.decode(message, at: BootClock.now) : nil
        perform { machine, now in machine.received(frames, at: now) }
    }

    func sent(_ count: Int) { perform { machine, now in machine.sent(count, at: now) } }

    func ended(_ status: Int32, _ reason: String) {
        perform { machine, _ in machine.cutOff() }
        server.forget(self)
    }

    // MARK: Effects

    private func perform(_ change: (inout ExchangeMachine, Instant) -> [ExchangeMachine.Effect]) { machine.perform(change, carryOut) }

    private func carryOut(_ effect: ExchangeMachine.Effect) {
        switch effect {
        case .read: stream.receive()
        case .send(let frame): stream.send(frame.encoded(at: BootClock.now))
        case .start(let request, let peer): start(request, from: peer)
        case .cancel(let id): tasks.withLock { $0[id] }?.cancel()
        case .finish(let status, let reason):
            Self.log.notice("a peer's stream was refused", ["reason": reason])
            stream.finish(status, reason)
        }
    }

    private func start(_ request: Frame.Request, from peer: NodeName) {
        // Under the lock, so that the task finds itself here when it ends.
        tasks.withLock {
            $0[request.id] = Task(executorPreference: server.loops.any) { [self] in
                let reply = await server.answer(request, from: peer)
                tasks.withLock { _ = $0.removeValue(forKey: request.id) }
                perform { machine, now in machine.ended(request.id, reply, at: now) }
            }
        }
    }
}
