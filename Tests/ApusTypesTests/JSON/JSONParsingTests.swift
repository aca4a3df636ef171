import ApusTypes
import Testing

func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }

@Suite("JSON parsing")
struct JSONParsingTests {
    @Test(
        "reads each kind of value",
        arguments: [
            ("null", JSONValue.null), ("true", true), (" false\n", false), ("0", 0), ("-7", -7),
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .unsigned(9_223_372_036_854_775_808)), ("18446744073709551615", .unsigned(.max)),
            ("1.5", 1.5), ("1e3", 1000.0), ("5e-324", .double(5e-324)), ("-0.0", .double(-0.0)), ("1e-400", 0.0),
            (#""a\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00""#, .string("a\"\\/\u{8}\u{c}\n\r\tAé😀")), (#""\u0000""#, "\0"),
            ("[]", .array([])), ("[[],[1],{}]", .array([.array([]), .array([1]), .object([:])])),
            (#"{"a":{"b":[null]},"":1}"#, .object(["a": .object(["b": .array([.null])]), "": 1])),
        ] as [(String, JSONValue)])
    func values(text: String, expected: JSONValue) throws {
        #expect(try parse(text) == expected)
    }

    @Test(
        "refuses what is not JSON, with the reason",
        arguments: [
            ("", "empty"), ("   ", "empty"), ("nul", "true, false and null"), ("True", "missing"), ("{", "missing"), ("[1,]", "missing"),
            (#"{"a" 1}"#, "missing"), (#"{a:1}"#, "missing"), (#"{"a":1,}"#, "missing"), ("1 2", "missing"), ("[1] x", "missing"),
            ("01", "at byte 0"), ("[1, -]", "at byte 4"), ("1.", "at byte 0"), (".5", "missing"), ("+1", "missing"),
            ("[0x10]", "at byte 1"), ("NaN", "missing"),
            ("1e400", "at byte 0"), ("[1,-1e999]", "at byte 3"), (#""\x41""#, "escape"), (#""\ud83d""#, "surrogate"),
            (#""\ude00""#, "surrogate"),
            (#""\ud83dx""#, "surrogate"), (#""\ud83d\u0041""#, "surrogate"), (#"{"\udc00":1}"#, "surrogate"), (#""\u12g4""#, "escape"),
            ("\"a\nb\"", "control character"), (#""abc"#, "does not end"), ("'a'", "missing"), ("\u{feff}1", "missing"),
        ])
    func refused(text: String, reason: String) throws {
        let error = try #require(throws: ApusError.self) { try parse(text) }
        #expect(error.code == .requestUnparsable)
        #expect(error.summary.contains(reason))
    }

    @Test(
        "refuses bytes that are not UTF-8",
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
            [0x22, 0xE2, 0x82, 0x22],
        ] as [[UInt8]])
    func notUTF8(bytes: [UInt8]) {
        let error = #expect(throws: ApusError.self) { try JSONValue(parsing: bytes) }
        #expect(error?.code == .requestUnparsable)
    }

    @Test("an integer beyond 64 bits becomes a double, digits in strings stay")
    func wideIntegers() throws {
        let text =
            #"{"12345678901234567890123":[12345678901234567890123,-9223372036854775809,"18446744073709551616","\"184467440737095516160\"",1]}"#
        #expect(
            try parse(text) == [
                "12345678901234567890123": [
                    .double(12_345_678_901_234_567_890_123), .double(-9_223_372_036_854_775_809), "18446744073709551616",
                    "\"184467440737095516160\"", 1,
                ]
            ])
        // 400 digits are more than a double holds.
        #expect(throws: ApusError.self) { try parse(String(repeating: "9", count: 400)) }
    }

    @Test("nesting is allowed up to the limit and refused beyond it")
    func depth() throws {
        func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        #expect(try parse(nested(64)).asArray?.count == 1)
        let error = #expect(throws: ApusError.self) { try parse(nested(65)) }
        #expect(error?.summary.contains("deep") == true)
        #expect(throws: ApusError.self) { try parse(nested(1_000_000)) }
        #expect(throws: ApusError.self) { try parse(String(repeating: #"{"a":"#, count: 100_000)) }
        // The limit of one body is not left behind for the next on the same thread.
        #expect(try JSONValue(parsing: Array(nested(100).utf8), maxDepth: 200).asArray != nil)
        #expect(throws: ApusError.self) { try parse(nested(65)) }
    }

    @Test("of several members with one key the last counts, in the tree and in the document")
    func duplicateKeys() throws {
        let text = Array(#"{"a":1,"b":2,"\u0061":3}"#.utf8)
        let value = try JSONValue(parsing: text)
        #expect(value == ["a": 3, "b": 2])
        #expect(value.asObject?.keys == ["a", "b"])
        let document = try JSONDocument(parsing: text)
        #expect(document.root["a"]?.int == 3)
        #expect(document.root.members?.map(\.key) == ["a", "b", "a"])
    }
}

@Suite("JSON document")
struct JSONDocumentTests {
    @Test("gives typed access, and nil for another type")
    func access() throws {
        let root = try JSONDocument(
            parsing: Array(#"{"s":"é","i":-1,"u":18446744073709551615,"d":5.0,"b":false,"n":null,"a":[1,"x"],"o":{}}"#.utf8)
        ).root
        #expect(root["s"]?.string == "é" && root["s"]?.int == nil && root["s"]?.elements == nil)
        #expect(root["i"]?.int == -1 && root["i"]?.uint == nil && root["i"]?.double == -1)
        #expect(root["u"]?.uint == .max && root["u"]?.int == nil)
        #expect(root["d"]?.double == 5 && root["d"]?.int == nil)
        #expect(root["b"]?.bool == false && root["n"]?.isNull == true && root["n"]?.bool == nil)
        #expect(root["a"]?.count == 2 && root["a"]?.elements?.map(\.kind) == [.integer, .string])
        #expect(root["o"]?.members?.map(\.key) == [] && root["o"]?.count == 0)
        #expect(root["absent"] == nil && root["s"]?["s"] == nil)
    }

    @Test("names the place of a value")
    func path() throws {
        let root = try JSONDocument(parsing: Array(#"{"points":[{"id":1},{"id":2,"vector":[0.5]}],"x":[[],[[3]]]}"#.utf8)).root
        #expect(root.path == "" && root.place == "the body")
        let second = try #require(root["points"]?.elements?.dropFirst().first { _ in true })
        #expect(second["vector"]?.path == "points[1].vector")
        let deep = try #require(
            root["x"]?.elements?.dropFirst().first { _ in true }?.elements?.first { _ in true }?.elements?.first { _ in true })
        #expect(deep.path == "x[1][0][0]" && deep.int == 3)
    }

    @Test("reads a vector of exact numbers, whole ones too")
    func floats() throws {
        let vector = try JSONDocument(parsing: Array("[1, -2.5, 0.1, 1e-60, 3.4028234e38, 18446744073709551615]".utf8)).root
        #expect(try vector.floats(dimension: 6) == [1, -2.5, 0.1, 0, .greatestFiniteMagnitude, 18_446_744_073_709_551_615])
        #expect(try JSONDocument(parsing: Array("[]".utf8)).root.floats(dimension: 0) == [])
    }

    @Test(
        "names the element that is no float",
        arguments: [
            (#"[1,2,"3"]"#, "v[2]", ErrorCode.vectorInvalid), ("[null,2,3]", "v[0]", .vectorInvalid), ("[1,[2],3]", "v[1]", .vectorInvalid),
            ("[1,2,{}]", "v[2]", .vectorInvalid), ("[1,1e39,3]", "v[1]", .vectorInvalid), ("[1,2,-3.5e38]", "v[2]", .vectorInvalid),
            ("[1,2,true]", "v[2]", .vectorInvalid), ("[1,2]", "v", .vectorWrongDimension), ("[1,2,3,4]", "v", .vectorWrongDimension),
            ("[]", "v", .vectorWrongDimension), ("{}", "v", .vectorInvalid), ("7", "v", .vectorInvalid),
        ])
    func badFloats(vector: String, field: String, code: ErrorCode) throws {
        let element = try #require(try JSONDocument(parsing: Array(#"{"v":\#(vector),"w":[1,2,3]}"#.utf8)).root["v"])
        let error = try #require(throws: ApusError.self) { try element.floats(dimension: 3) }
        #expect(error.code == code)
        #expect(error.context["field"] == field)
    }

    @Test("minifies nested values as they were")
    func minified() throws {
        let text = #" { "a" : [ 1 , 2.50, -0.0, 1e100, "\u00e9\n\u0001" , true ,null , {} , [ ] ] , "b":18446744073709551615 } "#
        let minified = try JSONDocument(parsing: Array(text.utf8)).root.minified
        #expect(
            String(decoding: minified, as: UTF8.self) == #"{"a":[1,2.5,-0.0,1e+100,"é\n\u0001",true,null,{},[]],"b":18446744073709551615}"#)
        let deep = String(repeating: #"{"k":["#, count: 30) + String(repeating: "]}", count: 30)
        #expect(try JSONDocument(parsing: Array(deep.utf8)).root.minified == Array(deep.utf8))
    }
}
