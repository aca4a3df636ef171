internal import CH3

/// The cells of one resolution, and those that geometries touch. Lines between positions are straight in longitude and latitude, as PostGIS
/// has them: none leads across the 180th meridian, but longitudes may count on beyond it.
public struct CellGrid: Sendable {
    public static let resolutions = 0...15

    public let resolution: Int
    /// Of one geometry.
    public var mostCells: Int
    /// What is left for all geometries that are asked about: of cells with corners of polygons. One with a line counts as 64.
    public internal(set) var comparisons: Int

    /// Nil without such a resolution.
    public init?(resolution: Int, mostCells: Int = .max, comparisons: Int = .max) {
        guard Self.resolutions.contains(resolution) else { return nil }
        self.resolution = resolution
        self.mostCells = mostCells
        self.comparisons = comparisons
    }

    /// About how long an edge is, in degrees of a meridian.
    public var edge: Double {
        var kilometers = 0.0
        _ = getHexagonEdgeLengthAvgKm(Int32(resolution), &kilometers)
        return kilometers / 111.2
    }

    public func cell(at position: Position) throws(CellProblem) -> Cell {
        guard abs(position.latitude) <= 90, abs(position.longitude) <= 360 else { throw .outside(position) }
        var place = LatLng(lat: degsToRads(position.latitude), lng: degsToRads(position.longitude))
        var index: UInt64 = 0
        let outcome = latLngToCell(&place, Int32(resolution), &index)
        guard outcome == 0 else { throw .failed(code: outcome) }
        return Cell(index: index)
    }

    /// All cells that a polygon touches: its outer ring, then its holes.
    public mutating func cells(inside rings: [[Position]]) throws(CellProblem) -> Set<Cell> {
        try touched { fill throws(CellProblem) in try fill.addPolygon(rings) }
    }

    public mutating func cells(along line: [Position]) throws(CellProblem) -> Set<Cell> {
        try touched { fill throws(CellProblem) in try fill.addLine(line) }
    }

    mutating func touched(_ body: (inout CellFill) throws(CellProblem) -> Void) throws(CellProblem) -> Set<Cell> {
        var fill = CellFill(self)
        defer { comparisons = fill.grid.comparisons }
        try body(&fill)
        return fill.cells
    }
}
