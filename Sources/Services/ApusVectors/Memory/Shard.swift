internal import ApusCatalog
internal import ApusRuntime
internal import ApusTypes
internal import ApusVectorIndex
internal import Synchronization

/// What a search sees of a shard. Neighbours name rows of the snapshot.
struct ShardView: Sendable {
    let snapshot: PointSnapshot
    /// Over the field that was asked for.
    let index: any NeighbourIndex
}

/// One shard in this node's memory: the points after the last operation of its log that was applied here.
///
/// It is known on every node, and has points on those that hold a replica of it.
///
/// States: loading (after the start, or after the catalog went back) → loaded; either may have a problem, which the next successful
/// read of the log ends. Operations come from two sides, both in `apply`: this node's own as soon as they are committed, and
/// the log as it is read. Only the one that follows directly on the applied position is applied; the others wait or are old.
final class Shard: Sendable {
    let id: ShardID
    /// In its collection, from 0.
    let number: Int
    let gate = AppendGate()
    /// Closed while the segments change.
    let changes = AppendGate()
    /// Sequence of the last applied operation.
    let applied: Watermark
    /// Boot-clock nanoseconds of the last moment at which nothing in the log was missing here.
    let lookedAt: Watermark

    let fields: [VectorField]
    /// This node; nil where it is the only one, and serves all.
    private let node: NodeName?
    private let clock: any MonotonicClock
    /// Held while an operation is applied.
    private let progress: Mutex<Progress>
    /// Locked for moments only, also by who holds `progress`: a search never waits for a write under way.
    private let state: Mutex<State>

    private struct State {
        var table: PointTable
        /// Version of the manifest that the table's segments are of.
        var manifest: Int64 = 0
        /// The segments of the table that cannot be read, and why.
        var damaged: [ObjectKey: ApusError] = [:]
        /// Why the segments of a newer manifest cannot be opened; nil while they can.
        var unopened: ApusError?
        /// The last operation that the segments hold, and the bytes of all of them.
        var sealedAt: Int64 = 0
        var sealedBytes: Int64 = 0
        /// When the last operation was applied here.
        var changedAt: Instant
        var isLoaded = false
        var isFollowed = false
        var problem: ApusError?
        var lastChange: WallTime?
        var replicas = ReplicaMap()
        /// A look at the log that began before does not count.
        var earliestLook = Instant(nanosecondsSinceBoot: 0)

        var isWhole: Bool { isLoaded && trouble == nil }
        var trouble: ApusError? { problem ?? unopened ?? damaged.min { $0.key.description < $1.key.description }?.value }

        /// Takes over a manifest whose segments are in the table now. Those that the table had before are the same, and as damaged.
        mutating func adopt(_ manifest: Manifest) {
            self.manifest = manifest.version
            sealedAt = manifest.position.sequence
            sealedBytes = manifest.bytes
            lastChange = [lastChange, manifest.writtenAt].compactMap(\.self).max()
            unopened = nil
            damaged = damaged.filter { damage in manifest.segments.contains { $0.object == damage.key } }
        }
    }

    private struct Progress {
        var table: PointTable
        var position: LogPosition
        /// Digests of the last operations, up to the position's own.
        var trail: [Digest] = []
        /// Of all operations up to the position since the shard was made.
        var bytes: Int64 = 0
        /// Committed operations of this node whose predecessors are not applied yet.
        var early: [Int64: (operation: EncodedOperation, position: LogPosition)] = [:]
        /// What the operations did that somebody asks about.
        var touched: [Int64: [Int]] = [:]

        /// What the memory holds an operation's digest for: writers that are further behind are few, and have the log looked at.
        static let trailLength = 64

        /// Whether this operation was applied; nil if it cannot be told (any more).
        func holds(_ wanted: LogPosition) -> Bool? {
            let age = Int(position.sequence - wanted.sequence)
            return trail.indices.contains(trail.count - 1 - age) ? trail[trail.count - 1 - age] == wanted.digest : nil
        }
    }

    init(
        id: ShardID, number: Int, fields: [VectorField], beginning: LogPosition, isNew: Bool, node: NodeName? = nil,
        clock: any MonotonicClock
    ) {
        self.id = id
        self.number = number
        self.fields = fields
        self.node = node
        self.clock = clock
        applied = Watermark(clock: clock)
        lookedAt = Watermark(clock: clock)
        let table = PointTable(fields)
        progress = Mutex(Progress(table: table, position: beginning))
        state = Mutex(State(table: table, changedAt: clock.now, isLoaded: isNew))
        if isNew { lookedAt.rise(to: clock.now.nanosecondsSinceBoot) }
    }

    /// A memory, and where it stands. What a look at the log finds is for the memory that it was made with, not for one begun since.
    struct Standing: Sendable {
        let memory: PointTable
        let position: LogPosition
    }

    var standing: Standing { progress.withLock { Standing(memory: $0.table, position: $0.position) } }
    var lastChange: WallTime? { state.withLock { $0.lastChange } }

    /// Why the log cannot be followed, or segments cannot be read; nil while all is well.
    var problem: ApusError? { state.withLock(\.trouble) }
    var manifest: Int64 { state.withLock { $0.manifest } }
    var changedAt: Instant { state.withLock { $0.changedAt } }
    var sealedAt: Int64 { state.withLock { $0.sealedAt } }
    var sealedBytes: Int64 { state.withLock { $0.sealedBytes } }

    /// Whether this node serves it, has loaded it and can follow its log.
    var answers: Bool { isServed && state.withLock(\.isWhole) }

    /// Points that are there, loaded or not.
    var points: Int { state.withLock { $0.table }.count }

    /// The points, to look up single ids and counts. Throws `shard.elsewhere`, `node.unready`, or the problem of the shard.
    func table() throws(ApusError) -> PointTable {
        guard isServed else { throw ApusError(.shardElsewhere, "this node does not serve shard \(id)", context: ["shard": id.description]) }
        let (table, isLoaded, problem) = state.withLock { ($0.table, $0.isLoaded, $0.trouble) }
        if let problem { throw problem }
        guard isLoaded else {
            throw ApusError(.nodeUnready, "shard \(id) is still being loaded", context: ["applied": String(applied.value)])
        }
        return table
    }

    /// The points, and the place in the log after which they are so. Waits for a write under way. Throws like `table()`.
    func positioned() throws(ApusError) -> (snapshot: PointSnapshot, position: LogPosition) {
        try progress.withLock { (progress) throws(ApusError) in (try table().snapshot(), progress.position) }
    }

    /// The same, with the row of each of `ids` that is there.
    func positioned(
        finding ids: [PointID]
    ) throws(ApusError) -> (snapshot: PointSnapshot, rows: [UInt32?], position: LogPosition) {
        try progress.withLock { (progress) throws(ApusError) in
            let (snapshot, rows) = try table().snapshot(finding: ids)
            return (snapshot, rows, progress.position)
        }
    }

    /// The points as they are now, and the index to ask over the field of that number. Throws like `table()`.
    func view(field: Int) throws(ApusError) -> ShardView {
        let snapshot = try table().snapshot()
        return ShardView(snapshot: snapshot, index: SnapshotIndex(snapshot, field: field))
    }

    var description: ShardDescription {
        let (table, isLoaded) = (state.withLock { $0.table }, answers)
        let snapshot = table.snapshot()
        return ShardDescription(
            id: id, number: number, points: table.count, memory: ByteCount(table.bytes), applied: standing.position.sequence,
            isLoaded: isLoaded, segments: snapshot.segments, unsealed: snapshot.unsealed, problem: problem)
    }

    // MARK: Replicas

    var replicas: ReplicaMap { state.withLock { $0.replicas } }

    /// Whether this node has a replica, whatever its state.
    var isHosted: Bool { node.map { replicas.states[$0] != nil } ?? true }
    /// Whether it may answer from it.
    var isServed: Bool { node.map { replicas.states[$0]?.answers ?? false } ?? true }
    /// Whether the replica here has all it needs to be told to serve.
    var isReadyToServe: Bool {
        guard let node else { return false }
        return state.withLock { $0.replicas.states[node] == .loading && $0.isWhole }
    }

    /// Of the replica here.
    var replicaState: ReplicaState? { node.flatMap { replicas.states[$0] } }

    /// Takes over a newer map. What this node serves from now on is answered after the next look at the log: writers may not have told it
    /// of operations before. What it does not hold any more is forgotten.
    func adopt(_ map: ReplicaMap, beginning: LogPosition) {
        guard let node else { return }
        let isDropped = state.withLock { state in
            guard map.version > state.replicas.version else { return false }
            let before = state.replicas.states[node]
            let now = map.states[node]
            state.replicas = map
            // A look that is under way began too soon, too.
            if now?.answers == true, before?.answers != true { requireLook(after: clock.now, &state) }
            return before != nil && now == nil
        }
        if isDropped { startAnew(at: beginning) }
    }

    // MARK: This node's own operations

    /// What became of an operation that this node has committed.
    enum Delivery {
        /// It is visible; how many points each of its changes touched.
        case applied([Int])
        /// Operations before it are missing here. `result(at:)` tells once `applied` has reached it.
        case early
        /// The log brought it before.
        case known
        /// Another operation has its number here, or too many came after it to tell: the catalog may have another history than this memory. The
        /// shard is not answered for before the log was looked at again.
        case doubtful
    }

    /// Nil: an operation that the log has.
    func deliver(_ operation: EncodedOperation?, at position: LogPosition) -> Delivery {
        let now = clock.now
        let delivery: Delivery = progress.withLock { progress in
            if position.sequence <= progress.position.sequence { return progress.holds(position) == true ? .known : .doubtful }
            guard let operation else { return .early }
            guard position.sequence == progress.position.sequence + 1 else {
                progress.early[position.sequence] = (operation, position)
                return .early
            }
            guard follows(position, on: progress.position, by: operation) else { return .early }  // the log will tell what is so
            let touched = apply(operation, at: position, &progress)
            applyEarly(&progress)
            return .applied(touched)
        }
        switch delivery {
        case .applied: applied.rise(to: standing.position.sequence)
        case .doubtful: requireLook(after: now)
        case .early, .known: break
        }
        return delivery
    }

    /// What an operation delivered early did, once it was applied; nil if the log brought it after a new start.
    func result(at sequence: Int64) -> [Int]? {
        progress.withLock { progress in
            progress.early[sequence] = nil
            return progress.touched.removeValue(forKey: sequence)
        }
    }

    // MARK: Following the log

    /// True for one caller at a time, until `endFollowing`.
    func beginFollowing() -> Bool {
        state.withLock { state in
            if state.isFollowed { return false }
            state.isFollowed = true
            return true
        }
    }

    func endFollowing() { state.withLock { $0.isFollowed = false } }

    /// Applies what the log says comes after the position of `memory`; what was applied meanwhile is skipped, and all of it if another
    /// memory was begun.
    ///
    /// Throws `log.corrupt` and `catalog.incompatible`.
    func apply(_ records: [LogRecord], of incarnation: Incarnation, to memory: PointTable) throws(ApusError) {
        for record in records where record.sequence > standing.position.sequence {
            let operation = try EncodedOperation(record.operation, fields: fields)
            let position = LogPosition(incarnation: incarnation, sequence: record.sequence, digest: record.digest)
            let outcome: Result<Void, ApusError> = progress.withLock { progress in
                guard progress.table === memory, record.sequence > progress.position.sequence else { return .success(()) }
                guard record.sequence == progress.position.sequence + 1, follows(position, on: progress.position, by: operation) else {
                    return .failure(
                        ApusError(
                            .logCorrupt,
                            "operation \(record.sequence) of shard \(id) does not follow on operation \(progress.position.sequence)",
                            hint: "apus doctor catalog", context: ["shard": id.description]))
                }
                let touched = apply(operation, at: position, &progress)
                if progress.early.removeValue(forKey: record.sequence) != nil { progress.touched[record.sequence] = touched }
                applyEarly(&progress)
                return .success(())
            }
            try outcome.get()
            applied.rise(to: standing.position.sequence)
        }
    }

    /// Nothing of the log is missing in `memory`, as of a look that began at `instant`. Says nothing about a memory begun since.
    func isCurrent(_ memory: PointTable, asOf instant: Instant) {
        state.withLock { state in
            guard state.table === memory, instant >= state.earliestLook else { return }
            state.isLoaded = true
            state.problem = nil
            lookedAt.rise(to: instant.nanosecondsSinceBoot)
        }
    }

    /// The shard is not answered for before a look that began at `instant` or later.
    func requireLook(after instant: Instant) { state.withLock { requireLook(after: instant, &$0) } }

    private func requireLook(after instant: Instant, _ state: inout State) {
        state.earliestLook = max(state.earliestLook, instant)
        if lookedAt.value < instant.nanosecondsSinceBoot { lookedAt.reset() }
    }

    /// The shard is gone from the catalog: who waits for it is told.
    func end(asOf instant: Instant) {
        _ = fail(ApusError(.collectionUnknown, "the collection of shard \(id) was deleted"))
        lookedAt.rise(to: instant.nanosecondsSinceBoot)
    }

    /// The log cannot be followed; searches say so until it can. True if this was not known.
    func fail(_ problem: ApusError) -> Bool {
        state.withLock { state in
            defer { state.problem = problem }
            return state.problem?.summary != problem.summary
        }
    }

    // MARK: Segments

    /// The points to seal, the memory that they are of, where they stand, and how many bytes of operations made them.
    struct Sealable {
        let memory: PointTable
        let snapshot: PointSnapshot
        let position: LogPosition
        let bytes: Int64
        /// When the last operation up to the position was written.
        let lastChange: WallTime?
    }

    /// Throws like `table()`.
    func sealable() throws(ApusError) -> Sealable {
        try progress.withLock { (progress) throws(ApusError) in
            let memory = try table()
            return Sealable(
                memory: memory, snapshot: memory.snapshot(), position: progress.position, bytes: progress.bytes, lastChange: lastChange)
        }
    }

    /// Puts the segments of a manifest in the place of those before and of what they cover in memory. False if the memory has not come so
    /// far, or is another by now.
    func adopt(_ segments: [Segment], _ manifest: Manifest, in memory: PointTable) -> Bool {
        guard memory.adopt(segments, sealedAt: manifest.position.sequence) else { return false }
        return state.withLock { state in
            guard state.table === memory else { return false }
            state.adopt(manifest)
            return true
        }
    }

    /// Whether the memory's segments are of another history than this manifest, which was read after the memory took them over: both went on from
    /// what the histories share, each its own way.
    func contradicts(_ manifest: Manifest) -> Bool {
        state.withLock { state in
            if manifest.version < state.manifest || manifest.position.sequence < state.sealedAt { return true }
            return manifest.version == state.manifest && Set(manifest.segments.map(\.object)) != Set(state.table.segments.map(\.key))
        }
    }

    /// Begins a memory with the segments of a manifest; what came before it is given up, and was served until now. Does nothing if this
    /// memory has come as far by itself meanwhile: what was acknowledged from it is not taken back.
    func begin(with segments: [Segment], _ manifest: Manifest) {
        let table = PointTable(fields, segments: segments, moment: manifest.position.sequence)
        progress.withLock { progress in
            guard progress.position.sequence < manifest.position.sequence else { return }
            progress.table = table
            progress.position = manifest.position
            progress.trail = [manifest.position.digest]
            progress.bytes = manifest.bytes
            progress.early = progress.early.filter { $0.key > manifest.position.sequence }
            state.withLock { state in
                state.table = table
                state.adopt(manifest)
                applied.reset()
                applied.rise(to: manifest.position.sequence)
            }
        }
    }

    /// Segments that cannot be read.
    var damagedSegments: Set<ObjectKey> { state.withLock { Set($0.damaged.keys) } }

    /// A segment that was damaged is whole again.
    func mend(_ segment: Segment) {
        state.withLock { $0.table }.exchange(segment)
        state.withLock { $0.damaged[segment.key] = nil }
    }

    /// A segment cannot be read; searches say so until it can. True if this was not known.
    func damage(_ segment: ObjectKey, _ problem: ApusError) -> Bool {
        state.withLock { $0.damaged.updateValue(problem, forKey: segment)?.summary != problem.summary }
    }

    /// The segments of a newer manifest cannot be opened; searches say so until they are. True if this was not known.
    func refuse(_ problem: ApusError) -> Bool {
        state.withLock { state in
            defer { state.unopened = problem }
            return state.unopened?.summary != problem.summary
        }
    }

    /// The catalog has another history than this memory: starts anew. Readers keep the snapshots that they have.
    func startAnew(at beginning: LogPosition) {
        let table = PointTable(fields)
        progress.withLock { progress in
            progress = Progress(table: table, position: beginning)
            state.withLock { state in
                state.table = table
                state.manifest = 0
                state.sealedAt = 0
                state.sealedBytes = 0
                state.damaged = [:]
                state.unopened = nil
                state.isLoaded = false
                state.lastChange = nil
                applied.reset()
                lookedAt.reset()
            }
        }
    }

    // MARK: Under the lock

    private func follows(_ position: LogPosition, on previous: LogPosition, by operation: EncodedOperation) -> Bool {
        previous.digest.chained(with: Digest(of: operation.bytes)) == position.digest
    }

    private func apply(_ operation: EncodedOperation, at position: LogPosition, _ progress: inout Progress) -> [Int] {
        progress.position = position
        if progress.trail.count == Progress.trailLength { progress.trail.removeFirst() }
        progress.trail.append(position.digest)
        progress.bytes += Int64(operation.bytes.count)
        let writtenAt = operation.writtenAt
        let now = clock.now
        state.withLock { state in
            state.lastChange = max(state.lastChange ?? writtenAt, writtenAt)
            state.changedAt = now
        }
        return progress.table.apply(at: position.sequence) { operation.apply(to: &$0) }
    }

    private func applyEarly(_ progress: inout Progress) {
        while let (operation, position) = progress.early[progress.position.sequence + 1],
            follows(position, on: progress.position, by: operation)
        {
            progress.touched[position.sequence] = apply(operation, at: position, &progress)
            progress.early[position.sequence] = nil
        }
    }
}
