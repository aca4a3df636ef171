internal import ApusTypes
internal import CLLHTTP

/// Reads one connection's replies with llhttp. One task at a time.
final class ResponseParser {
    struct Head: Sendable {
        var status: Int
        var headers: Headers
    }

    private let parser: UnsafeMutablePointer<llhttp_t>
    private let headLimit: Int
    private var headBytes = 0
    private var name: [UInt8] = []
    private var value: [UInt8] = []
    private var headers = Headers()
    private var isForHead = false
    private var overflow: ApusError?
    /// The reply's head, once it is complete; informational replies are read past.
    private(set) var head: Head?
    private var body: [UInt8] = []
    /// Whether the reply has ended.
    private(set) var isComplete = false
    /// Whether the connection may carry another request.
    private(set) var keepsAlive = false
    /// What came behind the reply: the bytes of another protocol after 101, else nothing that was asked for.
    private(set) var rest: [UInt8] = []

    init(headLimit: ByteCount) {
        self.headLimit = headLimit.bytes
        parser = .allocate(capacity: 1)
        llhttp_init(parser, HTTP_RESPONSE, Self.settings)
        parser.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit { parser.deallocate() }

    /// The next reply answers a request of this method.
    func begin(_ method: Method) {
        isForHead = method == .head
        isComplete = false
        head = nil
        headBytes = 0
        body = []
    }

    /// Reads bytes; those behind the reply's end go to `rest`.
    func feed(_ bytes: [UInt8]) throws(ApusError) {
        var start = 0
        while start < bytes.count, !isComplete {
            let status = bytes.withUnsafeBytes { raw in
                let begin = raw.bindMemory(to: CChar.self).baseAddress! + start  // not empty
                let status = llhttp_execute(parser, begin, raw.count - start)
                if status == HPE_OK {
                    start = raw.count
                } else if let end = llhttp_get_error_pos(parser) {
                    start = UnsafeRawPointer(end) - raw.baseAddress!
                }
                return status
            }
            switch status {
            case HPE_OK: break
            case HPE_PAUSED: llhttp_resume(parser)
            case HPE_PAUSED_UPGRADE: isComplete = true
            default:
                if let overflow { throw overflow }
                throw Self.broken(String(cString: llhttp_get_error_reason(parser)))
            }
        }
        if start < bytes.count { rest += bytes[start...] }
    }

    /// The connection has ended.
    func finish() throws(ApusError) {
        guard !isComplete else { return }
        let status = llhttp_finish(parser)
        guard status == HPE_OK || status == HPE_PAUSED, isComplete else {
            throw ApusError(.peerUnavailable, head == nil ? "the connection ended before a reply" : "the connection ended within a reply")
        }
        keepsAlive = false
    }

    /// Bytes of the body that were not taken yet.
    func take() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &body)
        return taken
    }

    private static func broken(_ reason: String) -> ApusError {
        ApusError(.peerInvalid, "the server's reply is not valid HTTP: \(reason)")
    }

    // MARK: Callbacks

    private static func of(_ parser: UnsafeMutablePointer<llhttp_t>?) -> ResponseParser {
        Unmanaged<ResponseParser>.fromOpaque(parser!.pointee.data).takeUnretainedValue()  // set in init; the parser is this object's own
    }

    private func count(_ bytes: Int) -> Int32 {
        headBytes += bytes
        guard headBytes <= headLimit else {
            overflow = ApusError(.peerInvalid, "the head or the trailers of the server's reply are larger than \(ByteCount(headLimit))")
            return -1
        }
        return 0
    }

    private func endField() {
        // Trailers come through the same callbacks, after the head; nothing uses them.
        if head == nil { headers.add(String(decoding: name, as: UTF8.self), value.withUnsafeBytes { ASCII.text($0) }) }
        name.removeAll(keepingCapacity: true)
        value.removeAll(keepingCapacity: true)
    }

    private func endHead() -> Int32 {
        let status = Int(parser.pointee.status_code)
        var complete = Headers()
        swap(&complete, &headers)
        guard status >= 200 || status == 101 else { return 0 }
        head = Head(status: status, headers: complete)
        keepsAlive = llhttp_should_keep_alive(parser) != 0 && status != 101
        return isForHead ? 1 : 0  // 1: there is no body, whatever the head says
    }

    private func endMessage() -> Int32 {
        guard head != nil else {
            headBytes = 0
            return 0  // an informational reply: the real one follows
        }
        isComplete = true
        return Int32(HPE_PAUSED.rawValue)
    }

    // Written once, before the first parser exists, and only read afterwards; llhttp wants it to stay where it is.
    private nonisolated(unsafe) static let settings: UnsafeMutablePointer<llhttp_settings_t> = {
        let settings = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
        llhttp_settings_init(settings)
        settings.pointee.on_status = { of($0).count($2) }
        settings.pointee.on_header_field = { parser, bytes, count in
            of(parser).name += UnsafeRawBufferPointer(start: bytes, count: count)
            return of(parser).count(count)
        }
        settings.pointee.on_header_value = { parser, bytes, count in
            of(parser).value += UnsafeRawBufferPointer(start: bytes, count: count)
            return of(parser).count(count)
        }
        settings.pointee.on_header_value_complete = { parser in
            of(parser).endField()
            return of(parser).count(4)
        }
        settings.pointee.on_headers_complete = { of($0).endHead() }
        settings.pointee.on_body = { parser, bytes, count in
            of(parser).body += UnsafeRawBufferPointer(start: bytes, count: count)
            return 0
        }
        settings.pointee.on_chunk_extension_name = { of($0).count($2) }
        settings.pointee.on_chunk_extension_value = { of($0).count($2) }
        settings.pointee.on_message_complete = { of($0).endMessage() }
        return settings
    }()
}
