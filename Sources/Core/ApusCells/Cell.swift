internal import CH3

/// A cell of H3, a grid of hexagons over the earth in sixteen resolutions (Brodsky, "H3: Uber's Hexagonal Hierarchical Spatial Index", 2018).
public struct Cell: Sendable, Hashable, Comparable {
    public let index: UInt64

    public init(index: UInt64) { self.index = index }

    /// As everybody writes it: fifteen hexadecimal digits.
    public var text: String { String(index, radix: 16) }

    public static func < (left: Cell, right: Cell) -> Bool { left.index < right.index }

    /// Its corners in degrees, counterclockwise, the first once more at the end. Of a cell on the 180th meridian longitudes go on beyond 180,
    /// so that neighbours in the list are neighbours on the earth. Empty for what is no cell.
    public var boundary: [Position] {
        var positions = corners
        let longitudes = positions.map(\.longitude)
        if let east = longitudes.max(), let west = longitudes.min(), east - west > 180 {
            for index in positions.indices where positions[index].longitude < 0 { positions[index].longitude += 360 }
        }
        if let first = positions.first { positions.append(first) }
        return positions
    }

    /// Of a hexagon six, and more where the edges of the grid's twenty faces cross it.
    var corners: [Position] {
        var boundary = CellBoundary()
        guard isValidCell(index) == 1, cellToBoundary(index, &boundary) == 0 else { return [] }
        let count = Int(boundary.numVerts)
        return withUnsafeBytes(of: &boundary.verts) { $0.bindMemory(to: LatLng.self).prefix(count).map { Position($0) } }
    }
}

/// A place on the earth in degrees.
public struct Position: Sendable, Hashable {
    public var longitude: Double
    public var latitude: Double

    public init(longitude: Double, latitude: Double) {
        self.longitude = longitude
        self.latitude = latitude
    }

    init(_ radians: LatLng) { self.init(longitude: radsToDegs(radians.lng), latitude: radsToDegs(radians.lat)) }
}

/// Why a geometry has no cells.
public enum CellProblem: Error, Hashable {
    /// It is no well-known binary, or of a kind that has no cells.
    case malformed
    /// It has a position that is no longitude and latitude.
    case outside(Position)
    case tooMany
    /// It has too many corners, or its lines are too long.
    case tooDetailed
    /// What the grid said.
    case failed(code: UInt32)
}
