import ApusTypes
import TestKit
import Testing

@testable import ApusThunder

/// The connection without a socket: what comes in, what is to be done.
@Suite("thunder connection")
struct MachineTests {
    /// A machine, and what it said so far in words.
    struct Lab {
        var machine: ThunderMachine
        var now = Instant(nanosecondsSinceBoot: 1_000_000_000)
        var said: [String] = []
        let budget: MemoryBudget

        init(_ identity: ThunderMachine.Identity = .known(.local), limits: ThunderLimits = .init(), budget: ByteCount = .mebibytes(256)) {
            self.budget = MemoryBudget(limit: budget)
            machine = ThunderMachine(
                limits: limits, server: .init(version: "1.2", capabilities: ["a", "b"]), identity: identity, budget: self.budget, at: now)
        }

        mutating func note(_ effects: [ThunderMachine.Effect]) throws {
            for effect in effects {
                switch effect {
                case .verify(let secret): said.append("verify \(secret.reveal())")
                case .run(let request, let principal): said.append("run \(request.id) \(request.command) as \(principal.id)")
                case .send(let bytes):
                    let reply = try Thunder.reply(bytes)
                    switch reply.result {
                    case .ok(.string(let text)): said.append("\(reply.id) ok \(text)")
                    case .ok(let value): said.append("\(reply.id) ok \(value.asMap?.count ?? -1) members")
                    case .failure(let text): said.append("\(reply.id) error \(text)")
                    }
                case .read(let reads): said.append(reads ? "read" : "pause")
                case .finish: said.append("finish")
                case .close: said.append("close")
                }
            }
        }

        mutating func receive(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try note(machine.receive($0, at: now)) } }
        mutating func finished(_ id: UInt32, _ text: String = "done") throws { try note(machine.finished(id, .ok(.string(text)), at: now)) }
        mutating func verified(_ outcome: ThunderMachine.Verification) throws { try note(machine.verified(outcome, at: now)) }
        mutating func pass(_ duration: Duration) throws {
            now = now.advanced(by: duration)
            try note(machine.tick(at: now))
        }

        /// What was said since the last look.
        mutating func heard() -> [String] {
            defer { said = [] }
            return said
        }
    }

    static let stranger = ThunderMachine.Identity.unknown("a reason")
    static let noAuth = "NOAUTH a key is needed: a reason; make one on the node with `apus key create NAME`, and send it with AUTH"
    static let reader = Principal(id: "k", role: .reader)

    @Test("on an open server calls go straight through, pipelined, and are answered in the order in which they end")
    func pipelined() throws {
        var lab = Lab()
        try lab.receive(Thunder.request(1, "a") + Thunder.request(2, "b") + Thunder.request(3, "c"))
        #expect(lab.heard() == ["run 1 a as local", "run 2 b as local", "run 3 c as local"])
        try lab.finished(3)
        try lab.finished(1)
        #expect(lab.heard() == ["3 ok done", "1 ok done"])
        // An id may come again once it is answered.
        try lab.receive(Thunder.request(3, "d"))
        try lab.finished(2)
        try lab.finished(3)
        #expect(lab.heard() == ["run 3 d as local", "2 ok done", "3 ok done"])
        #expect(lab.machine.inFlight == 0)
    }

    @Test("bytes may be cut anywhere")
    func cut() throws {
        var lab = Lab()
        for byte in Thunder.request(1, "abc", .string("x")) + Thunder.request(2, "PING") { try lab.receive([byte]) }
        #expect(lab.heard() == ["run 1 abc as local", "2 ok PONG"])
    }

    @Test("without a key only PING is answered; a key holds for the calls behind it")
    func authentication() throws {
        var lab = Lab(Self.stranger)
        try lab.receive(Thunder.request(1, "PING") + Thunder.request(2, "collections.list") + Thunder.request(3, "HELLO"))
        #expect(lab.heard() == ["1 ok PONG", "2 error \(Self.noAuth)", "3 error \(Self.noAuth)"])
        try lab.receive(
            Thunder.request(4, "AUTH", .string("secret")) + Thunder.request(5, "collections.list") + Thunder.request(6, "PING")
                + Thunder.request(7, "HELLO", .map(["version": .int(1)])))
        #expect(lab.heard() == ["verify secret", "6 ok PONG"])
        try lab.verified(.principal(Self.reader))
        #expect(lab.heard() == ["4 ok OK", "run 5 collections.list as k", "7 ok 5 members"])
        #expect(lab.machine.identity == .known(Self.reader))
    }

    @Test("HELLO may bring the key")
    func hello() throws {
        for field in ["api_key", "token"] {
            var lab = Lab(Self.stranger)
            try lab.receive(Thunder.request(1, "HELLO", .map([.init(.string("version"), .int(1)), .init(.string(field), .string("s"))])))
            #expect(lab.heard() == ["verify s"])
            try lab.verified(.principal(Self.reader))
            #expect(lab.heard() == ["1 ok 5 members"])
        }
        var lab = Lab()
        try lab.receive(Thunder.request(1, "HELLO", .map(["version": .int(0)])))
        #expect(lab.heard() == ["1 error [protocol_error] HELLO: version 1 of the protocol is spoken here"])
    }

    @Test("what HELLO tells")
    func facts() throws {
        var lab = Lab()
        let request = Thunder.request(1, "HELLO", .map(["version": .int(1)]))
        let effects = request.withUnsafeBytes { lab.machine.receive($0, at: lab.now) }
        guard case .send(let frame) = effects.first, case .ok(let value) = try Thunder.reply(frame).result else {
            Issue.record("no reply")
            return
        }
        #expect(value["server_version"] == .string("1.2") && value["protocol_version"] == .int(1) && value["authenticated"] == .bool(true))
        #expect(value["admin"] == .bool(true) && value["capabilities"] == .array([.string("a"), .string("b")]))
    }

    @Test("a wrong key is refused, and takes an open connection's trust away")
    func wrongKey() throws {
        var lab = Lab()
        try lab.receive(Thunder.request(1, "AUTH", .string("wrong")) + Thunder.request(2, "x"))
        try lab.verified(.nobody)
        #expect(
            lab.heard() == [
                "verify wrong", "1 error WRONGPASS the API key is not valid",
                "2 error \(ThunderMachine.keyNeeded("the key that was shown is not valid"))",
            ])
        try lab.receive(Thunder.request(3, "AUTH", .string("user"), .string("password")))
        #expect(lab.heard() == ["3 error WRONGPASS AUTH takes one API key; there are no users with passwords here"])
        try lab.receive(Thunder.request(4, "AUTH", .string("right")))
        try lab.verified(.principal(Self.reader))
        #expect(lab.heard() == ["verify right", "4 ok OK"])
        try lab.receive(Thunder.request(5, "AUTH", .string("later")) + Thunder.request(6, "x"))
        try lab.verified(.failed("[service_unavailable] AUTH: away"))
        #expect(
            lab.heard() == [
                "verify later", "5 error [service_unavailable] AUTH: away",
                "6 error \(ThunderMachine.keyNeeded("the key that was shown could not be verified"))",
            ])
    }

    @Test("several keys on one connection: each call belongs to the one before it")
    func twoKeys() throws {
        var lab = Lab(Self.stranger)
        try lab.receive(
            Thunder.request(1, "AUTH", .string("a")) + Thunder.request(2, "x") + Thunder.request(3, "AUTH", .string("b"))
                + Thunder.request(4, "y"))
        #expect(lab.heard() == ["verify a"])
        try lab.verified(.principal(Self.reader))
        #expect(lab.heard() == ["1 ok OK", "run 2 x as k", "verify b"])
        try lab.verified(.principal(Principal(id: "other", role: .writer)))
        #expect(lab.heard() == ["3 ok OK", "run 4 y as other"])
    }

    @Test("an id that is in flight, the reserved one, and a frame without one end the connection after the running calls")
    func ambiguous() throws {
        for frame in [
            Thunder.request(1, "again"), Thunder.request(.max, "x"), Thunder.frame([0xC1]), Thunder.frame([]),
            Thunder.frame([0x93, 0x01, 0xC3]),
        ] {
            var lab = Lab()
            try lab.receive(Thunder.request(1, "first") + frame + Thunder.request(2, "never"))
            #expect(lab.heard() == ["run 1 first as local", "pause"])
            try lab.finished(1)
            #expect(lab.heard() == ["1 ok done", "finish"])
        }
    }

    @Test("a malformed frame with an id is answered, and the connection goes on")
    func malformed() throws {
        var lab = Lab()
        try lab.receive(Thunder.frame(Thunder.bytes("92 05 81 a24f6b a44e756c6c")) + Thunder.request(6, "x"))
        #expect(
            lab.heard() == [
                "5 error [protocol_error] frame: a request is an array of id, command and arguments", "run 6 x as local",
            ])
    }

    @Test("a frame that is too large is answered where its first bytes tell its id, then the connection ends")
    func tooLarge() throws {
        var limits = ThunderLimits()
        limits.frame = .kibibytes(128)
        let length = withUnsafeBytes(of: UInt32(200 << 10).littleEndian, Array.init)
        var lab = Lab(limits: limits)
        try lab.receive(length + Thunder.bytes("93 cd1234"))
        #expect(lab.heard() == [])
        try lab.receive(Thunder.bytes("a4 61626364 90 00000000"))
        #expect(lab.heard() == ["4660 error [payload_too_large] frame: it has 204800 bytes, and 128 KiB is the most", "pause", "finish"])
        // 4 GiB of nothing.
        var endless = Lab(limits: limits)
        try endless.receive([0xFF, 0xFF, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 16))
        #expect(endless.heard() == ["pause", "finish"])
        // Whoever has no key may not announce much.
        var stranger = Lab(Self.stranger, limits: limits)
        try stranger.receive(
            withUnsafeBytes(of: UInt32(100 << 10).littleEndian, Array.init) + Thunder.bytes("93 07 a4 61626364 90 0000000000"))
        #expect(stranger.heard() == ["7 error NOAUTH a frame of 102400 bytes needs a key first", "pause", "finish"])
    }

    @Test("a large frame behind a key waits for it")
    func largeBehindKey() throws {
        var lab = Lab(Self.stranger)
        let large = Thunder.request(2, "x", .bytes([UInt8](repeating: 1, count: 100_000)))
        try lab.receive(Thunder.request(1, "AUTH", .string("s")) + large[..<50_000])
        #expect(lab.heard() == ["verify s", "pause"])
        try lab.verified(.principal(Self.reader))
        #expect(lab.heard() == ["1 ok OK", "read"])
        try lab.receive(Array(large[50_000...]))
        #expect(lab.heard() == ["run 2 x as k"])
    }

    @Test("the memory of large frames is shared, given back, and an answer where it is used up")
    func budget() throws {
        var lab = Lab(budget: .kibibytes(150))
        let large = Thunder.request(1, "x", .bytes([UInt8](repeating: 1, count: 100_000)))
        try lab.receive(large)
        try lab.finished(1)
        try lab.receive(large)
        #expect(lab.heard() == ["run 1 x as local", "1 ok done", "run 1 x as local"])
        try lab.receive(Thunder.request(2, "x", .bytes([UInt8](repeating: 1, count: 100_000))))
        #expect(
            lab.heard() == [
                "2 error [queue_full] frame: the memory for requests is used up at this moment; send it again in a second", "pause",
            ])
        lab.machine.closed()
        #expect(lab.budget.take(150 << 10))
    }

    @Test("at most so many calls at once; more is read when one is answered")
    func inFlight() throws {
        var limits = ThunderLimits()
        limits.inFlight = 2
        var lab = Lab(limits: limits)
        try lab.receive((1...4).flatMap { Thunder.request($0, "x") })
        #expect(lab.heard() == ["run 1 x as local", "run 2 x as local", "pause"])
        try lab.finished(2)
        #expect(lab.heard() == ["2 ok done", "run 3 x as local"])
        try lab.finished(1)
        try lab.finished(3)
        try lab.finished(4)
        #expect(lab.heard() == ["1 ok done", "run 4 x as local", "3 ok done", "read", "4 ok done"])
    }

    @Test("replies that nobody takes stop the reading, and in the end the connection")
    func output() throws {
        var limits = ThunderLimits()
        limits.output = .kibibytes(1)
        limits.mostOutput = .kibibytes(4)
        var lab = Lab(limits: limits)
        try lab.receive((1...8).flatMap { Thunder.request($0, "x") })
        _ = lab.heard()
        let text = String(repeating: "a", count: 1000)
        for id in UInt32(1)...3 { try lab.finished(id, text) }
        #expect(lab.heard().map { $0.prefix(4) } == ["1 ok", "2 ok", "paus", "3 ok"])
        try lab.note(lab.machine.sent(queued: 100))
        #expect(lab.heard() == ["read"])
        for id in UInt32(4)...8 { try lab.finished(id, text) }
        #expect(lab.heard().last == "close")
    }

    @Test("a reply that is larger than a frame may be becomes an error")
    func largeReply() throws {
        var limits = ThunderLimits()
        limits.frame = .kibibytes(64)
        var lab = Lab(limits: limits)
        try lab.receive(Thunder.request(1, "x"))
        try lab.finished(1, String(repeating: "a", count: 70_000))
        #expect(lab.heard() == ["run 1 x as local", "1 error [payload_too_large] reply: it is larger than 64 KiB; ask for less at a time"])
    }

    @Test("draining takes nothing new, and ends after the last reply; so does a client that closes its side")
    func drain() throws {
        for isDrain in [true, false] {
            var lab = Lab()
            try lab.receive(Thunder.request(1, "x") + Thunder.request(2, "AUTH", .string("s")) + Thunder.request(3, "y"))
            try lab.note(isDrain ? lab.machine.drain() : lab.machine.inputEnded())
            try lab.receive(Thunder.request(4, "never"))
            try lab.finished(1)
            #expect(lab.heard() == ["run 1 x as local", "verify s", "pause", "1 ok done"])
            try lab.verified(.principal(Self.reader))
            #expect(lab.heard() == ["2 ok OK", "run 3 y as k"])
            try lab.finished(3)
            #expect(lab.heard() == ["3 ok done", "finish"])
        }
        var idle = Lab()
        try idle.note(idle.machine.drain())
        #expect(idle.heard() == ["pause", "finish"])
        var quitting = Lab()
        try quitting.receive(Thunder.request(1, "QUIT") + Thunder.request(2, "x"))
        #expect(quitting.heard() == ["1 ok OK", "pause", "finish"])
    }

    @Test("time: a stranger, an unfinished frame and an idle connection end; a call that runs does not")
    func time() throws {
        var stranger = Lab(Self.stranger)
        try stranger.pass(.seconds(29))
        try stranger.receive(Thunder.request(1, "PING"))
        _ = stranger.heard()
        try stranger.pass(.seconds(1))
        #expect(stranger.heard() == ["pause", "finish"])

        var half = Lab()
        try half.receive([8, 0, 0])
        try half.pass(.seconds(29))
        #expect(half.heard() == [])
        try half.pass(.seconds(1))
        #expect(half.heard() == ["close"])

        var busy = Lab()
        try busy.receive(Thunder.request(1, "x"))
        try busy.pass(.seconds(10_000))
        #expect(busy.heard() == ["run 1 x as local"])
        try busy.finished(1)
        try busy.pass(.seconds(599))
        #expect(busy.heard() == ["1 ok done"])
        try busy.pass(.seconds(1))
        #expect(busy.heard() == ["pause", "finish"])
    }
}
