import ApusTypes
import Testing

@Suite("wall time")
struct WallTimeTests {
    @Test(
        "is written in RFC 3339, before and after 1970",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1_709_210_096_789, "2024-02-29T12:34:56.789Z"), (-1, "1969-12-31T23:59:59.999Z"),
        ])
    func description(milliseconds: Int64, expected: String) {
        #expect(WallTime(millisecondsSinceEpoch: milliseconds).description == expected)
    }
}
