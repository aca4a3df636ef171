internal import ApusTypes
internal import CGRPC
internal import Synchronization

/// A listening gRPC server. It lives until `close()`.
final class Listener: Sendable {
    private nonisolated(unsafe) let server: OpaquePointer  // the C core's servers may be used from any thread
    let port: Int
    private let accepted: @Sendable (GRPCStream, String) -> Void
    private let closing = Mutex<CheckedContinuation<Void, Never>?>(nil)

    /// Calls `accepted` with each stream and its method. Throws `listener.unavailable`; `setting` is what its operator changes then.
    init(
        address: String, security: RPCSecurity, settings: RPCSettings, setting: String,
        accepted: @escaping @Sendable (GRPCStream, String) -> Void
    ) throws(ApusError) {
        GRPC.start
        var port: Int32 = 0
        guard let server = settings.withOptions(security, { apus_grpc_server_create(address, $0, &port) }) else {
            throw ApusError(
                .listenerUnavailable, "\(address) cannot be listened on for calls between nodes",
                hint: "give \(setting) an address of this machine whose port is free, and check the certificate if there is one",
                context: ["address": address])
        }
        self.server = server
        self.port = Int(port)
        self.accepted = accepted
        acceptNext()
    }

    private func acceptNext() {
        apus_grpc_server_accept(
            server,
            { context, stream, method in
                let listener = Listener.take(context)
                guard let stream, let method else { return }  // it was closed
                listener.acceptNext()
                let name = String(cString: method)
                listener.accepted(GRPCStream(stream, name), name)
            }, retained())
    }

    /// Stops listening and cuts off what is open. Once.
    func close() async {
        await withCheckedContinuation { continuation in
            closing.withLock { $0 = continuation }
            apus_grpc_server_close(server, { Listener.take($0).closing.withLock { $0.take() }?.resume() }, retained())
        }
    }

    /// Each callback of the C core comes exactly once, and holds the listener until then.
    private func retained() -> UnsafeMutableRawPointer { Unmanaged.passRetained(self).toOpaque() }

    private static func take(_ context: UnsafeMutableRawPointer?) -> Listener {
        Unmanaged<Listener>.fromOpaque(context!).takeRetainedValue()  // made by `retained()`
    }
}
