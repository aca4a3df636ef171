import ApusTypes
import Testing

@Suite("JSON writing")
struct JSONWriterTests {
    @Test("puts commas where they belong")
    func commas() {
        var writer = JSONWriter()
        writer.object {
            $0.member("a", 1)
            $0.key("b")
            $0.array {
                $0.null()
                $0.object { _ in }
                $0.array { _ in }
                $0.raw(Array(#"{"x":1}"#.utf8))
                $0.bool(true)
            }
            $0.member("c", "d")
        }
        #expect(String(decoding: writer.bytes, as: UTF8.self) == #"{"a":1,"b":[null,{},[],{"x":1},true],"c":"d"}"#)
    }

    @Test("escapes what must be, and only that")
    func escapes() {
        let text = String((0...0x20).map { Character(Unicode.Scalar($0)) }) + "\"\\/\u{7f}é😀\u{2028}"
        let expected =
            #""\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f \"\\/"#
            + "\u{7f}é😀\u{2028}\""
        #expect(JSONValue.string(text).description == expected)
    }

    @Test("numbers that JSON cannot say become null")
    func notFinite() {
        var writer = JSONWriter()
        writer.array {
            $0.double(.nan)
            $0.double(-.infinity)
            $0.floats([.nan, .infinity, 1])
        }
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "[null,null,[null,null,1.0]]")
    }

    @Test("every float and double reads back as itself")
    func roundTripOfNumbers() throws {
        var random = Seeded(state: 7)
        var floats: [Float] = [0, -0.0, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude, 1e16, 0.1, 16_777_216]
        while floats.count < 20_000 {
            let float = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
            if float.isFinite { floats.append(float) }
        }
        var writer = JSONWriter()
        writer.floats(floats)
        let read = try JSONDocument(parsing: writer.bytes).root.floats(dimension: floats.count)
        #expect(read.map(\.bitPattern) == floats.map(\.bitPattern))

        for _ in 0..<20_000 {
            let double = Double(bitPattern: random.next())
            guard double.isFinite else { continue }
            let root = try JSONDocument(parsing: JSONValue.double(double).serialized()).root
            #expect(root.double?.bitPattern == double.bitPattern)
            let minified = try JSONDocument(parsing: root.minified).root
            #expect(minified.double?.bitPattern == double.bitPattern)
        }
    }

    @Test("random trees read back as themselves, also after minifying", arguments: 0..<200 as Range<UInt64>)
    func roundTripOfTrees(seed: UInt64) throws {
        var random = Seeded(state: seed)
        let value = JSONValue.random(depth: 5, using: &random)
        let text = value.serialized()
        #expect(try JSONValue(parsing: text) == value)
        #expect(try JSONValue(parsing: JSONDocument(parsing: text).root.minified) == value)
    }

    @Test("no byte string crashes the parser, and what it accepts it writes again", arguments: 0..<50 as Range<UInt64>)
    func mutations(seed: UInt64) throws {
        var random = Seeded(state: seed)
        for _ in 0..<200 {
            var text = JSONValue.random(depth: 4, using: &random).serialized()
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let alphabet = Array(#"{}[]",:\u0123456789eE+-.tfn"#.utf8) + [0, 0xC3, 0xED, 0xFF]
                let index = Int.random(in: 0..<text.count, using: &random)
                text[index] = alphabet.randomElement(using: &random) ?? 0
            }
            guard let value = try? JSONValue(parsing: text) else { continue }  // most are refused, as they must be
            #expect(try JSONValue(parsing: value.serialized()) == value)
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a seed gives the same run everywhere.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension JSONValue {
    static func random(depth: Int, using random: inout Seeded) -> JSONValue {
        func text(_ random: inout Seeded) -> String {
            let scalars: [Unicode.Scalar] = ["a", "\"", "\\", "\n", "\u{0}", "é", "\u{1F600}", "\u{FFFF}", "/", " "]
            var text = ""
            for _ in 0..<Int.random(in: 0..<8, using: &random) { text.unicodeScalars.append(scalars.randomElement(using: &random) ?? "a") }
            return text
        }
        switch Int.random(in: 0..<(depth == 0 ? 6 : 8), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2: return .integer(Int64(truncatingIfNeeded: random.next()))
        case 3: return .unsigned(random.next() | 1 << 63)
        case 4:
            let double = Double(bitPattern: random.next())
            return .double(double.isFinite ? double : 0.5)
        case 5: return .string(text(&random))
        case 6: return .array((0..<Int.random(in: 0..<5, using: &random)).map { _ in .random(depth: depth - 1, using: &random) })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0..<5, using: &random) { object[text(&random)] = .random(depth: depth - 1, using: &random) }
            return .object(object)
        }
    }
}
