import ApusTypes
import Testing

@testable import ApusQueryPlan
@testable import ApusSchemas

@Suite("rows to JSON")
struct AssemblerTests {
    static func assembler(_ shape: RowShape, engine: SQLEngine = .postgreSQL, _ limits: PlanLimits = PlanLimits()) -> RowAssembler {
        let statement = StatementPlan(
            source: "db", engine: engine, sql: SQLStatement("SELECT 1", for: engine), program: RowProgram(shape),
            for: .init(path: ["list"]))
        return RowAssembler(statement, limits)
    }

    static func text(_ shape: RowShape, _ rows: [TextRow]) -> String {
        let assembler = assembler(shape)
        for row in rows { assembler.add(row) }
        return text(assembler)
    }

    static func text(_ assembler: RowAssembler) -> String {
        assembler.finish()
        #expect(assembler.problem == nil)
        return String(decoding: assembler.bytes(assembler.whole.bytes), as: UTF8.self)
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
            ["1", "a", "10", "x"], ["1", "a", "10", "y"], ["1", "a", "11", nil], ["2", "b", nil, nil],
            ["3", "c", "30", "z"],
        ]
        #expect(
            Self.text(Self.nested, rows)
                == #"[{"id":1,"lines":[{"line":10,"notes":["x","y"]},{"line":11,"notes":null}],"name":"a"},{"id":2,"lines":null,"name":"b"},{"id":3,"lines":[{"line":30,"notes":["z"]}],"name":"c"}]"#
        )
        #expect(Self.text(Self.nested, []) == "[]")
    }

    @Test("children with equal keys under different parents stay apart")
    func equalKeys() {
        let rows = [["1", "a", "10", "x"], ["2", "b", "10", "y"]]
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
        #expect(Self.text(shape, [["1", "a"], ["1", nil], ["1", "b"]]) == #"[{"tags":["a","b"]}]"#)
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
            Self.text(shape, [["1", "c", "7"], ["1", "c", "8"], ["2", nil, nil]])
                == #"[{"id":1,"category":{"products":[7,8],"n":"c"},"z":1},{"id":2,"category":null,"z":2}]"#)
    }

    @Test("one row, or null; more than a limit is dropped and told")
    func bounds() {
        var shape = RowShape(levels: [.init(item: .object([.init("a", .value(column: 0, .number))], presence: nil))], result: .one)
        #expect(Self.text(shape, []) == "null")
        #expect(Self.text(shape, [["1"], ["2"]]) == #"{"a":1}"#)
        shape.result = .list
        shape.levels[0].limit = 2
        let assembler = Self.assembler(shape)
        for row in [["1"], ["2"]] { assembler.add(row) }
        #expect(!assembler.isTruncated)
        assembler.add(["3"])
        #expect(assembler.isTruncated)
        #expect(Self.text(assembler) == #"[{"a":1},{"a":2}]"#)
    }

    /// The JSON of a value; nil where it is none of the format.
    static func json(_ text: String, _ format: ValueFormat, isChecked: Bool = false) -> String? {
        var output = ReplyBuffer(capacity: 1)
        defer { output.free() }
        let isValue = Array(text.utf8).withUnsafeBytes { output.write($0, as: format, isChecked: isChecked) }
        return isValue ? String(decoding: output.bytes, as: UTF8.self) : nil
    }

    @Test(
        "values are written as JSON",
        arguments: [
            ("1.50", ValueFormat.number, "1.50"), ("NaN", .number, "null"), ("-Infinity", .number, "null"), ("1e+20", .number, "1e+20"),
            ("Inf", .number, "null"), ("12", .integer, "12"), ("-3.00", .integer, "-3"),
            ("t", .boolean, "true"), ("f", .boolean, "false"), ("0", .boolean, "false"), ("1", .boolean, "true"),
            ("a\"b\\c\n\u{1}é", .text, #""a\"b\\c\n\u0001é""#), (#"{"a": 1}"#, .json, #"{"a": 1}"#),
            ("2025-03-15", .date, #""2025-03-15""#), ("2025-03-15 09:00:00", .dateTime, #""2025-03-15T09:00:00Z""#),
            ("2025-03-15 09:00:00.25+00", .timestamp, #""2025-03-15T09:00:00.25Z""#),
            ("2025-03-15 10:00:00+01", .timestamp, #""2025-03-15T10:00:00+01:00""#),
            ("2025-03-15T10:00:00+00:00", .timestamp, #""2025-03-15T10:00:00Z""#),
            ("2025-03-15 10:00:00-05:30", .timestamp, #""2025-03-15T10:00:00-05:30""#), ("infinity", .timestamp, #""infinity""#),
            ("0044-03-15 10:00:00 BC", .dateTime, #""0044-03-15 10:00:00 BC""#),
            ("09:00:00", .time, #""09:00:00.000000000""#), ("09:00:00.5", .time, #""09:00:00.500000000""#),
            ("[1, null,2]", .integer.list, "[1,null,2]"), ("[[1],[]]", .number.list, "[[1],[]]"), (#"["NaN"]"#, .number.list, "[null]"),
            (#"["2025-03-15T10:00:00+00:00"]"#, .timestamp.list, #"["2025-03-15T10:00:00Z"]"#), ("[0,1]", .boolean.list, "[false,true]"),
            (#"["09:00:00"]"#, .time.list, #"["09:00:00.000000000"]"#), (" [ ] ", .integer.list, "[]"),
        ])
    func formats(text: String, format: ValueFormat, expected: String) {
        #expect(Self.json(text, format, isChecked: true) == expected)
    }

    @Test(
        "what a database holds against the declared type is no value",
        arguments: [
            ("abc", ValueFormat.number), ("", .number), ("007", .integer), ("1.5", .integer), ("-", .integer), ("1e3", .integer),
            ("1.", .number), ("0x1", .number), ("+1", .number), ("2", .boolean), ("yes", .boolean), ("", .boolean),
            ("yesterday", .date), ("2025-3-15", .date), ("1741000000", .timestamp), ("2025-03-15", .dateTime),
            ("2025-03-15 09:00:00+x", .timestamp), ("9:00", .time), ("silver", .json), (#"{"a":}"#, .json), ("[1,]", .json), ("", .json),
            (#""\x""#, .json), ("[1", .json), ("nul", .json), ("1 2", .json), ("{1:2}", .json), ("silver", .text.list),
            ("{}", .integer.list),
            ("[1.5]", .integer.list), (#"["a"]"#, .number.list), ("[1] 2", .integer.list), ("[2]", .boolean.list),
        ])
    func misfits(text: String, format: ValueFormat) { #expect(Self.json(text, format, isChecked: true) == nil) }

    @Test("text that is no UTF-8 is refused where the database does not see to it")
    func notUTF8() {
        var output = ReplyBuffer(capacity: 1)
        defer { output.free() }
        let isText = [0x61, 0xff].withUnsafeBytes { output.write($0, as: .text, isChecked: true) }
        #expect(!isText)
    }

    @Test("a value of another type than declared is an error that names its place")
    func misfitPlace() {
        let shape = RowShape(
            levels: [.init(item: .object([.init("a", .object([.init("b", .value(column: 0, .integer))], presence: nil))], presence: nil))],
            result: .list)
        let assembler = Self.assembler(shape)
        assembler.add(["1"])
        assembler.add(["one"])
        #expect(assembler.isDone)
        #expect(assembler.problem == .value(place: "a.b", .integer))
    }

    @Test("rows and bytes beyond their limits are a problem, and nothing more is written")
    func limits() {
        let shape = RowShape(levels: [.init(item: .value(column: 0, .text))], result: .list)
        var limits = PlanLimits()
        limits.rows = 2
        let rows = Self.assembler(shape, limits)
        for _ in 0..<3 { rows.add(["a"]) }
        #expect(rows.problem == .rows)
        limits.replyBytes = 10
        let bytes = Self.assembler(shape, limits)
        bytes.add([String(repeating: "x", count: 100)])
        #expect(bytes.problem == .bytes)
        #expect(bytes.byteCount < 10)
    }

    @Test("a row with too few columns is a problem, not a crash")
    func missingColumns() {
        let assembler = Self.assembler(Self.nested)
        assembler.add(["1"])
        #expect(assembler.problem == .columns)
    }

    @Test("any text comes back through JSON as it was", arguments: 0..<400)
    func quoting(seed: Int) throws {
        var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        let text = String(String.UnicodeScalarView((0..<Int(next() % 40)).compactMap { _ in Unicode.Scalar(UInt32(next() % 300)) }))
        let json = try #require(Self.json(text, .text, isChecked: true))
        #expect(try JSONValue(parsing: Array(json.utf8)) == .string(text))
        #expect(Self.json(json, .json, isChecked: true) == json)
    }
}
