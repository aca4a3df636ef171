import ApusTypes
import TestKit
import Testing

@testable import ApusVectorIndex

@Suite("values of payloads")
struct PayloadValueTests {
    @Test(
        "JSON paths are read, and anything else is refused",
        arguments: [
            ("a", [.member("a")]), ("a.b-c_1", [.member("a"), .member("b-c_1")]), ("a[]", [.member("a"), .everyElement]),
            ("a[0][12].b", [.member("a"), .element(0), .element(12), .member("b")]),
            (#""a.b"[].c"#, [.member("a.b"), .everyElement, .member("c")]),
            ("ü", [.member("ü")]), ("", nil), (".", nil), ("a.", nil), ("a..b", nil), ("a[", nil), ("a[x]", nil), ("a[-1]", nil),
            (#""a"#, nil),
            ("[]", nil), ("a b", nil), ("a[99999999999999999999]", nil), ("a]", nil),
        ] as [(String, [PayloadPath.Step]?)])
    func paths(text: String, steps: [PayloadPath.Step]?) {
        var read: [PayloadPath.Step]?
        do { read = try PayloadPath(jsonPath: text).steps } catch { #expect(error.code == .requestInvalid) }
        #expect(read == steps)
    }

    @Test("members of a payload with these names, as they stand there")
    func members() {
        let payload = Array(#"{"a":{"b":[1,"x"]},"ü\"":2,"c":null,"d":"}"}"#.utf8)
        func picked(_ names: [String]) -> String { String(decoding: PayloadMembers.picked(names, of: payload), as: UTF8.self) }
        #expect(picked(["a", "d"]) == #"{"a":{"b":[1,"x"]},"d":"}"}"#)
        #expect(picked(["ü\"", "b", "c"]) == #"{"ü\"":2,"c":null}"#)
        #expect(picked([]) == "{}")
    }

    @Test(
        "moments are read in the forms of RFC 3339 and near it",
        arguments: [
            ("1970-01-01", 0), ("1970-01-01T00:00:01Z", 1_000_000), ("2024-02-29T12:00:00.5+02:00", 1_709_200_800_500_000),
            ("2024-02-29 10:00:00.500000999", 1_709_200_800_500_000), ("2024-02-29 10:00", 1_709_200_800_000_000),
            ("  2024-02-29T10:00:00 +0000", 1_709_200_800_000_000), ("2024-02-29T05:00:00-05", 1_709_200_800_000_000),
            ("2024-02-29 10:00:00 UTC", 1_709_200_800_000_000), ("1969-12-31T23:59:59z", -1_000_000),
            ("2023-02-29", nil), ("2024-13-01", nil), ("2024-00-01", nil), ("2024-01-32", nil), ("2024-01-01T24:00:00Z", nil),
            ("2024-01-01T10:60", nil), ("2024-01-01T10:00:60Z", nil), ("24-01-01", nil), ("2024-01-01T", nil), ("2024-01-01T10", nil),
            ("2024-01-01T10:00:00.Z", nil), ("2024-01-01T10:00:00+25:00", nil), ("2024-01-01T10:00:00Zx", nil), ("", nil), ("soon", nil),
        ] as [(String, Int64?)])
    func moments(text: String, microseconds: Int64?) { #expect(PayloadTime(text.utf8)?.microseconds == microseconds) }

    @Test("places lie in circles, boxes over the antimeridian, and polygons with holes; boundaries do not")
    func places() {
        let berlin = GeoPoint(latitude: 52.52, longitude: 13.405)
        let moscow = GeoPoint(latitude: 55.7558, longitude: 37.6173)
        #expect((1_600_000.0..<1_620_000).contains(GeoShape.distance(berlin, moscow)) && GeoShape.distance(berlin, berlin) == 0)
        #expect(GeoShape.circle(berlin, radius: 1_620_000).contains(moscow) && !GeoShape.circle(berlin, radius: 1_600_000).contains(moscow))
        func point(_ latitude: Double, _ longitude: Double) -> GeoPoint { GeoPoint(latitude: latitude, longitude: longitude) }
        let pacific = GeoShape.box(topLeft: point(10, 170), bottomRight: point(-10, -170))
        #expect(
            pacific.contains(point(0, 179)) && pacific.contains(point(0, -179)) && !pacific.contains(point(0, 0))
                && !pacific.contains(point(10, 175)))
        let square = [point(0, 0), point(0, 10), point(10, 10), point(10, 0), point(0, 0)]
        let hole = [point(4, 4), point(4, 6), point(6, 6), point(6, 4)]
        let ring = GeoShape.polygon(square, holes: [hole])
        #expect(ring.contains(point(2, 2)) && !ring.contains(point(5, 5)) && !ring.contains(point(0, 5)) && !ring.contains(point(4, 5)))
    }

    @Test("values that order points: numbers and moments, each once, 3 and 3.0 the same")
    func orders() throws {
        let payload = Array(#"{"a":[3,3.0,-1.5,"1970-01-01T00:00:01Z","x",null,true,[9]],"b":{"c":7}}"#.utf8)
        #expect(try PayloadPath(jsonPath: "a").orderValues(in: payload).sorted() == [.double(-1.5), .integer(3), .integer(1_000_000)])
        #expect(try PayloadPath(jsonPath: "b.c").orderValues(in: payload) == [.integer(7)])
        #expect(try PayloadPath(jsonPath: "missing").orderValues(in: payload) == [])
    }

    @Test("groups are integers and strings; a point with anything else has none")
    func groups() throws {
        let path = try PayloadPath(jsonPath: "a")
        #expect(path.groups(in: Array(#"{"a":["x",2,"x"]}"#.utf8)) == [.string("x"), .integer(2)])
        for other in ["true", "1.5", "null", "{}"] { #expect(path.groups(in: Array(#"{"a":["x",\#(other)]}"#.utf8)) == []) }
    }

    @Test("the best few are those of a full sort")
    func best() {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<300 {
            let numbers = (0..<Int.random(in: 0...60, using: &random)).map { _ in Int.random(in: 0...30, using: &random) }
            let limit = Int.random(in: 0...20, using: &random)
            var best = Best<Int>(limit, by: <)
            numbers.forEach { best.offer($0) }
            #expect(best.sorted == Array(numbers.sorted().prefix(limit)))
        }
    }

    @Test("rankings are fused by places, or by how far scores are from their mean")
    func fusion() {
        func ranking(_ scores: (UInt64, Float)...) -> [Fusion.Entry] { scores.map { .init(id: .integer($0.0), score: $0.1) } }
        let rankings = [ranking((1, 9), (2, 8)), ranking((2, 5), (3, 4))]
        let plain = Fusion.reciprocalRank(k: 2, weights: []).fused(rankings, limit: 10)
        #expect(plain.map(\.id) == [.integer(2), .integer(1), .integer(3)])
        #expect(abs(plain[0].score - (1 / 3.0 + 1 / 2.0)) < 1e-6 && abs(plain[1].score - 0.5) < 1e-6)
        let weighted = Fusion.reciprocalRank(k: 1, weights: [10, 0]).fused(rankings, limit: 2)
        #expect(weighted.map(\.id) == [.integer(1), .integer(2)] && abs(weighted[0].score - 10) < 1e-5)
        let spread = Fusion.distribution.fused([ranking((1, 3), (2, 2), (3, 1)), ranking((3, 7))], limit: 10)
        #expect(spread.map(\.id) == [.integer(3), .integer(1), .integer(2)])  // 1/3 + 1/2, 2/3, 1/2
        #expect(zip(spread, [0.8333, 0.6667, 0.5] as [Float]).allSatisfy { abs($0.score - $1) < 1e-3 })
    }

    @Test("an average moves away from negative examples, in every kind of vector")
    func average() {
        #expect(VectorValue.average(positive: [.dense([1, 2]), .dense([3, 4])], negative: [.dense([1, 1])]) == .dense([3, 5]))
        #expect(VectorValue.average(positive: [.multiple([[1]])], negative: [.multiple([[2], [3]])]) == .multiple([[1], [-2], [-3]]))
        func sparse(_ indices: [UInt32], _ values: [Float]) -> VectorValue { .sparse(SparseVector(indices: indices, values: values)) }
        #expect(
            VectorValue.average(positive: [sparse([1, 2], [2, 4])], negative: [sparse([2, 3], [1, 1])]) == sparse([1, 2, 3], [4, 7, -1]))
        #expect(VectorValue.average(positive: [], negative: [.dense([1])]) == nil)
        #expect(VectorValue.average(positive: [.dense([1])], negative: [.dense([1, 2])]) == nil)
    }
}
