public import ApusCatalog
internal import ApusRuntime
internal import ApusStore
public import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

extension VectorService {
    /// Longest time that making or reading a whole snapshot may take.
    private static let snapshotTime: Duration = .seconds(3600)

    // MARK: The snapshots of a collection

    /// Oldest first. Throws `collection.unknown`.
    public func snapshots(of name: CollectionName, deadline: Instant) async throws -> [SnapshotRow] {
        try await catalog.snapshots.list(of: try await find(name, deadline: deadline).id, deadline: deadline)
    }

    /// Throws `snapshot.unknown`.
    public func snapshot(_ snapshot: String, of name: CollectionName, deadline: Instant) async throws -> SnapshotRow {
        guard let row = try await snapshots(of: name, deadline: deadline).first(where: { $0.name == snapshot }) else {
            throw Self.unknown(snapshot, of: name)
        }
        return row
    }

    /// Throws `snapshot.unknown`.
    public func deleteSnapshot(_ snapshot: String, of name: CollectionName, deadline: Instant) async throws {
        try requireCatalog()
        let collection = try await find(name, deadline: deadline)
        guard try await catalog.snapshots.remove(snapshot, of: collection.id, deadline: deadline) else {
            throw Self.unknown(snapshot, of: name)
        }
    }

    /// The bytes of a snapshot, verified block by block.
    public func content(of snapshot: SnapshotRow) throws -> AsyncThrowingStream<[UInt8], any Error> {
        try requireObjects().store().stream(snapshot.object, deadline: clock.now.advanced(by: Self.snapshotTime))
    }

    private static func unknown(_ snapshot: String, of name: CollectionName) -> ApusError {
        ApusError(
            .snapshotUnknown, "collection '\(name)' has no snapshot '\(snapshot)'",
            context: ["snapshot": snapshot, "collection": name.rawValue])
    }

    // MARK: Making one

    /// Keeps the collection as it is now: all shards after the last operation of each that was acknowledged before the call, and of a
    /// batch that this node wrote over several shards all or nothing.
    public func createSnapshot(of name: CollectionName, deadline: Instant) async throws -> SnapshotRow {
        let collection = try await find(name, deadline: deadline)
        let (settings, indexes) = attributes.withLock { ($0.settings[collection.id], $0.payloadIndexes[collection.id] ?? [:]) }
        let here = collection.shards.filter(\.answers)
        let (found, heads) = try await alone(collection.shards) {
            try await reachHeads(of: here, deadline: deadline)
            let found = try here.map { shard throws(ApusError) in (shard.id, try shard.positioned()) }
            return (found, try await catalog.log.heads(of: collection.shards.map(\.id), deadline: deadline))
        }
        let known = Dictionary(found, uniquingKeysWith: { first, _ in first })
        var states: [(snapshot: PointSnapshot, position: LogPosition)] = []
        for shard in collection.shards {
            if let state = known[shard.id] {
                states.append(state)
            } else if let head = heads[shard.id] {
                states.append((try await rebuilt(shard, at: head), head))  // served elsewhere: read from the catalog and the store
            }
        }
        let header = SnapshotHeader(
            name: collection.name.rawValue, configuration: collection.configuration, settings: settings, indexes: indexes,
            positions: states.map(\.position.sequence))
        let writer = SnapshotWriter(header, states.map(\.snapshot), writtenAt: clock.wallTime)
        let time = clock.wallTime.description.filter { $0.isNumber }
        let snapshot = "\(collection.id)-\(time)-\(UInt32.random(in: .min ... .max)).snapshot"
        return try await keep(snapshot, of: collection, .chunks { [pool] in try await pool.run { writer.next() } })
    }

    /// Keeps bytes that came from elsewhere as a snapshot of the collection.
    private func keep(_ name: String, of collection: LoadedCollection, _ source: ObjectSource) async throws -> SnapshotRow {
        let until = clock.now.advanced(by: Self.snapshotTime)
        return try await add(name, try await requireObjects().place(source, deadline: until), to: collection, deadline: until)
    }

    // MARK: Going back to one

    /// Makes the collection hold what the snapshot holds (settings, declared payload indexes, points) and nothing else; makes it, with so
    /// many replicas, if it is not there.
    ///
    /// The points go through the log like any other write, in batches, after all of the snapshot was read once and found whole, and as fast
    /// as they are sealed. So searches meanwhile see a part of it, and an error leaves a part; asking again is safe. Throws
    /// `snapshot.corrupt`, and `request.invalid` for a collection with other vectors.
    public func recover(_ name: CollectionName, from snapshot: SnapshotRow, replicas: Int = 1) async throws {
        try await recover(name, replicas, from: { try content(of: snapshot) })
    }

    /// Keeps bytes of a snapshot that come from elsewhere, and makes the collection hold what they hold. `checksum` is the SHA-256 that they
    /// should have, if that is known. Throws `request.invalid` too where the collection has as many snapshots as it may.
    public func recover(
        _ name: CollectionName, uploaded snapshot: String, checksum: String?, replicas: Int = 1,
        _ next: @escaping @Sendable () async throws -> [UInt8]?
    ) async throws {
        let until = clock.now.advanced(by: Self.snapshotTime)
        let objects = try requireObjects()
        // What fails before the row names the object is collected with its intent.
        let object = try await objects.place(.chunks(next), deadline: until)
        let digest = object.description.digest
        if let checksum, checksum.lowercased() != digest.description {
            throw ApusError(
                .snapshotCorrupt, "the snapshot's checksum is \(digest), not \(checksum)", context: ["field": "checksum"])
        }
        try await recover(name, replicas, from: { try objects.store().stream(object.key, deadline: until) }) { collection in
            _ = try await add(snapshot, object, to: collection, deadline: until)
        }
    }

    private func add(
        _ name: String, _ object: PlacedObject, to collection: LoadedCollection, deadline: Instant
    ) async throws -> SnapshotRow {
        try await catalog.snapshots.add(
            name, object: object.key, size: object.description.size, digest: object.description.digest, to: collection.id,
            deadline: deadline)
    }

    /// `prepare` is called when the snapshot is known to be whole and to fit the collection, before anything of that is changed.
    private func recover(
        _ name: CollectionName, _ replicas: Int, from open: () throws -> AsyncThrowingStream<[UInt8], any Error>,
        _ prepare: (LoadedCollection) async throws -> Void = { _ in }
    ) async throws {
        let until = clock.now.advanced(by: Self.snapshotTime)
        let header = try await check(try open())
        var isNew = false
        do {
            _ = try await find(name, deadline: until)
        } catch let error as ApusError where error.code == .collectionUnknown {
            isNew = true
            _ = try await createCollection(
                name, header.configuration, settings: header.settings, replicas: replicas,
                deadline: clock.now.advanced(by: .seconds(30)))
        }
        do {
            let collection = try await find(name, deadline: until)
            guard collection.configuration.fields == header.configuration.fields else {
                throw ApusError(
                    .requestInvalid, "collection '\(name)' has other vectors than the snapshot", hint: "recover it under another name",
                    context: ["collection": name.rawValue])
            }
            try await prepare(collection)
            if !isNew {
                try await patiently(until) { _ = try await delete(matching: .everything, from: name, deadline: until) }
                try await restore(header, of: name, deadline: until)
            }
            for (path, definition) in header.indexes {
                try await setPayloadIndex(on: path, of: name, to: definition, deadline: until)
            }
            var reader = SnapshotReader()
            for try await bytes in try open() {
                for frame in try reader.read(bytes) where frame.kind == .points {
                    let points = try EncodedOperation.points(frame.bytes, header.configuration.fields)
                    try await patiently(until) { _ = try await upsert(points, into: name, deadline: clock.now.advanced(by: .seconds(60))) }
                }
            }
        } catch {
            if isNew { try? await deleteCollection(name, deadline: clock.now.advanced(by: .seconds(30))) }
            throw error
        }
    }

    /// Gives a collection the snapshot's settings, and takes declarations of payload indexes back that are not in it.
    private func restore(_ header: SnapshotHeader, of name: CollectionName, deadline: Instant) async throws {
        if try await settings(of: name, deadline: deadline) != header.settings {
            try await configure(name, deadline: deadline) { _ in header.settings ?? "{}" }
        }
        for path in try await payloadIndexes(of: name, deadline: deadline).keys where header.indexes[path] == nil {
            try await setPayloadIndex(on: path, of: name, to: nil, deadline: deadline)
        }
    }

    /// Tries again while a shard is busy: what was written has to be sealed before more is taken, and nobody else slows this writer down.
    private func patiently(_ until: Instant, _ body: () async throws -> Void) async throws {
        while true {
            do {
                return try await body()
            } catch let error as ApusError where error.code == .shardBusy {
                guard case .after(let pause) = error.retry, clock.now.advanced(by: pause) < until else { throw error }
                try await clock.sleep(until: clock.now.advanced(by: pause), tolerance: nil)
            }
        }
    }

    /// Reads a snapshot to its end and gives its header. Throws `snapshot.corrupt` for anything that is not whole.
    private func check(_ stream: AsyncThrowingStream<[UInt8], any Error>) async throws -> SnapshotHeader {
        var reader = SnapshotReader()
        var header: SnapshotHeader?
        var points: UInt64 = 0
        for try await bytes in stream {
            for frame in try reader.read(bytes) {
                switch frame.kind {
                case .header:
                    guard header == nil else { throw SnapshotFormat.corrupt("it has two headers") }
                    header = try SnapshotHeader(frame.bytes)
                case .points:
                    guard let fields = header?.configuration.fields else { throw SnapshotFormat.corrupt("its header is missing") }
                    let read = try EncodedOperation.points(frame.bytes, fields)
                    for payload in read.lazy.compactMap(\.payload) { try Payload.check(payload, field: "payload") }
                    points += UInt64(read.count)
                case .end:
                    guard frame.bytes == withUnsafeBytes(of: points.littleEndian, { Array($0) }) else {
                        throw SnapshotFormat.corrupt("it does not hold as many points as it says")
                    }
                }
            }
        }
        guard let header, reader.isAtEnd else { throw SnapshotFormat.corrupt("it ends too soon") }
        return header
    }
}
