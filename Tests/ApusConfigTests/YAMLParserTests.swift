import ApusConfig
import TestKit
import Testing

@Suite("YAML parser")
struct YAMLParserTests {
    private func parse(_ text: String, _ limits: YAMLParser.Limits = .init()) throws(YAMLParser.Failure) -> YAMLNode? {
        try YAMLParser(limits: limits).parse(Array(text.utf8))
    }

    private func failure(_ text: String, _ limits: YAMLParser.Limits = .init()) -> YAMLParser.Failure? {
        do throws(YAMLParser.Failure) {
            _ = try parse(text, limits)
            return nil
        } catch { return error }
    }

    @Test("keeps the line and column of every key and value")
    func marks() throws {
        let root = try #require(try parse("# note\nlog:\n  level: debug\n  list: [1, two]\n"))
        guard case .mapping(let sections) = root.content else { throw NotWhatWasExpected() }
        #expect(sections[0].mark == YAMLMark(line: 2, column: 1))
        let level = try #require(root["log"]?["level"])
        #expect(level.mark == YAMLMark(line: 3, column: 10))
        guard case .sequence(let items)? = root["log"]?["list"]?.content else { throw NotWhatWasExpected() }
        #expect(items.map(\.mark) == [YAMLMark(line: 4, column: 10), YAMLMark(line: 4, column: 13)])
    }

    @Test(
        "types scalars by the core schema of YAML 1.2",
        arguments: [
            ("null", .null), ("~", .null), ("", .null), ("true", .bool(true)), ("FALSE", .bool(false)), ("no", .string("no")),
            ("on", .string("on")), ("12", .integer(12)), ("-7", .integer(-7)), ("+7", .integer(7)), ("012", .integer(12)),
            ("0x1F", .integer(31)), ("0o17", .integer(15)), ("0x", .string("0x")), ("0x-1", .string("0x-1")), ("1e3", .double(1000)),
            ("1.5", .double(1.5)), (".5", .double(0.5)), ("5.", .double(5)), (".", .string(".")), ("-", .string("-")),
            ("1_000", .string("1_000")), ("1:30", .string("1:30")), ("nan", .string("nan")), ("inf", .string("inf")),
            (".inf", .double(.infinity)), ("99999999999999999999", .double(1e20)), ("1e", .string("1e")),
            ("127.0.0.1", .string("127.0.0.1")),
        ] as [(String, YAMLScalar.Core)])
    func coreSchema(text: String, expected: YAMLScalar.Core) {
        #expect(YAMLScalar(text: text, isPlain: true).core == expected)
        #expect(YAMLScalar(text: text, isPlain: false).core == .string(text))
    }

    @Test("a file without a document has none")
    func empty() throws {
        #expect(try parse("") == nil)
        #expect(try parse("# only a comment\n") == nil)
    }

    @Test(
        "refuses what surprises, naming the line",
        arguments: [
            ("a: 1\nb: 2\na: 3\n", 3, "already in line 1"), ("a: &x 1\n", 1, "anchors"), ("a: *x\n", 1, "aliases"),
            ("a: 1\n---\nb: 2\n", 2, "second document"), ("a: !!int 1\n", 1, "tags"), ("? [a]\n: 1\n", 1, "key must be text"),
            ("a: [1, 2\n", 2, "flow sequence"), ("a: \"x\n", 2, "quoted scalar"), ("\ta: 1\n", 1, "token"), ("a: b: c\n", 1, "mapping"),
        ] as [(String, Int, String)])
    func refusals(text: String, line: Int, reason: String) throws {
        let failure = try #require(self.failure(text))
        #expect(failure.mark.line == line)
        #expect(failure.reason.contains(reason))
    }

    @Test("refuses bytes that are not UTF-8")
    func notUTF8() {
        #expect(throws: YAMLParser.Failure.self) { try YAMLParser().parse([0x61, 0x3A, 0x20, 0xFF, 0xFE, 0x0A]) }
    }

    @Test("limits of bytes, depth and values hold one above, and not one below")
    func limits() {
        var limits = YAMLParser.Limits()
        limits.bytes = 10
        #expect(failure("a: 1234567", limits) == nil)
        #expect(failure("a: 12345678", limits) != nil)
        limits = .init()
        limits.depth = 5
        #expect(failure(String(repeating: "[", count: 5) + "1" + String(repeating: "]", count: 5), limits) == nil)
        #expect(
            failure(String(repeating: "[", count: 6) + "1" + String(repeating: "]", count: 6), limits)?.reason.contains("nested") == true)
        limits = .init()
        limits.nodes = 4
        #expect(failure("[1, 2, 3]", limits) == nil)
        #expect(failure("[1, 2, 3, 4]", limits) != nil)
    }

    @Test("what is written is read back the same, whatever the texts hold")
    func writerRoundTrip() throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<2_000 {
            let node = YAMLNode(.mapping([YAMLEntry("key", randomNode(depth: 0, using: &random))]))
            let text = YAMLWriter.text(node)
            let back = try #require(try parse(text))
            #expect(stripped(back) == stripped(node), "\(text)")
        }
    }

    private func randomNode(depth: Int, using random: inout SeededGenerator) -> YAMLNode {
        switch Int.random(in: 0..<(depth < 3 ? 8 : 6), using: &random) {
        case 6:
            let count = Int.random(in: 0...3, using: &random)
            return YAMLNode(.sequence((0..<count).map { _ in randomNode(depth: depth + 1, using: &random) }))
        case 7:
            let count = Int.random(in: 0...3, using: &random)
            return YAMLNode(
                .mapping((0..<count).map { YAMLEntry("\($0)" + random.text(), randomNode(depth: depth + 1, using: &random)) }))
        case 5:
            return YAMLNode(
                .scalar(YAMLScalar(text: ["1", "true", "null", "0.5", "-3"].randomElement(using: &random) ?? "1", isPlain: true)))
        default: return YAMLNode(.scalar(YAMLScalar(text: random.text(), isPlain: false)))
        }
    }

    /// Without places, and with scalars as their values, which is what must survive.
    private func stripped(_ node: YAMLNode) -> String {
        switch node.content {
        case .scalar(let scalar): "\(scalar.core)"
        case .sequence(let items): "[\(items.map(stripped).joined(separator: ","))]"
        case .mapping(let entries): "{\(entries.map { "\($0.key.debugDescription):\(stripped($0.value))" }.joined(separator: ","))}"
        }
    }
}

struct NotWhatWasExpected: Error {}

extension SeededGenerator {
    /// Text that is hard on a writer: quotes, colons, spaces at the ends, control characters, what looks like other types.
    mutating func text() -> String {
        let pieces = [
            "a", "Z", "9", " ", ":", ": ", " #", "\"", "'", "\\", "\n", "\t", "-", "- ", "[", "]", "{", "}", ",", "&", "*", "!", "|", ">",
            "%",
            "@", "`", "é", "日", "😀", "\u{0}", "\u{7F}", "\u{85}", "\u{2028}", "\u{FEFF}", "true", "null", "1", ".", "~", "=",
        ]
        return (0..<Int.random(in: 0...8, using: &self)).map { _ in pieces.randomElement(using: &self) ?? "" }.joined()
    }
}
