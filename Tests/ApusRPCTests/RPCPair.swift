import ApusTypes
import Synchronization
import TestKit

@testable import ApusRPC
@testable import ApusRuntime

/// A server and a client of one cluster, on loopback.
struct RPCPair {
    static let secret = Redacted("correct horse battery staple")

    let server: RPCServer
    let peers: RPCPeers
    let metrics: MetricsRegistry
    let port: Int
    var address: String { "127.0.0.1:\(port)" }

    static func identity(_ node: NodeName, secret: Redacted<String> = secret, versions: ClosedRange<UInt32>? = nil) -> RPCIdentity {
        var identity = RPCIdentity(node: node, clusterSecret: secret)
        if let versions { identity.versions = versions }
        return identity
    }

    /// Both ends with the same settings, and handlers for what the tests ask.
    static func start(
        server: RPCIdentity = identity("server"), client: RPCIdentity = identity("client"), security: RPCSecurity = .plaintext,
        clientSecurity: RPCSecurity? = nil, port: Int = 0, health: TestHealth = TestHealth(),
        handlers: [String: RPCHandler] = [:], _ change: (inout RPCSettings) -> Void = { _ in }
    ) throws -> RPCPair {
        var settings = RPCSettings()
        change(&settings)
        let metrics = MetricsRegistry()
        let common: [String: RPCHandler] = [
            "echo": { $0.payload },
            "who": { Array("\($0.peer) \($0.trace)".utf8) },
            "never": { _ in
                try await BootClock().sleep(until: .distantFuture)
                return []
            },
        ]
        let rpc = RPCServer(
            identity: server, security: security, settings: settings, loops: TestLoops.shared, metrics: metrics, health: { health[$0] },
            handlers: common.merging(handlers) { $1 })
        let bound = try rpc.start(host: "127.0.0.1", port: port, setting: "rpc.address")
        return RPCPair(
            server: rpc, peers: RPCPeers(identity: client, security: clientSecurity ?? security, settings: settings, metrics: metrics),
            metrics: metrics, port: bound)
    }

    func call(_ method: String, _ payload: [UInt8] = [], within seconds: Double = 20, trace: String = "") async throws -> [UInt8] {
        try await peers.call(address, method, payload, deadline: .after(seconds), trace: trace)
    }

    /// The code of the error that a call ends with; nil if it succeeds.
    func code(of method: String, _ payload: [UInt8] = [], within seconds: Double = 20) async throws -> ErrorCode? {
        do {
            _ = try await call(method, payload, within: seconds)
            return nil
        } catch let error as ApusError {
            return error.code
        }
    }

    func stop() async {
        peers.close()
        await server.drain(deadline: .after(2))
    }
}

extension Instant {
    static func after(_ seconds: Double) -> Instant { BootClock.now.advanced(by: .milliseconds(Int64(seconds * 1000))) }
}

/// Lets handlers wait until a test says so, and counts them.
final class Gate: Sendable {
    private let state = Mutex((isOpen: false, entered: 0, left: 0, cancelled: 0))

    var entered: Int { state.withLock { $0.entered } }
    var left: Int { state.withLock { $0.left } }
    var cancelled: Int { state.withLock { $0.cancelled } }

    func open() { state.withLock { $0.isOpen = true } }

    func pass() async throws {
        state.withLock { $0.entered += 1 }
        do {
            try await eventually("the gate is open") { state.withLock { $0.isOpen } }
            state.withLock { $0.left += 1 }
        } catch {
            state.withLock { $0.cancelled += 1 }
            throw error
        }
    }
}

/// How services are. Whoever asks for "advance" takes "changing" one step on, from unknown over not serving to serving.
final class TestHealth: Sendable {
    private let services = Mutex<[String: RPCHealth]>(["": .serving, "vectors": .notServing])

    subscript(service: String) -> RPCHealth? {
        services.withLock { services in
            guard service == "advance" else { return services[service] }
            services["changing"] = services["changing"] == nil ? .notServing : .serving
            return .serving
        }
    }
}
