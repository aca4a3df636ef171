internal import ApusConfig
internal import ApusHTTP
internal import ApusRuntime
internal import ApusTypes
internal import ConsoleFace

/// The node's HTTP listeners, open from its first moment: until its catalog is there they tell its health, and answer all else 503.
struct Front: Sendable {
    let server: HTTPServer
    let bound: [BoundListener]

    static func open(_ configuration: Configuration, loops: EventLoops, health: Health, metrics: MetricsRegistry) async throws -> Front {
        let listeners = configuration.listeners.map { listener in
            var router = ConsoleFace.waiting(health: health)
            router.errors(listener.errorReply)
            return ListenerConfiguration(
                name: listener.name, host: listener.address.host, port: listener.address.port,
                tls: listener.tlsCertificate.flatMap { certificate in
                    listener.tlsKey.map { TLSFiles(certificateChain: certificate, privateKey: $0) }
                },
                router: router)
        }
        let server = HTTPServer(loops: loops, listeners: listeners, limits: configuration.cappedLimits(), metrics: metrics)
        return Front(server: server, bound: try await server.start())
    }
}

extension Configuration {
    /// The limits, with no more connections than this process may have descriptors for.
    fileprivate func cappedLimits() -> HTTPLimits {
        var limits = httpLimits
        let descriptors = DescriptorLimit.raise()
        if limits.cap(toDescriptors: descriptors) {
            Logger("node").warning(
                "fewer connections than configured, because of the limit of open files; raise it (ulimit -n, LimitNOFILE)",
                ["open_files": "\(descriptors)", "connections": "\(limits.connections)"])
        }
        return limits
    }
}
