public import ApusTypes
internal import Synchronization

/// The parts of a request's form, one after the other, as they arrive. Exactly one reader.
///
///     let form = try MultipartForm(request)
///     while let part = try await form.next() {
///         while let bytes = try await part.body.next() { … }
///     }
public final class MultipartForm: Sendable {
    private let body: any RequestBody
    private let state: Mutex<State>

    private struct State {
        var parser: MultipartParser
        /// Number of the part whose body may be read; another part's body is over.
        var current = 0
        var isInBody = false
    }

    public init(_ request: Request, limits: MultipartLimits = MultipartLimits()) throws(ApusError) {
        body = request.body
        state = Mutex(State(parser: try MultipartParser(contentType: request.headers["Content-Type"], limits: limits)))
    }

    /// The next part, nil after the last. What was not read of the part before is read past.
    public func next() async throws -> MultipartPart? {
        let unread = state.withLock { $0.isInBody ? $0.current : nil }
        if let unread { while try await piece(of: unread) != nil {} }
        guard case .begin(let head) = try await event() else { return nil }
        let number = state.withLock { state in
            state.current += 1
            state.isInBody = true
            return state.current
        }
        return MultipartPart(head: head, body: MultipartPartBody(form: self, number: number))
    }

    /// The next bytes of part `number`, nil at its end or when another part was asked for.
    fileprivate func piece(of number: Int) async throws -> [UInt8]? {
        guard state.withLock({ $0.isInBody && $0.current == number }) else { return nil }
        if case .bytes(let bytes) = try await event() { return bytes }
        state.withLock { $0.isInBody = false }
        return nil
    }

    /// The parser's next event, nil at the end of the form; its epilogue is read past.
    private func event() async throws -> MultipartParser.Event? {
        while true {
            if let event = try state.withLock({ try $0.parser.next() }) { return event }
            guard let bytes = try await body.next() else {
                return try state.withLock { state in
                    state.parser.finish()
                    return try state.parser.next()
                }
            }
            state.withLock { $0.parser.feed(bytes) }
        }
    }
}

/// One part of a form; its body is read before the next part is asked for, or never.
public struct MultipartPart: Sendable {
    public var head: MultipartHead
    public var body: any RequestBody

    public var name: String { head.name }
    public var fileName: String? { head.fileName }
}

private struct MultipartPartBody: RequestBody {
    let form: MultipartForm
    let number: Int

    var announcedSize: ByteCount? { nil }
    func next() async throws -> [UInt8]? { try await form.piece(of: number) }
}
