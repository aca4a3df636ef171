import ApusTypes
import TestKit
import Testing

@testable import ApusThunder

@Suite("thunder on the wire")
struct WireTests {
    @Test("the protocol's own test vectors, byte for byte")
    func vectors() throws {
        let ping = try ThunderRequest(body: Array(Thunder.bytes("08000000 93 01 a450494e47 90").dropFirst(4)))
        #expect(ping.id == 1 && ping.command == "PING")
        #expect(try ping.arguments() == [])
        #expect(Thunder.request(1, "PING") == Thunder.bytes("08000000 93 01 a450494e47 90"))
        #expect(
            ThunderReply(id: 1, .ok(.string("PONG"))).frame(limit: 100)
                == Thunder.bytes("10000000 92 01 81 a24f6b 81 a3537472 a4504f4e47"))
        #expect(
            ThunderReply(id: 2, .failure("NOAUTH x")).frame(limit: 100)
                == Thunder.bytes("10000000 92 02 81 a3457272 a84e4f415554482078"))
    }

    @Test("a request that is a map is read, in any order and with members that nobody knows")
    func mapRequest() throws {
        // {"args": [{"Int": 5}], "extra": {"a": [1, 2]}, "command": "x.y", "id": 7}
        let body = Thunder.bytes(
            "84 a461726773 91 81 a3496e74 05 a56578747261 81 a161 92 01 02 a7636f6d6d616e64 a3782e79 a26964 07")
        let request = try ThunderRequest(body: body)
        #expect(request.id == 7 && request.command == "x.y")
        #expect(try request.arguments() == [.int(5)])
    }

    static let values: [ThunderValue] = [
        .null, .bool(true), .bool(false), .int(0), .int(-1), .int(127), .int(128), .int(-33), .int(Int64.max), .int(Int64.min), .float(0),
        .float(-0.0), .float(1.5), .float(.infinity), .float(.greatestFiniteMagnitude), .float(0.1), .bytes([]), .bytes([0, 255]),
        .bytes([UInt8](repeating: 7, count: 70_000)), .string(""), .string("ü\u{0}"), .string(String(repeating: "a", count: 300)),
        .array([]),
        .array([.null, .array([.int(1)])]), .map([]), .map(["a": .int(1), "b": .map(["c": .null])]),
        .map([.init(.int(1), .string("x")), .init(.array([.null]), .null)]), .array([ThunderValue](repeating: .float(2.5), count: 70_000)),
    ]

    @Test("every kind of value survives the wire")
    func roundTrip() throws {
        for value in Self.values {
            let read = try ThunderRequest(body: Thunder.body(9, "c", [value, .null])).arguments()
            #expect(read == [value, .null])
        }
        // A NaN is none to compare by value.
        guard case .float(let nan) = try ThunderRequest(body: Thunder.body(9, "c", [.float(.nan)])).arguments()[0] else {
            Issue.record("no float")
            return
        }
        #expect(nan.isNaN)
    }

    @Test("what old and other writers send is read: integers as floats, floats of 32 bits, arrays as bytes")
    func lenient() throws {
        func argument(_ hex: String) throws -> ThunderValue {
            try ThunderRequest(body: Thunder.bytes("93 01 a178 91" + hex)).arguments()[0]
        }
        #expect(try argument("81 a5466c6f6174 05") == .float(5))
        #expect(try argument("81 a5466c6f6174 ca 3fc00000") == .float(1.5))
        #expect(try argument("81 a5466c6f6174 cf ffffffffffffffff") == .float(18446744073709551615))
        #expect(try argument("81 a54279746573 93 00 01 ccff") == .bytes([0, 1, 255]))
        #expect(try argument("81 a3496e74 d3 8000000000000000") == .int(Int64.min))
        #expect(try argument("81 a3496e74 d0 80") == .int(-128))
        #expect(try argument("81 a3496e74 d1 8000") == .int(-32768))
        #expect(try argument("81 a3496e74 d2 80000000") == .int(-2_147_483_648))
    }

    @Test(
        "a request that is not one is refused, with its id where that can be read",
        arguments: [
            ("", nil), ("c1", nil), ("01", nil), ("90", nil), ("91 05", 5), ("92 05 a178", 5), ("94 05 a178 90 90", 5), ("93 05 a178", nil),
            ("93 ff a178 90", nil), ("93 cf ffffffffffffffff a178 90", nil), ("93 cf 0000000100000000 a178 90", nil), ("93 05 06 90", 5),
            ("93 05 a2ff", 5), ("93 05 a2fffe 90", 5), ("92 05 81 a24f6b a44e756c6c", 5), ("81 a26964 05", 5), ("80", nil),
            ("82 a26964 05 a6726573756c74 81 a24f6b a44e756c6c", 5), ("df ffffffff", nil), ("dd ffffffff 05", 5), ("93 05 d9ff 61", 5),
        ] as [(String, UInt32?)])
    func refused(hex: String, id: UInt32?) {
        do {
            let request = try ThunderRequest(body: Thunder.bytes(hex))
            // The arguments are read later: what is missing shows then.
            #expect(hex == "93 05 a178")
            #expect(throws: ThunderProblem.self) { try request.arguments() }
        } catch {
            #expect(error.id == id, "\(hex): \(error)")
            #expect(!error.problem.reason.isEmpty)
        }
    }

    @Test(
        "an argument that is none is refused",
        arguments: [
            "05", "c0", "a3466f6f", "80", "82 a3496e74 05 a3496e74 05", "81 a3496e74 c3", "81 a3496e74 cf ffffffffffffffff",
            "81 a3466f6f 05",
            "81 05 05", "81 a3537472 a1ff", "81 a3537472 c40161", "81 a54279746573 91 cd0100", "81 a54279746573 91 ff",
            "81 a34d6170 91 91 a44e756c6c",
            "81 a34d6170 80", "81 a5417272617980", "81 a54172726179 ddffffffff", "81 a34d6170 ddffffffff", "81 a54279746573 ddffffffff",
            "81 a3537472 dbffffffff", "81 a54279746573 c6ffffffff 00", "81 a4426f6f6c 01", "c7 01 05 00", "81 a5466c6f6174 a131",
        ])
    func refusedArgument(hex: String) throws {
        let request = try ThunderRequest(body: Thunder.bytes("93 01 a178 91" + hex))
        #expect(throws: ThunderProblem.self, "\(hex)") { try request.arguments() }
    }

    @Test("values may be nested 64 deep, and not 65")
    func depth() throws {
        func nested(_ depth: Int) -> ThunderValue { (0..<depth).reduce(.int(1)) { value, _ in .array([value]) } }
        #expect(try ThunderRequest(body: Thunder.body(1, "x", [nested(64)])).arguments() == [nested(64)])
        let deep = try ThunderRequest(body: Thunder.body(1, "x", [nested(65)]))
        #expect(throws: ThunderProblem("values are nested more than 64 deep")) { try deep.arguments() }
        let bare = try ThunderRequest(body: Thunder.bytes("93 01 a178") + [UInt8](repeating: 0x91, count: 100_000))
        #expect(throws: ThunderProblem.self) { try bare.arguments() }
    }

    @Test("no prefix of a request is another request")
    func truncated() throws {
        let body = Thunder.body(
            300, "vectors.insert", [.string("c"), .null, .array([.float(1), .float(2)]), .map(["a": .bytes([1, 2])])])
        for length in 0..<body.count {
            do {
                let request = try ThunderRequest(body: Array(body[..<length]))
                #expect(throws: ThunderProblem.self) { try request.arguments() }
            } catch { continue }
        }
    }

    @Test("a reply is never longer than the limit")
    func replyLimit() {
        let reply = ThunderReply(id: 1, .ok(.string(String(repeating: "a", count: 1000))))
        #expect(reply.frame(limit: 100) == nil)
        #expect(reply.frame(limit: 2000)?.count ?? 0 > 1000)
    }
}
