internal import ApusTypes
internal import CLLHTTP

/// Frames one connection's requests with llhttp, the parser of Node.js, in its strict form.
///
/// The head was read and checked before (`RequestHead`); llhttp reads the same bytes, and a request whose length the two see
/// differently is refused. Bodies are decoded by llhttp alone. Belongs to one loop.
final class MessageFraming {
    /// What became of the bytes that were fed.
    enum Progress {
        /// All bytes were used; the message goes on.
        case more
        /// The message ended behind this many bytes.
        case complete(Int)
    }

    private let parser: UnsafeMutablePointer<llhttp_t>
    private let limits: HTTPLimits
    /// Bytes of the body that were decoded and not taken yet.
    private var decoded: [UInt8] = []
    private var extensionBytes = 0
    private var trailerBytes = 0
    private var isHeadComplete = false
    private var isTooLarge: ApusError?
    private var bodyBytes = 0

    init(limits: HTTPLimits) {
        self.limits = limits
        parser = .allocate(capacity: 1)
        llhttp_init(parser, HTTP_REQUEST, Self.settings)
        parser.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit { parser.deallocate() }

    /// Reads a head's bytes. Returns whether a body follows.
    func begin(_ bytes: UnsafeRawBufferPointer, head: RequestHead) throws(ApusError) -> Bool {
        extensionBytes = 0
        trailerBytes = 0
        bodyBytes = 0
        isHeadComplete = false
        let progress = try feed(bytes)
        let flags = Int(parser.pointee.flags)
        let isChunked = flags & Int(F_CHUNKED.rawValue) != 0
        let length = flags & Int(F_CONTENT_LENGTH.rawValue) != 0 ? parser.pointee.content_length : 0
        switch (head.framing, progress) {
        case (.none, .complete(bytes.count)) where !isChunked: return false
        case (.length(0), .complete(bytes.count)) where !isChunked: return false
        case (.length(let expected), .more) where isHeadComplete && !isChunked && length == UInt64(expected): return true
        case (.chunked, .more) where isHeadComplete && isChunked: return true
        default: throw .malformed("its length can be read in two ways")
        }
    }

    /// Reads bytes of a body, up to its end at most; `take()` gives what they decode to.
    func feed(_ bytes: UnsafeRawBufferPointer) throws(ApusError) -> Progress {
        guard let start = bytes.bindMemory(to: CChar.self).baseAddress else { return .more }
        let status = llhttp_execute(parser, start, bytes.count)
        switch status {
        case HPE_OK: return .more
        case HPE_PAUSED:
            let end = llhttp_get_error_pos(parser).map { UnsafePointer($0) - start } ?? bytes.count
            llhttp_resume(parser)
            return .complete(end)
        default:
            if let isTooLarge { throw isTooLarge }
            throw .malformed(String(cString: llhttp_get_error_reason(parser)))
        }
    }

    /// The body's bytes that were decoded since the last call.
    func take() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &decoded)
        return taken
    }

    // MARK: Callbacks

    private static func of(_ parser: UnsafeMutablePointer<llhttp_t>?) -> MessageFraming {
        // Set in init, and the parser is this object's own.
        Unmanaged<MessageFraming>.fromOpaque(parser!.pointee.data).takeUnretainedValue()
    }

    private func refuse(_ error: ApusError) -> Int32 {
        isTooLarge = error
        return -1
    }

    private func decode(_ bytes: UnsafeRawBufferPointer) -> Int32 {
        bodyBytes += bytes.count
        guard bodyBytes <= limits.body.bytes else {
            return refuse(ApusError(.requestTooLarge, "the request body is larger than \(limits.body)"))
        }
        if decoded.isEmpty { decoded = Array(bytes) } else { decoded.append(contentsOf: bytes) }
        return 0
    }

    private func countExtension(_ bytes: Int) -> Int32 {
        extensionBytes += bytes
        guard extensionBytes <= limits.chunkExtensions.bytes else { return refuse(.malformed("a chunk's extensions are too long")) }
        return 0
    }

    /// Trailers arrive through the same callbacks as header fields, which were checked before and do not count.
    private func countTrailer(_ bytes: Int) -> Int32 {
        guard isHeadComplete else { return 0 }
        trailerBytes += bytes
        guard trailerBytes <= limits.trailers.bytes else {
            return refuse(ApusError(.requestHeadTooLarge, "the trailers are larger than \(limits.trailers)"))
        }
        return 0
    }

    // Written once, before the first parser exists, and only read afterwards; llhttp wants it to stay where it is.
    private nonisolated(unsafe) static let settings: UnsafeMutablePointer<llhttp_settings_t> = {
        let settings = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
        llhttp_settings_init(settings)
        settings.pointee.on_headers_complete = { parser in
            of(parser).isHeadComplete = true
            parser!.pointee.upgrade = 0  // the server decides about upgrades; llhttp must not stop framing because of a header
            return 0
        }
        settings.pointee.on_message_complete = { _ in Int32(HPE_PAUSED.rawValue) }
        settings.pointee.on_body = { of($0).decode(UnsafeRawBufferPointer(start: $1, count: $2)) }
        settings.pointee.on_chunk_header = { parser in
            of(parser).extensionBytes = 0
            return 0
        }
        settings.pointee.on_chunk_extension_name = { parser, _, count in of(parser).countExtension(count) }
        settings.pointee.on_chunk_extension_value = { parser, _, count in of(parser).countExtension(count) }
        settings.pointee.on_header_field = { parser, _, count in of(parser).countTrailer(count) }
        settings.pointee.on_header_value = { parser, _, count in of(parser).countTrailer(count) }
        return settings
    }()
}
