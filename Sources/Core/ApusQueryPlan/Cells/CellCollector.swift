internal import ApusCells

/// The geometries of a statement's rows as cells. Each row is a geometry that no other row has: the name by which the next statement finds the
/// rows of it, and the geometry itself in degrees, as hexadecimal digits of its binary form.
///
/// Of a geometry it keeps the name and its cells.
struct CellCollector {
    /// Ascending, once `finish` was called.
    private(set) var cells: [Cell] = []
    /// Pairs of geometries and cells as lists of PostgreSQL, once `finish` was called: names, the numbers of cells in their order, how many
    /// cells each geometry has.
    private(set) var lists: [[UInt8]] = []
    private var grid: CellGrid
    private let mostPairs: Int
    private var names: [[UInt8]] = []
    private var counts: [Int32] = []
    private var pairs: [(cell: Cell, geometry: Int32)] = []

    /// Comparisons of cells with corners that a statement's geometries may need: some five seconds.
    private static let mostComparisons = 250_000_000

    init?(resolution: Int, mostPairs: Int) {
        guard let grid = CellGrid(resolution: resolution, mostCells: mostPairs, comparisons: Self.mostComparisons) else { return nil }
        self.grid = grid
        self.mostPairs = mostPairs
    }

    mutating func add(name: RowCell, geometry: RowCell) throws(CellProblem) {
        guard name.start != nil, geometry.start != nil else { return }
        grid.mostCells = mostPairs - pairs.count
        let touched = try grid.cells(ofHexadecimal: geometry.bytes)
        guard !touched.isEmpty else { return }
        for cell in touched { pairs.append((cell, Int32(names.count))) }
        names.append(Array(name.bytes))
        counts.append(Int32(touched.count))
    }

    /// All geometries have come. Does nothing the second time.
    mutating func finish() {
        guard lists.isEmpty else { return }
        pairs.sort { ($0.cell, $0.geometry) < ($1.cell, $1.geometry) }
        lists = Array(repeating: [UInt8(ascii: "{")], count: 3)
        for pair in pairs {
            if cells.last != pair.cell { cells.append(pair.cell) }
            if lists[0].count > 1 { for index in lists.indices { lists[index].append(UInt8(ascii: ",")) } }
            lists[0].append(Ascii.quote)
            lists[0] += names[Int(pair.geometry)]
            lists[0].append(Ascii.quote)
            lists[1] += String(cells.count - 1).utf8
            lists[2] += String(counts[Int(pair.geometry)]).utf8
        }
        for index in lists.indices { lists[index].append(UInt8(ascii: "}")) }
        (pairs, names, counts) = ([], [], [])
    }
}
