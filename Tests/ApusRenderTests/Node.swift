import ApusHTTP
import ApusRuntime
import ApusTypes
import Synchronization

/// A small node behind a balancer: it remembers what it was sent.
final class Node: Middleware {
    enum Behaviour: Sendable {
        case answers(Int = 200)
        /// Takes what comes, and says nothing: a frozen process whose health nobody has asked again yet.
        case hangs
        case isSlow(Duration)
        /// Nobody listens at its address.
        case isDead
        /// Somebody else does.
        case listens(Int)
    }

    struct Call: Sendable {
        /// `METHOD /path`, as it came.
        var line: String
        var headers: Headers
    }

    let name: String
    let behaviour: Behaviour
    private let state = Mutex((isReady: true, calls: [Call](), uploaded: 0))

    init(_ name: String, _ behaviour: Behaviour = .answers()) {
        self.name = name
        self.behaviour = behaviour
    }

    var calls: [Call] { state.withLock { $0.calls } }
    /// Bytes of uploads that have come.
    var uploaded: Int { state.withLock { $0.uploaded } }

    func setReady(_ isReady: Bool) { state.withLock { $0.isReady = isReady } }

    /// The calls of one request: its tries here.
    func calls(of request: String) -> [Call] { calls.filter { $0.headers["X-Request-Id"] == request } }

    func handle(_ request: Request, next: Handler) async throws -> Response {
        if request.path.first == "health" {
            let isReady = state.withLock { $0.isReady }
            return .json(Array(#"{"node":"\#(name)"}"#.utf8), status: isReady ? 200 : 503)
        }
        state.withLock { $0.calls.append(Call(line: "\(request.method.rawValue) \(request.rawPath)", headers: request.headers)) }
        switch behaviour {
        case .hangs: try await BootClock().sleep(until: .distantFuture)
        case .isSlow(let time): try await BootClock().sleep(until: BootClock.now.advanced(by: time))
        case .answers(let status) where status != 200:
            var reply = Response.json(Array(#"{"node":"\#(name)","why":"its own"}"#.utf8), status: status)
            reply.headers["Retry-After"] = "7"
            return reply
        case .answers, .isDead, .listens: break
        }
        return try await next(request)
    }

    func mount(on router: inout Router) {
        router.use(self)
        router.on(.get, "/events") { _ in
            .events { writer in
                try await writer.send(ServerSentEvent("one"))
                try await BootClock().sleep(until: BootClock.now.advanced(by: .milliseconds(1500)))
                try await writer.send(ServerSentEvent("two"))
            }
        }
        router.on(.get, "/socket") { _ in
            Response(body: .webSocket { socket in while let message = try await socket.receive() { try await socket.send(message) } })
        }
        router.on(.post, "/qdrant/collections/{collection}/snapshots/upload") { [self] request in
            while let bytes = try await request.body.next() { state.withLock { $0.uploaded += bytes.count } }
            return .text("\(uploaded)")
        }
        router.errors { [name] error, _ in error.code == .routeUnknown ? .text(name) : .text("\(error)", status: 500) }
    }
}
