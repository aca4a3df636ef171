internal import CH3

/// Finds the cells that lines and polygons touch, from neighbour to neighbour: those that a line passes are next to each other, and what is
/// inside a polygon is bounded by what its rings pass.
///
/// It visits about as many cells as it finds. The grid's own code (`polygonToCellsExperimental` of H3 4.5) visits all in the bounding box, which
/// for a long line are a million times as many.
struct CellFill {
    var grid: CellGrid
    private(set) var cells: Set<Cell> = []
    /// Of cells that were compared with lines.
    private var shapes: [Cell: PlaneCell] = [:]

    init(_ grid: CellGrid) { self.grid = grid }

    mutating func insert(_ cell: Cell) throws(CellProblem) {
        cells.insert(cell)
        if cells.count > grid.mostCells { throw .tooMany }
    }

    mutating func addPoint(_ position: Position) throws(CellProblem) {
        try spend(Self.lookUp)
        try insert(try grid.cell(at: position))
    }

    mutating func addLine(_ line: [Position]) throws(CellProblem) {
        if let first = line.first { try addPoint(first) }
        for (start, end) in zip(line, line.dropFirst()) { try walk(from: start, to: end) }
    }

    /// Outer ring and holes alike: what their lines pass, then what is inside an odd number of them.
    mutating func addPolygon(_ rings: [[Position]]) throws(CellProblem) {
        var passed = CellFill(grid)
        for ring in rings { try passed.addLine(ring + ring.prefix(1)) }
        var seen = passed.cells
        var inside: [Cell] = []
        for cell in passed.cells {
            for neighbor in cell.neighbors where seen.insert(neighbor).inserted {
                if try passed.isInside(neighbor.center, rings) { inside.append(neighbor) }
            }
        }
        grid.comparisons = passed.grid.comparisons
        for cell in passed.cells { try insert(cell) }
        // Whatever is next to a cell inside and not passed by a ring is inside, too.
        while let cell = inside.popLast() {
            try spend(Self.lookUp)  // parts may lie upon each other
            try insert(cell)
            for neighbor in cell.neighbors where seen.insert(neighbor).inserted { inside.append(neighbor) }
        }
    }

    /// The cells between two positions.
    private mutating func walk(from start: Position, to end: Position) throws(CellProblem) {
        let (first, last) = (try grid.cell(at: start), try grid.cell(at: end))
        try insert(first)
        try insert(last)
        try spend(Self.lookUp)
        // A short line does not leave a cell that it ends in.
        if first == last, abs(start.longitude - end.longitude) + abs(start.latitude - end.latitude) < grid.edge { return }
        var seen: Set = [first]
        var next = [first]
        while let cell = next.popLast() {
            for neighbor in cell.neighbors where seen.insert(neighbor).inserted {
                try spend(Self.lookUp)
                guard shape(of: neighbor).isPassed(from: start, to: end) else { continue }
                try insert(neighbor)
                next.append(neighbor)
            }
        }
    }

    private mutating func shape(of cell: Cell) -> PlaneCell {
        if let known = shapes[cell] { return known }
        let shape = PlaneCell(cell)
        // Those that lines come back to are near.
        if shapes.count > 4096 { shapes.removeAll(keepingCapacity: true) }
        shapes[cell] = shape
        return shape
    }

    /// A position counts from each of its longitudes that rings may mean.
    private mutating func isInside(_ position: Position, _ rings: [[Position]]) throws(CellProblem) -> Bool {
        for turn in [-360.0, 0, 360] {
            var isInside = false
            for ring in rings {
                try spend(ring.count)
                var last = ring.last
                for corner in ring {
                    defer { last = corner }
                    guard let from = last, (corner.latitude > position.latitude) != (from.latitude > position.latitude) else { continue }
                    let part = (position.latitude - from.latitude) / (corner.latitude - from.latitude)
                    if from.longitude + (corner.longitude - from.longitude) * part > position.longitude + turn { isInside.toggle() }
                }
            }
            if isInside { return true }
        }
        return false
    }

    /// A place's cell, or a cell and a line, take about as long as so many corners.
    private static let lookUp = 64

    private mutating func spend(_ comparisons: Int) throws(CellProblem) {
        grid.comparisons -= comparisons
        if grid.comparisons < 0 { throw .tooDetailed }
    }
}

extension Cell {
    fileprivate var neighbors: [Cell] {
        var found = [UInt64](repeating: 0, count: 7)
        guard gridDisk(index, 1, &found) == 0 else { return [] }
        // A pentagon has one less.
        return found.compactMap { $0 == 0 || $0 == index ? nil : Cell(index: $0) }
    }

    fileprivate var center: Position {
        var place = LatLng()
        _ = cellToLatLng(index, &place)
        return Position(place)
    }
}

/// A cell in the plane of longitudes and latitudes.
private struct PlaneCell {
    private var corners: [Position]
    private let west: Double
    private let east: Double
    private let south: Double
    private let north: Double

    init(_ cell: Cell) {
        corners = cell.corners
        for index in corners.indices.dropFirst() {
            let step = corners[index].longitude - corners[index - 1].longitude
            if abs(step) > 180 { corners[index].longitude -= step > 0 ? 360 : -360 }
        }
        // Around a pole: in the plane that is all between the boundary and the plane's edge.
        if let first = corners.first, let last = corners.last, abs(first.longitude - last.longitude) > 180 {
            let turn = last.longitude > first.longitude ? 360.0 : -360
            let pole = first.latitude > 0 ? 90.0 : -90
            corners += [
                Position(longitude: first.longitude + turn, latitude: first.latitude),
                Position(longitude: first.longitude + turn, latitude: pole), Position(longitude: first.longitude, latitude: pole),
            ]
        }
        west = corners.map(\.longitude).min() ?? 0
        east = corners.map(\.longitude).max() ?? 0
        south = corners.map(\.latitude).min() ?? 0
        north = corners.map(\.latitude).max() ?? 0
    }

    /// Whether a line crosses or touches the boundary.
    func isPassed(from start: Position, to end: Position) -> Bool {
        guard max(start.latitude, end.latitude) >= south, min(start.latitude, end.latitude) <= north else { return false }
        for turn in [-720.0, -360, 0, 360, 720] {
            let (from, to) = (start.turned(turn), end.turned(turn))
            guard max(from.longitude, to.longitude) >= west, min(from.longitude, to.longitude) <= east else { continue }
            var last = corners[corners.count - 1]
            for corner in corners {
                if Self.meet(from, to, last, corner) { return true }
                last = corner
            }
        }
        return false
    }

    /// Whether two lines have a point in common, or come as near to each other as rounding errors: a line along the boundary of two cells, as
    /// polygons made of cells have, touches both.
    private static func meet(_ a: Position, _ b: Position, _ c: Position, _ d: Position) -> Bool {
        func side(_ p: Position, _ from: Position, _ to: Position) -> Double {
            (to.longitude - from.longitude) * (p.latitude - from.latitude) - (to.latitude - from.latitude) * (p.longitude - from.longitude)
        }
        func areApart(_ p: Position, _ q: Position, _ from: Position, _ to: Position) -> Bool {
            let rounding = 1e-9 * (abs(to.longitude - from.longitude) + abs(to.latitude - from.latitude))
            let (one, other) = (side(p, from, to), side(q, from, to))
            return one > rounding && other > rounding || one < -rounding && other < -rounding
        }
        if areApart(c, d, a, b) || areApart(a, b, c, d) { return false }
        // Lines on one line may still be beside each other.
        func overlap(_ a: Double, _ b: Double, _ c: Double, _ d: Double) -> Bool {
            max(min(a, b), min(c, d)) <= min(max(a, b), max(c, d)) + 1e-9
        }
        return overlap(a.longitude, b.longitude, c.longitude, d.longitude) && overlap(a.latitude, b.latitude, c.latitude, d.latitude)
    }
}

extension Position {
    fileprivate func turned(_ degrees: Double) -> Position { Position(longitude: longitude + degrees, latitude: latitude) }
}
