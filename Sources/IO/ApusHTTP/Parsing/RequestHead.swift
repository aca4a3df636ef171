internal import ApusTypes

/// A request's head, read and checked: what the server needs to frame the message and what the handler sees of it.
struct RequestHead {
    var method: Method = .get
    var target = RequestTarget()
    /// 0 or 1: the minor version of HTTP/1.
    var minorVersion = 1
    var headers = Headers()
    var framing = BodyFraming.none
    /// Whether the connection may carry another request after this one, as far as the client is concerned.
    var keepsAlive = true
    var expectsContinue = false
    /// `X-Request-Id` when it is sane enough to be logged and echoed.
    var requestID: String?
}

/// How the end of a request's body is found.
enum BodyFraming: Equatable {
    case none
    /// `Content-Length`, which may be 0.
    case length(Int)
    case chunked
}

/// Finds where a head ends as its bytes arrive, looking at each byte once, and refuses line ends other than CR LF.
///
/// A line end that one program sees and another does not is how requests are smuggled, so a bare CR or LF is refused as soon as it
/// is seen, before anything of the head is used.
struct HeadEnd {
    private var scanned = 0
    private var lineStart = 0
    /// Bytes of the request line, once its end was seen.
    private(set) var requestLine: Int?

    /// Offset just behind the head, or nil when more bytes are needed. `bytes` starts at the head's first byte in every call.
    mutating func find(in bytes: UnsafeRawBufferPointer, limits: HTTPLimits) throws(ApusError) -> Int? {
        while scanned < bytes.count {
            let byte = bytes[scanned]
            if byte == 10 {
                guard scanned > 0, bytes[scanned - 1] == 13 else { throw .malformed("a line ends without CR") }
                let length = scanned - 1 - lineStart
                if requestLine == nil {
                    guard length > 0 else { throw .malformed("the request starts with an empty line") }
                    requestLine = length
                    try checkRequestLine(length, limits)
                } else if length == 0 {
                    scanned += 1
                    guard scanned <= limits.head.bytes else { throw Self.tooLarge(limits) }
                    return scanned
                }
                lineStart = scanned + 1
            } else if scanned > 0, bytes[scanned - 1] == 13 {
                throw .malformed("CR without LF")
            }
            scanned += 1
        }
        if requestLine == nil { try checkRequestLine(scanned - 1, limits) }
        guard scanned <= limits.head.bytes else { throw Self.tooLarge(limits) }
        return nil
    }

    private func checkRequestLine(_ length: Int, _ limits: HTTPLimits) throws(ApusError) {
        guard length <= limits.requestLine.bytes else {
            throw ApusError(.requestLineTooLong, "the request line is longer than \(limits.requestLine)")
        }
    }

    private static func tooLarge(_ limits: HTTPLimits) -> ApusError {
        ApusError(.requestHeadTooLarge, "the request's head is larger than \(limits.head)")
    }
}

extension ApusError {
    /// What is sent cannot be framed safely: answered 400, and the connection is closed.
    static func malformed(_ reason: String) -> ApusError {
        ApusError(.requestUnparsable, "this is not a valid HTTP request: \(reason)")
    }
}
