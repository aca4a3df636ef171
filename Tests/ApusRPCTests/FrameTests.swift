import ApusTypes
import TestKit
import Testing

@testable import ApusRPC

@Suite("frames")
struct FrameTests {
    static let now = Instant(nanosecondsSinceBoot: 5_000_000_000)
    static let introduction = Frame.Introduction(node: "näme", nonce: Array(0..<32), oldestVersion: 1, newestVersion: 300)
    static let frames: [Frame] = [
        .challenge(introduction), .proof(introduction, code: Array(repeating: 9, count: 32)), .welcome(code: [1, 2]),
        .request(
            Frame.Request(
                id: .max, method: "search", deadline: now.advanced(by: .milliseconds(1500)), trace: "t",
                payload: [UInt8](repeating: 3, count: 70_000)
            )),
        .request(Frame.Request(id: 0, method: "", deadline: now.advanced(by: .milliseconds(1)), trace: "", payload: [])),
        .reply(id: 1, payload: [0]), .reply(id: 2, payload: []), .cancel(id: 1 << 40),
        .failure(id: 3, ApusError(.shardBusy, "busy", hint: "wait", retry: .after(.seconds(2)), context: ["a": "b", "c": ""])),
        .failure(id: 4, ApusError(.internalError, "", retry: .never)), .failure(id: 5, ApusError("odd.code", "x", retry: .immediately)),
    ]

    static func bytes(_ frames: [Frame]) -> [UInt8] {
        frames.flatMap { frame in
            let piece = frame.encoded(at: now)
            return piece.head + piece.payload
        }
    }

    static func decode(_ bytes: [UInt8]) throws -> [Frame] { try bytes.withUnsafeBytes { try Frame.decode($0, at: now) } }

    @Test("each kind comes back as it was written, alone and joined")
    func roundTrip() throws {
        for frame in Self.frames { #expect("\(try Self.decode(Self.bytes([frame])))" == "\([frame])") }
        #expect("\(try Self.decode(Self.bytes(Self.frames)))" == "\(Self.frames)")
        #expect(try Self.decode([]).isEmpty)
    }

    @Test("a deadline travels as what remains of it, and never as none")
    func deadlines() throws {
        func remaining(_ time: Duration) throws -> Duration? {
            let request = Frame.Request(id: 1, method: "m", deadline: Self.now.advanced(by: time), trace: "", payload: [])
            guard case .request(let read)? = try Self.decode(Self.bytes([.request(request)])).first else { return nil }
            return Self.now.duration(to: read.deadline)
        }
        #expect(try remaining(.milliseconds(250)) == .milliseconds(250))
        #expect(try remaining(.milliseconds(-7)) == .milliseconds(1))
        #expect(try remaining(.seconds(1 << 40)) == .milliseconds(Int64(UInt32.max)))
    }

    @Test("what a later version adds is passed over, what is no frame is refused")
    func foreign() throws {
        var writer = ProtobufWriter()
        writer.message(1) { frame in
            frame.message(7) {
                $0.integer(1, 9)
                $0.string(77, "new")
                $0.integer(78, 1)
            }
        }
        writer.string(99, "new")
        #expect("\(try Self.decode(writer.bytes))" == "\([Frame.cancel(id: 9)])")
        for bytes: [UInt8] in [[0], [0x0A], [0x0A, 5, 1], [0x0B], [0x0A, 2, 0x42, 0], Array(repeating: 0xFF, count: 11)] {
            #expect(throws: ApusError.self) { try Self.decode(bytes) }
        }
    }

    @Test("no bytes crash the decoder, and what it takes can be written again", .computing)
    func randomBytes() throws {
        var generator = SeededGenerator(seed: 20_261_122)
        let valid = Self.bytes(Self.frames.filter { if case .request(let request) = $0 { request.payload.isEmpty } else { true } })
        var taken = 0
        for round in 0..<LawSize.scaled(20_000, full: 2_000_000) {
            var bytes: [UInt8]
            if round % 3 == 0 {
                bytes = (0..<Int.random(in: 0..<64, using: &generator)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            } else {
                bytes = Array(valid.prefix(Int.random(in: 0...valid.count, using: &generator)))
                for _ in 0..<Int.random(in: 0..<4, using: &generator) where !bytes.isEmpty {
                    bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(in: .min ... .max, using: &generator)
                }
            }
            guard let frames = try? Self.decode(bytes) else { continue }
            taken += 1
            #expect("\(try Self.decode(Self.bytes(frames)).count)" == "\(frames.count)")
            _ = try? bytes.withUnsafeBytes { try Descriptors.served.answer($0) }
            _ = try? bytes.withUnsafeBytes { try Descriptors($0) }
        }
        #expect(taken > 300)
    }
}
