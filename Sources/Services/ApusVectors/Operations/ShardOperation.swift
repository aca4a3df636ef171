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
        /// Gives points other vectors in the fields that are named; all else stays.
        case setVectors([PointID], [PointVectors])
        /// Takes points' vectors of the fields away.
        case removeVectors([PointID], fields: Set<String>)
        /// Changes payloads; vectors stay.
        case changePayloads(PayloadVerb, [PointID], [[UInt8]?])

        /// How much there is in it.
        var count: Int {
            switch self {
            case .upsert(let points): points.count
            case .delete(let ids), .setVectors(let ids, _), .removeVectors(let ids, _), .changePayloads(_, let ids, _): ids.count
            }
        }
    }

    /// What a payload change does with the bytes that come with each id.
    enum PayloadVerb: Sendable, Hashable {
        /// The bytes are the new payload; none: there is none any more.
        case replace
        /// The bytes are a JSON object whose members are put over the payload's.
        case merge
        /// The bytes are a JSON array of strings: the members to remove.
        case remove
        /// The bytes are a JSON array of a path and an object whose members are put over those of what is there.
        case assign
        /// The bytes are a JSON array of strings: the paths of what is to be removed.
        case removePaths
    }

    static let magic: [UInt8] = Array("APV".utf8)
    /// The newest format that this program reads, and the one it writes.
    static let version: UInt8 = 3
    static let noPayload = UInt32.max

    enum Kind: UInt8 {
        /// Points of a collection whose only field is dense, each with a vector.
        case upsert = 1
        case delete = 2
        /// Vectors of such a collection.
        case setVectors = 3
        case replacePayloads = 4
        case mergePayloads = 5
        case removeMembers = 6
        /// Since format 2: points with vectors in any fields.
        case upsertFields = 7
        case setFields = 8
        case removeFields = 9
        /// Since format 3: changes below the top level of payloads.
        case assignPayloads = 10
        case removePaths = 11
    }
}

// MARK: Encoding

extension ShardOperation {
    /// At least the bytes that it takes when it is encoded, and not many more.
    var size: Int { changes.reduce(16) { $0 + $1.size } }

    /// `writtenAt` is the writer's time: whoever reads the operation later must not take its own. Every field that is named is one of
    /// `fields`, and every vector fits its field.
    func encoded(at writtenAt: WallTime, for fields: [VectorField]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        bytes += Self.magic
        bytes.append(Self.version)
        bytes.append(littleEndian: writtenAt.millisecondsSinceEpoch)
        for change in changes where change.count > 0 { change.encode(into: &bytes, for: fields) }
        return bytes
    }
}

extension ShardOperation.Change {
    fileprivate var size: Int {
        func size(of ids: [PointID]) -> Int { ids.reduce(16) { $0 + $1.size } }
        switch self {
        case .upsert(let points): return points.reduce(16) { $0 + $1.id.size + $1.vectors.size + 4 + ($1.payload?.count ?? 0) }
        case .delete(let ids): return size(of: ids)
        case .setVectors(let ids, let vectors): return vectors.reduce(size(of: ids)) { $0 + $1.size }
        case .removeVectors(let ids, let fields): return size(of: ids) + 1 + 2 * fields.count
        case .changePayloads(_, let ids, let payloads): return payloads.reduce(size(of: ids)) { $0 + 4 + ($1?.count ?? 0) }
        }
    }

    fileprivate func encode(into bytes: inout [UInt8], for fields: [VectorField]) {
        func header(_ kind: ShardOperation.Kind, _ count: Int) {
            bytes.append(kind.rawValue)
            bytes.append(littleEndian: UInt32(count))
        }
        switch self {
        case .upsert(let points):
            let vectors = Self.alike(points.lazy.map(\.vectors), for: fields)
            header(vectors == nil ? .upsertFields : .upsert, points.count)
            if let vectors { bytes.append(littleEndian: UInt32(vectors[0].count)) }
            for point in points { bytes.append(id: point.id) }
            for point in points { bytes.append(payloadLength: point.payload) }
            for point in points { bytes += point.payload ?? [] }
            if let vectors {
                for vector in vectors { bytes.append(floats: vector) }
            } else {
                for point in points { bytes.append(vectors: point.vectors, for: fields) }
            }
        case .delete(let ids):
            header(.delete, ids.count)
            for id in ids { bytes.append(id: id) }
        case .setVectors(let ids, let changes):
            let vectors = Self.alike(changes, for: fields)
            header(vectors == nil ? .setFields : .setVectors, ids.count)
            if let vectors { bytes.append(littleEndian: UInt32(vectors[0].count)) }
            for id in ids { bytes.append(id: id) }
            if let vectors {
                for vector in vectors { bytes.append(floats: vector) }
            } else {
                for vectors in changes { bytes.append(vectors: vectors, for: fields) }
            }
        case .removeVectors(let ids, let names):
            header(.removeFields, ids.count)
            for id in ids { bytes.append(id: id) }
            let numbers = fields.indices.filter { names.contains(fields[$0].name) }
            bytes.append(UInt8(numbers.count))  // a collection has fewer fields
            for number in numbers { bytes.append(littleEndian: UInt16(number)) }
        case .changePayloads(let verb, let ids, let payloads):
            header(verb.kind, ids.count)
            for id in ids { bytes.append(id: id) }
            for payload in payloads { bytes.append(payloadLength: payload) }
            for payload in payloads { bytes += payload ?? [] }
        }
    }

    /// The vectors, if each point has one in the only field, which is dense: most collections are so, and need no more than the numbers.
    private static func alike(_ points: some Sequence<PointVectors>, for fields: [VectorField]) -> [[Float]]? {
        guard fields.count == 1 else { return nil }
        var vectors: [[Float]] = []
        for point in points {
            guard case .dense(let vector)? = point[fields[0].name] else { return nil }
            vectors.append(vector)
        }
        return vectors
    }
}

extension ShardOperation.PayloadVerb {
    fileprivate var kind: ShardOperation.Kind {
        switch self {
        case .replace: .replacePayloads
        case .merge: .mergePayloads
        case .remove: .removeMembers
        case .assign: .assignPayloads
        case .removePaths: .removePaths
        }
    }
}

extension PointVectors {
    fileprivate var size: Int { entries.reduce(1) { $0 + 6 + $1.value.byteCount } }
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

    /// How many, then of each its field's number, its length and its bytes.
    fileprivate mutating func append(vectors: PointVectors, for fields: [VectorField]) {
        append(UInt8(vectors.entries.count))
        for entry in vectors.entries {
            guard let number = fields.firstIndex(where: { $0.name == entry.field }) else {
                preconditionFailure("the caller checks the names of fields")
            }
            append(littleEndian: UInt16(number))
            append(littleEndian: UInt32(entry.value.byteCount))
            entry.value.append(to: &self)
        }
    }

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
