internal import ApusRuntime
internal import ApusTypes

/// One request on its way to a reply, with what the server remembers of it for the reply's framing. Belongs to one connection; an
/// object, because a request is large and passing it on as a value would retain each of its parts each time.
final class Exchange {
    let request: Request
    /// The request's body, if it has one.
    var incoming: IncomingBody?
    /// Set when the request could not be read: this is its answer, and no handler sees it.
    var refusal: ApusError?
    let minorVersion: Int
    var keepsAlive: Bool
    let startedAt: Instant

    init(_ head: RequestHead, _ body: any RequestBody, _ connection: Connection) {
        startedAt = connection.now
        minorVersion = head.minorVersion
        keepsAlive = head.keepsAlive
        request = Request(
            method: head.method, path: head.target.path, rawPath: head.target.rawPath, query: head.target.query,
            headers: head.headers, body: body, id: head.requestID ?? connection.server.makeRequestID(), connection: connection.facts,
            deadline: startedAt.advanced(by: connection.limits.requestTime))
    }

    convenience init(refused error: ApusError, _ connection: Connection) {
        self.init(RequestHead(), EmptyBody(), connection)
        refusal = error
        keepsAlive = false
    }
}
