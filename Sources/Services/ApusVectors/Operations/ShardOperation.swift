internal import ApusTypes
internal import ApusVectorIndex

/// One operation of a shard's log: changes that become visible together. `docs/shard-log-format.md` describes its bytes.
///
/// Changes are applied in order, and each is defined for any state: what names a point that is not there does nothing.
struct ShardOperation: Sendable, Hashable {
    var changes: [Change]

    enum Change: Sendable, Hashable {
        /// Adds points or replaces them whole.
        case upsert([Point])
        case delete([PointID])
        /// Gives points another vector; their payloads stay.
        case setVectors([PointID], [[Float]])
        /// Changes payloads; vectors stay.
        case changePayloads(PayloadVerb, [PointID], [[UInt8]?])

        /// How much there is in it.
        var count: Int {
            switch self {
            case .upsert(let points): points.count
            case .delete(let ids), .setVectors(let ids, _), .changePayloads(_, let ids, _): ids.count
            }
        }
    }

    /// What a payload change does with the bytes that come with each id.
    enum PayloadVerb: UInt8, Sendable, Hashable {
        /// The bytes are the new payload; none: there is none any more.
        case replace = 4
        /// The bytes are a JSON object whose members are put over the payload's.
        case merge = 5
        /// The bytes are a JSON array of strings: the members to remove.
        case remove = 6
    }

    static let magic: [UInt8] = Array("APV".utf8)
    /// The newest format that this program reads, and the one it writes.
    static let version: UInt8 = 1
    static let noPayload = UInt32.max

    enum Kind: UInt8 {
        case upsert = 1
        case delete = 2
        case setVectors = 3
        case replacePayloads = 4
        case mergePayloads = 5
        case removeMembers = 6
    }
}

// MARK: Encoding

extension ShardOperation {
    /// At least the bytes that it takes when it is encoded, and not many more.
    var size: Int { changes.reduce(16) { $0 + $1.size } }

    /// `writtenAt` is the writer's time: whoever reads the operation later must not take its own.
    func encoded(at writtenAt: WallTime) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        bytes += Self.magic
        bytes.append(Self.version)
        bytes.append(littleEndian: writtenAt.millisecondsSinceEpoch)
        for change in changes where change.count > 0 { change.encode(into: &bytes) }
        return bytes
    }
}

extension ShardOperation.Change {
    fileprivate var size: Int {
        func size(of ids: [PointID]) -> Int { ids.reduce(16) { $0 + $1.size } }
        switch self {
        case .upsert(let points):
            return points.reduce(16) { $0 + $1.id.size + $1.vector.count * 4 + 4 + ($1.payload?.count ?? 0) }
        case .delete(let ids): return size(of: ids)
        case .setVectors(let ids, let vectors): return vectors.reduce(size(of: ids)) { $0 + $1.count * 4 }
        case .changePayloads(_, let ids, let payloads): return payloads.reduce(size(of: ids)) { $0 + 4 + ($1?.count ?? 0) }
        }
    }

    fileprivate func encode(into bytes: inout [UInt8]) {
        func header(_ kind: UInt8, _ count: Int) {
            bytes.append(kind)
            bytes.append(littleEndian: UInt32(count))
        }
        switch self {
        case .upsert(let points):
            header(ShardOperation.Kind.upsert.rawValue, points.count)
            bytes.append(littleEndian: UInt32(points[0].vector.count))
            for point in points { bytes.append(id: point.id) }
            for point in points { bytes.append(payloadLength: point.payload) }
            for point in points { bytes += point.payload ?? [] }
            for point in points { bytes.append(floats: point.vector) }
        case .delete(let ids):
            header(ShardOperation.Kind.delete.rawValue, ids.count)
            for id in ids { bytes.append(id: id) }
        case .setVectors(let ids, let vectors):
            header(ShardOperation.Kind.setVectors.rawValue, ids.count)
            bytes.append(littleEndian: UInt32(vectors[0].count))
            for id in ids { bytes.append(id: id) }
            for vector in vectors { bytes.append(floats: vector) }
        case .changePayloads(let verb, let ids, let payloads):
            header(verb.rawValue, ids.count)
            for id in ids { bytes.append(id: id) }
            for payload in payloads { bytes.append(payloadLength: payload) }
            for payload in payloads { bytes += payload ?? [] }
        }
    }
}

extension PointID {
    fileprivate var size: Int {
        switch self {
        case .integer: 9
        case .uuid: 17
        case .string(let text): 3 + text.utf8.count
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(littleEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    /// Swift runs on little-endian machines only, so float32 are written as they lie in memory.
    fileprivate mutating func append(floats: [Float]) { floats.withUnsafeBytes { append(contentsOf: $0) } }

    fileprivate mutating func append(payloadLength payload: [UInt8]?) {
        append(littleEndian: payload.map { UInt32($0.count) } ?? ShardOperation.noPayload)
    }

    fileprivate mutating func append(id: PointID) {
        switch id {
        case .integer(let number):
            append(0)
            append(littleEndian: number)
        case .uuid(let high, let low):
            append(1)
            append(littleEndian: high.byteSwapped)
            append(littleEndian: low.byteSwapped)
        case .string(let text):
            append(2)
            append(littleEndian: UInt16(text.utf8.count))
            append(contentsOf: text.utf8)
        }
    }
}
