internal import ApusRuntime
internal import ApusTypes
internal import Synchronization

/// A listener as every loop shares it.
final class Listener: Sendable {
    let name: String
    let host: String
    let tls: TLSContext?
    /// Open connections over all loops.
    let connections = Atomic<Int>(0)
    let durations: Histogram
    private let firstRouter: Router
    private let laterRouter = AtomicLazyReference<Later>()

    private final class Later: Sendable {
        let router: Router
        init(_ router: Router) { self.router = router }
    }

    init(_ configuration: ListenerConfiguration, _ metrics: ServerMetrics) throws(ApusError) {
        durations = metrics.durations.with(configuration.name)
        name = configuration.name
        host = configuration.host
        firstRouter = configuration.router
        tls = if let files = configuration.tls { try TLSContext(files: files, listener: configuration.name) } else { nil }
    }

    /// What answers requests from here on.
    var router: Router { laterRouter.load()?.router ?? firstRouter }

    /// Once; again changes nothing.
    func route(by router: Router) { _ = laterRouter.storeIfNil(Later(router)) }
}
