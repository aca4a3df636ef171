public import ApusRuntime
public import ApusTypes
internal import Synchronization

/// Calls to the other nodes of the cluster: one stream to each, opened by the first call and closed when no call came for a while.
public final class RPCPeers: Sendable {
    private let identity: RPCIdentity
    private let security: RPCSecurity
    private let settings: RPCSettings
    private let calls: CounterFamily
    private let durations: HistogramFamily
    private let state = Mutex(State())

    private struct State {
        var peers: [String: Peer] = [:]
        var isClosed = false
    }

    public init(identity: RPCIdentity, security: RPCSecurity, settings: RPCSettings = RPCSettings(), metrics: MetricsRegistry) {
        self.identity = identity
        self.security = security
        self.settings = settings
        calls = metrics.counter("apus_rpc_calls_total", help: "Calls to other nodes, by what came of them.", labels: ["peer", "outcome"])
        durations = metrics.histogram(
            "apus_rpc_call_duration_seconds", help: "Time from a call to another node to its reply.", labels: ["peer"], buckets: rpcBuckets)
    }

    /// Asks the node at `address` ("host:port") and returns its reply. `trace` names in both nodes' logs what the call is part of.
    ///
    /// Throws what the other node's handler threw, with that node in `context["node"]`, or one of the codes `peer.…`: `unreachable` if nothing
    /// was sent, `disconnected` and `timeout` if the call may have run, `busy`, `secret_mismatch`, `version_mismatch`, `invalid_response`.
    /// `request.too_large` beyond the settings' limit, and `CancellationError` when the task is cancelled, which the other node is told.
    public func call(
        _ address: String, _ method: String, _ payload: [UInt8], deadline: Instant, trace: String = ""
    ) async throws -> [UInt8] {
        guard payload.count <= settings.payload.bytes else {
            throw ApusError(.requestTooLarge, "a request to another node has at most \(settings.payload)", context: ["method": method])
        }
        let start = BootClock.now
        var outcome = "cancelled"
        defer { calls.with(address, outcome).increment() }
        do {
            let reply = try await peer(address).call(method, payload, deadline: deadline, trace: trace)
            outcome = "ok"
            durations.with(address).observe(start.duration(to: BootClock.now).seconds)
            return reply
        } catch let error as ApusError {
            outcome = error.code.rawValue
            throw error
        }
    }

    /// Ends all calls and connections; later calls fail.
    public func close() {
        let peers = state.withLock { state in
            state.isClosed = true
            return Array(state.peers.values)
        }
        peers.forEach { $0.close() }
    }

    private func peer(_ address: String) throws(ApusError) -> Peer {
        try state.withLock { state throws(ApusError) in
            if let peer = state.peers[address] { return peer }
            guard !state.isClosed else { throw ApusError(.peerUnreachable, "this node does not call others any more, because it ends") }
            // Addresses come and go with nodes. A call that still has an idle peer may use it all the same.
            state.peers = state.peers.filter { !$0.value.isIdle }
            let peer = Peer(address: address, identity: identity, security: security, settings: settings)
            state.peers[address] = peer
            return peer
        }
    }
}

let rpcBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
