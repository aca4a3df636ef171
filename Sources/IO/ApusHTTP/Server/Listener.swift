internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// A listener as every loop shares it.
final class Listener: Sendable {
    let name: String
    let host: String
    let router: Router
    let tls: TLSContext?
    /// Open connections over all loops.
    let connections = Atomic<Int>(0)
    let durations: Histogram

    init(_ configuration: ListenerConfiguration, _ metrics: ServerMetrics) throws(ApusError) {
        durations = metrics.durations.with(configuration.name)
        name = configuration.name
        host = configuration.host
        router = configuration.router
        tls = if let files = configuration.tls { try TLSContext(files: files, listener: configuration.name) } else { nil }
    }
}
