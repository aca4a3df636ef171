import ApusCells
import Testing

/// Geometries as PostGIS writes them (`ST_AsBinary`).
@Suite("cells of geometries")
struct BinaryTests {
    private func cells(_ hexadecimal: String, resolution: Int = 4, mostCells: Int = 1000) throws -> [String] {
        var grid = try #require(CellGrid(resolution: resolution, mostCells: mostCells))
        return try Array(hexadecimal.utf8).withUnsafeBytes { try grid.cells(ofHexadecimal: $0) }.map(\.text)
    }

    private static let point = "0101000000d49d279eb38f5dc0c4ce14dcb0064140"

    /// Little-endian.
    private static func bytes(_ numbers: [Double]) -> String {
        numbers.map { number in
            (0..<8).map { byte in
                let text = String(number.bitPattern >> (8 * UInt64(byte)) & 255, radix: 16)
                return text.count == 1 ? "0" + text : text
            }.joined()
        }.joined()
    }

    private static let square = "05000000" + bytes([0, 0, 1, 0, 1, 1, 0, 1, 0, 0])

    @Test("points, in either byte order and either case")
    func points() throws {
        let expected = try #require(CellGrid(resolution: 4)).cell(
            at: Position(longitude: Double(bitPattern: 0xc05d_8fb3_9e27_9dd4), latitude: Double(bitPattern: 0x4041_06b0_dc14_cec4)))
        #expect(try cells(Self.point) == [expected.text])
        #expect(try cells(Self.point.uppercased()) == [expected.text])
        #expect(try cells("0000000001" + "c05d8fb39e279dd4" + "404106b0dc14cec4") == [expected.text])
    }

    /// Made at random; the cells are those of h3 4.5.0 around whose polygons intersect the geometry, as shapely 2 says.
    @Test(
        "the cells are those that intersect a geometry",
        arguments: [
            (
                6,
                "010200000004000000DAFDFCEB87053CC0429CCCAF1B0B34401CC935FF89073CC0052B79AEE7FE3340552DB72003E33BC090A009EE2C183440DF7440"
                    + "DEDDDC3BC0EBC509DA1C173440",
                "865771a07ffffff 865771a0fffffff 865771a1fffffff 865771a87ffffff 865771a8fffffff 865771aafffffff"
            ),
            (
                3,
                "010200000002000000F5A03168F53845C0E85772B0918612C0B8DA413F881146C0162DF3D8DB070FC0",
                "838000fffffffff 838001fffffffff 83800cfffffffff 83802afffffffff"
            ),
            (
                6,
                "0103000000010000000700000073566F9C258656400CC3014FED604B40892C95674D855640D6D0EB88205A4B40A403B8090A8256405AE09837A7574B"
                    + "40F1AD19056F895640823586D074564B400586A1467A895640A98E65416E564B402639A5A3CF8C56403C457C8B35574B4073566F9C258656400CC301"
                    + "4FED604B40",
                "860b930c7ffffff 860b930cfffffff 860b930dfffffff 860b930e7ffffff 860b930efffffff"
            ),
            (
                4,
                "010300000001000000070000009242D47E2EA35740893B00CDADF149C06CD7DCF7899C57407462CB7244F749C04D90F0BF558F574002A4C1588D374A"
                    + "C0259459BED5BA574058949F8BBE844AC03DCB4839D9BB5740B22AADEEAB864AC0D2C94757C3E357404FBCB3A9823C4AC09242D47E2EA35740893B00"
                    + "CDADF149C0",
                "84cd259ffffffff 84e4897ffffffff 84e48b1ffffffff 84e48b3ffffffff 84e48b7ffffffff 84e48b9ffffffff 84e48bbffffffff 84e4d65ffffffff 84e4d6dffffffff"
            ),
        ])
    func intersecting(resolution: Int, text: String, expected: String) throws {
        #expect(try cells(text, resolution: resolution) == expected.split(separator: " ").map(String.init))
    }

    @Test("parts of collections are taken together, each cell once")
    func collections() throws {
        let one = try cells(Self.point)
        #expect(try cells("010400000002000000" + Self.point + Self.point) == one)
        let polygon = "0103000000" + "01000000" + Self.square
        let square = try cells(polygon)
        #expect(try cells("010600000001000000" + polygon) == square)
        #expect(try cells("010700000002000000" + polygon + Self.point) == (square + one).sorted())
        #expect(square == square.sorted())
        let line = "0102000000" + "02000000" + Self.bytes([0, 0, 1, 0])
        #expect(Set(try cells(line)).isSubset(of: square))
        #expect(try cells("010500000001000000" + line) == cells(line))
    }

    @Test(
        "empty geometries have none",
        arguments: [
            "0101000000000000000000f87f000000000000f87f", "010200000000000000", "010300000000000000", "010400000000000000",
            "010700000000000000",
        ])
    func empty(_ text: String) throws { #expect(try cells(text) == []) }

    @Test(
        "what is no geometry, or promises more than there is, is refused",
        arguments: [
            "", "01", "0", "zz", "0201000000", "0101000000d49d279eb38f5dc0", "0102000000ffffffff", "0103000000ffffffff",
            "0107000000ffffffff",
            "0108000000", "01e9030000" + bytes([0, 0, 0]), point + "00",
            String(repeating: "010700000001000000", count: 20) + point,
        ])
    func malformed(_ text: String) { #expect(throws: CellProblem.malformed) { try cells(text) } }

    @Test("cells of all parts together are counted")
    func limit() {
        let parts = (0..<3).map { "0101000000" + Self.bytes([Double($0) * 20, 0]) }.joined()
        #expect(throws: CellProblem.tooMany) { try cells("010400000003000000" + parts, mostCells: 2) }
    }
}
