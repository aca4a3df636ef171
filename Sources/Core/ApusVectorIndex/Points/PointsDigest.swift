public import ApusTypes

/// Tells sets of points apart, whatever order they come in: the sum of the points' own digests, each 64 bits of it by itself.
///
/// It finds what decays and what was forgotten; it is no proof against somebody who chooses points.
public struct PointsDigest: Hashable, CustomStringConvertible, WireValue {
    public private(set) var count = 0
    private var sum: SIMD4<UInt64> = .zero

    public init() {}

    public mutating func add(_ point: Digest) {
        count += 1
        point.bytes.withUnsafeBytes { bytes in
            for lane in 0..<4 { sum[lane] &+= UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: lane * 8, as: UInt64.self)) }
        }
    }

    public func write(to writer: inout WireWriter) { writer.write(count, sum[0], sum[1], sum[2], sum[3]) }

    public init(from reader: inout WireReader) throws(ApusError) {
        count = try reader.read()
        for lane in 0..<4 { sum[lane] = try reader.read() }
    }

    /// 64 hexadecimal digits.
    public var description: String {
        hexadecimal((0..<4).flatMap { lane in withUnsafeBytes(of: sum[lane].littleEndian) { Array($0) } })
    }
}

extension PointSnapshot {
    /// Over all that a point is: its id, the operation that wrote it, its payload and its vectors, to the bit.
    public func digest(of row: UInt32) -> Digest {
        var bytes = Array("\(id(row))".utf8)
        func end() { bytes.append(numbers: [UInt64(bytes.count)]) }  // so that no two splits of the same bytes are alike
        end()
        bytes.append(number: version(row))
        bytes.append(contentsOf: payloadBytes(row))
        end()
        for field in fields.indices {
            bytes.append(valueBytes(row, field: field) == nil ? 0 : 1)
            if let value = valueBytes(row, field: field) { bytes.append(contentsOf: value) }
            end()
        }
        return Digest(of: bytes)
    }

    public var digest: PointsDigest {
        var digest = PointsDigest()
        forEachRow { digest.add(self.digest(of: $0)) }
        return digest
    }

    /// What each point is, in few bytes.
    private var prints: [PointID: UInt64] {
        var prints: [PointID: UInt64] = [:]
        forEachRow { row in
            prints[id(row)] = digest(of: row).bytes.withUnsafeBytes { $0.number(at: 0) }
        }
        return prints
    }

    /// How this differs from what it should be. Takes some 50 bytes of memory for each point of `truth`.
    public func differences(from truth: PointSnapshot) -> PointDifferences {
        var rest = truth.prints
        var found = PointDifferences()
        forEachRow { row in
            let id = id(row)
            guard let print = rest.removeValue(forKey: id) else { return found.note(id) { $0.extra += 1 } }
            if digest(of: row).bytes.withUnsafeBytes({ $0.number(at: 0) }) != print { found.note(id) { $0.changed += 1 } }
        }
        for id in rest.keys.sorted() { found.note(id) { $0.missing += 1 } }
        return found
    }
}

/// How one set of points differs from another.
public struct PointDifferences: Sendable, Hashable {
    public fileprivate(set) var missing = 0
    public fileprivate(set) var extra = 0
    public fileprivate(set) var changed = 0
    /// Some of them.
    public private(set) var examples: [PointID] = []
    private static let mostExamples = 10

    fileprivate mutating func note(_ id: PointID, _ count: (inout PointDifferences) -> Void) {
        count(&self)
        if examples.count < Self.mostExamples { examples.append(id) }
    }
}
