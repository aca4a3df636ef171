internal import Glibc

/// A place on Earth, in degrees.
public struct GeoPoint: Sendable, Hashable {
    public var latitude: Double
    public var longitude: Double

    public init(latitude: Double, longitude: Double) {
        self.latitude = latitude
        self.longitude = longitude
    }
}

/// A part of the Earth's surface. Its boundary is not in it.
public enum GeoShape: Sendable, Hashable {
    /// All that is nearer than `radius` metres, on a sphere of the Earth's mean radius (IUGG).
    case circle(GeoPoint, radius: Double)
    /// Between the parallels and meridians of two corners; over the antimeridian where the left one is east of the right one.
    case box(topLeft: GeoPoint, bottomRight: GeoPoint)
    /// Inside the first ring and in none of the others (their boundaries included); rings may or may not repeat their first point.
    case polygon([GeoPoint], holes: [[GeoPoint]])

    func contains(_ point: GeoPoint) -> Bool {
        switch self {
        case .circle(let center, let radius): return Self.distance(point, center) < radius
        case .box(let topLeft, let bottomRight):
            let (left, right) = (topLeft.longitude, bottomRight.longitude)
            let isBetween =
                left > right ? point.longitude > left || point.longitude < right : left < point.longitude && point.longitude < right
            return isBetween && topLeft.latitude > point.latitude && point.latitude > bottomRight.latitude
        case .polygon(let ring, let holes):
            return Self.isInside(point, ring, withBoundary: false) && !holes.contains { Self.isInside(point, $0, withBoundary: true) }
        }
    }

    /// Metres along the great circle (haversine formula).
    static func distance(_ a: GeoPoint, _ b: GeoPoint) -> Double {
        func radians(_ degrees: Double) -> Double { degrees * .pi / 180 }
        let (latitudeA, latitudeB) = (radians(a.latitude), radians(b.latitude))
        let byLatitude = sin((latitudeB - latitudeA) / 2)
        let byLongitude = sin((radians(b.longitude) - radians(a.longitude)) / 2)
        let square = byLatitude * byLatitude + cos(latitudeA) * cos(latitudeB) * byLongitude * byLongitude
        return 2 * 6_371_008.8 * asin(min(1, square).squareRoot())
    }

    /// Counts how often a ray from the point crosses the ring.
    private static func isInside(_ point: GeoPoint, _ ring: [GeoPoint], withBoundary: Bool) -> Bool {
        guard let last = ring.indices.last else { return false }
        let (x, y) = (point.latitude, point.longitude)
        var isInside = false
        var previous = ring[last]
        for current in ring {
            defer { previous = current }
            let (x1, y1, x2, y2) = (current.latitude, current.longitude, previous.latitude, previous.longitude)
            if current == previous { continue }
            if y * (x1 - x2) + y1 * (x2 - x) + y2 * (x - x1) == 0, (x1 - x) * (x2 - x) <= 0, (y1 - y) * (y2 - y) <= 0 {
                return withBoundary
            }
            if (y1 > y) != (y2 > y), x < (x2 - x1) * (y - y1) / (y2 - y1) + x1 { isInside.toggle() }
        }
        return isInside
    }
}
