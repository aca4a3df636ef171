internal import ApusRuntime
internal import CGRPC
internal import Synchronization

/// Bytes on their way out. The payload is kept apart, so that it is copied once: into the message.
struct Outgoing: Sendable {
    var head: [UInt8]
    var payload: [UInt8] = []

    var count: Int { head.count + payload.count }

    /// How many bytes of small frames share a message.
    static let batch = 256 << 10
}

/// What happens on a stream, on any thread. Must not block.
protocol GRPCStreamOwner: AnyObject, Sendable {
    /// What `receive()` asked for; the bytes are valid during the call only. Nil: no more messages come.
    func received(_ message: UnsafeRawBufferPointer?)
    /// So many bytes of queued payloads have left.
    func sent(_ count: Int)
    /// A client sees the call's status; a server sees 0, or 1 for a call that was cut off. Comes once; nothing is sent any more.
    func ended(_ status: Int32, _ reason: String)
}

/// One gRPC call and what waits to be sent on it.
final class GRPCStream: Sendable {
    /// The method that carries frames.
    static let exchange = "/apus.v1.Node/Exchange"

    // The C core's calls may be used from any thread; `isWriting` keeps sends apart.
    private nonisolated(unsafe) let stream: OpaquePointer
    /// Queued pieces may share a message: the protocol's messages are joined by appending them.
    private let isJoining: Bool
    private let state = Mutex(State())

    private struct State {
        /// From `begin` until the end.
        var owner: (any GRPCStreamOwner)?
        var queue: [Outgoing] = []
        /// A thread writes, or will.
        var isWriting = false
        /// What a server ends the call with once the queue is empty.
        var finish: (status: Int32, reason: String)?
        var isOver = false
        /// Bytes of payloads in the message that is being sent.
        var sending = 0

        mutating func end() {
            isOver = true
            queue = []
        }

        mutating func takeBatch(joining: Bool) -> [Outgoing] {
            var (count, bytes) = (0, 0)
            while count < queue.count, count == 0 || (joining && bytes + queue[count].count <= Outgoing.batch) {
                bytes += queue[count].count
                count += 1
            }
            let batch = Array(queue[..<count])
            queue.removeFirst(count)
            sending = batch.reduce(0) { $0 + $1.payload.count }
            return batch
        }
    }

    /// Takes over `stream`, a call of `method`.
    init(_ stream: OpaquePointer, _ method: String) {
        self.stream = stream
        isJoining = method == Self.exchange
    }

    deinit { apus_grpc_stream_free(stream) }

    /// `owner` is kept until the end.
    func begin(_ owner: any GRPCStreamOwner) {
        state.withLock { $0.owner = owner }
        apus_grpc_stream_begin(
            stream,
            { context, status, reason in GRPCStream.take(context).ended(status, reason.map { String(cString: $0) } ?? "") }, retained())
    }

    /// Something is queued or being sent.
    var isWriting: Bool { state.withLock { $0.isWriting } }

    func receive() {
        apus_grpc_stream_receive(
            stream,
            { context, bytes, count in
                let owner = GRPCStream.take(context).state.withLock { $0.owner }
                owner?.received(bytes.map { UnsafeRawBufferPointer(start: $0, count: count) })
            }, retained())
    }

    /// Queues `piece`. Pieces that were queued in one turn of an event loop, or while others were being written, travel together.
    func send(_ piece: Outgoing) {
        let begins = state.withLock { state in
            guard !state.isOver else { return false }
            state.queue.append(piece)
            defer { state.isWriting = true }
            return !state.isWriting
        }
        guard begins else { return }
        if let loop = EventLoop.current { loop.execute { self.write() } } else { write() }
    }

    /// A server ends the call, behind what is queued.
    func finish(_ status: Int32, _ reason: String = "") {
        let begins = state.withLock { state in
            guard !state.isOver, state.finish == nil else { return false }
            state.finish = (status, reason)
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if begins { write() }
    }

    /// Ends the call at once.
    func cancel() { apus_grpc_stream_cancel(stream) }

    // MARK: Writing

    private enum Step {
        case send([Outgoing])
        case finish(Int32, String)
        case rest
    }

    /// Sends what is queued, or ends the call.
    private func write() {
        let step: Step = state.withLock { state in
            if !state.queue.isEmpty { return .send(state.takeBatch(joining: isJoining)) }
            if let finish = state.finish, !state.isOver {
                state.isOver = true
                return .finish(finish.status, finish.reason)
            }
            state.isWriting = false
            return .rest
        }
        switch step {
        case .rest: return
        case .finish(let status, let reason): apus_grpc_stream_finish(stream, status, reason)
        case .send(let pieces):
            apus_grpc_stream_send(
                stream, Self.message(pieces), { context, isSent in GRPCStream.take(context).sent(isSent) }, retained())
        }
    }

    private func sent(_ isSent: Bool) {
        let (owner, count) = state.withLock { state in
            if !isSent { state.end() }
            return (state.owner, state.sending)
        }
        guard isSent else { return }
        owner?.sent(count)
        write()
    }

    private static func message(_ pieces: [Outgoing]) -> OpaquePointer? {
        var bytes: UnsafeMutablePointer<UInt8>?
        let message = apus_grpc_message_create(pieces.reduce(0) { $0 + $1.count }, &bytes)
        for piece in pieces {
            for part in [piece.head, piece.payload] {
                part.withUnsafeBufferPointer { part in
                    if let start = part.baseAddress { bytes?.update(from: start, count: part.count) }
                }
                bytes = bytes?.advanced(by: part.count)
            }
        }
        return message
    }

    private func ended(_ status: Int32, _ reason: String) {
        let owner = state.withLock { state in
            state.end()
            return state.owner.take()
        }
        owner?.ended(status, reason)
    }

    // MARK: Contexts

    /// Each callback of the C core comes exactly once, and holds the stream until then.
    private func retained() -> UnsafeMutableRawPointer { Unmanaged.passRetained(self).toOpaque() }

    private static func take(_ context: UnsafeMutableRawPointer?) -> GRPCStream {
        Unmanaged<GRPCStream>.fromOpaque(context!).takeRetainedValue()  // made by `retained()`
    }
}
