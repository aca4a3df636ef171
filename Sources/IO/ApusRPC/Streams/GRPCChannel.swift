internal import ApusTypes
internal import CGRPC

/// A connection to one address, made when its first stream is opened.
final class GRPCChannel: Sendable {
    private nonisolated(unsafe) let channel: OpaquePointer  // the C core's channels may be used from any thread

    /// Throws `tls.invalid`.
    init(address: String, security: RPCSecurity, settings: RPCSettings) throws(ApusError) {
        GRPC.start
        // A name is resolved by gRPC; an address is taken as it is.
        guard let channel = settings.withOptions(security, { apus_grpc_channel_create("dns:///" + address, $0) }) else {
            throw ApusError(.tlsInvalid, "the certificate, its key or the authority for calls between nodes cannot be used")
        }
        self.channel = channel
    }

    deinit { apus_grpc_channel_free(channel) }

    func open(_ method: String) -> GRPCStream { GRPCStream(apus_grpc_channel_call(channel, method), method) }
}
