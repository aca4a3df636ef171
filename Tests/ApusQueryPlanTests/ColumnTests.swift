import Testing

@testable import ApusQueryPlan

/// Values of columns from a database's text.
@Suite("texts to columns")
struct ColumnTests {
    private func read<Value>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        Array(text.utf8).withUnsafeBytes(body)
    }

    @Test("whole numbers, as far as 64 bits go")
    func integers() {
        for value in [Int64.min, -1, 0, 1, 9_007_199_254_740_993, .max] { #expect(read(String(value), ColumnText.integer) == value) }
        #expect(read("12.000", ColumnText.integer) == 12)
        for text in ["", "-", "9223372036854775808", "1.5", "1.", "x", "1 ", "+1"] {
            #expect(read(text, ColumnText.integer) == nil, "\(text)")
        }
    }

    @Test("numbers are rounded as the standard library rounds them")
    func numbers() {
        var random = SplitMix(state: 20_261_122)
        for _ in 0..<20_000 {
            let bits = Double(bitPattern: random.next())
            let short = Double(Int64(truncatingIfNeeded: random.next() % 1_000_000_000_000)) / 1000
            for value in [bits, short, -short] where value.isFinite {
                #expect(read("\(value)", ColumnText.number)?.bitPattern == value.bitPattern)
            }
        }
        for text in ["0", "-0", "0.1", "123456789012345", "1234567890123456", "0.000000000000001", "1e300", "1E-7", "99999999999999999999"]
        {
            #expect(read(text, ColumnText.number)?.bitPattern == Double(text)?.bitPattern, "\(text)")
        }
        #expect(read("NaN", ColumnText.number)?.isNaN == true && read("-Infinity", ColumnText.number) == -.infinity)
        for text in ["", ".", "-", "1.2.3", "1 ", " 1", "one"] { #expect(read(text, ColumnText.number) == nil, "\(text)") }
    }

    @Test("dates and times as PostgreSQL and SQLite write them")
    func times() {
        #expect(read("1970-01-01", ColumnText.date) == 0)
        #expect(read("2000-02-29", ColumnText.date) == 11_016)
        #expect(read("0001-01-01", ColumnText.date) == -719_162)
        #expect(read("0001-12-31 BC", ColumnText.date) == -719_163)
        #expect(read("12026-01-01", ColumnText.date) == 3_672_879)
        #expect(read("09:30:00.25", ColumnText.time) == 34_200_250_000)
        #expect(read("1970-01-01 00:00:01.000001+00", ColumnText.instant) == 1_000_001)
        #expect(read("1969-12-31T23:59:59Z", ColumnText.instant) == -1_000_000)
        #expect(read("2026-01-31 12:00:00+01:30", ColumnText.instant) == read("2026-01-31 10:30:00", ColumnText.instant))
        for text in ["infinity", "-infinity", "2026-13-01", "2026-1-1", "2026-01-01x", "2026-01-01 25:00:00", "2026-01-01 1:00:00"] {
            #expect(read(text, ColumnText.instant) == nil && read(text, ColumnText.date) == nil, "\(text)")
        }
    }

    @Test("lengths of time, each part with its sign")
    func intervals() {
        func parts(_ text: String) -> [Int64]? {
            read(text, ColumnText.interval).map { [Int64($0.months), Int64($0.days), $0.nanoseconds] }
        }
        #expect(parts("P1Y2M3DT4H5M6.789S") == [14, 3, 14_706_789_000_000])
        #expect(parts("P-1Y-2M3DT-0.5S") == [-14, 3, -500_000_000])
        #expect(parts("PT0S") == [0, 0, 0])
        for text in ["", "1 day", "P1", "P1H", "PT1D", "P1.5D"] { #expect(parts(text) == nil, "\(text)") }
    }

    @Test("geometries as ISO well-known binary")
    func geometries() {
        func hex(_ text: String) -> String? {
            read(text, WellKnownBinary.from)?.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        }
        let (one, two) = ("000000000000f03f", "0000000000000040")
        #expect(hex(#"{"type":"Point","coordinates":[1,2]}"#) == "0101000000" + one + two)
        #expect(hex(#"{"coordinates":[1,2,1],"type":"Point"}"#) == "01e9030000" + one + two + one)
        #expect(hex(#"{"type":"LineString","coordinates":[[1,2],[2,1]]}"#) == "010200000002000000" + one + two + two + one)
        #expect(hex(#"{"type":"MultiPoint","coordinates":[[1,2]]}"#) == "0104000000010000000101000000" + one + two)
        #expect(hex(#"{"type":"Polygon","coordinates":[[[1,2]]]}"#) == "01030000000100000001000000" + one + two)
        #expect(
            hex(#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]}]}"#)
                == "0107000000010000000101000000" + one + two)
        for text in [
            "", "null", "{}", #"{"type":"Point"}"#, #"{"type":"Circle","coordinates":[1,2]}"#, #"{"type":"Point","coordinates":["a",2]}"#,
        ] {
            #expect(hex(text) == nil, "\(text)")
        }
    }
}

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014).
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
