internal import ApusRuntime
internal import ApusTypes
internal import CGRPC

/// gRPC's C core in this process: started when first used, with one thread for its completion queue, and never ended.
enum GRPC {
    private static let log = Logger("grpc")

    static let start: Void = {
        apus_grpc_start { text in GRPC.log.debug("a line of gRPC's own log", ["text": text.map { String(cString: $0) } ?? ""]) }
        Thread.start(name: "apus-grpc") { apus_grpc_run() }
    }()
}

/// Statuses of `google.rpc.Code` that are told or understood here.
enum GRPCStatus {
    static let ok: Int32 = 0
    static let invalidArgument: Int32 = 3
    static let notFound: Int32 = 5
    static let resourceExhausted: Int32 = 8
    static let failedPrecondition: Int32 = 9
    static let unimplemented: Int32 = 12
    static let unavailable: Int32 = 14
    static let unauthenticated: Int32 = 16
}

extension RPCSettings {
    /// Calls `body` with what the C core is told.
    func withOptions<Value>(_ security: RPCSecurity, _ body: (UnsafePointer<apus_grpc_options>) -> Value) -> Value {
        var options = apus_grpc_options()
        // A message holds one frame of any allowed size, or several small ones.
        options.max_message = Int32(clamping: max(payload.bytes, Outgoing.batch) + 65536)
        options.max_streams = 16
        options.keepalive_interval = Int32(clamping: keepAliveInterval.milliseconds)
        options.keepalive_timeout = Int32(clamping: keepAliveTimeout.milliseconds)
        options.connect_timeout = Int32(clamping: connectTime.milliseconds)
        options.max_backoff = Int32(clamping: maxBackoff.milliseconds)
        guard case .mutualTLS(let ca, let certificate, let key) = security else { return body(&options) }
        return ca.withCString { ca in
            certificate.withCString { certificate in
                key.reveal().withCString { key in
                    (options.ca, options.certificate, options.key) = (ca, certificate, key)
                    return body(&options)
                }
            }
        }
    }
}
