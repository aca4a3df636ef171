import ApusTypes
import Testing

@Suite("JSON sizes")
struct JSONSizeTests {
    @Test("bodies of all sizes are read", arguments: [1, 1000, 60_000, 65_536, 100_000, 300_000, 1_000_000])
    func sizes(count: Int) throws {
        let text = "[" + [String](repeating: "0.5", count: count).joined(separator: ",") + "]"
        for _ in 0..<2 {
            #expect(try JSONDocument(parsing: Array(text.utf8)).root.floats(dimension: count) == [Float](repeating: 0.5, count: count))
        }
    }
}
