/// A geometry in GeoJSON (RFC 7946) as ISO well-known binary, little-endian, which is how tables carry it (OGC 06-103r4, section 8).
struct WellKnownBinary {
    private(set) var bytes: [UInt8] = []

    private indirect enum Coordinates {
        case number(Double)
        case list([Coordinates])
    }

    private struct Geometry {
        var type = ""
        var coordinates: Coordinates?
        var geometries: [UnsafeRawBufferPointer] = []
    }

    /// Nil for what is no geometry.
    static func from(geoJSON text: UnsafeRawBufferPointer) -> [UInt8]? {
        var writer = WellKnownBinary()
        return writer.write(text, depth: 0) ? writer.bytes : nil
    }

    private static let kinds: [String: UInt32] = [
        "Point": 1, "LineString": 2, "Polygon": 3, "MultiPoint": 4, "MultiLineString": 5, "MultiPolygon": 6, "GeometryCollection": 7,
    ]

    private mutating func write(_ text: UnsafeRawBufferPointer, depth: Int) -> Bool {
        guard depth < 16, let geometry = Self.read(text), let kind = Self.kinds[geometry.type] else { return false }
        if kind == 7 {
            head(7, geometry.geometries.count)
            return geometry.geometries.allSatisfy { write($0, depth: depth + 1) }
        }
        guard let coordinates = geometry.coordinates else { return false }
        return write(coordinates, kind, Self.dimensions(coordinates))
    }

    private mutating func append<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Byte order and type; for all but points how many parts follow.
    private mutating func head(_ kind: UInt32, _ count: Int?) {
        bytes.append(1)
        append(kind)
        if let count { append(UInt32(truncatingIfNeeded: count)) }
    }

    private mutating func write(_ coordinates: Coordinates, _ kind: UInt32, _ dimensions: Int) -> Bool {
        guard case .list(let parts) = coordinates else { return false }
        // ISO tells of a height by adding a thousand.
        let told = dimensions == 3 ? kind + 1000 : kind
        switch kind {
        case 1:
            head(told, nil)
            return parts.isEmpty ? position((0..<dimensions).map { _ in .number(.nan) }, dimensions) : position(parts, dimensions)
        case 2:
            head(told, parts.count)
            return positions(parts, dimensions)
        case 3:
            head(told, parts.count)
            return rings(parts, dimensions)
        default:
            head(told, parts.count)
            return parts.allSatisfy { write($0, kind - 3, dimensions) }
        }
    }

    private mutating func rings(_ rings: [Coordinates], _ dimensions: Int) -> Bool {
        rings.allSatisfy { ring in
            guard case .list(let parts) = ring else { return false }
            append(UInt32(truncatingIfNeeded: parts.count))
            return positions(parts, dimensions)
        }
    }

    private mutating func positions(_ positions: [Coordinates], _ dimensions: Int) -> Bool {
        positions.allSatisfy { one in
            guard case .list(let numbers) = one else { return false }
            return position(numbers, dimensions)
        }
    }

    private mutating func position(_ numbers: [Coordinates], _ dimensions: Int) -> Bool {
        guard numbers.count == dimensions else { return false }
        return numbers.allSatisfy { number in
            guard case .number(let value) = number else { return false }
            append(value.bitPattern)
            return true
        }
    }

    private static func dimensions(_ coordinates: Coordinates) -> Int {
        guard case .list(let parts) = coordinates, let first = parts.first else { return 2 }
        if case .number = first { return parts.count == 3 ? 3 : 2 }
        return dimensions(first)
    }

    // MARK: Reading

    private static func read(_ text: UnsafeRawBufferPointer) -> Geometry? {
        var scanner = JSONScanner(text)
        var geometry = Geometry()
        guard scanner.take(UInt8(ascii: "{")), !scanner.take(UInt8(ascii: "}")) else { return nil }
        repeat {
            guard let key = scanner.takeValue(), scanner.take(UInt8(ascii: ":")) else { return nil }
            if key.elementsEqual("\"coordinates\"".utf8) {
                guard let coordinates = coordinates(&scanner, depth: 0) else { return nil }
                geometry.coordinates = coordinates
                continue
            }
            guard let value = scanner.takeValue() else { return nil }
            if key.elementsEqual("\"type\"".utf8) {
                geometry.type = String(decoding: value.dropFirst().dropLast(), as: UTF8.self)
            } else if key.elementsEqual("\"geometries\"".utf8) {
                guard let parts = elements(value) else { return nil }
                geometry.geometries = parts
            }
        } while scanner.take(UInt8(ascii: ","))
        return scanner.take(UInt8(ascii: "}")) && scanner.isAtEnd() ? geometry : nil
    }

    private static func elements(_ list: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer]? {
        var scanner = JSONScanner(list)
        guard scanner.take(UInt8(ascii: "[")) else { return nil }
        var found: [UnsafeRawBufferPointer] = []
        while !scanner.take(UInt8(ascii: "]")) {
            if !found.isEmpty { guard scanner.take(UInt8(ascii: ",")) else { return nil } }
            guard let element = scanner.takeValue() else { return nil }
            found.append(element)
        }
        return found
    }

    private static func coordinates(_ scanner: inout JSONScanner, depth: Int) -> Coordinates? {
        guard depth < 5, scanner.peek() == UInt8(ascii: "[") else {
            return scanner.takeValue().flatMap(ColumnText.number).map { .number($0) }
        }
        guard scanner.take(UInt8(ascii: "[")) else { return nil }
        var parts: [Coordinates] = []
        while !scanner.take(UInt8(ascii: "]")) {
            if !parts.isEmpty { guard scanner.take(UInt8(ascii: ",")) else { return nil } }
            guard let part = coordinates(&scanner, depth: depth + 1) else { return nil }
            parts.append(part)
        }
        return .list(parts)
    }
}
