internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// One peer: carries out what its machine decides, in that order.
final class Peer: Sendable {
    private typealias Call = AbandonableCall<[UInt8]>
    private typealias Machine = PeerMachine<Call>

    private let address: String
    private let identity: RPCIdentity
    private let settings: RPCSettings
    private let security: RPCSecurity
    private let lastCall = Atomic<UInt64>(0)
    private let machine: Performer<Machine, Machine.Effect>
    private let connection = Mutex(Connection())

    private struct Connection {
        var channel: GRPCChannel?
        var streams: [Machine.StreamID: GRPCStream] = [:]
        var isWaking = false
    }

    init(address: String, identity: RPCIdentity, security: RPCSecurity, settings: RPCSettings) {
        self.address = address
        self.identity = identity
        self.settings = settings
        self.security = security
        machine = Performer(PeerMachine(address: address, identity: identity, settings: settings))
    }

    /// No connection is open.
    var isIdle: Bool { connection.withLock { $0.channel == nil } }

    func call(_ method: String, _ payload: [UInt8], deadline: Instant, trace: String) async throws -> [UInt8] {
        let call = Call()
        let id = lastCall.wrappingAdd(1, ordering: .relaxed).newValue
        let trace = trace.isEmpty ? "\(identity.node)/\(id)" : trace
        let request = Frame.Request(id: id, method: method, deadline: deadline, trace: trace, payload: payload)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard call.begin(continuation) else { return }
                perform { machine, now in machine.call(request, ticket: call, at: now) }
                let cancelTimer = Deadlines.shared.schedule(at: deadline) { [self] in
                    let late = ApusError(
                        .peerTimeout, "\(address) did not answer in time", context: ["address": address, "method": method, "trace": trace])
                    abandon(id, call, late)
                }
                call.onFinish { cancelTimer?() }
                // It may have been cancelled before the machine knew of it.
                if !call.isWaiting { perform { machine, now in machine.abandon(id, at: now) } }
            }
        } onCancel: {
            abandon(id, call, CancellationError())
        }
    }

    private func abandon(_ id: UInt64, _ call: Call, _ error: any Error) {
        call.finish(.failure(error))
        perform { machine, now in machine.abandon(id, at: now) }
    }

    func close() { perform { machine, _ in machine.close() } }

    // MARK: Effects

    private func perform(_ change: (inout Machine, Instant) -> [Machine.Effect]) { machine.perform(change, carryOut) }

    private func carryOut(_ effect: Machine.Effect) {
        switch effect {
        case .finish(let call, let result): call.finish(result.mapError { $0 })
        case .send(let id, let frame): connection.withLock { $0.streams[id] }?.send(frame.encoded(at: BootClock.now))
        case .open(let id): open(id)
        case .close(let id): connection.withLock { $0.streams.removeValue(forKey: id) }?.cancel()
        case .disconnect: connection.withLock { $0.channel = nil }
        case .wake(let time):
            let isNew = connection.withLock { connection in
                defer { connection.isWaking = true }
                return !connection.isWaking
            }
            guard isNew else { return }
            _ = Deadlines.shared.schedule(at: time) { [weak self] in
                guard let self else { return }
                connection.withLock { $0.isWaking = false }
                perform { machine, now in machine.tick(now) }
            }
        }
    }

    private func open(_ id: Machine.StreamID) {
        do throws(ApusError) {
            let known = connection.withLock(\.channel)
            let channel = if let known { known } else { try GRPCChannel(address: address, security: security, settings: settings) }
            let stream = channel.open(GRPCStream.exchange)
            connection.withLock { connection in
                connection.channel = channel
                connection.streams[id] = stream
            }
            stream.begin(Link(peer: self, id: id, stream: stream))
            stream.receive()
        } catch {
            perform { machine, now in machine.ended(id, error, at: now) }
        }
    }

    /// Tells the peer what happens on one of its streams.
    private final class Link: GRPCStreamOwner {
        private let peer: Peer
        private let id: Machine.StreamID
        private let stream: GRPCStream

        init(peer: Peer, id: Machine.StreamID, stream: GRPCStream) {
            self.peer = peer
            self.id = id
            self.stream = stream
        }

        func received(_ message: UnsafeRawBufferPointer?) {
            guard let message else { return }  // the status says why
            let frames: [Frame?] = (try? Frame.decode(message, at: BootClock.now)) ?? [nil]  // the machine says what is wrong
            peer.perform { machine, now in frames.flatMap { machine.received($0, on: id, at: now) } }
            stream.receive()
        }

        func sent(_ count: Int) { peer.perform { machine, now in machine.sent(count, on: id, at: now) } }

        func ended(_ status: Int32, _ reason: String) {
            peer.connection.withLock { _ = $0.streams.removeValue(forKey: id) }
            peer.perform { machine, now in machine.ended(id, peer.error(status, reason), at: now) }
        }
    }

    private func error(_ status: Int32, _ reason: String) -> ApusError {
        let context = ["address": address, "reason": reason]
        return switch status {
        case GRPCStatus.unauthenticated: Handshake.mismatch(context)
        case GRPCStatus.failedPrecondition: ApusError(.peerVersionMismatch, "\(address) refused: \(reason)", context: context)
        case GRPCStatus.unimplemented:
            ApusError(.peerInvalid, "what answers at \(address) is no node", hint: "check the node's RPC address", context: context)
        default: ApusError(.peerUnreachable, "\(address) cannot be reached", hint: "check that the node runs", context: context)
        }
    }
}
