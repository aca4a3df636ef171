import ApusTypes
import Testing

@testable import ApusHTTP

@Suite("WebSocket frames")
struct WebSocketFrameTests {
    private static let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]

    private func read(
        _ bytes: [UInt8], side: WebSocketSide = .server, piece: Int = 1 << 20, limit: Int = 1 << 20
    ) throws -> [WebSocketReader.Event] {
        var reader = WebSocketReader(side: side, limit: ByteCount(limit))
        var events: [WebSocketReader.Event] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            reader.feed(Array(rest.prefix(piece)))
            rest = rest.dropFirst(piece)
            while let event = try reader.next() { events.append(event) }
        }
        return events
    }

    private func frame(_ first: UInt8, _ payload: [UInt8], mask: [UInt8]? = Self.mask) -> [UInt8] {
        var bytes = serializedWebSocketFrame(.text, payload, mask: mask)
        bytes[0] = first
        return bytes
    }

    @Test("the examples of RFC 6455, section 5.7")
    func examples() throws {
        #expect(try read([0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], side: .client) == [.message(.text("Hello"))])
        #expect(try read([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]) == [.message(.text("Hello"))])
        #expect(try read([0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f], side: .client) == [.message(.text("Hello"))])
        #expect(try read([0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], side: .client) == [.ping(Array("Hello".utf8))])
        #expect(
            serializedWebSocketFrame(.text, "Hello".utf8, mask: Self.mask) == [
                0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
            ])
        #expect(serializedWebSocketFrame(.binary, [UInt8](repeating: 0, count: 256)).prefix(4) == [0x82, 126, 1, 0])
        #expect(serializedWebSocketFrame(.binary, [UInt8](repeating: 0, count: 65_536)).prefix(10) == [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0])
    }

    @Test("what is written is read again, however it is cut", arguments: [1, 2, 3, 7, 1000], [0, 1, 125, 126, 127, 4099, 65_535, 65_536])
    func roundTrip(piece: Int, size: Int) throws {
        let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let bytes = serializedWebSocketFrame(.binary, payload, mask: Self.mask) + serializedWebSocketFrame(.ping, [], mask: Self.mask)
        #expect(try read(bytes, piece: piece) == [.message(.binary(payload)), .ping([])])
    }

    @Test("a control frame may come between fragments")
    func interleaved() throws {
        let bytes = frame(0x01, [0xE2, 0x82]) + frame(0x8A, []) + frame(0x00, []) + frame(0x80, [0xAC])
        #expect(try read(bytes) == [.pong([]), .message(.text("€"))])
    }

    @Test(
        "what RFC 6455 forbids closes with its code",
        arguments: [
            ("unmasked from a client", [0x81, 0x01, 0x61], 1002),
            ("RSV1", [0xC1, 0x80, 0, 0, 0, 0], 1002),
            ("RSV3", [0x91, 0x80, 0, 0, 0, 0], 1002),
            ("opcode 3", [0x83, 0x80, 0, 0, 0, 0], 1002),
            ("opcode 11", [0x8B, 0x80, 0, 0, 0, 0], 1002),
            ("ping in fragments", [0x09, 0x80, 0, 0, 0, 0], 1002),
            ("ping of 126", [0x89, 0xFE, 0, 126, 0, 0, 0, 0], 1002),
            ("fragment of nothing", [0x80, 0x80, 0, 0, 0, 0], 1002),
            ("message within a message", [0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0], 1002),
            ("long form of 125", [0x81, 0xFE, 0, 125, 0, 0, 0, 0], 1002),
            ("longer form of 65535", [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0], 1002),
            ("length above 2^63", [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1002),
            ("length of 2^62", [0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
            ("half a close code", [0x88, 0x81, 0, 0, 0, 0, 3], 1002),
            ("close 1005", [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED], 1002),
            ("close 1006", [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xEE], 1002),
            ("close 999", [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE7], 1002),
            ("close 5000", [0x88, 0x82, 0, 0, 0, 0, 0x13, 0x88], 1002),
            ("reason not UTF-8", [0x88, 0x83, 0, 0, 0, 0, 0x03, 0xE8, 0xFF], 1007),
            ("surrogate", [0x81, 0x83, 0, 0, 0, 0, 0xED, 0xA0, 0x80], 1007),
            ("overlong", [0x81, 0x82, 0, 0, 0, 0, 0xC0, 0xAF], 1007),
            ("above U+10FFFF", [0x81, 0x84, 0, 0, 0, 0, 0xF4, 0x90, 0x80, 0x80], 1007),
            ("ends within a character", [0x81, 0x81, 0, 0, 0, 0, 0xE2], 1007),
            ("wrong before the frame's end", [0x81, 0x85, 0, 0, 0, 0, 0x61, 0xFF], 1007),
        ] as [(String, [UInt8], UInt16)])
    func forbidden(what: String, bytes: [UInt8], code: UInt16) {
        for piece in [1, 100] {
            let error = #expect(throws: WebSocketClose.self) { try read(bytes, piece: piece) }
            #expect(error?.code == code, "\(what)")
        }
    }

    @Test("masked frames are refused by a client")
    func maskedFromServer() {
        let error = #expect(throws: WebSocketClose.self) { try read(serializedWebSocketFrame(.text, [], mask: Self.mask), side: .client) }
        #expect(error?.code == 1002)
    }

    @Test("the limit bounds the joined message, one above and not one below")
    func limit() throws {
        let ten = [UInt8](repeating: 0, count: 10)
        #expect(try read(frame(0x02, ten) + frame(0x80, ten), limit: 20) == [.message(.binary(ten + ten))])
        let error = #expect(throws: WebSocketClose.self) { try read(frame(0x02, ten) + frame(0x80, ten + [0]), limit: 20) }
        #expect(error?.code == 1009)
    }

    @Test("the incremental check agrees with the standard library on every two-byte and on random texts")
    func validator() {
        func accepts(_ bytes: [UInt8]) -> Bool {
            var validator = UTF8Validator()
            return bytes.allSatisfy { validator.accepts(CollectionOfOne($0)) } && validator.isComplete
        }
        // Collected, because half a million expectations would take longer than what they expect.
        var wrong: [[UInt8]] = []
        func check(_ bytes: [UInt8]) { if accepts(bytes) != (String(validating: bytes, as: UTF8.self) != nil) { wrong.append(bytes) } }
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max { check([first, second]) }
        }
        var state: UInt64 = 42
        for _ in 0..<50_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            // Lead bytes of longer characters and continuation bytes, so that many come close to being valid.
            check([
                UInt8(0xE0 | (state >> 40 & 0x17)), UInt8(0x80 | (state >> 33 & 0x3F)), UInt8(0x80 | (state >> 20 & 0x7F)),
                UInt8(0x80 | (state >> 50 & 0x3F)),
            ])
        }
        #expect(wrong.isEmpty)
    }
}

@Suite("WebSocket handshake")
struct WebSocketHandshakeTests {
    private let headers: Headers = [
        "Host": "a", "Upgrade": "WebSocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    ]

    @Test("the example of RFC 6455, section 1.3")
    func example() throws {
        let answer = try WebSocketHandshake.answer(method: .get, headers: headers)
        #expect(answer["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(answer["Upgrade"] == "websocket")
        #expect(answer["Connection"] == "Upgrade")
        #expect(answer["Sec-WebSocket-Protocol"] == nil)
    }

    @Test("a client that sends two keys is answered by its first")
    func twoKeys() throws {
        var headers = headers
        headers.add("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
        #expect(try WebSocketHandshake.answer(method: .get, headers: headers)["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test("the subprotocol must be among those offered")
    func subprotocols() throws {
        var headers = headers
        headers.add("Sec-WebSocket-Protocol", "chat, superchat")
        headers.add("Sec-WebSocket-Protocol", "v2")
        #expect(try WebSocketHandshake.answer(method: .get, headers: headers, subprotocol: "v2")["Sec-WebSocket-Protocol"] == "v2")
        #expect(throws: ApusError.self) { try WebSocketHandshake.answer(method: .get, headers: headers, subprotocol: "v3") }
    }

    @Test(
        "what is no handshake is answered 426 or 400",
        arguments: [
            ("Upgrade", nil, 426), ("Upgrade", "h2c", 426), ("Connection", "keep-alive", 426), ("Sec-WebSocket-Version", "8", 426),
            ("Sec-WebSocket-Version", nil, 426), ("Sec-WebSocket-Key", nil, 400), ("Sec-WebSocket-Key", "short", 400),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ!==", 400),
        ] as [(String, String?, Int)])
    func refused(field: String, value: String?, status: Int) {
        var headers = headers
        headers[field] = value
        let error = #expect(throws: ApusError.self) { try WebSocketHandshake.answer(method: .get, headers: headers) }
        #expect(error?.code.surface.http == status)
        #expect(throws: ApusError.self) { try WebSocketHandshake.answer(method: .post, headers: self.headers) }
    }
}
