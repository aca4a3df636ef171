import ApusCells
import Testing

/// Against what H3's own package for Python (h3 4.5.0) gives.
@Suite("cells")
struct GridTests {
    private func grid(_ resolution: Int, mostCells: Int = 100_000, comparisons: Int = .max) throws -> CellGrid {
        try #require(CellGrid(resolution: resolution, mostCells: mostCells, comparisons: comparisons))
    }

    /// Latitude first, as that package has it.
    private func positions(_ pairs: [(Double, Double)]) -> [Position] { pairs.map { Position(longitude: $0.1, latitude: $0.0) } }

    @Test(
        "a place has a cell of each resolution",
        arguments: [
            (34.052234, -118.243685, ["8029fffffffffff", "8429a1dffffffff", "8929a1d7567ffff", "8f29a1d7575b59e"]),
            (40.73061, -73.935242, ["802bfffffffffff", "842a101ffffffff", "892a100d183ffff", "8f2a100d1810cc1"]),
            (0, 0, ["8075fffffffffff", "84754a9ffffffff", "89754e64993ffff", "8f754e64992d6d8"]),
            (90, 0, ["8001fffffffffff", "8403263ffffffff", "890326233abffff", "8f0326233ab0399"]),
            (-90, 0, ["80f3fffffffffff", "84f2939ffffffff", "89f29380e0fffff", "8ff29380e0d0cc4"]),
            (0, 180, ["807ffffffffffff", "847eb57ffffffff", "897eb57221bffff", "8f7eb57221a2bb0"]),
            (0, -180, ["807ffffffffffff", "847eb57ffffffff", "897eb57221bffff", "8f7eb57221a2bb0"]),
        ])
    func places(latitude: Double, longitude: Double, cells: [String]) throws {
        for (resolution, expected) in zip([0, 4, 9, 15], cells) {
            #expect(try grid(resolution).cell(at: Position(longitude: longitude, latitude: latitude)).text == expected)
        }
    }

    @Test("there are sixteen resolutions")
    func resolutions() throws {
        #expect(CellGrid(resolution: -1) == nil && CellGrid(resolution: 16) == nil)
        #expect(abs(try grid(4).edge * 111.2 - 26.07175968) < 1e-6)
    }

    @Test("a cell's boundary goes round, and on beyond the 180th meridian")
    func boundaries() throws {
        let corners = try grid(4).cell(at: Position(longitude: -118.243685, latitude: 34.052234)).boundary
        #expect(corners.count == 7 && corners.first == corners.last)
        #expect(abs(corners[0].longitude + 118.04038609770777) < 1e-9 && abs(corners[0].latitude - 33.94617247140065) < 1e-9)
        let east = try grid(2).cell(at: Position(longitude: 180, latitude: 0)).boundary
        #expect(east.map { Int($0.longitude.rounded(.down)) } == [179, 179, 179, 181, 181, 181, 179])
        // A pentagon, whose edges cross those of the grid's faces.
        #expect(Cell(index: 0x0830_800f_ffff_ffff).boundary.count == 11)
        #expect(Cell(index: 12).boundary.isEmpty)
    }

    private static let sanFrancisco = [
        (37.813318999983238, -122.4089866999972145), (37.7866302000007224, -122.3805436999997056),
        (37.7198061999978478, -122.3544736999993603), (37.7076131999975672, -122.5123436999983966),
        (37.7835871999971715, -122.5247187000021967), (37.8151571999998453, -122.4798767000009008),
    ]

    @Test("a polygon has all cells that it touches", arguments: [(5, 3), (6, 9), (7, 37), (9, 1334)])
    func polygons(resolution: Int, count: Int) throws {
        var grid = try grid(resolution)
        let ring = positions(Self.sanFrancisco)
        let cells = try grid.cells(inside: [ring])
        #expect(cells.count == count)
        // Told with its first corner once more, it is the same ring.
        #expect(try grid.cells(inside: [ring + ring.prefix(1)]) == cells)
        if resolution == 5 { #expect(cells.map(\.text).sorted() == ["85283083fffffff", "85283087fffffff", "85283097fffffff"]) }
    }

    @Test("a hole is no part of a polygon, and a polygon inside a cell has that cell")
    func holes() throws {
        let square = positions([(0, 0), (0, 1), (1, 1), (1, 0)])
        let hole = positions([(0.3, 0.3), (0.3, 0.7), (0.7, 0.7), (0.7, 0.3)])
        var fine = try grid(5)
        #expect(try fine.cells(inside: [square, hole]).count == 82)
        #expect(try fine.cells(inside: [square]).count > 82)
        var coarse = try grid(7)
        #expect(
            try coarse.cells(inside: [positions([(52.5, 13.4), (52.5, 13.40001), (52.50001, 13.40001)])]).map(\.text) == ["871f1d48bffffff"]
        )
        #expect(try coarse.cells(inside: []) == [])
    }

    @Test("a polygon may go on beyond the 180th meridian; without that it goes round the other way")
    func meridian() throws {
        var grid = try grid(3)
        let expected: Set = [
            "837e84fffffffff", "837ea2fffffffff", "837eb0fffffffff", "837eb1fffffffff", "837eb2fffffffff", "837eb3fffffffff",
            "837eb4fffffffff",
            "837eb5fffffffff", "837eb6fffffffff",
        ]
        for (west, east) in [(179.0, 181.0), (-181, -179)] {
            let cells = try grid.cells(inside: [positions([(0, west), (0, east), (1, east), (1, west)])])
            #expect(Set(cells.map(\.text)) == expected)
        }
        let band = try grid.cells(inside: [positions([(0, -179), (0, 179), (1, 179), (1, -179)])])
        let meridian = try grid.cell(at: Position(longitude: 180, latitude: 0.5))
        #expect(band.count > 300 && !band.contains(meridian))
    }

    @Test("the whole earth has all cells, and what is around a pole the pole's", arguments: [0, 1, 2])
    func poles(resolution: Int) throws {
        var grid = try grid(resolution)
        let earth = try grid.cells(inside: [positions([(-90, -180), (-90, 180), (90, 180), (90, -180)])])
        #expect(earth.count == [122, 842, 5882][resolution])
        let cap = try grid.cells(inside: [positions([(89, -180), (89, 180), (90, 180), (90, -180)])])
        let pole = try grid.cell(at: Position(longitude: 12, latitude: 90))
        #expect(cap.contains(pole) && cap.count < 8)
    }

    @Test("a polygon that is a cell touches that cell and those around it", arguments: [0, 3, 7, 12])
    func ownBoundary(resolution: Int) throws {
        var grid = try grid(resolution)
        let cell = try grid.cell(at: Position(longitude: 13.4, latitude: 52.5))
        let touched = try grid.cells(inside: [cell.boundary])
        #expect(touched.count == 7 && touched.contains(cell))
    }

    @Test("a line has the cells that it passes, and no others")
    func lines() throws {
        var grid = try grid(8)
        let line = positions([(52.5, 13.3), (52.52, 13.45), (52.45, 13.5)])
        let cells = try grid.cells(along: line)
        // Computed with shapely: of all cells around, those whose polygon intersects the line.
        let expected = [
            "881f18b281fffff", "881f18b283fffff", "881f18b289fffff", "881f18b28bfffff", "881f18b2b9fffff", "881f18b2c3fffff",
            "881f18b2cbfffff",
            "881f1d4897fffff", "881f1d48a1fffff", "881f1d48abfffff", "881f1d48adfffff", "881f1d48b9fffff", "881f1d48bbfffff",
            "881f1d48bdfffff",
            "881f1d49c3fffff", "881f1d49d1fffff", "881f1d49d3fffff", "881f1d49ddfffff", "881f1d4d01fffff", "881f1d4d05fffff",
            "881f1d4d07fffff",
            "881f1d4d0dfffff", "881f1d4d2bfffff", "881f1d4d35fffff", "881f1d4d3dfffff", "881f1d4d47fffff", "881f1d4d69fffff",
            "881f1d4d6bfffff",
        ]
        #expect(cells.map(\.text).sorted() == expected)
        for step in 0...1000 {
            let part = Double(step) / 1000
            let (from, to) = step.isMultiple(of: 2) ? (line[0], line[1]) : (line[1], line[2])
            let place = Position(
                longitude: from.longitude + (to.longitude - from.longitude) * part,
                latitude: from.latitude + (to.latitude - from.latitude) * part)
            #expect(cells.contains(try grid.cell(at: place)))
        }
        #expect(try grid.cells(along: [line[0], line[0], line[0]]) == [try grid.cell(at: line[0])])
    }

    @Test("cells and work are bounded, whatever is asked about")
    func bounds() throws {
        var finest = try grid(15, mostCells: 1000)
        #expect(throws: CellProblem.tooMany) { try finest.cells(inside: [positions([(-80, -170), (-80, 170), (80, 170), (80, -170)])]) }
        #expect(throws: CellProblem.tooMany) { try finest.cells(along: positions([(0, 0), (1, 1)])) }
        var patient = try grid(9, comparisons: 20_000)
        let circle = (0..<5000).map { index in
            let angle = Double(index) / 5000 * 2 * .pi
            return Position(longitude: 10 + 0.01 * cosine(angle), latitude: 10 + 0.01 * cosine(angle - .pi / 2))
        }
        #expect(throws: CellProblem.tooDetailed) { try patient.cells(inside: [circle]) }
        var hasty = try grid(9, comparisons: 1000)
        #expect(throws: CellProblem.tooDetailed) { try hasty.cells(along: positions([(0, 0), (0, 1)])) }
        // Parts that lie upon each other fill the same cells again.
        var piled = try grid(9, comparisons: 10_000_000)
        let filled = try piled.cells(inside: [positions([(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 0)])])
        #expect(filled.count > 20_000 && 10_000_000 - piled.comparisons >= 64 * (filled.count - 5000))
        var exact = try grid(9, mostCells: 1334)
        #expect(try exact.cells(inside: [positions(Self.sanFrancisco)]).count == 1334)
        exact.mostCells = 1333
        #expect(throws: CellProblem.tooMany) { try exact.cells(inside: [positions(Self.sanFrancisco)]) }
    }

    private func cosine(_ angle: Double) -> Double {
        // Its series; far enough for a ring.
        var (term, sum) = (1.0, 1.0)
        for step in 1..<20 {
            term *= -angle * angle / Double((2 * step - 1) * (2 * step))
            sum += term
        }
        return sum
    }

    @Test(
        "what is no longitude and latitude is refused", arguments: [(91.0, 0.0), (0, 361), (5_000_000, 500_000), (.nan, 0), (.infinity, 0)])
    func outside(latitude: Double, longitude: Double) throws {
        #expect(throws: CellProblem.self) { try grid(4).cell(at: Position(longitude: longitude, latitude: latitude)) }
    }
}
