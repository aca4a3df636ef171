import ApusTypes
import Testing

@testable import ApusQueryPlan

@Suite("rows to JSON")
struct AssemblerTests {
    static func text(_ shape: RowShape, _ rows: [TestRow]) -> String {
        var assembler = RowAssembler(shape)
        for row in rows { assembler.add(row) }
        return String(decoding: assembler.finish().filled([]), as: UTF8.self)
    }

    /// Orders with lines with notes: `id, name, line, product, note`, and a name behind the list.
    static let nested = RowShape(
        levels: [
            .init(
                key: [0],
                item: .object(
                    [.init("id", .value(column: 0, .number)), .init("lines", .nested), .init("name", .value(column: 1, .text))],
                    presence: nil)),
            .init(
                key: [2], presence: 2,
                item: .object([.init("line", .value(column: 2, .number)), .init("notes", .nested)], presence: nil)),
            .init(presence: 3, item: .value(column: 3, .text)),
        ], result: .list)

    @Test("a flat join becomes lists inside each other; an empty inner list is null, what follows a list keeps its place")
    func regroups() {
        let rows = [
            TestRow("1", "a", "10", "x"), TestRow("1", "a", "10", "y"), TestRow("1", "a", "11", nil), TestRow("2", "b", nil, nil),
            TestRow("3", "c", "30", "z"),
        ]
        #expect(
            Self.text(Self.nested, rows)
                == #"[{"id":1,"lines":[{"line":10,"notes":["x","y"]},{"line":11,"notes":null}],"name":"a"},{"id":2,"lines":null,"name":"b"},{"id":3,"lines":[{"line":30,"notes":["z"]}],"name":"c"}]"#
        )
        #expect(Self.text(Self.nested, []) == "[]")
    }

    @Test("children with equal keys under different parents stay apart")
    func equalKeys() {
        let rows = [TestRow("1", "a", "10", "x"), TestRow("2", "b", "10", "y")]
        #expect(
            Self.text(Self.nested, rows)
                == #"[{"id":1,"lines":[{"line":10,"notes":["x"]}],"name":"a"},{"id":2,"lines":[{"line":10,"notes":["y"]}],"name":"b"}]"#)
    }

    @Test("rows whose child is missing between others are no items")
    func gaps() {
        let shape = RowShape(
            levels: [
                .init(key: [0], item: .object([.init("tags", .nested)], presence: nil)), .init(presence: 1, item: .value(column: 1, .text)),
            ], result: .list)
        #expect(Self.text(shape, [TestRow("1", "a"), TestRow("1", nil), TestRow("1", "b")]) == #"[{"tags":["a","b"]}]"#)
    }

    @Test("a list inside a single related row is there only with it")
    func listInOne() {
        let shape = RowShape(
            levels: [
                .init(
                    key: [0],
                    item: .object(
                        [
                            .init("id", .value(column: 0, .number)),
                            .init("category", .object([.init("products", .nested), .init("n", .value(column: 1, .text))], presence: 1)),
                            .init("z", .value(column: 0, .number)),
                        ], presence: nil)),
                .init(presence: 2, item: .value(column: 2, .number)),
            ], result: .list)
        #expect(
            Self.text(shape, [TestRow("1", "c", "7"), TestRow("1", "c", "8"), TestRow("2", nil, nil)])
                == #"[{"id":1,"category":{"products":[7,8],"n":"c"},"z":1},{"id":2,"category":null,"z":2}]"#)
    }

    @Test("one row, or null; more than a limit is dropped and told")
    func bounds() {
        var shape = RowShape(levels: [.init(item: .object([.init("a", .value(column: 0, .number))], presence: nil))], result: .one)
        #expect(Self.text(shape, []) == "null")
        #expect(Self.text(shape, [TestRow("1"), TestRow("2")]) == #"{"a":1}"#)
        shape.result = .list
        shape.levels[0].limit = 2
        var assembler = RowAssembler(shape)
        for row in [TestRow("1"), TestRow("2")] { assembler.add(row) }
        #expect(!assembler.isTruncated)
        assembler.add(TestRow("3"))
        #expect(assembler.isTruncated)
        #expect(String(decoding: assembler.finish().filled([]), as: UTF8.self) == #"[{"a":1},{"a":2}]"#)
    }

    @Test(
        "values are written as JSON",
        arguments: [
            ("1.50", ValueFormat.number, "1.50"), ("NaN", .number, "null"), ("-Infinity", .number, "null"), ("1e+20", .number, "1e+20"),
            ("t", .boolean, "true"), ("f", .boolean, "false"), ("0", .boolean, "false"), ("1", .boolean, "true"),
            ("a\"b\\c\n\u{1}é", .text, #""a\"b\\c\n\u0001é""#), (#"{"a": 1}"#, .json, #"{"a": 1}"#),
            ("2025-03-15 09:00:00", .dateTime, #""2025-03-15T09:00:00Z""#),
            ("2025-03-15 09:00:00.25+00", .timestamp, #""2025-03-15T09:00:00.25Z""#),
            ("2025-03-15 10:00:00+01", .timestamp, #""2025-03-15T10:00:00+01:00""#),
            ("2025-03-15 10:00:00-05:30", .timestamp, #""2025-03-15T10:00:00-05:30""#), ("infinity", .timestamp, #""infinity""#),
            ("09:00:00", .time, #""09:00:00.000000000""#), ("09:00:00.5", .time, #""09:00:00.500000000""#),
        ])
    func formats(text: String, format: ValueFormat, expected: String) {
        var output: [UInt8] = []
        Array(text.utf8).withUnsafeBytes { JSONText.write($0, as: format, to: &output) }
        #expect(String(decoding: output, as: UTF8.self) == expected)
    }

    @Test("any text comes back through JSON as it was", arguments: 0..<200)
    func quoting(seed: Int) throws {
        var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        let text = String(String.UnicodeScalarView((0..<Int(next() % 40)).compactMap { _ in Unicode.Scalar(UInt32(next() % 300)) }))
        #expect(try JSONValue(parsing: JSONText.quoted(text)) == .string(text))
    }
}
