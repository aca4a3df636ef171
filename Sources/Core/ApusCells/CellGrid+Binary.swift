/// Geometries in well-known binary (OGC 06-103r4, section 8): two coordinates, either byte order.
extension CellGrid {
    /// The cells of a geometry as hexadecimal digits, in ascending order, each once. None for an empty geometry.
    public mutating func cells(ofHexadecimal text: UnsafeRawBufferPointer) throws(CellProblem) -> [Cell] {
        guard text.count.isMultiple(of: 2) else { throw .malformed }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2)
        for at in stride(from: 0, to: text.count, by: 2) {
            guard let high = Self.digit(text[at]), let low = Self.digit(text[at + 1]) else { throw .malformed }
            bytes.append(high << 4 | low)
        }
        return try cells(of: bytes)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }

    public mutating func cells(of binary: [UInt8]) throws(CellProblem) -> [Cell] {
        var reader = BinaryReader(bytes: binary)
        let found = try touched { fill throws(CellProblem) in try fill.add(&reader, depth: 0) }
        guard reader.at == binary.count else { throw .malformed }
        return found.sorted()
    }
}

extension CellFill {
    fileprivate mutating func add(_ reader: inout BinaryReader, depth: Int) throws(CellProblem) {
        guard depth < 16 else { throw .malformed }
        switch try reader.kind() {
        case 1:
            let position = try reader.position()
            // An empty point.
            if position.longitude.isNaN, position.latitude.isNaN { return }
            try addPoint(position)
        case 2: try addLine(try reader.positions())
        case 3:
            var rings: [[Position]] = []
            for _ in 0..<(try reader.count(ofBytes: 4)) { rings.append(try reader.positions()) }
            try addPolygon(rings)
        case 4...7: for _ in 0..<(try reader.count(ofBytes: 5)) { try add(&reader, depth: depth + 1) }
        default: throw .malformed
        }
    }
}

private struct BinaryReader {
    let bytes: [UInt8]
    private(set) var at = 0
    private var isLittle = true

    init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func number<Number: FixedWidthInteger>(_: Number.Type) throws(CellProblem) -> Number {
        let size = MemoryLayout<Number>.size
        guard bytes.count - at >= size else { throw .malformed }
        let number = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: Number.self) }
        at += size
        return isLittle ? Number(littleEndian: number) : Number(bigEndian: number)
    }

    /// Behind the byte order, which holds for what follows.
    mutating func kind() throws(CellProblem) -> UInt32 {
        let order = try number(UInt8.self)
        guard order <= 1 else { throw .malformed }
        isLittle = order == 1
        return try number(UInt32.self)
    }

    /// How many parts follow, each of so many bytes at least.
    mutating func count(ofBytes size: Int) throws(CellProblem) -> Int {
        let count = Int(try number(UInt32.self))
        guard count <= (bytes.count - at) / size else { throw .malformed }
        return count
    }

    mutating func position() throws(CellProblem) -> Position {
        let longitude = Double(bitPattern: try number(UInt64.self))
        return Position(longitude: longitude, latitude: Double(bitPattern: try number(UInt64.self)))
    }

    mutating func positions() throws(CellProblem) -> [Position] {
        let count = try count(ofBytes: 16)
        var positions: [Position] = []
        positions.reserveCapacity(count)
        for _ in 0..<count { positions.append(try position()) }
        return positions
    }
}
