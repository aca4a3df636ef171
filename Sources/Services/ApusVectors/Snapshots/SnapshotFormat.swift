internal import ApusTypes
internal import ApusVectorIndex

/// A collection in bytes (`docs/snapshot-format.md`): a magic, then frames, each a kind, a length and so many bytes.
enum SnapshotFormat {
    static let magic: [UInt8] = Array("APUSSNP1".utf8)
    /// A frame is read whole into memory.
    static let longestFrame = 64 << 20
    /// Points of one frame, unless their bytes are more than `frameSize` before.
    static let framePoints = 1000
    static let frameSize = 1 << 20

    enum Kind: UInt8 {
        /// JSON: what the collection is made with.
        case header = 0x48
        /// One operation of a shard's log: an upsert.
        case points = 0x50
        /// The number of points, 8 bytes. Nothing follows.
        case end = 0x45
    }

    static func frame(_ kind: Kind, _ bytes: [UInt8]) -> [UInt8] {
        var frame = [kind.rawValue]
        frame.reserveCapacity(bytes.count + 5)
        Swift.withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { frame.append(contentsOf: $0) }
        return frame + bytes
    }

    static func corrupt(_ reason: String) -> ApusError {
        ApusError(.snapshotCorrupt, "this is not a whole snapshot: \(reason)", hint: "download or create it again")
    }
}

/// Reads frames out of bytes that come in pieces of any size.
struct SnapshotReader {
    private var buffer: [UInt8] = []
    private var hasMagic = false
    private(set) var isAtEnd = false
    private var points: UInt64 = 0

    /// The frames that are whole with these bytes. Whatever the bytes are, it ends in frames or throws `snapshot.corrupt`.
    mutating func read(_ bytes: [UInt8]) throws(ApusError) -> [(kind: SnapshotFormat.Kind, bytes: [UInt8])] {
        buffer += bytes
        var frames: [(kind: SnapshotFormat.Kind, bytes: [UInt8])] = []
        var position = 0
        if !hasMagic {
            guard buffer.count >= SnapshotFormat.magic.count else { return [] }
            guard buffer.starts(with: SnapshotFormat.magic) else { throw SnapshotFormat.corrupt("it does not begin with APUSSNP1") }
            position = SnapshotFormat.magic.count
            hasMagic = true
        }
        while buffer.count - position >= 5 {
            guard !isAtEnd, let kind = SnapshotFormat.Kind(rawValue: buffer[position]) else {
                throw SnapshotFormat.corrupt("a frame has an unknown kind, or comes after the last one")
            }
            let start = position + 1
            let length = Int(buffer.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: UInt32.self)) })
            guard length <= SnapshotFormat.longestFrame else { throw SnapshotFormat.corrupt("a frame says that it has \(length) bytes") }
            guard buffer.count - position - 5 >= length else { break }
            let bytes = Array(buffer[position + 5..<position + 5 + length])
            position += 5 + length
            isAtEnd = kind == .end
            frames.append((kind, bytes))
        }
        if isAtEnd, position < buffer.count { throw SnapshotFormat.corrupt("bytes come after the last frame") }
        buffer.removeFirst(position)
        return frames
    }
}

/// What a snapshot's first frame says.
struct SnapshotHeader: Sendable {
    var name: String
    var configuration: CollectionConfiguration
    var settings: String?
    var indexes: [String: String]
    /// Of each shard: the last operation of its log that is in the snapshot.
    var positions: [Int64]

    func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.object {
            $0.member("collection", name)
            $0.member("configuration", configuration.json)
            if let settings { $0.member("settings", settings) }
            $0.key("indexes")
            $0.object { for (path, definition) in indexes.sorted(by: { $0.key < $1.key }) { $0.member(path, definition) } }
            $0.key("positions")
            $0.array { for position in positions { $0.integer(position) } }
        }
        return writer.bytes
    }

    init(name: String, configuration: CollectionConfiguration, settings: String?, indexes: [String: String], positions: [Int64]) {
        self.name = name
        self.configuration = configuration
        self.settings = settings
        self.indexes = indexes
        self.positions = positions
    }

    /// Throws `snapshot.corrupt`, and `catalog.incompatible` for a configuration of a newer Apus.
    init(_ bytes: [UInt8]) throws(ApusError) {
        let value: JSONValue
        do { value = try JSONValue(parsing: bytes) } catch { throw SnapshotFormat.corrupt("its header is no JSON") }
        guard let name = value["collection"]?.asString, let configuration = value["configuration"]?.asString else {
            throw SnapshotFormat.corrupt("its header does not describe a collection")
        }
        self.init(
            name: name, configuration: try CollectionConfiguration(json: configuration), settings: value["settings"]?.asString,
            indexes: (value["indexes"]?.asObject ?? [:]).reduce(into: [:]) { $0[$1.key] = $1.value.asString },
            positions: (value["positions"]?.asArray ?? []).compactMap(\.asInteger))
        try self.configuration.validate()
    }
}

extension EncodedOperation {
    /// The points that an operation of nothing but upserts holds. Throws `snapshot.corrupt` for any other.
    static func points(_ bytes: [UInt8], _ fields: [VectorField]) throws(ApusError) -> [Point] {
        let operation: EncodedOperation
        do { operation = try EncodedOperation(bytes, fields: fields) } catch { throw SnapshotFormat.corrupt(error.summary) }
        return try operation.points(fields)
    }

    private func points(_ fields: [VectorField]) throws(ApusError) -> [Point] {
        var points: [Point] = []
        for part in parts {
            guard part.kind == .upsert || part.kind == .upsertFields else {
                throw SnapshotFormat.corrupt("a frame holds something but points")
            }
            for (index, id) in part.ids.enumerated() {
                var vectors = PointVectors()
                bytes.withUnsafeBytes { bytes in
                    if part.kind == .upsert {
                        let start = part.vectors + index * part.dimension * 4
                        let slice = UnsafeRawBufferPointer(rebasing: bytes[start..<start + part.dimension * 4])
                        vectors.entries = [.init(fields[0].name, fields[0].value(slice))]
                    } else {
                        vectors.entries = part.entries[index].map { entry in
                            .init(fields[entry.field].name, fields[entry.field].value(UnsafeRawBufferPointer(rebasing: bytes[entry.bytes])))
                        }
                    }
                }
                points.append(Point(id: id, vectors: vectors, payload: part.payloads[index].map { Array(bytes[$0]) }))
            }
        }
        return points
    }
}
