internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// What tools may ask without a secret.
enum Tool {
    case check, watch, reflection
    /// Everything else is answered with a status.
    case refusal(Int32, String)

    init(_ method: String) {
        self =
            switch method {
            case "/grpc.health.v1.Health/Check": .check
            case "/grpc.health.v1.Health/Watch": .watch
            case "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": .reflection
            case "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": .reflection
            default: .refusal(GRPCStatus.unimplemented, "this node does not serve \(method)")
            }
    }
}

/// A call of health or reflection. The next message is read when the answer to the last one has left.
final class ToolStream: GRPCStreamOwner {
    private let server: RPCServer
    private let stream: GRPCStream
    private let tool: Tool
    private let watch = Mutex<Task<Void, Never>?>(nil)

    init(_ server: RPCServer, _ stream: GRPCStream, _ tool: Tool) {
        self.server = server
        self.stream = stream
        self.tool = tool
    }

    func begin() {
        stream.begin(self)
        if case .refusal(let status, let reason) = tool { stream.finish(status, reason) } else { stream.receive() }
    }

    func received(_ message: UnsafeRawBufferPointer?) {
        guard let message else { return stream.finish(GRPCStatus.ok) }
        guard message.count <= 65536 else { return stream.finish(GRPCStatus.invalidArgument, "the question is too long") }
        do {
            switch tool {
            case .check:
                guard let health = server.health(try message.field(1).string) else {
                    return stream.finish(GRPCStatus.notFound, "no service has this name")
                }
                stream.send(Self.answer(health.rawValue))
                stream.finish(GRPCStatus.ok)
            case .watch: follow(try message.field(1).string)
            case .reflection: stream.send(Outgoing(head: try Descriptors.served.answer(message)))
            case .refusal: return
            }
        } catch {
            stream.finish(GRPCStatus.invalidArgument, error.summary)
        }
    }

    func sent(_ count: Int) { if case .reflection = tool { stream.receive() } }

    func ended(_ status: Int32, _ reason: String) {
        watch.withLock { $0.take() }?.cancel()
        server.forgetTool()
    }

    /// Tells how `service` is, and again whenever that has changed. A service that is not known may be, later.
    private func follow(_ service: String) {
        let task = Task(executorPreference: server.loops.any) { [stream, server] in
            var last: Int?
            for await _ in BootClock().ticks(every: .milliseconds(500)) {
                let health = server.health(service)?.rawValue ?? 3
                if health != last { stream.send(Self.answer(health)) }
                last = health
            }
        }
        watch.withLock { $0 = task }
    }

    /// A `HealthCheckResponse`.
    private static func answer(_ status: Int) -> Outgoing {
        var writer = ProtobufWriter()
        writer.integer(1, status)
        return Outgoing(head: writer.bytes)
    }
}
