internal import ApusTypes
internal import ApusVectorIndex

/// The bytes of an operation, checked: vectors and payloads are read where they lie.
struct EncodedOperation: Sendable {
    let bytes: [UInt8]
    /// By the clock of the node that wrote it.
    let writtenAt: WallTime
    private(set) var parts: [Part] = []

    /// One change: ids, and where in the bytes each one's vector and payload are.
    struct Part: Sendable {
        var kind: ShardOperation.Kind
        var ids: [PointID]
        /// Numbers in each vector; 0 where there are none.
        var dimension = 0
        /// Where the vectors begin, one after another.
        var vectors = 0
        /// Nil where there is none; empty for kinds without payloads.
        var payloads: [Range<Int>?] = []
    }

    /// Checks everything that applying relies on. `dimension` is the collection's.
    ///
    /// Throws `catalog.incompatible` for a newer format, `log.corrupt` for bytes that are no operation.
    init(_ bytes: [UInt8], dimension: Int) throws(ApusError) {
        self.bytes = bytes
        var reader = OperationReader(bytes: bytes)
        guard bytes.starts(with: ShardOperation.magic), bytes.count > 3 else {
            throw OperationReader.corrupt("it does not begin with 'APV'")
        }
        guard bytes[3] == ShardOperation.version else {
            throw ApusError(
                .catalogIncompatible, "an operation is written in format \(bytes[3]); this program reads format \(ShardOperation.version)",
                hint: "run the version of apus that wrote it, or a newer one")
        }
        reader.position = 4
        writtenAt = WallTime(millisecondsSinceEpoch: try reader.integer())
        while !reader.isAtEnd { parts.append(try reader.part(dimension: dimension)) }
    }

    /// Applies the changes; returns how many points each change touched.
    func apply(to writer: inout PointWriter) -> [Int] {
        bytes.withUnsafeBytes { bytes in
            parts.map { part in
                var touched = 0
                for (index, id) in part.ids.enumerated() {
                    func vector() -> UnsafeRawBufferPointer {
                        let start = part.vectors + index * part.dimension * 4
                        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + part.dimension * 4])
                    }
                    func payload() -> UnsafeRawBufferPointer? { part.payloads[index].map { UnsafeRawBufferPointer(rebasing: bytes[$0]) } }
                    let found =
                        switch part.kind {
                        case .upsert: writer.upserted(id, vector: vector(), payload: payload())
                        case .delete: writer.delete(id)
                        case .setVectors: writer.changeVector(of: id, vector())
                        case .replacePayloads: writer.changePayload(of: id) { _ in payload().map(Array.init) }
                        case .mergePayloads: writer.changePayload(of: id) { Payload.merged($0, with: payload()) }
                        case .removeMembers: writer.changePayload(of: id) { Payload.removing(payload(), from: $0) }
                        }
                    touched += found ? 1 : 0
                }
                return touched
            }
        }
    }
}

extension PointWriter {
    fileprivate mutating func upserted(_ id: PointID, vector: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer?) -> Bool {
        upsert(id, vector: vector, payload: payload)
        return true
    }
}

/// Reads an operation's bytes in order; whatever they are, it ends in a part or an error.
private struct OperationReader {
    let bytes: [UInt8]
    var position = 0

    var isAtEnd: Bool { position == bytes.count }

    static func corrupt(_ reason: String) -> ApusError {
        ApusError(.logCorrupt, "an operation of the log cannot be read: \(reason)", hint: "apus doctor catalog")
    }

    mutating func part(dimension: Int) throws(ApusError) -> EncodedOperation.Part {
        let code: UInt8 = try integer()
        guard let kind = ShardOperation.Kind(rawValue: code) else { throw Self.corrupt("it has a change of kind \(code)") }
        let count = Int(try integer() as UInt32)
        // Each id takes 3 bytes or more: a count beyond that is refused before anything is allocated for it.
        guard count > 0, count <= bytes.count / 3 else { throw Self.corrupt("it says that it holds \(count) points") }
        var part = EncodedOperation.Part(kind: kind, ids: [])
        if kind == .upsert || kind == .setVectors {
            part.dimension = Int(try integer() as UInt32)
            guard part.dimension == dimension else {
                throw Self.corrupt("its vectors have \(part.dimension) numbers where the collection's have \(dimension)")
            }
        }
        part.ids.reserveCapacity(count)
        for _ in 0..<count { part.ids.append(try id()) }
        if kind != .delete && kind != .setVectors {
            var lengths: [UInt32] = []
            lengths.reserveCapacity(count)
            for _ in 0..<count { lengths.append(try integer()) }
            part.payloads.reserveCapacity(count)
            for length in lengths { part.payloads.append(length == ShardOperation.noPayload ? nil : try take(Int(length))) }
        }
        part.vectors = position
        if part.dimension > 0 { _ = try take(count * dimension * 4) }
        return part
    }

    private mutating func id() throws(ApusError) -> PointID {
        switch try integer() as UInt8 {
        case 0: return .integer(try integer())
        case 1: return .uuid(high: (try integer() as UInt64).byteSwapped, low: (try integer() as UInt64).byteSwapped)
        case 2:
            let range = try take(Int(try integer() as UInt16))
            guard let text = String(validating: bytes[range], as: UTF8.self) else { throw Self.corrupt("an id is not UTF-8") }
            let id = try PointID(text)
            guard case .string = id else { throw Self.corrupt("the string id '\(text)' is of another kind") }
            return id
        case let tag: throw Self.corrupt("it has an id of kind \(tag)")
        }
    }

    mutating func integer<Value: FixedWidthInteger>() throws(ApusError) -> Value {
        let range = try take(MemoryLayout<Value>.size)
        return bytes.withUnsafeBytes { Value(littleEndian: $0.loadUnaligned(fromByteOffset: range.lowerBound, as: Value.self)) }
    }

    private mutating func take(_ count: Int) throws(ApusError) -> Range<Int> {
        guard count <= bytes.count - position else { throw Self.corrupt("it ends before its \(count) bytes at \(position) do") }
        defer { position += count }
        return position..<position + count
    }
}
