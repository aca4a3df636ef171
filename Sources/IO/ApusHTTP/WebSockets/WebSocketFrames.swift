internal import ApusTypes

/// The end of a WebSocket: RFC 6455 section 7.4 lists the codes.
struct WebSocketClose: Error, Hashable, Sendable {
    var code: UInt16
    var reason: String

    static let normal: UInt16 = 1000
    static let goingAway: UInt16 = 1001
    static let protocolError: UInt16 = 1002
    /// A close frame without a code; never sent.
    static let noCode: UInt16 = 1005
    static let invalidText: UInt16 = 1007
    static let tooLarge: UInt16 = 1009
    static let internalError: UInt16 = 1011

    /// Whether the code may travel in a frame.
    static func isSendable(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    /// Payload of the close frame: code and reason, at most 125 bytes, cut between characters.
    var payload: [UInt8] {
        guard Self.isSendable(code) else { return [] }
        var reason = reason
        while reason.utf8.count > 123 { reason.removeLast() }
        return [UInt8(code >> 8), UInt8(code & 255)] + Array(reason.utf8)
    }
}

enum WebSocketOpcode: UInt8 {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10
}

/// Which side of a WebSocket this is: clients mask what they send, servers do not.
enum WebSocketSide { case server, client }

/// Reads one direction of a WebSocket as its bytes arrive. Anything that RFC 6455 forbids is thrown as the close to answer with.
struct WebSocketReader {
    enum Event: Hashable {
        case message(WebSocketMessage)
        case ping([UInt8])
        case pong([UInt8])
        case close(WebSocketClose)
    }

    private struct Frame {
        var isFinal: Bool
        var opcode: WebSocketOpcode
        var mask: [UInt8]?
        var remaining: Int
        /// Bytes unmasked so far, which says where in the mask the next one is.
        var offset = 0
    }

    private let side: WebSocketSide
    private let limit: Int
    private var buffer: [UInt8] = []
    private var position = 0
    private var frame: Frame?
    /// Kind of the message whose fragments are being joined.
    private var messageKind: WebSocketOpcode?
    private var message: [UInt8] = []
    private var control: [UInt8] = []
    private var validator = UTF8Validator()

    /// `limit` bounds a whole message.
    init(side: WebSocketSide, limit: ByteCount) {
        self.side = side
        self.limit = limit.bytes
    }

    mutating func feed(_ bytes: [UInt8]) {
        if position == buffer.count {
            buffer = bytes
        } else {
            buffer.removeFirst(position)
            buffer.append(contentsOf: bytes)
        }
        position = 0
    }

    /// The next event, nil when more bytes are needed. After an error or a close nothing more may be read.
    mutating func next() throws(WebSocketClose) -> Event? {
        while true {
            if frame == nil {
                frame = try readHead()
                guard frame != nil else { return nil }
            }
            guard try readPayload() else { return nil }
            if let event = try endFrame() { return event }
        }
    }

    // MARK: Frames

    private mutating func readHead() throws(WebSocketClose) -> Frame? {
        let rest = buffer[position...]
        guard rest.count >= 2 else { return nil }
        let first = rest[position]
        let second = rest[position + 1]
        guard first & 0x70 == 0 else { throw Self.wrong("an extension is used that was not agreed") }
        guard let opcode = WebSocketOpcode(rawValue: first & 15) else { throw Self.wrong("an opcode is not known") }
        let isFinal = first & 0x80 != 0
        let isMasked = second & 0x80 != 0
        guard isMasked == (side == .server) else {
            throw Self.wrong(isMasked ? "a server's frame is masked" : "a client's frame is not masked")
        }
        try check(opcode, isFinal: isFinal, shortLength: second & 0x7F)

        let lengthBytes = second & 0x7F < 126 ? 0 : second & 0x7F == 126 ? 2 : 8
        let headBytes = 2 + lengthBytes + (isMasked ? 4 : 0)
        guard rest.count >= headBytes else { return nil }
        var length = UInt64(second & 0x7F)
        if lengthBytes > 0 {
            length = rest[(position + 2)..<(position + 2 + lengthBytes)].reduce(0) { $0 << 8 | UInt64($1) }
            guard length >= (lengthBytes == 2 ? 126 : 65_536), length >> 63 == 0 else {
                throw Self.wrong("a length is not in its shortest form")
            }
        }
        if opcode.rawValue < 8, length > UInt64(limit - message.count) {
            throw WebSocketClose(code: WebSocketClose.tooLarge, reason: "a message is larger than \(limit) bytes")
        }
        let mask = isMasked ? Array(rest[(position + headBytes - 4)..<(position + headBytes)]) : nil
        position += headBytes
        return Frame(isFinal: isFinal, opcode: opcode, mask: mask, remaining: Int(length))
    }

    private mutating func check(_ opcode: WebSocketOpcode, isFinal: Bool, shortLength: UInt8) throws(WebSocketClose) {
        switch opcode {
        case .text, .binary:
            guard messageKind == nil else { throw Self.wrong("a message begins within another") }
        case .continuation:
            guard messageKind != nil else { throw Self.wrong("a fragment has no message") }
        case .close, .ping, .pong:
            guard isFinal, shortLength <= 125 else { throw Self.wrong("a control frame is in fragments or too long") }
        }
    }

    /// Takes what has arrived of the frame's payload; false while some is missing.
    private mutating func readPayload() throws(WebSocketClose) -> Bool {
        guard var current = frame else { return false }
        let count = min(current.remaining, buffer.count - position)
        var piece = Array(buffer[position..<(position + count)])
        position += count
        if let mask = current.mask { Self.unmask(&piece, mask, offset: current.offset) }
        current.remaining -= count
        current.offset = (current.offset + count) & 3
        frame = current
        if current.opcode.rawValue >= 8 {
            control += piece
        } else {
            if current.opcode != .continuation, messageKind == nil { messageKind = current.opcode }
            if messageKind == .text, !validator.accepts(piece) { throw Self.notText }
            if message.isEmpty { message = piece } else { message += piece }
        }
        return current.remaining == 0
    }

    private mutating func endFrame() throws(WebSocketClose) -> Event? {
        guard let ended = frame.take() else { return nil }
        switch ended.opcode {
        case .ping: return .ping(takeControl())
        case .pong: return .pong(takeControl())
        case .close: return .close(try Self.close(takeControl()))
        case .continuation, .text, .binary:
            guard ended.isFinal else { return nil }
            var payload: [UInt8] = []
            swap(&payload, &message)
            guard messageKind.take() == .text else { return .message(.binary(payload)) }
            guard validator.isComplete else { throw Self.notText }
            return .message(.text(String(decoding: payload, as: UTF8.self)))
        }
    }

    private mutating func takeControl() -> [UInt8] {
        var payload: [UInt8] = []
        swap(&payload, &control)
        return payload
    }

    private static func close(_ payload: [UInt8]) throws(WebSocketClose) -> WebSocketClose {
        guard !payload.isEmpty else { return WebSocketClose(code: WebSocketClose.noCode, reason: "") }
        guard payload.count >= 2 else { throw wrong("a close has half a code") }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        guard WebSocketClose.isSendable(code) else { throw wrong("a close has a code that may not be sent") }
        guard let reason = String(validating: payload[2...], as: UTF8.self) else { throw notText }
        return WebSocketClose(code: code, reason: reason)
    }

    static func unmask(_ bytes: inout [UInt8], _ mask: [UInt8], offset: Int) {
        bytes.withUnsafeMutableBufferPointer { bytes in
            let mask = (mask[offset & 3], mask[(offset + 1) & 3], mask[(offset + 2) & 3], mask[(offset + 3) & 3])
            var index = 0
            while index + 4 <= bytes.count {
                bytes[index] ^= mask.0
                bytes[index + 1] ^= mask.1
                bytes[index + 2] ^= mask.2
                bytes[index + 3] ^= mask.3
                index += 4
            }
            if index < bytes.count { bytes[index] ^= mask.0 }
            if index + 1 < bytes.count { bytes[index + 1] ^= mask.1 }
            if index + 2 < bytes.count { bytes[index + 2] ^= mask.2 }
        }
    }

    private static func wrong(_ problem: String) -> WebSocketClose { WebSocketClose(code: WebSocketClose.protocolError, reason: problem) }
    private static let notText = WebSocketClose(code: WebSocketClose.invalidText, reason: "a text is not UTF-8")
}

/// One frame as bytes: never in fragments. `mask` is four random bytes on the client's side, nil on the server's.
func serializedWebSocketFrame(_ opcode: WebSocketOpcode, _ payload: some Collection<UInt8>, mask: [UInt8]? = nil) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(payload.count + 14)
    bytes.append(0x80 | opcode.rawValue)
    let isMasked: UInt8 = mask == nil ? 0 : 0x80
    switch payload.count {
    case ..<126: bytes.append(isMasked | UInt8(payload.count))
    case ..<65_536: bytes += [isMasked | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
    default:
        bytes.append(isMasked | 127)
        for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: payload.count >> shift)) }
    }
    if let mask {
        var masked = Array(payload)
        WebSocketReader.unmask(&masked, mask, offset: 0)
        bytes += mask
        bytes += masked
    } else {
        bytes += payload
    }
    return bytes
}
