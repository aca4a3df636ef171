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
        /// Numbers in each vector of the only field; 0 for kinds without.
        var dimension = 0
        /// Where those vectors begin, one after another.
        var vectors = 0
        /// Nil where there is none; empty for kinds without payloads.
        var payloads: [Range<Int>?] = []
        /// Each point's vectors by their fields' numbers; empty for kinds without.
        var entries: [[(field: Int, bytes: Range<Int>)]] = []
        /// Fields to take away.
        var removed: Set<Int> = []
    }

    /// Checks everything that applying relies on. `fields` are the collection's.
    ///
    /// Throws `catalog.incompatible` for a newer format, `log.corrupt` for bytes that are no operation.
    init(_ bytes: [UInt8], fields: [VectorField]) throws(ApusError) {
        self.bytes = bytes
        var reader = OperationReader(bytes: bytes)
        guard bytes.starts(with: ShardOperation.magic), bytes.count > 3 else {
            throw OperationReader.corrupt("it does not begin with 'APV'")
        }
        guard (1...ShardOperation.version).contains(bytes[3]) else {
            throw ApusError(
                .catalogIncompatible,
                "an operation is written in format \(bytes[3]); this program reads formats up to \(ShardOperation.version)",
                hint: "run the version of apus that wrote it, or a newer one")
        }
        reader.position = 4
        writtenAt = WallTime(millisecondsSinceEpoch: try reader.integer())
        while !reader.isAtEnd { parts.append(try reader.part(fields)) }
    }

    /// Applies the changes; returns how many points each change touched.
    func apply(to writer: inout PointWriter) -> [Int] {
        bytes.withUnsafeBytes { bytes in
            parts.map { part in
                var touched = 0
                for (index, id) in part.ids.enumerated() where part.apply(to: id, index, bytes, &writer) { touched += 1 }
                return touched
            }
        }
    }
}

extension EncodedOperation.Part {
    /// Whether there was such a point.
    fileprivate func apply(to id: PointID, _ index: Int, _ bytes: UnsafeRawBufferPointer, _ writer: inout PointWriter) -> Bool {
        func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[range]) }
        func payload() -> UnsafeRawBufferPointer? { payloads[index].map(slice) }
        func vector() -> UnsafeRawBufferPointer { slice(vectors + index * dimension * 4..<vectors + (index + 1) * dimension * 4) }
        func entry(_ field: Int) -> UnsafeRawBufferPointer? { entries[index].first { $0.field == field }.map { slice($0.bytes) } }
        switch kind {
        case .upsert: writer.upsert(id, payload: payload()) { _ in vector() }
        case .upsertFields: writer.upsert(id, payload: payload(), value: entry)
        case .delete: return writer.delete(id)
        case .setVectors: return writer.changeVectors(of: id) { _ in .set(vector()) }
        case .setFields: return writer.changeVectors(of: id) { entry($0).map { .set($0) } ?? .keep }
        case .removeFields: return writer.changeVectors(of: id) { removed.contains($0) ? .remove : .keep }
        case .replacePayloads: return writer.changePayload(of: id) { _ in payload().map(Array.init) }
        case .mergePayloads: return writer.changePayload(of: id) { Payload.merged($0, with: payload()) }
        case .removeMembers: return writer.changePayload(of: id) { Payload.removing(payload(), from: $0) }
        case .assignPayloads: return writer.changePayload(of: id) { Payload.assigning($0, payload()) }
        case .removePaths: return writer.changePayload(of: id) { Payload.removing(paths: payload(), from: $0) }
        }
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

    mutating func part(_ fields: [VectorField]) throws(ApusError) -> EncodedOperation.Part {
        let code: UInt8 = try integer()
        guard let kind = ShardOperation.Kind(rawValue: code) else { throw Self.corrupt("it has a change of kind \(code)") }
        let count = Int(try integer() as UInt32)
        // Each id takes 3 bytes or more: a count beyond that is refused before anything is allocated for it.
        guard count > 0, count <= bytes.count / 3 else { throw Self.corrupt("it says that it holds \(count) points") }
        var part = EncodedOperation.Part(kind: kind, ids: [])
        if kind == .upsert || kind == .setVectors {
            part.dimension = Int(try integer() as UInt32)
            guard fields.count == 1, case .dense(part.dimension, _) = fields[0].kind else {
                throw Self.corrupt("its vectors have \(part.dimension) numbers, which is not what the collection's have")
            }
        }
        part.ids.reserveCapacity(count)
        for _ in 0..<count { part.ids.append(try id()) }
        switch kind {
        case .upsert, .upsertFields, .replacePayloads, .mergePayloads, .removeMembers, .assignPayloads, .removePaths:
            var lengths: [UInt32] = []
            lengths.reserveCapacity(count)
            for _ in 0..<count { lengths.append(try integer()) }
            part.payloads.reserveCapacity(count)
            for length in lengths { part.payloads.append(length == ShardOperation.noPayload ? nil : try take(Int(length))) }
        default: break
        }
        switch kind {
        case .upsert, .setVectors:
            part.vectors = position
            _ = try take(count * part.dimension * 4)
        case .upsertFields, .setFields:
            part.entries.reserveCapacity(count)
            for _ in 0..<count { part.entries.append(try vectors(fields)) }
        case .removeFields:
            for _ in 0..<(try integer() as UInt8) { part.removed.insert(Int(try field(of: fields))) }
        default: break
        }
        return part
    }

    private mutating func vectors(_ fields: [VectorField]) throws(ApusError) -> [(field: Int, bytes: Range<Int>)] {
        var entries: [(field: Int, bytes: Range<Int>)] = []
        for _ in 0..<(try integer() as UInt8) {
            let field = try field(of: fields)
            let range = try take(Int(try integer() as UInt32))
            guard bytes.withUnsafeBytes({ fields[field].accepts(UnsafeRawBufferPointer(rebasing: $0[range])) }) else {
                throw Self.corrupt("a vector does not fit its field '\(fields[field].name)'")
            }
            entries.append((field, range))
        }
        return entries
    }

    private mutating func field(of fields: [VectorField]) throws(ApusError) -> Int {
        let number = Int(try integer() as UInt16)
        guard number < fields.count else { throw Self.corrupt("it names field \(number) of \(fields.count)") }
        return number
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
