import ApusHTTP
import ApusTypes
import Synchronization

/// What the server behind a proxy saw: every request, in order, once when its head came and once when it was whole.
final class Backend: Middleware {
    struct Seen: Sendable {
        /// `METHOD path`
        var heads: [String] = []
        /// `METHOD path body`
        var requests: [String] = []
    }

    private let state = Mutex(Seen())

    func handle(_ request: Request, next: Handler) async throws -> Response {
        let line = "\(request.method.rawValue) \(request.rawPath)"
        state.withLock { $0.heads.append(line) }
        let body = String(decoding: try await request.body.collect(limit: .kibibytes(64)), as: UTF8.self)
        state.withLock { $0.requests.append("\(line) \(body)") }
        return .text("\(line) \(body)")
    }

    /// What was seen of one attack's requests.
    func seen(_ number: Int) -> Seen {
        state.withLock { seen in
            let mark = "/\(number)/"
            return Seen(heads: seen.heads.filter { $0.contains(mark) }, requests: seen.requests.filter { $0.contains(mark) })
        }
    }
}
