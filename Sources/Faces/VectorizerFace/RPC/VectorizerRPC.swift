public import ApusCluster
public import ApusHTTP
public import ApusRuntime
public import ApusSockets
public import ApusThunder
public import ApusTypes

/// Vectorizer's binary protocol (port 15503) in front of the same services as its REST API: what its client package `vectorizer_sdk.rpc`
/// sends. `docs/vectorizer-rpc.md` lists the calls.
public final class VectorizerRPC: Sendable {
    public struct Options: Sendable {
        public var thunder = ThunderLimits()
        /// Memory for large requests, over all connections. Beyond: `queue_full`.
        public var requestMemory: ByteCount = .mebibytes(512)
        /// What a call may take.
        public var callTime: Duration = .seconds(30)
        /// Whether this machine's own user and root need no key, as on a listener that only loopback reaches.
        public var isOpenToLocalUser = true

        public init() {}
    }

    let face: VectorizerFace
    let access: Access
    let trust: LocalTrust
    let options: Options
    let budget: MemoryBudget
    private let calls: CounterFamily
    private let durations: HistogramFamily

    public init(face: VectorizerFace, access: Access, trust: LocalTrust, metrics: MetricsRegistry, options: Options = Options()) {
        self.face = face
        self.access = access
        self.trust = trust
        self.options = options
        budget = MemoryBudget(limit: options.requestMemory)
        calls = metrics.counter(
            "apus_vectorizer_rpc_calls_total", help: "Calls of Vectorizer's binary protocol, by what came of them.",
            labels: ["command", "outcome"])
        durations = metrics.histogram(
            "apus_vectorizer_rpc_call_duration_seconds", help: "Time from a call's frame to its reply.", labels: ["command"],
            buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30])
    }

    /// The server of the protocol; `start` opens it.
    public func server(loops: EventLoops, limits: StreamServer.Limits = .init(), metrics: MetricsRegistry) -> StreamServer {
        StreamServer(name: "rpc", loops: loops, limits: limits, metrics: metrics) { [self] connection in
            let session = RPCSession(self, connection)
            session.open()
            return session
        }
    }

    var serverFacts: ThunderMachine.Server {
        .init(version: face.options.version, capabilities: RPCCommand.all.keys.sorted())
    }

    /// Does what a request asks for, and says what to reply.
    func answer(_ request: ThunderRequest, from principal: Principal, deadline: Instant) async -> ThunderReply.Result {
        let started = face.clock.now
        // Names that nobody has defined must not become labels.
        let command = RPCCommand.all[request.command]
        let label = command == nil ? "unknown" : request.command
        defer { durations.with(label).observe(started.duration(to: face.clock.now).seconds) }
        do {
            let value = try await run(command, request, principal, deadline: deadline)
            calls.with(label, "ok").increment()
            return .ok(value)
        } catch {
            let error = Self.described(error, "the call failed")
            calls.with(label, "error").increment()
            face.metrics.countError(error, endpoint: "rpc")
            Self.log(error, request.command)
            return .failure(Self.text(of: error, command: request.command))
        }
    }

    private func run(
        _ command: RPCCommand?, _ request: ThunderRequest, _ principal: Principal, deadline: Instant
    ) async throws -> ThunderValue {
        guard let command else { throw RPCCommand.unknown(request.command) }
        try principal.require(command.role, over: command.reach)
        let arguments = try await arguments(of: request)
        let call = RPCCall(face: face, access: access, principal: principal, deadline: deadline)
        let caller = Caller.Facts(scope: principal.scope, request: "")
        return try await Caller.$current.withValue(caller) { try await command.run(call, arguments) }
    }

    /// A large request is read elsewhere, so that it does not hold the loop up.
    private func arguments(of request: ThunderRequest) async throws -> RPCArguments {
        do {
            if request.size <= Self.readInPlace { return RPCArguments(try request.arguments()) }
            return try await withTaskExecutorPreference(globalConcurrentExecutor) { RPCArguments(try request.arguments()) }
        } catch let problem as ThunderProblem {
            throw ApusError(.protocolInvalid, problem.reason)
        }
    }

    private static let readInPlace = 256 << 10

    /// What is no error of ours is one of the program, unless the client has left and nobody reads this.
    static func described(_ error: any Error, _ summary: String) -> ApusError {
        if let error = error as? ApusError { return error }
        if error is CancellationError, Task.isCancelled {
            return ApusError(.nodeDraining, "the call was not finished before its connection ended")
        }
        return ApusError(.internalError, summary, cause: error)
    }

    /// An error as this protocol's clients read it. The first word of the first two makes their `RpcNotAuthenticated`.
    static func text(of error: ApusError, command: String) -> String {
        let hint = error.hint.map { " (\($0))" } ?? ""
        return switch error.code {
        case .unauthenticated: "NOAUTH \(error.summary)\(hint)"
        case .forbidden: "NOPERM \(command): \(error.summary)\(hint)"
        default: "[\(VectorizerFace.errorType(error.code))] \(command): \(VectorizerFace.message(error))\(hint)"
        }
    }

    private static let logger = Logger("vectorizer-rpc")

    private static func log(_ error: ApusError, _ command: String) {
        func metadata() -> [String: String] {
            var metadata = error.context
            metadata["command"] = command
            metadata["error"] = error.description
            if let cause = error.cause { metadata["cause"] = "\(cause)" }
            return metadata
        }
        if error.code.surface.http == 500 {
            logger.error("a call failed", metadata())
        } else {
            logger.debug("a call was refused", metadata())
        }
    }
}
