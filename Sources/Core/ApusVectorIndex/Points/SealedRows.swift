internal import CVectorKernels
internal import Synchronization

/// The rows of a segment, and which of them have died since.
///
/// A row lives for a reader of moment `m` if `m < died`. Deaths are only ever set, by the table's one writer.
final class SealedRows: @unchecked Sendable {
    static let never = UInt64.max

    let segment: Segment
    private let died: UnsafeMutablePointer<UInt64>
    private let deaths: Atomic<Int>
    /// What was counted by paths and kinds, and the deaths that there were before.
    private let counts = Mutex<[CountKey: (deaths: Int, count: Int)]>([:])
    private static let mostCounts = 1024

    private struct CountKey: Hashable {
        let path: PayloadPath
        let kind: PayloadKind
    }

    var count: Int { segment.count }
    static let bytesPerRow = MemoryLayout<UInt64>.stride
    /// On the heap, and what searches read of the segment.
    var bytes: Int { count * Self.bytesPerRow + segment.searchedBytes }

    /// All rows live.
    init(_ segment: Segment) {
        self.segment = segment
        deaths = Atomic(0)
        died = .allocate(capacity: max(1, segment.count))
        died.initialize(repeating: Self.never, count: segment.count)
    }

    /// The same rows, read from other bytes; nobody writes meanwhile.
    init(_ segment: Segment, deathsOf other: SealedRows) {
        precondition(segment.count == other.count, "the same rows")
        self.segment = segment
        deaths = Atomic(other.deaths.load(ordering: .relaxed))
        died = .allocate(capacity: max(1, segment.count))
        died.initialize(from: other.died, count: segment.count)
    }

    deinit { died.deallocate() }

    func lives(_ row: Int, at moment: UInt64) -> Bool { moment < apus_load_moment(died + row) }

    /// Whether it lives after all that was written.
    func lives(_ row: Int) -> Bool { apus_load_moment(died + row) == Self.never }

    /// Of a row that lives.
    func kill(_ row: Int, at moment: UInt64) {
        apus_store_moment(died + row, moment)
        deaths.add(1, ordering: .releasing)
    }

    /// Whether some rows may be dead for a reader.
    var hasDeaths: Bool { deaths.load(ordering: .relaxed) > 0 }
    var living: Int { count - deaths.load(ordering: .relaxed) }

    /// The row of a point that lives.
    func livingRow(of id: PointID) -> Int? { segment.ids.row(of: id).map(Int.init).flatMap { lives($0) ? $0 : nil } }

    /// Rows that live after all that was written, with a value of the kind at the path.
    func count(with kind: PayloadKind, at path: PayloadPath) -> Int {
        let key = CountKey(path: path, kind: kind)
        // First, so that a death while it is counted has it counted again.
        let deaths = deaths.load(ordering: .acquiring)
        if let known = counts.withLock({ $0[key] }), known.deaths == deaths { return known.count }
        var count = 0
        segment.rows(with: kind, at: path).forEach { if lives($0) { count += 1 } }
        counts.withLock { counts in
            if counts.count >= Self.mostCounts { counts = [:] }
            counts[key] = (deaths, count)
        }
        return count
    }

    func forEachRow(at moment: UInt64, _ body: (UInt32) -> Void) {
        for row in 0..<count where lives(row, at: moment) { body(UInt32(row)) }
    }

    /// Rows that have died after `moment`.
    func forEachDeath(since moment: UInt64, _ body: (Int) -> Void) {
        for row in 0..<count {
            let death = apus_load_moment(died + row)
            if death != Self.never, death > moment { body(row) }
        }
    }
}
