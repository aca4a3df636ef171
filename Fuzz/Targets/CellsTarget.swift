import ApusCells

/// Geometries of a database: whatever the bytes are, the cells that are found are some of the grid's, and no more than allowed.
func fuzzCells(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first, var grid = CellGrid(resolution: Int(first % 16), mostCells: 2000, comparisons: 1_000_000) else { return }
    guard let cells = try? grid.cells(of: Array(input.dropFirst())) else { return }
    if cells.count > 2000 || cells != cells.sorted() { fatalError("\(cells.count) cells") }
    for cell in cells where cell.boundary.count < 6 { fatalError("\(cell.text) is no cell") }
}
