public import ApusRuntime
public import ApusTypes

/// The HTTP/1.1 server: every listener is open on every loop, and a request is handled on the loop that read it.
public final class HTTPServer: Sendable {
    private let loops: EventLoops
    private let listeners: [ListenerConfiguration]
    private let limits: HTTPLimits

    public init(loops: EventLoops, listeners: [ListenerConfiguration], limits: HTTPLimits = .standard) {
        self.loops = loops
        self.listeners = listeners
        self.limits = limits
    }

    /// Opens all listeners, or none. Throws `listener.unavailable` naming the address, and what to do about it.
    public func start() async throws -> [BoundListener] { preconditionFailure("not started yet") }

    /// Stops accepting, lets running requests finish with `Connection: close`, and aborts what is left at `deadline`.
    /// Returns how many connections were aborted.
    @discardableResult
    public func drain(deadline: Instant) async -> Int { 0 }
}
